"""Polls of a job at a fixed rate, in a process of their own: nothing that others do in theirs holds them up.

`python -m benchmarks.service.polling PORT JOB`, with the key on the first line of stdin; they end with stdin, and
latencies in seconds go to stdout as JSON.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from frontrunner.processes import module_command

RATE = 50.0
_THREADS = 8
_TIMEOUT_S = 1_000.0


def main() -> None:
    """Poll until stdin ends."""
    port, job = int(sys.argv[1]), sys.argv[2]
    key = sys.stdin.readline().strip()
    over = threading.Event()
    latencies: list[float] = []

    def poll(first: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
        due = time.perf_counter() + first / RATE
        while not over.wait(max(0.0, due - time.perf_counter())):
            connection.request("GET", f"/v1/jobs/{job}", headers={"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a poll was answered {answer.status}")
            latencies.append(time.perf_counter() - due)
            due += _THREADS / RATE
        connection.close()

    with ThreadPoolExecutor(_THREADS) as pool:
        polls = [pool.submit(poll, number) for number in range(_THREADS)]
        sys.stdin.read()
        over.set()
        for polled in polls:
            polled.result()
    print(json.dumps(latencies))


@contextmanager
def polling(port: int, job: str, key: str) -> Iterator[list[float]]:
    """Polls while the block lasts; afterwards the list holds seconds from when each was due until it was answered.

    Raises:
        RuntimeError: a poll was answered with anything but the job.
    """
    latencies: list[float] = []
    command = [part for part in module_command("benchmarks.service.polling", str(port), job) if part != "-P"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(f"{key}\n")
        process.stdin.flush()
        try:
            yield latencies
        finally:
            said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError("a poll was not answered as it should be; see above")
    latencies += json.loads(said)


if __name__ == "__main__":
    main()
