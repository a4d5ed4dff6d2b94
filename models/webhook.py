"""Webhooks: who wants to hear when a job is over."""

from __future__ import annotations

from sqlalchemy import Boolean, Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now


class WebhookRow(Base):
    """One address. It is disabled after too many failed tries in a row, and stays so until somebody enables it."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), index=True)
    url: Mapped[str] = mapped_column(String(2000))
    secret: Mapped[str] = mapped_column(String(128), doc="signs every message; shown once")
    enabled: Mapped[bool] = mapped_column(Boolean)
    failures: Mapped[int] = mapped_column(Integer, doc="failed tries since the last success")
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now())
