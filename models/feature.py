"""Cached features: what lies in the cache folder, and when it was last of use."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class FeatureRow(Base):
    """The cached features of one checkpoint on one dataset, by the digest that names their folder."""

    __tablename__ = "features"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    checkpoint_digest: Mapped[str] = mapped_column(String(64), index=True)
    dataset_digest: Mapped[str] = mapped_column(String(64), index=True)
    examples: Mapped[int] = mapped_column(Integer)
    dimension: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(BigInteger)
    last_used_at: Mapped[float] = mapped_column(Float, index=True)
