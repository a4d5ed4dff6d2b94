"""Slow clients over real sockets: heads and bodies that never end."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import uvicorn

from api import connections, door
from benchmarks.service.servers import free_port, wait_until
from tests.api.conftest import serving_here


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


@pytest.fixture
def port(settings, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(door, "MAX_PAUSE_S", 0.5)
    with serving_here(settings) as client:
        port = free_port()
        options = connections.uvicorn_options("127.0.0.1", port) | {"lifespan": "off"}
        server = uvicorn.Server(uvicorn.Config(client.app, **options))
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started, 10, "the server's start")
        yield port
        server.should_exit = True
        thread.join()


def ask(port, *pieces, pause_s=0.0):
    """Send pieces with a pause before each but the first; what came back, and seconds until the connection's end."""

    async def talk():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.monotonic()
        answer = asyncio.create_task(reader.read())
        for number, piece in enumerate(pieces):
            if number:
                await asyncio.sleep(pause_s)
            if answer.done():
                break
            writer.write(piece)
        found = await asyncio.wait_for(answer, 10)
        writer.close()
        return found, time.monotonic() - began

    return asyncio.run(talk())


def test_a_connection_that_says_nothing_is_closed(port):
    found, seconds = ask(port)
    assert (found, seconds < 3) == (b"", True)


def test_a_head_that_drips_is_cut_off(port):
    found, seconds = ask(port, b"GET /livez HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 50, pause_s=0.1)
    assert (found, seconds < 3) == (b"", True)


def test_a_second_head_that_drips_is_cut_off_too(port):
    whole = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    found, seconds = ask(port, whole + b"GET /livez", *[b"x"] * 50, pause_s=0.1)
    assert found.startswith(b"HTTP/1.1 200")
    assert seconds < 3


def test_a_body_that_stands_still_is_answered_408(port):
    head = b"POST /v1/rankings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    found, _ = ask(port, head + b"Content-Length: 99\r\n\r\n{")
    assert found.startswith(b"HTTP/1.1 408")
    assert b"request_timeout" in found


def test_an_upload_that_drips_is_answered_408_and_leaves_nothing(port, settings):
    head = b"POST /v1/datasets?name=a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999\r\n\r\n"
    found, _ = ask(port, head, *[b"x"] * 20, pause_s=0.1)
    assert found.startswith(b"HTTP/1.1 408")
    assert [path for path in (settings.home / "blobs").rglob("*") if path.is_file()] == []


def test_a_request_that_takes_its_time_to_answer_is_not_cut_off(port):
    slow = b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    found, _ = ask(port, slow[:20], slow[20:], pause_s=0.2)
    assert found.startswith(b"HTTP/1.1 200")
