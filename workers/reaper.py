"""The reaper: finds steps whose worker is gone and steps that nobody heard of. Runs in every worker, one at a time."""

from __future__ import annotations

import threading

import structlog
from celery import Celery
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from frontrunner.doorbell import ring
from frontrunner.settings import Settings
from models import Database, DutyRow, WorkerRow, database_now, lifecycle

_DUTY = "reaper"
# Rows of workers that have not been seen for this long are dropped.
_FORGET_WORKERS_AFTER_S = 3600.0

_log = structlog.get_logger(__name__)


class Reaper:
    """Beats for its worker and, while it holds the duty, recovers steps."""

    def __init__(self, database: Database, app: Celery, settings: Settings, worker_id: str) -> None:
        self._database = database
        self._app = app
        self._settings = settings
        self._worker_id = worker_id

    def run(self, stopping: threading.Event) -> None:
        """Look every `reaper_period_s` until `stopping` is set; a database that is away is tried again."""
        while not stopping.is_set():
            try:
                self.look()
            except Exception:
                _log.exception("reaper_failed")
            stopping.wait(self._settings.reaper_period_s)

    def look(self) -> None:
        """Beat once, and recover what is lost if this worker holds the duty."""
        period = self._settings.reaper_period_s
        with self._database.writing() as session:
            now = session.scalar(select(database_now())) or 0.0
            session.merge(WorkerRow(id=self._worker_id, seen_at=now))
            session.execute(delete(WorkerRow).where(WorkerRow.seen_at < now - _FORGET_WORKERS_AFTER_S))
            if not self._take_duty(session, 3 * period):
                return
        with self._database.writing() as session:
            for claim in lifecycle.expired_claims(session):
                lifecycle.give_up_attempt(
                    session, claim, "worker_lost", "the worker that did this step stopped responding"
                )
                _log.warning("lease_expired", step=claim.step_id, job=claim.job_id, attempt=claim.attempt)
        with self._database.writing() as session:
            unheard = lifecycle.unheard_steps(session, period)
        ring(self._app, unheard)

    def _take_duty(self, session: Session, held_s: float) -> bool:
        taken = session.execute(
            update(DutyRow)
            .where(
                DutyRow.name == _DUTY,
                (DutyRow.holder == self._worker_id) | (DutyRow.held_until < database_now()),
            )
            .values(holder=self._worker_id, held_until=database_now() + held_s)
            .returning(DutyRow.name)
        ).one_or_none()
        return taken is not None
