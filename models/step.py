"""Steps: the pieces of a job that one worker does in one go."""

from __future__ import annotations

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.tenant import TenantOwned

_QUEUED = "status = 'queued'"


class StepRow(TenantOwned, Base):
    """One step. Who holds `lease_token` may write to it, until `lease_until` on the database's clock.

    Tenant, kind and priority are its job's: repeated here so that the best step of a queue is found in one index.
    """

    __tablename__ = "steps"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelled')", name="status_known"
        ),
        # A running step without a lease could never be recovered, and one that is not running must not hold one.
        CheckConstraint("(status = 'running') = (lease_token IS NOT NULL)", name="lease_held_while_running"),
        UniqueConstraint("job_id", "name"),
        Index("ix_steps_status_lease_until", "status", "lease_until"),
        Index(
            "ix_steps_waiting",
            "queue",
            "tenant",
            "priority",
            "available_at",
            postgresql_where=text(_QUEUED),
            sqlite_where=text(_QUEUED),
        ),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(32), doc="its job's: says what the runner is to do")
    priority: Mapped[int] = mapped_column(Integer, default=5, server_default="5")
    ordinal: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(255), doc="unique in its job; of a ranking, the checkpoint's id")
    queue: Mapped[str] = mapped_column(String(16))
    dataset_digests: Mapped[list[str]] = mapped_column(
        JSON, doc="the datasets whose cached features it needs, and the result of its job rests on"
    )
    payload: Mapped[str] = mapped_column(Text, doc="JSON: all that a runner needs to know")
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    max_attempts: Mapped[int] = mapped_column(Integer)
    available_at: Mapped[float] = mapped_column(Float, doc="when it may be claimed: later after each lost attempt")
    lease_token: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[float | None] = mapped_column(Float)
    examples_done: Mapped[int] = mapped_column(Integer, default=0)
    examples_total: Mapped[int] = mapped_column(Integer, default=0)
    output: Mapped[str | None] = mapped_column(Text, doc="JSON: what the runner answered")
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_reason: Mapped[str | None] = mapped_column(String(2000))
    started_at: Mapped[float | None] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
