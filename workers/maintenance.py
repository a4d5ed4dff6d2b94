"""Keeping the database and the disk within bounds: what is old, too much, or belongs to nobody is removed.

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
from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from frontrunner.settings import Settings
from frontrunner.status import ACTIVE, TERMINAL
from jobs.records import folders_of
from jobs.roles import MAINTENANCE, take_role
from models import Database, DatasetRow, DeliveryRow, FeatureRow, IdempotencyRow, JobRow, StepRow, database_now

# A file or folder that no row names is removed once nothing was written to it for this long.
ORPHAN_AGE_S = 24 * 3600.0
# Rows removed in one transaction: short enough that nobody waits for it.
_ROWS_AT_ONCE = 200
_RETRY_S = 60.0

_log = structlog.get_logger(__name__)


@dataclass
class Removed:
    """What one round removed."""

    jobs: int = 0
    idempotency_keys: int = 0
    deliveries: int = 0
    features: int = 0
    feature_bytes: int = 0
    orphans: int = 0


class Maintenance:
    """Goes round every `maintenance_period_s`, on one worker at a time; `run_once` alone serves the command line."""

    def __init__(self, database: Database, settings: Settings, holder: str) -> None:
        self._database = database
        self._settings = settings
        self._holder = holder

    def run(self, stopping: threading.Event) -> None:
        """Go round until `stopping` is set, while this worker holds the role."""
        period = self._settings.maintenance_period_s
        while not stopping.wait(min(period, _RETRY_S)):
            try:
                with self._database.write_transaction() as session:
                    # Held for a whole period, and not renewed before it ends: one round a period, whoever does it.
                    holds_role = take_role(session, MAINTENANCE, f"{self._holder}:{uuid.uuid4().hex}", period)
                if holds_role:
                    _log.info("maintained", **asdict(self.run_once()))
            except Exception:
                _log.exception("maintenance_failed")

    def run_once(self) -> Removed:
        """Remove everything that is due; what was removed."""
        removed = Removed()
        retention_s = self._settings.job_retention_s
        if retention_s:
            old = (JobRow.status.in_(TERMINAL), JobRow.finished_at < database_now() - retention_s)
            folders = self._folders(*old)
            removed.jobs = self._delete(JobRow, *old)
            if folders:  # of which another job may do the same work
                for folder in folders - self._folders():
                    shutil.rmtree(folder, ignore_errors=True)
            sent = DeliveryRow.created_at < database_now() - retention_s
            removed.deliveries = self._delete(DeliveryRow, DeliveryRow.status != "pending", sent)
        removed.idempotency_keys = self._delete(IdempotencyRow, IdempotencyRow.expires_at < database_now())
        self._evict_features(removed)
        removed.orphans = self._remove_orphans()
        return removed

    def _delete(self, table: type[JobRow | DeliveryRow | IdempotencyRow], *conditions: object) -> int:
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

    def _folders(self, *conditions: ColumnElement[bool]) -> set[Path]:
        with self._database.read_transaction() as session:
            return folders_of(session, *conditions)

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
        """Remove one checkpoint's features of one dataset; False where a job may still read them."""
        folder = self._feature_folder(key)
        bin_ = folder.with_name(f".evicted-{uuid.uuid4().hex}")
        with self._database.write_transaction() as session:
            row = session.get(FeatureRow, key, with_for_update=True)
            if row is None or row.dataset_digest in _digests_in_use(session):
                return False
            session.delete(row)
            # Out of sight in one step: a reader finds all of it or nothing, and what it has open stays readable.
            if folder.is_dir():
                folder.rename(bin_)
        shutil.rmtree(bin_, ignore_errors=True)
        return True

    def _remove_orphans(self) -> int:
        with self._database.read_transaction() as session:
            blobs = set(session.scalars(select(DatasetRow.blob)))
            features = set(session.scalars(select(FeatureRow.key)))
            oldest_job = session.scalar(select(func.min(JobRow.created_at)).where(JobRow.status.in_(ACTIVE)))
        settings = self._settings
        orphans = [path for path in _entries(settings.blobs, "[0-9a-f][0-9a-f]/*") if path.name not in blobs]
        orphans += _entries(settings.blobs, ".*.partial")
        orphans += _entries(settings.messages, "*.taken") + _entries(settings.messages, "*.writing")
        found = _entries(settings.cache / "features", "[0-9a-f][0-9a-f]/*")
        orphans += [path for path in found if path.name not in features]
        # A step that is not finished has no row for its features yet: what is younger than its job may be its own.
        horizon = min(time.time() - ORPHAN_AGE_S, math.inf if oldest_job is None else oldest_job)
        removed = 0
        for path in orphans:
            if max(_written_at(path)) < horizon:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _feature_folder(self, key: str) -> Path:
        return self._settings.cache / "features" / key[:2] / key


def _digests_in_use(session: Session) -> set[str]:
    """Datasets of jobs that are not over."""
    rows = session.scalars(
        select(StepRow.dataset_digests).join(JobRow, JobRow.id == StepRow.job_id).where(JobRow.status.in_(ACTIVE))
    )
    return {digest for digests in rows for digest in digests}


def _entries(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def _written_at(path: Path) -> Iterator[float]:
    """When the file, or the folder and anything in it, was last written."""
    for part in (path, *path.rglob("*")) if path.is_dir() else (path,):
        try:
            yield part.stat().st_mtime
        except FileNotFoundError:
            yield time.time()  # somebody is at work there
