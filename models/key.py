"""API keys: what may be done with each, for which tenant, and until when. The keys themselves are nowhere."""

from __future__ import annotations

from sqlalchemy import Float, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, database_now
from models.tenant import TenantOwned


class KeyRow(TenantOwned, Base):
    """One key. `id` is the part of it that is no secret; rows of revoked and expired keys stay."""

    __tablename__ = "keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64), doc="HMAC-SHA256 of the whole key under the service's secret")
    scopes: Mapped[str] = mapped_column(String(64), doc="with spaces between them")
    created_at: Mapped[float] = mapped_column(Float, server_default=database_now())
    expires_at: Mapped[float | None] = mapped_column(Float)
    revoked_at: Mapped[float | None] = mapped_column(Float)
    last_used_at: Mapped[float | None] = mapped_column(Float, doc="to the minute")
