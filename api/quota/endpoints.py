"""`/v1/quota`: what a tenant may use, and what it uses."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.problems import RESPONSES
from api.state import StateDependency
from jobs.quotas import Limits, limits_of, use_of

router = APIRouter(prefix="/v1/quota", tags=["quota"], responses=RESPONSES)


class Share(BaseModel):
    """Of one thing: how much may be used, and how much is."""

    limit: float | None = Field(description="None where there is no limit.")
    used: float


class QuotaResource(BaseModel):
    """What the tenant of the key may use."""

    tenant: str
    bytes: Share = Field(description="Of its datasets together, and of uploads that are none yet.")
    datasets: Share
    jobs: Share = Field(description="That are not over.")
    compute_s: Share = Field(description="Seconds that its steps took in the last hour.")
    requests: Share = Field(description="In this minute, this one included.")


@router.get("", operation_id="getQuota")
def read_quota(state: StateDependency) -> QuotaResource:
    """Read what you may use and what you use. Beyond it requests are answered 429, `quota_exceeded`."""
    tenant = state.principal.tenant
    with state.database.read_transaction() as session:
        limits = limits_of(session, tenant, Limits.of(state.settings))
        used = use_of(session, tenant)
    allowed = state.allowance
    return QuotaResource(
        tenant=tenant,
        bytes=_share(limits.bytes, used.bytes),
        datasets=_share(limits.datasets, used.datasets),
        jobs=_share(limits.jobs, used.jobs),
        compute_s=_share(limits.compute_s, used.compute_s),
        requests=_share(allowed.limit, allowed.limit - allowed.left),
    )


def _share(limit: float, used: float) -> Share:
    return Share(limit=limit or None, used=used)
