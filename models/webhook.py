"""Webhooks: who wants to hear when a job is over."""

from __future__ import annotations

from sqlalchemy import Boolean, Float, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class WebhookRow(TenantOwned, Base):
    """One address. It is disabled after too many failed tries in a row, and stays so until somebody enables it."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("ix_webhooks_tenant", "tenant"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(String(500), doc="signs every message; shown once, and sealed here")
    enabled: Mapped[bool] = mapped_column(Boolean)
    failures: Mapped[int] = mapped_column(Integer, doc="failed tries since the last success")
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now())
