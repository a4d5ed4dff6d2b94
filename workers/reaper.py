"""The reaper: finds steps whose worker is gone. Runs in every worker, one at a time."""

from __future__ import annotations

import threading
import time

import structlog
from celery import Celery
from sqlalchemy import delete, select
from sqlalchemy.exc import OperationalError

from frontrunner.settings import Settings
from jobs import lifecycle
from jobs.lifecycle import Claim
from jobs.notification import notify_workers
from jobs.roles import REAPER, take_role
from models import Database, WorkerRow, database_now
from models.upsert import upsert

# Rows of workers that have not been seen for this long are dropped.
_FORGET_WORKERS_AFTER_S = 3600.0

_log = structlog.get_logger(__name__)


class Reaper:
    """Beats for its worker and, while it holds the role, recovers steps."""

    def __init__(self, database: Database, app: Celery, settings: Settings, worker_id: str) -> None:
        self._database = database
        self._app = app
        self._settings = settings
        self._worker_id = worker_id
        self._grace_until = 0.0

    def run(self, stopping: threading.Event) -> None:
        """Look every `reaper_period_s` until `stopping` is set; a database that is away is tried again.

        While it was away nobody could beat: afterwards the living get one lease's time to do so.
        """
        while not stopping.is_set():
            try:
                self.run_once()
            except Exception:
                _log.exception("reaper_failed")
                self._grace_until = time.monotonic() + self._settings.lease_s
            stopping.wait(self._settings.reaper_period_s)

    def run_once(self) -> None:
        """Beat once, and recover what is lost if this worker holds the role."""
        with self._database.write_transaction() as session:
            now = session.scalar(select(database_now())) or 0.0
            upsert(session, WorkerRow, [{"id": self._worker_id, "seen_at": now}])
            session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - _FORGET_WORKERS_AFTER_S))
            holds_role = take_role(session, REAPER, self._worker_id, 3 * self._settings.reaper_period_s)
        if not holds_role or time.monotonic() < self._grace_until:
            return
        with self._database.read_transaction() as session:
            expired = lifecycle.expired_claims(session)
        for claim in expired:
            try:
                self._recover(claim)
            except OperationalError:
                raise
            except Exception:  # what is wrong with one step must not keep the others waiting
                _log.exception("step_not_recovered", step=claim.step_id, job=claim.job_id)

    def _recover(self, claim: Claim) -> None:
        with self._database.write_transaction() as session:
            lifecycle.give_up_attempt(session, claim, "worker_lost", "the worker that did this step stopped responding")
            queues = lifecycle.queues_of(session, claim.job_id)
        _log.warning("lease_expired", step=claim.step_id, job=claim.job_id, attempt=claim.attempt)
        notify_workers(self._app, queues)
