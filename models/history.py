"""Past results of fine-tuning."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, CheckConstraint, Float, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class HistoryRow(TenantOwned, Base):
    """What one checkpoint reached on one dataset; the id is a digest of what the row says: nothing is there twice."""

    __tablename__ = "history"
    __table_args__ = (
        CheckConstraint("accuracy BETWEEN 0 AND 1", name="accuracy_is_a_share"),
        CheckConstraint("source IN ('file', 'tuning')", name="source_known"),
        Index("ix_history_added_at_id", "added_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), doc="`file`: imported; `tuning`: a tuning of this service")
    job_id: Mapped[str | None] = mapped_column(String(40), doc="the first tuning that said so; it may be gone")
    model: Mapped[str] = mapped_column(String(255), index=True)
    dataset: Mapped[str] = mapped_column(String(255), index=True)
    dataset_digest: Mapped[str | None] = mapped_column(String(64), index=True, doc="of datasets of this service")
    accuracy: Mapped[float] = mapped_column(Float, doc="on data that was not trained on")
    diverged: Mapped[bool] = mapped_column(Boolean, doc="kept for the record, and never truth")
    protocol: Mapped[str] = mapped_column(String(500), doc="how it was made; results of one are compared")
    learning_rate: Mapped[float | None] = mapped_column(Float)
    seed: Mapped[int | None] = mapped_column(BigInteger)
    scores: Mapped[dict[str, float]] = mapped_column(JSON, doc="measured before fine-tuning")
    family: Mapped[str | None] = mapped_column(String(255))
    parameters: Mapped[float | None] = mapped_column(Float)
    input_size: Mapped[float | None] = mapped_column(Float)
    source_dataset: Mapped[str | None] = mapped_column(String(255))
    source_accuracy: Mapped[float | None] = mapped_column(Float)
    dataset_size: Mapped[float | None] = mapped_column(Float, doc="examples")
    dataset_classes: Mapped[float | None] = mapped_column(Float)
    added_at: Mapped[float] = mapped_column(Float, server_default=database_now())
