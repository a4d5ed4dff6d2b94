"""Workers that start at once on a fresh database: `python -m benchmarks.service.starts [DATABASES] [WORKERS]`.

Each finds empty tables and writes the same first rows: itself, the catalogue, the roles. A look before the write lost
one of two or three to a unique violation; none may die, and each must be able to work afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.service.fleet import Fleet, fleet, write_features
from benchmarks.service.servers import Postgres, Redis, postgres_server, redis_server, wait_until
from benchmarks.service.setting import state_of_the_machine
from frontrunner.processes import module_command


def start_together(service: Fleet, workers: int) -> float:
    """Start workers at once on a database that none has seen, and let them rank; seconds until all had looked for work.

    Raises:
        AssertionError: one has died.
    """
    began = time.monotonic()
    started = [service.start(*module_command("frontrunner.cli", "worker")) for _ in range(workers)]

    def all_look() -> bool:
        died = [process.returncode for process in started if process.poll() is not None]
        assert not died, f"{len(died)} of {workers} died with {died}: {service.logs()[-3000:]}"
        return service.workers_seen() == workers

    wait_until(all_look, 120, f"the start of {workers} workers")
    seconds = time.monotonic() - began
    service.start_api()
    service.wait(service.rank(service.upload(write_features(service.home / "f.npz", sets=2 * workers))))
    assert all_look()
    return seconds


def starts(postgres: Postgres, redis: Redis, folder: Path, databases: int, workers: int) -> list[float]:
    """The seconds of each of so many fresh databases."""
    found = []
    for number in range(databases):
        with fleet(postgres, redis, folder / f"start-{number}" / "home") as service:
            found.append(start_together(service, workers))
    return found


def main() -> None:
    """Print how long each start took."""
    databases, workers = (int(given) for given in (*sys.argv[1:], *("10", "3")[len(sys.argv) - 1 :]))
    print(state_of_the_machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgres_server(folder) as postgres, redis_server(folder) as redis:
            found = starts(postgres, redis, folder, databases, workers)
    print(f"{workers} workers at once on {databases} fresh databases: none died; {max(found):.1f} s at the longest")


if __name__ == "__main__":
    main()
