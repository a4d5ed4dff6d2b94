"""The embedded service: this process answers HTTP, a child works, and both end together; and the API alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time

import structlog
import uvicorn

from api.access import refuse_without_keys
from api.addresses import is_loopback
from api.app import create_app
from api.connections import uvicorn_options
from api.datasets.checking import tell_confinement
from frontrunner.logs import configure_logs
from frontrunner.processes import module_command, open_many_files
from frontrunner.settings import Settings
from jobs.secret import service_secret
from jobs.upgrading import bring_up_to_date
from models import Database

# A worker that dies is started again after this long, doubled each time it dies young.
_RESTART_S = 0.5
_MAX_RESTART_S = 30.0
_YOUNG_S = 60.0
# The worker hands its steps back within `stop_grace_s`; this much more is for its own end.
_STOP_S = 10.0

_log = structlog.get_logger(__name__)


class WorkerMonitor:
    """Keeps one worker process alive. It holds the other end of the worker's stdin, so it cannot be outlived."""

    def __init__(self, stop_grace_s: float) -> None:
        self._stop_timeout_s = stop_grace_s + _STOP_S
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True, name="worker-monitor")

    def start(self) -> None:
        """Start the worker, and keep starting it."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the worker: running steps are handed back."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(self._stop_timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()

    def _keep(self) -> None:
        pause = _RESTART_S
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process = subprocess.Popen(
                module_command("frontrunner.cli", "worker", "--until-stdin-closes"),
                stdin=subprocess.PIPE,
                env=dict(os.environ),
            )
            status = self._process.wait()
            if self._stopping.is_set():
                return
            pause = min(2 * pause, _MAX_RESTART_S) if time.monotonic() - started < _YOUNG_S else _RESTART_S
            _log.warning("worker_died", status=status, restart_in_s=pause)
            self._stopping.wait(pause)


def serve(settings: Settings) -> None:
    """Migrate, start a worker, and answer HTTP until SIGTERM or Ctrl-C."""
    open_many_files()
    configure_logs(settings.log_level, as_json=settings.logs_as_json)
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.messages.mkdir(parents=True, exist_ok=True)
    database = Database(settings.resolved_database_url)
    bring_up_to_date(database, settings)
    with database.read_transaction() as session:
        refuse_without_keys(session, settings)
    database.close()
    monitor = WorkerMonitor(settings.stop_grace_s)
    monitor.start()
    tell_confinement()
    _log.info("serving", url=f"http://{settings.host}:{settings.port}", home=str(settings.home))
    try:
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.run(create_app(settings), **uvicorn_options(settings.host, settings.port))
    finally:
        monitor.stop()


def serve_api(settings: Settings) -> None:
    """Answer HTTP until SIGTERM or Ctrl-C; migrations and workers are others' business."""
    open_many_files()
    configure_logs(settings.log_level, as_json=settings.logs_as_json)
    service_secret(settings)  # made here where there is none: whatever prevents it is said before anybody is answered
    database = Database(settings.resolved_database_url)
    if not is_loopback(settings.host):
        with database.read_transaction() as session:
            refuse_without_keys(session, settings)
    database.close()
    tell_confinement()
    _log.info("serving", url=f"http://{settings.host}:{settings.port}", home=str(settings.home))
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.run(create_app(settings), **uvicorn_options(settings.host, settings.port))
