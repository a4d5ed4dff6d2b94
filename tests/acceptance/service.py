"""`frontrunner serve` as a process, as a user starts it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import psutil

from benchmarks.service.servers import free_port, wait_until


class Service:
    """A running service, and the processes behind it."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.url = url
        self.process = process
        self.log = log
        self.http = httpx.Client(base_url=url, timeout=60)

    def logs(self) -> str:
        """What its processes wrote."""
        return self.log.read_text(errors="replace")

    def job(self, job_id: str) -> dict:
        """The job as it stands."""
        return self.http.get(f"/v1/jobs/{job_id}").raise_for_status().json()

    def ranking(self, job_id: str) -> dict:
        """The ranking as it stands."""
        return self.http.get(f"/v1/rankings/{job_id}").raise_for_status().json()

    def recommend(self, dataset: Path, **options: object) -> str:
        """Ask for a ranking; the job's id."""
        with dataset.open("rb") as file:
            answer = self.http.post(
                "/v1/recommendations", files={"file": (dataset.name, file)}, data={"options": json.dumps(options)}
            )
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def wait(self, job_id: str, timeout_s: float = 400.0) -> dict:
        """The job once it is over."""
        over = ("succeeded", "failed", "lost", "cancelled")
        wait_until(lambda: self.job(job_id)["status"] in over, timeout_s, "the job's end")
        return self.job(job_id)

    def processes(self, what: str) -> list[psutil.Process]:
        """Descendants whose command line holds `what`."""
        found = []
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if what in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def kill(self, what: str) -> None:
        """kill -9 of the descendants whose command line holds `what`."""
        victims = self.processes(what)
        assert victims, f"no {what} to kill"
        for victim in victims:
            victim.send_signal(signal.SIGKILL)


@contextlib.contextmanager
def serving(home: Path, hub: Path, *, under: Sequence[str] = (), **settings: object) -> Iterator[Service]:
    """Start the service and wait until it is ready; SIGTERM afterwards, which must end every process.

    Args:
        home, hub: its folders.
        under: a command that becomes the one which follows it, as `nice` does.
        settings: of the service.
    """
    port = free_port()
    environment = os.environ | {
        "FRONTRUNNER_HOME": str(home),
        "FRONTRUNNER_HUB": str(hub),
        "FRONTRUNNER_PACKAGES": "false",
        "FRONTRUNNER_PORT": str(port),
        "FRONTRUNNER_LEASE_S": "5",
        "FRONTRUNNER_HEARTBEAT_S": "0.2",
        "FRONTRUNNER_REAPER_PERIOD_S": "0.5",
        **{f"FRONTRUNNER_{name.upper()}": str(value) for name, value in settings.items()},
    }
    log = home.parent / f"serve-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*under, sys.executable, "-m", "frontrunner.cli", "serve"], env=environment, stdout=output, stderr=output
        )
    service = Service(f"http://127.0.0.1:{port}", process, log)
    children: list[psutil.Process] = []

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(httpx.HTTPError):
            return service.http.get("/readyz").status_code == 200
        return False

    try:
        wait_until(ready, 180, "the service's start")
        children = psutil.Process(process.pid).children(recursive=True)
        yield service
    except BaseException as error:
        error.add_note(f"the service wrote:\n{service.logs()[-6000:]}")
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(90)  # shards in hand are given 30 s
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        # A runner that is still starting hears of it only then.
        _, alive = psutil.wait_procs(children, timeout=60)
        assert not alive, f"left behind: {[process.cmdline() for process in alive]}"
