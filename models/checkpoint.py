"""The catalogue: checkpoints that are known."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Float, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class CheckpointRow(Base):
    """One checkpoint: found in this service's own hubs, or heard of from a list.

    One of ours has a `description`, or an `error_code` where it looks like a checkpoint and cannot be used; one that
    was heard of has neither until a request names it.
    """

    __tablename__ = "checkpoints"

    id: Mapped[str] = mapped_column(String(255), primary_key=True)
    origin: Mapped[str] = mapped_column(String(16), index=True, doc="`hubs`: found in ours; `lists`: heard of")
    digest: Mapped[str | None] = mapped_column(String(64))
    library: Mapped[str | None] = mapped_column(String(16))
    modality: Mapped[str | None] = mapped_column(String(16), index=True)
    architecture: Mapped[str | None] = mapped_column(String(128))
    family: Mapped[str | None] = mapped_column(String(64), index=True)
    parameters: Mapped[int | None] = mapped_column(BigInteger)
    flops: Mapped[int | None] = mapped_column(BigInteger, doc="of one example at its own input size")
    input_size: Mapped[int | None] = mapped_column(Integer)
    license: Mapped[str | None] = mapped_column(String(100))
    pretraining: Mapped[str | None] = mapped_column(String(500))
    base_model: Mapped[str | None] = mapped_column(String(255))
    popularity: Mapped[int | None] = mapped_column(BigInteger, doc="downloads in thirty days, as the hub counts")
    tags: Mapped[list[str] | None] = mapped_column(JSON)
    label_names: Mapped[list[str] | None] = mapped_column(JSON, deferred=True)
    searched: Mapped[str] = mapped_column(String(2000), doc="what a search looks into, in small letters")
    description: Mapped[dict[str, Any] | None] = mapped_column(JSON, doc="frontrunner.hub.CheckpointDescription")
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_reason: Mapped[str | None] = mapped_column(String(1000))
    available: Mapped[bool] = mapped_column(Boolean, doc="seen at the last look into the hubs, or listed")
    seen_at: Mapped[float] = mapped_column(Float)
