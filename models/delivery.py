"""Messages to webhooks, sent or still to be sent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class DeliveryRow(TenantOwned, Base):
    """One message to one address: the outbox, written in the transaction that ended the job, and its log after that."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status_known"),
        Index("ix_deliveries_status_next_at", "status", "next_at"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"), index=True)
    job_id: Mapped[str] = mapped_column(String(40), index=True)
    event: Mapped[dict[str, Any]] = mapped_column(JSON, doc="the CloudEvent, as it is sent")
    status: Mapped[str] = mapped_column(String(16))
    attempt: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[float] = mapped_column(Float)
    last_answer: Mapped[str | None] = mapped_column(String(500), doc="HTTP status or the error of the last try")
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)
    delivered_at: Mapped[float | None] = mapped_column(Float)
