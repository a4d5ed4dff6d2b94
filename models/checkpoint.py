"""Checkpoints that the configured hubs offer."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class CheckpointRow(Base):
    """One checkpoint as last described. `error_code` is set where it looks like one and cannot be used."""

    __tablename__ = "checkpoints"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str | None] = mapped_column(String(64))
    modality: Mapped[str | None] = mapped_column(String(16), index=True)
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    description: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_reason: Mapped[str | None] = mapped_column(String(1000))
    available: Mapped[bool] = mapped_column(Boolean, doc="seen at the last look into the hubs")
    seen_at: Mapped[float] = mapped_column(Float)
