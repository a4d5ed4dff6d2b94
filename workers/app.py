"""The worker process: a Celery worker with a pool of threads, the supervisor behind them, and the reaper beside."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_shutting_down

from frontrunner.confinement import probe
from frontrunner.errors import SchemaUnknown
from frontrunner.logs import configure_logs
from frontrunner.settings import Settings
from frontrunner.telemetry import open_traces
from jobs.catalogue import refresh_catalogue
from jobs.notification import LOOK_FOR_WORK, QUEUES, celery_app
from migrations import is_current
from models import Database
from workers.maintenance import Maintenance
from workers.reaper import Reaper
from workers.supervisor import Supervisor
from workers.webhook_delivery import WebhookDelivery

_log = structlog.get_logger(__name__)


def build_app(settings: Settings, supervisor: Supervisor) -> Celery:
    """The Celery application with its one task."""
    app = celery_app(settings)

    @app.task(name=LOOK_FOR_WORK)  # type: ignore[untyped-decorator]
    def look_for_work() -> None:
        supervisor.work()

    return app


def run_worker(settings: Settings, queues: tuple[str, ...] = QUEUES, *, until_stdin_closes: bool = False) -> None:
    """Work until SIGTERM, which hands running steps back after the shards in hand; a second one does so at once.

    Args:
        settings: where database, broker and hubs are.
        queues: the queues to serve.
        until_stdin_closes: stop also when stdin ends, as a child of `frontrunner serve` does when its parent dies.
    """
    configure_logs(settings.log_level, as_json=settings.logs_as_json)
    settings.messages.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    if not is_current(database):
        raise SchemaUnknown("the database's schema is not this version's: run 'frontrunner admin migrate'")
    _log.info("runners_confined", **(asdict(probe()) if settings.confine_runners else {"all": "turned off"}))
    refresh_catalogue(database, settings)
    traces = open_traces("worker")
    supervisor = Supervisor(database, settings, queues, traces)
    app = build_app(settings, supervisor)
    stopping = threading.Event()
    worker_id = f"{socket.gethostname()}:{os.getpid()}"
    reaper = Reaper(database, app, settings, worker_id)

    def stop(**_kwargs: Any) -> None:
        stopping.set()
        supervisor.stop()

    worker_shutting_down.connect(stop, weak=False)
    _start("reaper", reaper.run, stopping)
    _start("webhook-delivery", WebhookDelivery(database, settings, worker_id).run, stopping)
    _start("maintenance", Maintenance(database, settings, worker_id).run, stopping)
    _start("idle-runners", _retire_idle, supervisor, stopping)
    for slot in range(settings.concurrency):
        _start(f"poll-{slot}", supervisor.poll)
    if until_stdin_closes:
        _start("parent-watch", _stop_at_end_of_stdin)
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
    supervisor.wait()
    traces.close()
    database.close()
    sys.exit(worker.exitcode or 0)


def _start(name: str, target: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=target, args=arguments, daemon=True, name=name).start()


def _retire_idle(supervisor: Supervisor, stopping: threading.Event) -> None:
    while not stopping.wait(5.0):
        supervisor.retire_idle()


def _stop_at_end_of_stdin() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
