"""How long a step waits after kill -9 of its worker: `python -m benchmarks.service.recovery [TIMES]`.

From the kill to the claim of the step by another, idle worker, with the lease and periods of the default settings. The
lease has run for up to a heartbeat when the worker dies, so the bound is lease + reaper period.
"""

from __future__ import annotations

import sys
import time

from benchmarks.service.fleet import write_features
from benchmarks.service.servers import wait_until
from benchmarks.service.setting import AS_INSTALLED, production, state_of_the_machine


def main() -> None:
    """Print each time and the bound."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(state_of_the_machine())
    with production() as service:
        service.start_api()
        dataset = service.upload(write_features(service.home / "f.npz", sets=1, examples=30_000, columns=64))
        found = []
        for seed in range(times):
            worker = service.start_worker()
            job = service.rank(dataset, seed=seed, scores=["logme", "knn"], max_examples=30_000)
            wait_until(lambda job=job: service.steps(job)[0].status == "running", 60, "the claim")
            held = service.runners()
            for runner in held:
                runner.suspend()  # the step lasts until its worker is killed, however fast the machine
            other = service.start_worker()
            worker.kill()
            for runner in held:
                runner.kill()
            killed_at = service.database.now()
            worker.wait()
            wait_until(lambda job=job: service.steps(job)[0].attempt == 2, 120, "the second claim")
            found.append(service.steps(job)[0].started_at - killed_at)
            print(f"claimed again after {found[-1]:.1f} s")
            service.wait(job)
            other.terminate()
            other.wait(60)
            time.sleep(1.0)
        bound = float(AS_INSTALLED["lease_s"]) + float(AS_INSTALLED["reaper_period_s"])  # type: ignore[arg-type]
        print(f"longest {max(found):.1f} s; lease + reaper period = {bound:.0f} s")


if __name__ == "__main__":
    main()
