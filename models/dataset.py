"""Datasets that were uploaded and passed their check."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class DatasetRow(TenantOwned, Base):
    """One dataset; its id is its digest, so the same bytes read the same way are one row of their tenant."""

    __tablename__ = "datasets"
    __table_args__ = (Index("ix_datasets_tenant_id", "tenant", "id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True, doc="of bytes, reading and tenant")
    name: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str] = mapped_column(String(64), doc="digest of the stored bytes")
    bytes: Mapped[int] = mapped_column(BigInteger)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)
