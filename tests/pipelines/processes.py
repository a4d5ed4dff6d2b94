"""Programs of other projects as processes: started, waited for until they answer, ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from benchmarks.service.servers import wait_until

PROGRAMS = Path(sys.executable).parent


def environment(**added: object) -> dict[str, str]:
    """This process's environment and some more; programs beside this Python come first."""
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path} | {name: str(value) for name, value in added.items()}


@contextlib.contextmanager
def answering(command: Sequence[str | Path], url: str, log: Path, env: dict[str, str]) -> Iterator[None]:
    """The command as a process group of its own, from when `url` answers with 200 until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=env, start_new_session=True)

    def answers() -> bool:
        assert process.poll() is None, log.read_text()[-3000:]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(url, timeout=5).status_code == 200
        return False

    try:
        wait_until(answers, 300, f"an answer of {url}")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
