"""What steps took, for the quota of compute."""

from __future__ import annotations

from sqlalchemy import BigInteger, Float
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.tenant import TenantOwned, tenant_key


class ComputeUseRow(TenantOwned, Base):
    """Seconds of a tenant's attempts that ended in one minute. Deleting a job gives nothing back."""

    __tablename__ = "compute_use"

    tenant: Mapped[str] = tenant_key()
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True, doc="since 1970, on the database's clock")
    seconds: Mapped[float] = mapped_column(Float)
