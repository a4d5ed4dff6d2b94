"""Hostile requests of one tenant, and another's polls meanwhile: `python -m benchmarks.service.hostile`.

One tenant claims 10 TB, drips, sends a zip of a million empty files and 200 uploads at once; each must be refused or
served within a bounded time. The other polls a job 50 times a second: 99 of 100 answers within 100 ms is the goal.
A name that resolves to another address the second time, and a redirect, are tried on what sends webhooks. Clients and
service share this machine.
"""

from __future__ import annotations

import http.client
import http.server
import json
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import numpy as np

from api.door import MAX_PAUSE_S
from benchmarks.service.contract import new_key
from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.polling import polling
from benchmarks.service.setting import embedded, percentiles, state_of_the_machine
from jobs.webhooks import sending

# Of a hundred polls 99 are to be answered within it.
GOAL_S = 0.1
EMPTY_FILES = 1_000_000
UPLOADS = 200
DRIPPING = 50
# Twice as long as the service lets a body drip.
DRIP_S = 2 * MAX_PAUSE_S
# Longest that a request may take to be refused or served.
BOUND_S = 1_000.0


def main() -> None:
    """Print the table."""
    print(state_of_the_machine())
    with embedded() as service:
        service.start_api()
        attacker, job, key = prepare(service)
        archive = zip_of_empty_files(EMPTY_FILES)  # which takes a while
        attacks = ATTACKS | {
            f"{EMPTY_FILES:,} empty files": lambda service, key: Counter([_upload(service, key, "empty.zip", archive)])
        }
        for what, attack in attacks.items():
            with polling(service.port, job, key) as latencies:
                time.sleep(1)
                began = time.perf_counter()
                answers = attack(service, attacker)
                took = time.perf_counter() - began
                time.sleep(1)
            told = "  ".join(f"{answer} x {count}" for answer, count in sorted(answers.items()))
            alive = service.get("/livez").status_code == 200
            late = float(np.percentile(latencies, 99)) > GOAL_S
            print(f"{what:<28} {took:6.1f} s  {told}; {'alive' if alive else 'GONE'}")
            print(f"{'':<28} {len(latencies):,} polls {percentiles(latencies)}  {'LATE' if late else 'in time'}")
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
    """Many uploads of a letter a second, until the service cuts them off."""
    head = f"POST /v1/datasets?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"

    def one(_number: int) -> str:
        with socket.create_connection(("127.0.0.1", service.port), timeout=BOUND_S) as connection:
            connection.sendall(f"{head}Content-Length: 100000\r\n\r\n".encode())
            until = time.monotonic() + DRIP_S
            with suppress(OSError):
                while time.monotonic() < until:
                    connection.sendall(b"x")
                    if select.select([connection], [], [], 1)[0]:
                        return _status(connection)
                return "given up by the client"
            return "closed"

    with ThreadPoolExecutor(DRIPPING) as pool:
        return Counter(pool.map(one, range(DRIPPING)))


def flip(service: Fleet, key: str) -> Counter[str]:
    """A name that resolves to a loopback address, and to another whenever it is asked for again; a redirect there."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(str(self.server.server_address[0]))
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.2:{self.server.server_address[1]}/inside")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    resolve, answers = socket.getaddrinfo, iter(["127.0.0.1"])

    def flipping(host: str, *arguments: Any, **options: Any) -> Any:
        return resolve(next(answers, "127.0.0.2") if host == "flip.example" else host, *arguments, **options)

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as first:
        url = f"http://flip.example:{first.server_address[1]}/hook"
        with http.server.HTTPServer(("127.0.0.2", first.server_address[1]), Handler) as second:
            for server in (first, second):
                threading.Thread(target=server.serve_forever, daemon=True).start()
            with mock.patch.object(sending.socket, "getaddrinfo", flipping):
                target = sending.resolve_target(url, allow_private=True)
                secret = "whsec_" + "a" * 32
                status = sending.send_signed(target, "{}", secret=secret, message_id="m", at=datetime.now(UTC))
                try:
                    sending.resolve_target(url, allow_private=False)
                    refused = "let in"
                except sending.ForbiddenTarget:
                    refused = "private address refused"
            for server in (first, second):
                server.shutdown()
    return Counter([f"{status} not followed, from {', '.join(asked)} alone", refused])


def send_many_empty_files(service: Fleet, key: str, count: int) -> Counter[str]:
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
    "flipping resolver, redirect": flip,
    f"{UPLOADS} uploads at once": send_many_uploads,
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
