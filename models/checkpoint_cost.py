"""What reading checkpoints took."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class CostRow(Base):
    """What reading one checkpoint took on one kind of device, at the last time it was read there."""

    __tablename__ = "checkpoint_costs"

    checkpoint_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    device: Mapped[str] = mapped_column(String(100), primary_key=True)
    latency_ms: Mapped[float] = mapped_column(Float)
    memory_mb: Mapped[float] = mapped_column(Float)
    measured_at: Mapped[float] = mapped_column(Float)
