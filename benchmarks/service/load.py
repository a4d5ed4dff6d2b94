"""Submissions and polls per second, and their latency: `python -m benchmarks.service.load [RATE] [SECONDS]`.

Polls come at a fixed rate whatever the answers take, so a slow answer does not slow the questions (a closed loop would
hide it), over plain sockets: a client library would take as much of the machine as the service. Submissions come from
four clients as fast as they can. Client and servers share this machine.

Quotas and rates are on, as installed: requests are counted in Redis. Keys are new, so the first second of polls with
one holds its first look-up and the note of its use; it is printed apart, with when the slowest answer came and the
processor time that the API took for a request.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.setting import percentiles, production, state_of_the_machine
from frontrunner.settings import Settings
from jobs.keys import create_key
from jobs.secret import service_secret

CLIENTS = 4
CONNECTIONS = 32
SUBMISSIONS = 400


def main() -> None:
    """Print the table."""
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else 200.0
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    print(state_of_the_machine())
    with production() as service:
        api = psutil.Process(service.start_api().pid)
        dataset = service.upload(write_features(service.home / "f.npz"))
        latencies, elapsed = submit(service, dataset, SUBMISSIONS)
        print(f"submissions, {CLIENTS} clients    {SUBMISSIONS / elapsed:6.0f}/s  {percentiles(latencies)}")
        job = service.rank(dataset, seed=SUBMISSIONS)
        for asked_with in ("", " with a key"):
            headers = f"Authorization: Bearer {new_key(service)}\r\n" if asked_with else ""
            for path in (f"/v1/jobs/{job}", f"/v1/rankings/{job}"):
                before = processor_s(api)
                latencies = asyncio.run(poll(service.port, path, rate, seconds, headers))
                each_ms = (processor_s(api) - before) / len(latencies) * 1000
                print(f"GET {path.rpartition('/')[0] + asked_with:<28} {rate:6.0f}/s  {percentiles(latencies)}")
                slowest = max(range(len(latencies)), key=latencies.__getitem__) / rate
                print(f"  the first second  {percentiles(latencies[: int(rate)])}")
                print(
                    f"  slowest after {slowest:.1f} s; processor {each_ms:.2f} ms each; load {os.getloadavg()[0]:.1f}"
                )


def processor_s(process: psutil.Process) -> float:
    """Processor time that a process has taken."""
    used = process.cpu_times()
    return float(used.user + used.system)


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


def new_key(service: Fleet) -> str:
    """A key of the tenant whose jobs are polled; from now on requests without one are refused."""
    with service.database.write_transaction() as session:
        return create_key(session, service_secret(Settings(home=service.home)), name="load")[1]


async def poll(port: int, path: str, rate: float, seconds: float, headers: str = "") -> list[float]:
    """Latency of each GET, from when it was due, in the order in which they were."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()
    idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    latencies = [0.0] * int(rate * seconds)

    async def one(number: int, due: float) -> None:
        reader, writer = await idle.get()
        writer.write(request)
        status, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(line for line in headers if line.lower().startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
        assert status.endswith("200 OK"), status
        latencies[number] = time.perf_counter() - due
        idle.put_nowait((reader, writer))

    began = time.perf_counter()
    tasks = []
    for number in range(len(latencies)):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number, due)))
    await asyncio.gather(*tasks)
    while not idle.empty():
        idle.get_nowait()[1].close()
    return latencies


if __name__ == "__main__":
    main()
