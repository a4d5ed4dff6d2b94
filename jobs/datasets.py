"""Forgetting a dataset: its row, its bytes and its cached features go together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from frontrunner.errors import DatasetNotFound
from frontrunner.extraction import FeatureKey
from frontrunner.status import ACTIVE
from frontrunner.store import Store, remove_all, uploads
from jobs.errors import DatasetInUse
from models.database import Database
from models.dataset import DatasetRow
from models.feature import FeatureRow
from models.job import JobRow
from models.step import StepRow
from models.tenant import of_every_tenant


@dataclass(frozen=True)
class Leftovers:
    """What a forgotten dataset leaves in the store: to be removed once its transaction is committed.

    Attributes:
        blob: digest of its bytes, for `forget_upload`: another dataset may be made of the same.
        features: prefixes of its cached features.
    """

    blob: str
    features: tuple[str, ...]

    def remove_features(self, store: Store) -> None:
        """Remove the features. What is missed, because this process dies, is an orphan that maintenance finds."""
        for prefix in self.features:
            remove_all(store, prefix)


def delete_dataset(session: Session, dataset_id: str) -> Leftovers:
    """Forget a dataset. Jobs on it that are over keep their results, and cannot be tried again.

    Raises:
        DatasetNotFound: there is none.
        DatasetInUse: a job that is not over reads it.
    """
    row = session.get(DatasetRow, dataset_id, with_for_update=True)
    if row is None:
        raise DatasetNotFound(f"there is no dataset '{dataset_id}'")
    digest, blob = row.digest, row.blob
    if users := _jobs_on(session, dataset_id, digest):
        raise DatasetInUse(f"the dataset '{dataset_id}' is read by {', '.join(users[:3])}; cancel it first, or wait")
    session.execute(update(JobRow).where(JobRow.dataset_id == dataset_id).values(dataset_id=None))
    features = session.scalars(delete(FeatureRow).where(FeatureRow.dataset_digest == digest).returning(FeatureRow.key))
    prefixes = tuple(FeatureKey.parse(key).prefix for key in features)
    session.delete(row)
    session.flush()
    return Leftovers(blob, prefixes)


def hold_blob(session: Session, blob: str) -> None:
    """Until the transaction ends, nobody else forgets these bytes or makes a dataset of them."""
    if session.get_bind().dialect.name == "postgresql":  # where SQLite admits one writer anyway
        session.execute(select(func.pg_advisory_xact_lock(int(blob[:15], 16))))


def forget_upload(database: Database, store: Store, blob: str) -> None:
    """Remove uploaded bytes that no dataset is made of, whoever's.

    How long it takes depends on what other tenants have: nobody's answer may wait for it.
    """
    with database.write_transaction() as session:
        hold_blob(session, blob)
        named = of_every_tenant(select(DatasetRow.id).where(DatasetRow.blob == blob).limit(1))
        if session.scalar(named) is None:
            store.remove(uploads(store).name(blob))


def missing_datasets(session: Session, job_id: str) -> set[str]:
    """Digests of datasets that a job's steps read and that were forgotten since."""
    rows = session.scalars(select(StepRow.dataset_digests).where(StepRow.job_id == job_id))
    read = {digest for digests in rows for digest in digests}
    return read - set(session.scalars(select(DatasetRow.digest).where(DatasetRow.digest.in_(read))))


def _jobs_on(session: Session, dataset_id: str, digest: str) -> list[str]:
    """Ids of the jobs that are not over and read the dataset: their own, or among others."""
    rows = session.execute(
        select(JobRow.id, JobRow.dataset_id, StepRow.dataset_digests)
        .join(StepRow, StepRow.job_id == JobRow.id)
        .where(JobRow.status.in_(ACTIVE))
    )
    return sorted({row.id for row in rows if row.dataset_id == dataset_id or digest in row.dataset_digests})
