"""Steps: the pieces of a job that one worker does in one go."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class StepRow(Base):
    """One step. Who holds `lease_token` may write to it, until `lease_until` on the database's clock."""

    __tablename__ = "steps"
    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="status_known"),
        # A running step without a lease could never be recovered, and one that is not running must not hold one.
        CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name="lease_held_while_running"),
        UniqueConstraint("job_id", "checkpoint_id"),
        Index("ix_steps_status_lease_until", "status", "lease_until"),
        Index("ix_steps_status_ring_at", "status", "ring_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    ordinal: Mapped[int] = mapped_column(Integer)
    checkpoint_id: Mapped[str] = mapped_column(String(255))
    queue: Mapped[str] = mapped_column(String(16))
    order: Mapped[dict[str, Any]] = mapped_column(JSON, doc="frontrunner.ranking.StepOrder")
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[float | None] = mapped_column(Float)
    rings: Mapped[int] = mapped_column(Integer, default=0, doc="messages that the reaper sent for it")
    ring_at: Mapped[float] = mapped_column(Float, doc="when the reaper rings for it, if it is still queued then")
    examples_done: Mapped[int] = mapped_column(Integer, default=0)
    examples_total: Mapped[int] = mapped_column(Integer, default=0)
    output: Mapped[dict[str, Any] | None] = mapped_column(JSON, doc="frontrunner.ranking.StepOutput")
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_reason: Mapped[str | None] = mapped_column(String(2000))
    started_at: Mapped[float | None] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
