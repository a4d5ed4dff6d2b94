"""Idempotency keys: the name a client gave to a request, so that sending it twice makes one job."""

from __future__ import annotations

from sqlalchemy import Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.tenant import TenantOwned, tenant_key


class IdempotencyRow(TenantOwned, Base):
    """One key of one tenant, what it was first sent with, and the job that it made. Forgotten at `expires_at`."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = tenant_key()
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_digest: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[float] = mapped_column(Float, index=True)
