"""Uploads that come in parts and are no dataset yet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class UploadRow(TenantOwned, Base):
    """One upload: its parts follow each other without a gap, and end at `bytes`. Forgotten some time after the last.

    `dataset_id` is set once a dataset was made of it: who did not hear that asks again, and is told.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_tenant_key", "tenant", "key"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    key: Mapped[str | None] = mapped_column(String(255), doc="the client's name for it")
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    dataset_id: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now())
    touched_at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)


class UploadPartRow(TenantOwned, Base):
    """One part, whole in the store; of two that came for one place the first is here."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[str] = mapped_column(ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False, doc="its place in the upload")
    bytes: Mapped[int] = mapped_column(BigInteger)
    blob: Mapped[str] = mapped_column(String(64), doc="digest of its bytes")
