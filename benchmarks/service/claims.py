"""From POST to claim, and jobs per second with 1, 2 and 4 workers: `python -m benchmarks.service.claims`.

A claim is timed on the database's clock: from the row of the step to its claim by an idle worker.
"""

from __future__ import annotations

import time

from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.setting import embedded, percentiles, production, state_of_the_machine

PROBES = 40
JOBS = 60


def main() -> None:
    """Print the tables."""
    print(state_of_the_machine())
    with production() as service:
        service.start_api()
        service.start_worker()
        print(f"POST to claim, Redis       {percentiles(waits(service))}")
    with embedded() as service:
        service.start_api()
        service.start_worker()
        print(f"POST to claim, embedded    {percentiles(waits(service))}")
    for workers in (1, 2, 4):
        with production() as service:
            service.start_api()
            for _ in range(workers):
                service.start_worker()
            print(f"{workers} workers                  {throughput(service):5.1f} jobs/s ({JOBS} jobs of one step)")


def waits(service: Fleet) -> list[float]:
    """Seconds from row to claim, each with the worker idle."""
    dataset = service.upload(write_features(service.home / "f.npz"))
    found = []
    for seed in range(PROBES):
        # Not in step with the worker's own looking around.
        time.sleep(0.137)
        job = service.rank(dataset, seed=seed)
        service.wait(job)
        (step,) = service.steps(job)
        found.append(step.started_at - step.available_at)
    return found[1:]  # the first one starts a runner


def throughput(service: Fleet) -> float:
    """Jobs per second, from the first POST to the last end."""
    dataset = service.upload(write_features(service.home / "f.npz"))
    service.wait(service.rank(dataset, seed=JOBS))
    began = time.perf_counter()
    jobs = [service.rank(dataset, seed=seed) for seed in range(JOBS)]
    service.wait(*jobs, timeout_s=300)
    return JOBS / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
