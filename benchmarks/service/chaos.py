"""Many jobs over two workers that are killed at random: `python -m benchmarks.service.chaos [JOBS] [SEED]`.

Every few seconds one worker (kill -9, its runner with it) or one runner dies; a worker is replaced as an orchestrator
would. At the end every job is compared to the ranking that the library makes of the same data without a service.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import threading
import time

import psutil
from sqlalchemy import func, select

import frontrunner
from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.load import submit
from benchmarks.service.setting import production, state_of_the_machine
from frontrunner.processes import module_command
from frontrunner.settings import Settings
from models import JobRow, StepRow

WORKERS = 2
PAUSE_S = (2.0, 5.0)
TIMEOUT_S = 540.0


def main() -> None:
    """Print what became of the jobs."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(state_of_the_machine())
    # Short leases, so that the run is about killing and not about waiting.
    with production(lease_s=3, heartbeat_s=0.5, reaper_period_s=1, poll_period_s=1, max_attempts=20) as service:
        print(report(service, count, seed))


def report(service: Fleet, count: int, seed: int) -> str:
    """Submit, kill, wait, compare."""
    path = write_features(service.home / "f.npz")
    local = frontrunner.rank(path, settings=Settings(home=service.home / "local", packages=False))
    expected = local.ranking[0].scores["logme"].value
    service.start_api()
    for _ in range(WORKERS):
        service.start_worker()
    dataset = service.upload(path)
    over = threading.Event()
    killed: list[str] = []
    killer = threading.Thread(target=kill, args=(service, random.Random(seed), over, killed))
    killer.start()
    began = time.perf_counter()
    # The seed only orders the examples that are read: every job has the same right answer.
    _, submitted = submit(service, dataset, count)
    try:
        wait(service, count)
    finally:
        over.set()
        killer.join()
    elapsed = time.perf_counter() - began
    with service.database.read_transaction() as session:
        rows = session.scalars(select(JobRow)).all()
        attempts = session.scalar(select(func.sum(StepRow.attempt)))
    right = sum(row.status == "succeeded" and is_right(row, expected) for row in rows)
    accepted = int(service.counters().get(("steps", "ranking:succeeded"), 0))
    return (
        f"{count} jobs submitted in {submitted:.1f} s, over after {elapsed:.1f} s; "
        f"killed: {killed.count('worker')} workers, {killed.count('runner')} runners\n"
        f"right {right}, lost {count - len([row for row in rows if row.status == 'succeeded'])}, "
        f"doubled {accepted - count} (outputs accepted {accepted}, attempts {attempts})"
    )


def is_right(job: JobRow, expected: float) -> bool:
    """One line, with the value that the library gives."""
    lines = json.loads(job.result or "{}")["ranking"]
    return len(lines) == 1 and abs(lines[0]["scores"]["logme"]["value"] - expected) < 1e-6 * abs(expected)


def wait(service: Fleet, count: int) -> None:
    """Wait until every job is over."""
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        with service.database.read_transaction() as session:
            done = session.scalar(select(func.count()).select_from(JobRow).where(JobRow.finished_at.is_not(None)))
        if done == count:
            return
        time.sleep(0.5)


def kill(service: Fleet, chance: random.Random, over: threading.Event, killed: list[str]) -> None:
    """Kill a worker or a runner every few seconds, and replace dead workers."""
    while not over.wait(chance.uniform(*PAUSE_S)):
        alive = [process for process in service.processes[1:] if process.poll() is None]
        if chance.random() < 0.5 and alive:
            victim = chance.choice(alive)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            killed.append("worker")
            service.start(*module_command("frontrunner.cli", "worker"))
        elif runners := service.runners():
            try:
                chance.choice(runners).kill()
                killed.append("runner")
            except psutil.NoSuchProcess:
                continue


if __name__ == "__main__":
    main()
