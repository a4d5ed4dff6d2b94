"""Quotas: what one tenant may use, where it is not what the settings say for all."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.tenant import TenantOwned, tenant_key


class QuotaRow(TenantOwned, Base):
    """One tenant's limits: null where the settings' count, 0 for none.

    The row is also the lock under which a tenant's use is counted and added to.
    """

    __tablename__ = "quotas"

    tenant: Mapped[str] = tenant_key()
    bytes: Mapped[int | None] = mapped_column(BigInteger, doc="of datasets")
    datasets: Mapped[int | None] = mapped_column(BigInteger)
    jobs: Mapped[int | None] = mapped_column(BigInteger, doc="that are not over")
    compute_s: Mapped[float | None] = mapped_column(Float, doc="seconds of steps an hour")
    requests: Mapped[int | None] = mapped_column(BigInteger, doc="a minute")
