"""Malformed requests over HTTP: JSON, headers and uploads. Each gets a problem document and leaves no file or row."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading

import httpx
import psutil
import pytest
import uvicorn
from sqlalchemy import func, select

from api.app import create_app
from api.connections import uvicorn_options
from benchmarks.service.servers import free_port, wait_until
from models import Base, Database
from tests.api.conftest import migrated
from tests.data import malformed, malformed_tables

# One of so many of the corpus of `tests.data`, which goes through the same check there, is uploaded here.
EVERY = 16
JSON = {"content-type": "application/json"}
UPLOADS = [case for kind in (malformed.archives, malformed.images, *malformed_tables.KINDS) for case in kind()][::EVERY]
# Of a body for /v1/rankings; each is answered 400 or 422.
BODIES = {
    "empty": b"",
    "spaces": b"   ",
    "cut": b'{"dataset": "x',
    "two": b"{}{}",
    "not-utf-8": b'{"dataset": "\xff"}',
    "a-list": b"[]",
    "a-number": b"17",
    "null": b"null",
    "a-word": b'"x"',
    "not-a-number": b'{"dataset": "x", "seed": NaN}',
    "infinity": b'{"dataset": "x", "seed": -Infinity}',
    "a-number-of-a-megabyte": b'{"dataset": "x", "seed": ' + b"9" * 1_000_000 + b"}",
    "an-exponent": b'{"dataset": "x", "seed": 1e999999999}',
    "nested-lists": b"[" * 200_000,
    "nested-and-closed": b"[" * 50_000 + b"]" * 50_000,
    "nested-in-a-field": b'{"dataset": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a-name-of-a-megabyte": json.dumps({"d" * 1_000_000: 1}).encode(),
    "many-names": json.dumps({f"name{n}": n for n in range(100_000)}).encode(),
    "many-checkpoints": json.dumps({"dataset": "x", "checkpoints": ["a"] * 200_000}).encode(),
    "many-scores": json.dumps({"dataset": "x", "scores": ["logme"] * 100_000}).encode(),
    "one-name-twice": b'{"dataset": "x", "dataset": 17}',
    "an-object-for-a-name": b'{"dataset": {"$ne": null}}',
    "a-prototype": b'{"__proto__": {"a": 1}, "dataset": null}',
    "zero-byte": b'{"dataset": "x", "scores": ["a\\u0000"]}',
    "lone-surrogate": b'{"dataset": "\\ud800"}',
    "escapes-cut": b'{"dataset": "\\u12',
}
LINE = b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /v1/rankings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
# Requests as bytes; each is refused, or closed without an answer.
HEADS = {
    "no-request": b"\r\n\r\n\r\n\r\nx\r\n\r\n",
    "noise": bytes(range(128, 256)) * 4 + b"\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
    "http-2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown-version": b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "no-version": b"GET /v1/jobs\r\n\r\n",
    "no-host": b"GET /v1/jobs HTTP/1.1\r\n\r\n",
    "two-hosts": LINE + b"Host: evil.example\r\n\r\n",
    "a-space-in-the-address": b"GET /v1/jobs x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a-zero-byte-in-the-address": b"GET /v1/\0jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "an-address-of-a-megabyte": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a-header-of-a-megabyte": LINE + b"X-A: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "many-headers": LINE + b"".join(b"X-%d: a\r\n" % n for n in range(50_000)) + b"\r\n",
    "a-header-without-a-name": LINE + b": a\r\n\r\n",
    "a-header-without-a-colon": LINE + b"nothing\r\n\r\n",
    "a-space-before-the-colon": LINE + b"X-A : a\r\n\r\n",
    "a-zero-byte-in-a-header": LINE + b"X-A: a\0b\r\n\r\n",
    "a-control-byte-in-a-name": LINE + b"X\x01A: b\r\n\r\n",
    "negative-length": POST + b"Content-Length: -1\r\n\r\n{}",
    "length-of-words": POST + b"Content-Length: many\r\n\r\n{}",
    "two-lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "length-and-chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown-encoding": POST + b"Transfer-Encoding: gzip, identity\r\n\r\n{}",
    "chunks-of-words": POST + b"Transfer-Encoding: chunked\r\n\r\nmany\r\n{}\r\n0\r\n\r\n",
    "a-negative-chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a-chunk-of-all-bits": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}",
    "ten-terabytes": b"POST /v1/datasets?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10995116277760\r\n\r\nx",
    "cross-site": b"POST /v1/jobs/x/cancel HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: null\r\n\r\n",
    "a-form-without-a-boundary": b"POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    b"Content-Type: multipart/form-data\r\n\r\n{}",
    "a-form-that-is-none": b"POST /v1/datasets HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n{}",
}  # fmt: skip


# Who uploaded and deleted is told of for a year, and a tenant that has uploaded has a row to be locked.
TABLES = [table for table in Base.metadata.sorted_tables if table.name not in ("audit", "quotas")]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A client of the application, its settings and the port it answers on; shared, as a refusal leaves nothing."""
    from frontrunner.settings import Settings

    folder = tmp_path_factory.mktemp("served")
    (folder / "hub").mkdir()
    settings = Settings(home=folder / "home", hub=(folder / "hub",), packages=False, max_upload_bytes=20_000_000)
    migrated(settings)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), **uvicorn_options("127.0.0.1", port)))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, 60, "the server's start")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        yield client, settings, port
    server.should_exit = True
    thread.join()


@pytest.fixture
def leaves_nothing(served):
    """What is in the store and in the database afterwards is what was there, and no process is left."""
    _, settings, _ = served
    database = Database(settings.resolved_database_url)

    def stands() -> tuple[object, ...]:
        with database.read_transaction() as session:
            rows = [session.scalar(select(func.count()).select_from(table)) for table in TABLES]
        # Folders may go while they are looked at.
        walked = (os.path.join(folder, name) for folder, _, names in os.walk(settings.home) for name in names)
        files = sorted(path for path in walked if "frontrunner.db" not in path)
        return rows, files, psutil.Process().children()

    before = stands()
    yield
    with contextlib.suppress(TimeoutError):  # bytes go after the answer
        wait_until(lambda: stands() == before, 60, "the bytes to go")
    assert stands() == before
    database.close()


@pytest.mark.parametrize("case", UPLOADS, ids=lambda case: case.name)
def test_a_malformed_upload_is_refused_and_leaves_nothing(served, leaves_nothing, case):
    client, _, _ = served
    answer = client.post("/v1/datasets", params={"name": case.name}, content=case.data)
    if case.unreadable is not None:
        assert answer.status_code == 201
        assert client.delete(answer.headers["location"]).status_code == 204
        return
    assert answer.status_code in (413, 415, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in case.codes


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_refused(served, leaves_nothing, name):
    client, _, _ = served
    answer = client.post("/v1/rankings", content=BODIES[name], headers=JSON)
    assert answer.status_code in (400, 404, 413, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in ("request_invalid", "request_malformed", "request_too_large", "http_error")
    assert len(answer.content) < 100_000, "what was given is not sent back"


@pytest.mark.parametrize("name", HEADS)
def test_a_malformed_request_is_refused_or_closed(served, leaves_nothing, name):
    client, _, port = served
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        said = b""
        try:
            connection.sendall(HEADS[name])
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                said += piece
        except OSError:
            pass  # closed while the rest was still on its way
    assert not said or said.split(b" ", 2)[1].startswith(b"4"), said[:300]
    assert b"Traceback" not in said
    assert client.get("/livez").status_code == 200
