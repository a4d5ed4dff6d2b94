"""The worker process: a Celery worker with a pool of threads, the supervisor behind them, and the reaper beside."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_shutting_down

from frontrunner.doorbell import QUEUES, RUN_STEP, celery_app
from frontrunner.logs import configure_logs
from frontrunner.settings import Settings
from models import Database
from models.catalogue import refresh_catalogue
from workers.reaper import Reaper
from workers.supervisor import Supervisor

_log = structlog.get_logger(__name__)


def build_app(settings: Settings, supervisor: Supervisor) -> Celery:
    """The Celery application with its one task."""
    app = celery_app(settings)

    @app.task(name=RUN_STEP)  # type: ignore[untyped-decorator]
    def run_step(step_id: str) -> None:
        supervisor.run_step(step_id)

    return app


def run_worker(settings: Settings, queues: tuple[str, ...] = QUEUES, *, until_stdin_closes: bool = False) -> None:
    """Work until SIGTERM: running steps are then handed back unharmed.

    Args:
        settings: where database, broker and hubs are.
        queues: the queues to serve.
        until_stdin_closes: stop also when stdin ends, as a child of `frontrunner serve` does when its parent dies.
    """
    configure_logs(settings)
    settings.messages.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    refresh_catalogue(database, settings)
    supervisor = Supervisor(database, settings)
    app = build_app(settings, supervisor)
    stopping = threading.Event()
    worker_id = f"{socket.gethostname()}:{os.getpid()}"
    reaper = Reaper(database, app, settings, worker_id)

    def stop(**_kwargs: Any) -> None:
        stopping.set()
        supervisor.stop()

    worker_shutting_down.connect(stop, weak=False)
    threading.Thread(target=reaper.run, args=(stopping,), daemon=True, name="reaper").start()
    threading.Thread(target=_retire_idle, args=(supervisor, stopping), daemon=True, name="idle-runners").start()
    if until_stdin_closes:
        threading.Thread(target=_stop_at_end_of_stdin, daemon=True, name="parent-watch").start()
    _log.info("worker_started", worker=worker_id, queues=queues, concurrency=settings.concurrency)
    worker = app.Worker(
        hostname=f"worker@{worker_id}",
        pool="threads",
        concurrency=settings.concurrency,
        queues=",".join(queues),
        loglevel=settings.log_level,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    database.close()
    sys.exit(worker.exitcode or 0)


def _retire_idle(supervisor: Supervisor, stopping: threading.Event) -> None:
    while not stopping.wait(5.0):
        supervisor.retire_idle()


def _stop_at_end_of_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
