"""Submissions and polls per second, and their latency: `python -m benchmarks.service.load [RATE] [SECONDS]`.

Polls come at a fixed rate whatever the answers take, so a slow answer does not slow the questions (a closed loop would
hide it). Submissions come from four clients as fast as they can. Client and servers share this machine.
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from benchmarks.service.setting import percentiles, production, state_of_the_machine
from tests.acceptance.fleet import Fleet, write_features

CLIENTS = 4
SUBMISSIONS = 400


def main() -> None:
    """Print the table."""
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    print(state_of_the_machine())
    with production() as service:
        service.start_api()
        dataset = service.upload(write_features(service.home / "f.npz"))
        latencies, elapsed = submit(service, dataset, SUBMISSIONS)
        print(f"submissions, {CLIENTS} clients    {SUBMISSIONS / elapsed:6.0f}/s  {percentiles(latencies)}")
        job = service.rank(dataset, seed=SUBMISSIONS)
        for path in (f"/v1/jobs/{job}", f"/v1/rankings/{job}"):
            latencies = asyncio.run(poll(f"http://127.0.0.1:{service.port}{path}", rate, seconds))
            print(f"GET {path.rpartition('/')[0]:<20} {rate:6.0f}/s  {percentiles(latencies)}")


def submit(service: Fleet, dataset: str, count: int) -> tuple[list[float], float]:
    """Latency of each submission, and the time that all of them took."""
    url = f"http://127.0.0.1:{service.port}/v1/rankings"

    def one(client: httpx.Client, seed: int) -> float:
        began = time.perf_counter()
        client.post(url, json={"dataset": dataset, "seed": seed}).raise_for_status()
        return time.perf_counter() - began

    def many(first: int) -> list[float]:
        with httpx.Client(timeout=60) as client:
            return [one(client, seed) for seed in range(first, count, CLIENTS)]

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        latencies = [latency for part in pool.map(many, range(CLIENTS)) for latency in part]
    return latencies, time.perf_counter() - began


async def poll(url: str, rate: float, seconds: float) -> list[float]:
    """Latency of each GET, from when it was due."""
    latencies: list[float] = []
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        await asyncio.gather(*(client.get(url) for _ in range(16)))  # connections are opened before the clock starts

        async def one(due: float) -> None:
            answer = await client.get(url)
            answer.raise_for_status()
            latencies.append(time.perf_counter() - due)

        began = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(due)))
        await asyncio.gather(*tasks)
    return latencies


if __name__ == "__main__":
    main()
