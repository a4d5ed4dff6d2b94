"""Datasets that were uploaded and passed their check."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now


class DatasetRow(Base):
    """One dataset; its id is its digest, so the same bytes read the same way are one row."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(255))
    blob: Mapped[str] = mapped_column(String(64), doc="digest of the stored bytes")
    bytes: Mapped[int] = mapped_column(BigInteger)
    options: Mapped[dict[str, Any]] = mapped_column(JSON)
    report: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now(), index=True)
