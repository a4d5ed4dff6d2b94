"""Jobs: what a user asked for."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Float, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned

# An identical job is joined while it waits or runs; one that is being cancelled can no longer be joined.
_JOINABLE = "status IN ('queued', 'running')"


class JobRow(TenantOwned, Base):
    """One job. `steps_left` is the fan-in: it counts the steps that are not over, and the result needs it at zero."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'lost', 'cancelling', 'cancelled')",
            name="status_known",
        ),
        CheckConstraint("steps_left >= 0", name="steps_left_not_negative"),
        CheckConstraint("priority BETWEEN 0 AND 9", name="priority_in_range"),
        # Two requests for the same work at the same time are one job, whichever API process hears them.
        Index(
            "uq_jobs_running_work",
            "tenant",
            "work_digest",
            unique=True,
            postgresql_where=text(_JOINABLE),
            sqlite_where=text(_JOINABLE),
        ),
        Index("ix_jobs_finished_at", "finished_at"),
        Index("ix_jobs_tenant_id", "tenant", "id"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), index=True)
    status: Mapped[str] = mapped_column(String(16), index=True)
    priority: Mapped[int] = mapped_column(Integer, default=5, server_default="5", doc="0 to 9; 9 goes first")
    dataset_id: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)
    request: Mapped[str] = mapped_column(Text, doc="JSON: its kind's `request` model")
    work_digest: Mapped[str] = mapped_column(String(64), doc="of kind and request: names the work")
    correlation_id: Mapped[str] = mapped_column(String(128), default="", server_default="")
    trace_parent: Mapped[str] = mapped_column(String(55), default="", server_default="", doc="W3C's traceparent")
    version: Mapped[int] = mapped_column(Integer, default=0, server_default="0", doc="number of its last event")
    max_attempts: Mapped[int] = mapped_column(Integer, doc="tries of each of its steps")
    steps_total: Mapped[int] = mapped_column(Integer, doc="grows when the planner adds steps")
    steps_left: Mapped[int] = mapped_column(Integer)
    result: Mapped[str | None] = mapped_column(Text, doc="JSON: written when the job ends")
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_reason: Mapped[str | None] = mapped_column(String(2000))
    next_job_id: Mapped[str | None] = mapped_column(String(40), doc="the job that follows on this one")
    next_error_code: Mapped[str | None] = mapped_column(String(64), doc="why the one asked for could not follow")
    next_error_reason: Mapped[str | None] = mapped_column(String(2000))
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)
    started_at: Mapped[float | None] = mapped_column(Float)
    finished_at: Mapped[float | None] = mapped_column(Float)
