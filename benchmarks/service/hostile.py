"""Hostile requests of one tenant, and another's polls meanwhile: `python -m benchmarks.service.hostile`.

One tenant claims 10 TB, drips, sends a zip of a million empty files and 200 uploads at once; each must be refused or
served within a bounded time. The other polls a job 50 times a second: 99 of 100 answers within 100 ms is the goal.
Client and service share this machine.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from benchmarks.service.contract import new_key
from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.setting import embedded, percentiles, state_of_the_machine

RATE = 50.0
EMPTY_FILES = 1_000_000
UPLOADS = 200
DRIPPING = 50
DRIP_S = 10.0
# Longest that a request may take to be refused or served.
BOUND_S = 1_000.0


def main() -> None:
    """Print the table."""
    print(state_of_the_machine())
    with embedded() as service:
        service.start_api()
        attacker, job, key = prepare(service)
        for what, attack in ATTACKS.items():
            began = time.perf_counter()
            with polling(service, job, key) as latencies:
                answers = attack(service, attacker)
                time.sleep(1)
            told = "  ".join(f"{answer} x {count}" for answer, count in sorted(answers.items()))
            print(
                f"{what:<28} {time.perf_counter() - began - 1:6.1f} s  {told}\n{'':<28} polls {percentiles(latencies)}"
            )
            sys.stdout.flush()


def prepare(service: Fleet) -> tuple[str, str, str]:
    """The attacker's key; another tenant's job and key."""
    attacker, key = new_key(service, "anna"), new_key(service, "bert")
    headers = {"authorization": f"Bearer {key}"}
    data = write_features(service.home / "f.npz").read_bytes()
    dataset = service.post("/v1/datasets?name=f.npz", content=data, headers=headers).json()["id"]
    job = service.post("/v1/rankings", json={"dataset": dataset}, headers=headers).json()["id"]
    return attacker, job, key


def claim_ten_terabytes(service: Fleet, key: str) -> Counter[str]:
    """A body whose stated length is 10 TB."""
    head = f"POST /v1/datasets?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=BOUND_S) as connection:
        connection.sendall(f"{head}Content-Length: {10 * 2**40}\r\n\r\nx".encode())
        return Counter([_status(connection)])


def drip(service: Fleet, key: str) -> Counter[str]:
    """Many uploads of a letter a second, given up by the client after a while if the service has not."""
    head = f"POST /v1/datasets?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"

    def one(_number: int) -> str:
        with socket.create_connection(("127.0.0.1", service.port), timeout=BOUND_S) as connection:
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
            until = time.monotonic() + DRIP_S
            with suppress(OSError):
                while time.monotonic() < until:
                    connection.sendall(b"x")
                    time.sleep(1)
                return "given up by the client"
            return _status(connection)

    with ThreadPoolExecutor(DRIPPING) as pool:
        return Counter(pool.map(one, range(DRIPPING)))


def send_many_empty_files(service: Fleet, key: str, count: int = EMPTY_FILES) -> Counter[str]:
    """A zip of empty files, in two classes."""
    return Counter([_upload(service, key, "empty.zip", zip_of_empty_files(count))])


def send_many_uploads(service: Fleet, key: str, count: int = UPLOADS) -> Counter[str]:
    """Different tables, all at once."""
    table = "text,label\n" + "".join(f"words {row},{row % 2}\n" for row in range(40))

    def one(number: int) -> str:
        return _upload(service, key, f"{number}.csv", table.replace("words", f"words{number}").encode())

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(one, range(count)))


ATTACKS: dict[str, Callable[[Fleet, str], Counter[str]]] = {
    "nothing": lambda _service, _key: time.sleep(3) or Counter(),  # type: ignore[func-returns-value]
    "10 TB claimed": claim_ten_terabytes,
    f"{DRIPPING} that drip": drip,
    f"{UPLOADS} uploads at once": send_many_uploads,
    f"{EMPTY_FILES:,} empty files": send_many_empty_files,
}


def zip_of_empty_files(count: int) -> bytes:
    """The bytes of a zip with so many empty files, which a library would take long to write."""
    local, central = bytearray(), bytearray()
    for number in range(count):
        name = b"ab"[number % 2 : number % 2 + 1] + b"/%d.png" % number
        header = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0)
        central += struct.pack("<IH", 0x02014B50, 20) + header + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + name
        local += struct.pack("<I", 0x04034B50) + header + name
    at, size = len(local), len(central)
    end = struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, at)
    end += struct.pack("<IIQI", 0x07064B50, 0, at + size, 1)
    shown = min(count, 0xFFFF)
    return bytes(local + central) + end + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, shown, shown, size, at, 0)


@contextmanager
def polling(service: Fleet, job: str, key: str) -> Iterator[list[float]]:
    """Polls at a fixed rate while the block lasts; seconds from when each was due until it was answered."""
    latencies: list[float] = []
    over = threading.Event()

    def poll(first: int, threads: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=BOUND_S)
        due = time.perf_counter() + first / RATE
        while not over.wait(max(0.0, due - time.perf_counter())):
            connection.request("GET", f"/v1/jobs/{job}", headers={"Authorization": f"Bearer {key}"})
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise RuntimeError(f"a poll was answered {answer.status}")
            latencies.append(time.perf_counter() - due)
            due += threads / RATE
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        polls = [pool.submit(poll, number, 8) for number in range(8)]
        try:
            yield latencies
        finally:
            over.set()
            for polled in polls:
                polled.result()


def _upload(service: Fleet, key: str, name: str, data: bytes) -> str:
    """Status and code; by a client that takes little of the machine itself."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=BOUND_S)
    connection.request("POST", f"/v1/datasets?name={name}", data, {"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return f"{answer.status} {found.get('code', '')}".strip()


def _status(connection: socket.socket) -> str:
    with suppress(ConnectionResetError):
        return connection.recv(4096).split(b" ", 2)[1].decode()
    return "closed"


if __name__ == "__main__":
    main()
