"""Keeping the database, the store and the disk within bounds: what is old, too much, or belongs to nobody is removed.

Nothing that a job still needs is touched: features of a dataset stay while a job on it is not over, and files that no
row names stay until they have lain untouched for a day, since their row may be about to be written.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from sqlalchemy import BigInteger, ColumnElement, cast, delete, func, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from frontrunner.extraction import FEATURES, FeatureKey
from frontrunner.hub import HubAccess
from frontrunner.settings import Settings
from frontrunner.status import ACTIVE, TERMINAL
from frontrunner.store import UPLOADS, StoredObject, open_store, remove_all, uploads
from frontrunner.tuning.artifacts import ARTIFACTS, artifacts_prefix
from jobs.audit import KEPT_S as AUDIT_KEPT_S
from jobs.quotas import COMPUTE_MINUTES
from jobs.records import files_of
from jobs.roles import MAINTENANCE, take_role
from jobs.uploads import PARTS, parts_prefix, remove_parts
from models import (
    AuditRow,
    Base,
    ComputeUseRow,
    Database,
    DatasetRow,
    DeliveryRow,
    FeatureRow,
    IdempotencyRow,
    JobRow,
    StepRow,
    UploadRow,
    database_now,
)

# A file or folder that no row names is removed once nothing was written to it for this long.
ORPHAN_AGE_S = 24 * 3600.0
# Rows removed in one transaction: short enough that nobody waits for it.
_ROWS_AT_ONCE = 200
_RETRY_S = 60.0
# What is looked through, and how many parts of a name say what an object belongs to: an upload is alone, features are
# of a reading and its examples, artifacts of a tuning.
_GROUPS = ((UPLOADS, 3), (PARTS, 2), (FEATURES, 4), (ARTIFACTS, 2))

_log = structlog.get_logger(__name__)


@dataclass
class Removed:
    """What one round removed."""

    jobs: int = 0
    idempotency_keys: int = 0
    deliveries: int = 0
    audit_entries: int = 0
    compute_minutes: int = 0
    uploads: int = 0
    features: int = 0
    feature_bytes: int = 0
    orphans: int = 0


class Maintenance:
    """Goes round every `maintenance_period_s`, on one worker at a time; `run_once` alone serves the command line."""

    def __init__(self, database: Database, settings: Settings, holder: str) -> None:
        self._database = database
        self._settings = settings
        self._holder = holder
        self._store = open_store(settings)

    def run(self, stopping: threading.Event) -> None:
        """Go round until `stopping` is set, while this worker holds the role."""
        period = self._settings.maintenance_period_s
        tidied = time.monotonic()
        while not stopping.wait(min(period, _RETRY_S)):
            try:
                with self._database.write_transaction() as session:
                    # Held for a whole period, and not renewed before it ends: one round a period, whoever does it.
                    holds_role = take_role(session, MAINTENANCE, f"{self._holder}:{uuid.uuid4().hex}", period)
                if holds_role:
                    _log.info("maintained", **asdict(self.run_once()))
                if time.monotonic() - tidied > period:  # whoever holds the role does not see this disk
                    tidied = time.monotonic()
                    self._tidy_this_machine()
            except Exception:
                _log.exception("maintenance_failed")

    def run_once(self) -> Removed:
        """Remove everything that is due; what was removed."""
        removed = Removed()
        retention_s = self._settings.job_retention_s
        if retention_s:
            old = (JobRow.status.in_(TERMINAL), JobRow.finished_at < database_now() - retention_s)
            files = self._files(*old)
            removed.jobs = self._delete(JobRow, *old)
            if files:  # of which another job may do the same work
                for name in files - self._files():
                    remove_all(self._store, artifacts_prefix(name))
                    shutil.rmtree(self._settings.work / name, ignore_errors=True)
            sent = DeliveryRow.created_at < database_now() - retention_s
            removed.deliveries = self._delete(DeliveryRow, DeliveryRow.status != "pending", sent)
        removed.audit_entries = self._delete(AuditRow, AuditRow.at < database_now() - AUDIT_KEPT_S)
        minute = cast(database_now() / 60, BigInteger)
        removed.compute_minutes = self._delete(ComputeUseRow, ComputeUseRow.minute < minute - 2 * COMPUTE_MINUTES)
        removed.idempotency_keys = self._delete(IdempotencyRow, IdempotencyRow.expires_at < database_now())
        removed.uploads = self._forget_uploads()
        self._evict_features(removed)
        removed.orphans = self._remove_orphans() + self._tidy_this_machine()
        return removed

    def _forget_uploads(self) -> int:
        """Uploads in parts that nobody has carried on, and those that have long been datasets."""
        old = UploadRow.touched_at < database_now() - self._settings.upload_expiry_s
        with self._database.read_transaction() as session:
            ids = list(session.scalars(select(UploadRow.id).where(old)))
        forgotten = self._delete(UploadRow, old)  # one that a part has come to meanwhile stays
        with self._database.read_transaction() as session:
            left = set(session.scalars(select(UploadRow.id).where(UploadRow.id.in_(ids))))
        for upload_id in set(ids) - left:
            remove_parts(self._store, upload_id)
        return forgotten

    def _delete(self, table: type[Base], *conditions: object) -> int:
        key = table.__mapper__.primary_key
        total = 0
        while True:
            with self._database.write_transaction() as session:
                chosen = select(*key).where(*conditions).limit(_ROWS_AT_ONCE)  # type: ignore[arg-type]
                rows = session.execute(chosen).all()
                for row in rows:
                    same = (column == value for column, value in zip(key, row, strict=True))
                    result = session.execute(delete(table).where(*same))
                    total += result.rowcount if isinstance(result, CursorResult) else 0
            if len(rows) < _ROWS_AT_ONCE:
                return total

    def _files(self, *conditions: ColumnElement[bool]) -> set[str]:
        with self._database.read_transaction() as session:
            return files_of(session, *conditions)

    def _evict_features(self, removed: Removed) -> None:
        """Least recently used first, until the rest fits."""
        limit = self._settings.cache_max_bytes
        if not limit:
            return
        with self._database.read_transaction() as session:
            excess = (session.scalar(select(func.sum(FeatureRow.bytes))) or 0) - limit
            oldest = session.execute(select(FeatureRow.key, FeatureRow.bytes).order_by(FeatureRow.last_used_at)).all()
        for key, size in oldest:
            if excess <= 0:
                return
            if self._evict(key):
                excess -= size
                removed.features += 1
                removed.feature_bytes += size

    def _evict(self, key: str) -> bool:
        """Remove one checkpoint's features of one dataset; False where a job may still read them.

        A reader finds any shard whole or not at all, and computes those that are gone.
        """
        with self._database.write_transaction() as session:
            row = session.get(FeatureRow, key, with_for_update=True)
            if row is None or row.dataset_digest in _digests_in_use(session):
                return False
            session.delete(row)
        remove_all(self._store, FeatureKey.parse(key).prefix)
        return True

    def _remove_orphans(self) -> int:
        """Objects of the store that no row names; those that belong together go together, by the youngest of them."""
        with self._database.read_transaction() as session:
            blobs = set(session.scalars(select(DatasetRow.blob)))
            features = set(session.scalars(select(FeatureRow.key)))
            files = files_of(session)
            coming = list(session.scalars(select(UploadRow.id)))
            oldest_job = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.status.in_(ACTIVE)))
        named = {
            *(uploads(self._store).name(blob) for blob in blobs),
            *(FeatureKey.parse(key).prefix for key in features),
            *map(artifacts_prefix, files),
            *map(parts_prefix, coming),
        }
        # A step that is not finished has no row for its features yet: what is younger than its job may be its own.
        horizon = min(time.time() - ORPHAN_AGE_S, math.inf if oldest_job is None else oldest_job)
        removed = 0
        for prefix, depth in _GROUPS:
            for group, members in self._groups(prefix, depth).items():
                if group not in named and max(member.modified_at for member in members) < horizon:
                    for member in members:
                        self._store.remove(member.name)
                    removed += 1
            removed += self._store.remove_abandoned(prefix, horizon)
        return removed

    def _groups(self, prefix: str, depth: int) -> dict[str, list[StoredObject]]:
        """The objects below a prefix by the first `depth` parts of their names."""
        groups: dict[str, list[StoredObject]] = {}
        for found in self._store.list(prefix):
            groups.setdefault("/".join(found.name.split("/")[:depth]), []).append(found)
        return groups

    def _tidy_this_machine(self) -> int:
        """What steps and messages left on this machine's own disk."""
        with self._database.read_transaction() as session:
            files = files_of(session)
            datasets = set(session.scalars(select(DatasetRow.digest)))
        settings = self._settings
        pixels = [folder for folder in HubAccess.of(settings).pixels.glob("*") if folder.name not in datasets]
        for folder in pixels:  # of deleted datasets; one that is read without a service is decoded again
            shutil.rmtree(folder, ignore_errors=True)
        left = [path for path in settings.work.glob("*") if path.name not in files]
        left += [*settings.messages.glob("*.taken"), *settings.messages.glob("*.writing")]
        removed = len(pixels)
        for path in left:
            if max(_written_at(path)) < time.time() - ORPHAN_AGE_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                removed += 1
        return removed


def _digests_in_use(session: Session) -> set[str]:
    """Datasets of jobs that are not over."""
    rows = session.scalars(
        select(StepRow.dataset_digests).join(JobRow, JobRow.id == StepRow.job_id).where(JobRow.status.in_(ACTIVE))
    )
    return {digest for digests in rows for digest in digests}


def _written_at(path: Path) -> Iterator[float]:
    """When the file, or the folder and anything in it, was last written."""
    for part in (path, *path.rglob("*")) if path.is_dir() else (path,):
        try:
            yield part.stat().st_mtime
        except FileNotFoundError:
            yield time.time()  # somebody is at work there
