"""Quotas: how much one tenant may keep, have running, and compute.

Use is counted in the transaction that adds to it, under the lock of the tenant's row: of two requests for the last of
something, one gets it. 0 is no limit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from frontrunner.errors import FrontrunnerError
from frontrunner.settings import Settings
from frontrunner.status import ACTIVE, Status
from models.base import database_now
from models.compute_use import ComputeUseRow
from models.dataset import DatasetRow
from models.job import JobRow
from models.quota import QuotaRow
from models.step import StepRow
from models.upload import UploadRow
from models.upsert import insert_into, upsert

# Compute is counted over the last so many minutes.
COMPUTE_MINUTES = 60


class QuotaExceeded(FrontrunnerError):
    """The tenant would use more than it may.

    Attributes:
        retry_after_s: when it may fit again without anybody's doing; None where something has to be deleted.
    """

    code = "quota_exceeded"
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Limits:
    """What a tenant may use; 0 for no limit.

    Attributes:
        bytes: of its datasets together, and of uploads that are none yet.
        datasets: how many.
        jobs: how many that are not over.
        compute_s: seconds that its steps take together, in any hour.
        requests: a minute.
    """

    bytes: int = 0
    datasets: int = 0
    jobs: int = 0
    compute_s: float = 0.0
    requests: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """Those of a tenant of which nothing is said."""
        return cls(**{field.name: getattr(settings, f"quota_{field.name}") for field in fields(cls)})


@dataclass(frozen=True)
class Use:
    """What a tenant uses now."""

    bytes: int
    datasets: int
    jobs: int
    compute_s: float


def limits_of(session: Session, tenant: str, defaults: Limits) -> Limits:
    """A tenant's limits: what was set for it, else `defaults`."""
    row = session.scalar(select(QuotaRow).where(QuotaRow.tenant == tenant))
    return defaults if row is None else _narrowed(defaults, row)


def set_limits(session: Session, tenant: str, said: dict[str, float | None]) -> None:
    """Say limits of one tenant, by name; None for those that the settings say."""
    upsert(session, QuotaRow, [{"tenant": tenant, **said}])


def kept_datasets(session: Session, tenant: str) -> tuple[int, int]:
    """How many datasets a tenant keeps, and their bytes together."""
    kept = select(func.count(), func.coalesce(func.sum(DatasetRow.bytes), 0)).where(DatasetRow.tenant == tenant)
    count, size = session.execute(kept).one()
    return count, int(size)


def kept_bytes(session: Session, tenant: str) -> int:
    """Bytes of a tenant's datasets together, and of its uploads that are none yet."""
    on_their_way = select(func.coalesce(func.sum(UploadRow.bytes), 0)).where(
        UploadRow.tenant == tenant, UploadRow.dataset_id.is_(None)
    )
    return kept_datasets(session, tenant)[1] + int(session.scalar(on_their_way) or 0)


def use_of(session: Session, tenant: str) -> Use:
    """What a tenant uses now."""
    datasets, _ = kept_datasets(session, tenant)
    return Use(
        kept_bytes(session, tenant),
        datasets,
        _jobs(session, tenant),
        compute_seconds(session, [tenant]).get(tenant, 0.0),
    )


def locked_limits(session: Session, tenant: str, defaults: Limits) -> Limits:
    """A tenant's limits, under a lock that whoever adds to its use takes first; held until the transaction ends."""
    new = insert_into(session, QuotaRow).values(tenant=tenant).on_conflict_do_nothing(index_elements=["tenant"])
    session.execute(new)
    return _narrowed(
        defaults, session.scalars(select(QuotaRow).where(QuotaRow.tenant == tenant).with_for_update()).one()
    )


def require_room_for_datasets(session: Session, tenant: str, limits: Limits) -> None:
    """Let a transaction go on that has added a dataset, under the lock.

    Raises:
        QuotaExceeded: these are too many, or too large together.
    """
    count, size = kept_datasets(session, tenant)
    if limits.datasets and count > limits.datasets:
        raise QuotaExceeded(f"you have {count - 1:,} datasets, and may keep {limits.datasets:,}; delete some first")
    if limits.bytes and size > limits.bytes:
        raise too_many_bytes(limits.bytes)


def too_many_bytes(limit: int) -> QuotaExceeded:
    """The refusal of an upload that does not fit beside what is kept."""
    return QuotaExceeded(f"with this upload your datasets have more than {limit:,} bytes together; delete some first")


def require_room_for_jobs(session: Session, tenant: str, limits: Limits) -> None:
    """Let a transaction go on that has added a job, or queued one again, under the lock.

    Raises:
        QuotaExceeded: these are too many, or the hour's compute is used up.
    """
    if limits.jobs and (count := _jobs(session, tenant)) > limits.jobs:
        error = QuotaExceeded(f"{count - 1:,} of your jobs are not over, and {limits.jobs:,} may be; wait for one")
        error.retry_after_s = 10
        raise error
    if limits.compute_s and (used := compute_seconds(session, [tenant]).get(tenant, 0.0)) >= limits.compute_s:
        error = QuotaExceeded(f"your steps took {used:,.0f} s in the last hour, and may take {limits.compute_s:,.0f}")
        error.retry_after_s = 60
        raise error


def compute_seconds(session: Session, tenants: list[str] | None = None) -> dict[str, float]:
    """What steps took in the last hour by tenant, those in hand as far as they are; of all tenants by default."""
    now = session.scalar(select(database_now())) or 0.0
    ended = select(ComputeUseRow.tenant, func.sum(ComputeUseRow.seconds)).where(
        ComputeUseRow.minute > int(now / 60) - COMPUTE_MINUTES
    )
    in_hand = select(StepRow.tenant, now * func.count() - func.coalesce(func.sum(StepRow.started_at), 0.0)).where(
        StepRow.status == Status.RUNNING
    )
    if tenants is not None:
        ended, in_hand = ended.where(ComputeUseRow.tenant.in_(tenants)), in_hand.where(StepRow.tenant.in_(tenants))
    found: dict[str, float] = {}
    for query in (ended.group_by(ComputeUseRow.tenant), in_hand.group_by(StepRow.tenant)):
        for tenant, seconds in session.execute(query):
            found[tenant] = found.get(tenant, 0.0) + float(seconds)
    return found


def tenants_without_compute(session: Session, default_s: float) -> list[str]:
    """Tenants whose steps took all that they may in the last hour: theirs wait."""
    rows = session.execute(select(QuotaRow.tenant, QuotaRow.compute_s).where(QuotaRow.compute_s.is_not(None)))
    said = {tenant: limit or 0.0 for tenant, limit in rows}
    if not default_s and not any(said.values()):
        return []
    used = compute_seconds(session)
    limits = {tenant: said.get(tenant, default_s) for tenant in used}
    return [tenant for tenant, seconds in used.items() if limits[tenant] and seconds >= limits[tenant]]


def add_compute(session: Session, step_id: str) -> None:
    """Count an attempt that ends now. Among the last writes of its transaction: a tenant's steps share the row."""
    began = func.coalesce(StepRow.started_at, database_now())
    tenant, started_at, now = session.execute(
        select(StepRow.tenant, began, database_now()).where(StepRow.id == step_id)
    ).one()
    row = insert_into(session, ComputeUseRow).values(
        tenant=tenant, minute=int(now / 60), seconds=max(0.0, now - started_at)
    )
    session.execute(
        row.on_conflict_do_update(
            index_elements=["tenant", "minute"], set_={"seconds": ComputeUseRow.seconds + row.excluded.seconds}
        )
    )


def _narrowed(defaults: Limits, row: QuotaRow) -> Limits:
    own = {name: getattr(row, name) for name in asdict(defaults) if getattr(row, name) is not None}
    return Limits(**(asdict(defaults) | own))


def _jobs(session: Session, tenant: str) -> int:
    counted = select(func.count()).select_from(JobRow).where(JobRow.tenant == tenant, JobRow.status.in_(ACTIVE))
    return session.scalar(counted) or 0
