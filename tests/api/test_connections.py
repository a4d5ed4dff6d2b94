"""Over real sockets: heads and bodies that never end, answers that nobody takes, and requests that last."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest
import uvicorn

from api import access, connections, door
from api.jobs import events
from benchmarks.service.servers import free_port, wait_until
from jobs.keys import revoke_key
from models import Database
from models.key import KeyRow
from tests.api.asking import upload_features
from tests.api.conftest import serving_here
from tests.api.test_access import new_key


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


@pytest.fixture
def server(settings, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 0.5)
    monkeypatch.setattr(connections, "TAKING_TIMEOUT_S", 4.0)
    monkeypatch.setattr(door, "MAX_PAUSE_S", 0.5)
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0.1)
    monkeypatch.setattr(events, "_LOOK_AGAIN_S", 0.2)
    with serving_here(settings) as client:
        port = free_port()
        options = connections.uvicorn_options("127.0.0.1", port) | {"lifespan": "off"}
        server = uvicorn.Server(uvicorn.Config(client.app, **options))
        thread = threading.Thread(target=server.run)
        thread.start()
        wait_until(lambda: server.started, 60, "the server's start")
        yield server
        server.should_exit = True
        thread.join()


@pytest.fixture
def port(server):
    return server.config.port


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
        found = await asyncio.wait_for(answer, 60)
        writer.close()
        return found, time.monotonic() - began

    return asyncio.run(talk())


def test_a_connection_that_says_nothing_is_closed(port):
    found, seconds = ask(port)
    assert (found, seconds < 20) == (b"", True)


def test_a_head_that_drips_is_cut_off(port):
    found, seconds = ask(port, b"GET /livez HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 50, pause_s=0.1)
    assert (found, seconds < 20) == (b"", True)


def test_a_second_head_that_drips_is_cut_off_too(port):
    whole = b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    found, seconds = ask(port, whole + b"GET /livez", *[b"x"] * 50, pause_s=0.1)
    assert found.startswith(b"HTTP/1.1 200")
    assert seconds < 20  # an idle connection is kept for 30 s


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


def test_a_request_that_takes_its_time_to_answer_is_not_cut_off(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_TIMEOUT_S", 30.0)
    slow = b"GET /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    found, _ = ask(port, slow[:20], slow[20:], pause_s=0.2)
    assert found.startswith(b"HTTP/1.1 200")


ANSWERS = 100


def ask_for_much(port):
    """A connection that has asked for more than the system keeps between the two: the API's document, many times."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    connection.settimeout(60)
    connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * ANSWERS)
    return connection


def test_a_client_that_takes_no_answer_is_cut_off(server, port):
    with ask_for_much(port) as connection:
        wait_until(lambda: server.server_state.connections, 30, "the connection")
        wait_until(lambda: not server.server_state.connections, 60, "its end")
        found = bytearray()
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 20):
                found += piece
        assert found.count(b"HTTP/1.1 200") < ANSWERS


def test_a_client_that_takes_its_time_gets_all_of_it(port):
    with ask_for_much(port) as connection:
        ended = bytearray()
        began = time.monotonic()
        while ended.count(b"HTTP/1.1 200") < ANSWERS:
            piece = connection.recv(1 << 20)
            assert piece, "cut off"
            ended += piece
            if time.monotonic() - began < 9:
                time.sleep(0.1)


@pytest.mark.parametrize("loss", ["revoked", "over", "narrowed"])
def test_what_lasts_ends_with_the_key_that_opened_it(port, settings, tmp_path, monkeypatch, loss):
    """A stream of events ends, a request that waits is refused, and an upload under way makes no dataset."""
    monkeypatch.setattr(door, "MAX_PAUSE_S", 30.0)  # the upload pauses until its key is lost
    database = Database(settings.resolved_database_url)
    key_id, header = new_key(database, settings, "default")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=header, timeout=60) as client:
        job = client.post("/v1/rankings", json={"dataset": upload_features(client, tmp_path)}).json()["id"]
        table = "text,label\n" + "".join(f"words {row},{row % 2}\n" for row in range(40))

        def upload_that_is_under_way():
            yield table.encode()[:100]
            lose(database, key_id, loss)
            time.sleep(0.3)
            yield table.encode()[100:]

        with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
            lines = stream.iter_lines()
            assert next(lines)
            refused = client.post("/v1/datasets?name=t.csv", content=upload_that_is_under_way())
            assert refused.status_code in (401, 403)
            lost = time.monotonic()
            assert all(time.monotonic() - lost < 60 for _ in lines), "it goes on"
        restore(database, key_id, loss)
        waiting = threading.Timer(1.0, lose, (database, key_id, loss))
        waiting.start()
        held = client.get(f"/v1/jobs/{job}", headers={"prefer": "wait=3"})
        assert held.status_code in (401, 403)
        waiting.join()
    database.close()


def lose(database, key_id, how):
    with database.write_transaction() as session:
        row = session.get(KeyRow, key_id)
        if how == "revoked":
            revoke_key(session, key_id)
        elif how == "over":
            row.expires_at = 1.0
        else:
            row.scopes = "admin"


def restore(database, key_id, how):
    with database.write_transaction() as session:
        row = session.get(KeyRow, key_id)
        row.revoked_at = row.expires_at = None
        row.scopes = "read write"
    time.sleep(0.3)


def test_a_service_may_open_as_many_files_as_the_system_lets_it():
    code = """
import resource
from frontrunner.processes import open_many_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))
open_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["1024", "1024"]
