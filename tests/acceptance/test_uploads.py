"""A folder that is uploaded over a line that breaks, to a service that is killed: what had come is not sent again."""

from __future__ import annotations

import contextlib
import hashlib
import selectors
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.service.servers import free_port, wait_until
from frontrunner.client import Client, ServiceProblem
from frontrunner.client.connection import Patience
from frontrunner.client.uploading import Upload
from frontrunner.limits import PART_BYTES
from tests.acceptance.service import serving
from tests.conftest import encode

pytestmark = pytest.mark.acceptance


class Proxy:
    """Passes bytes on to a port that may change, and cuts connections once they have carried what `cuts` says.

    Attributes:
        target: the port; None where nobody is to be reached.
        sent: bytes that came from clients, over all connections.
    """

    def __init__(self, *cuts: int) -> None:
        self.target: int | None = None
        self.sent = 0
        self._cuts = list(cuts)
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.target is None:
                return
            with socket.create_connection(("127.0.0.1", self.target)) as server, selectors.DefaultSelector() as ready:
                ready.register(client, selectors.EVENT_READ, server)
                ready.register(server, selectors.EVENT_READ, client)
                carried = 0
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(1 << 16)
                        if not data:
                            return
                        if key.fileobj is client:
                            self.sent += len(data)
                            carried += len(data)
                        if self._cuts and carried > self._cuts[0]:
                            self._cuts.pop(0)
                            return
                        key.data.sendall(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Some 27 MB of pictures in two classes: a zip of them has four parts."""
    root, generator = tmp_path_factory.mktemp("pictures") / "noise", np.random.default_rng(0)
    for index in range(60):
        path = root / f"class-{index % 2}" / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(generator.integers(0, 255, size=(390, 390, 3))))
    return root


@pytest.fixture(scope="module")
def service(hub, tmp_path_factory):
    """For the tests that leave it alive."""
    with serving(tmp_path_factory.mktemp("uploads") / "home", hub) as running:
        yield running


def bytes_of(folder: Path) -> bytes:
    with Upload(folder).open() as file:
        return file.read()


def test_a_folder_arrives_whole_through_cuts_and_a_kill(folder, hub, tmp_path, monkeypatch):
    # However long this machine takes to start a service again.
    monkeypatch.setattr("frontrunner.client.synchronous.Patience", lambda: Patience(longest_s=600.0))
    whole = bytes_of(folder)
    assert 3 * PART_BYTES < len(whole) < 4 * PART_BYTES
    # The first connection ends within a part; the second once a part was sent, and before its answer is heard.
    proxy, home, made = Proxy(3_000_000, PART_BYTES + 2_000_000), tmp_path / "home", []
    with contextlib.closing(proxy), Client(proxy.url) as client:
        uploading = threading.Thread(target=lambda: made.append(client.upload(folder)))
        with serving(home, hub) as first:
            proxy.target = int(first.url.rpartition(":")[2])
            uploading.start()
            wait_until(lambda: proxy.sent > 2 * PART_BYTES + 4_000_000, 180, "half of it")
            children = first.processes("")
            first.process.kill()
            proxy.target = None
            wait_until(lambda: not any(child.is_running() for child in children), 60, "the end of every child")
        time.sleep(1.0)
        with serving(home, hub) as second:
            proxy.target = int(second.url.rpartition(":")[2])
            uploading.join(240)
            assert made, second.log.read_text()[-2000:]
            found = client.dataset(made[0])
    assert (found["bytes"], found["report"]["train_examples"]) == (len(whole), 60)
    blob = hashlib.sha256(whole).hexdigest()
    assert (home / "blobs" / blob[:2] / blob).read_bytes() == whole
    # What the kill left half written is maintenance's to remove.
    assert not [path for path in (home / "parts").rglob("*") if path.is_file() and path.suffix != ".partial"]
    assert proxy.sent < len(whole) + 3 * PART_BYTES + 1_000_000, "what had come was not sent again"


def test_another_process_carries_on_what_one_began(folder, service):
    """The first client ends within its third part; the next one sends what is missing alone."""

    class Ended(BaseException):
        pass

    proxy = Proxy()
    with contextlib.closing(proxy):
        proxy.target = int(service.url.rpartition(":")[2])
        with Client(proxy.url) as client:
            send = client._http.request

            def ending(**call):
                if call["method"] == "PATCH" and call["headers"]["Upload-Offset"] == str(2 * PART_BYTES):
                    raise Ended
                return send(**call)

            client._http.request = ending
            with pytest.raises(Ended):
                client.upload(folder)
        before, whole = proxy.sent, len(bytes_of(folder))
        with Client(proxy.url) as client:
            found = client.dataset(client.upload(folder))
        assert found["bytes"] == whole
        assert proxy.sent - before < whole - 2 * PART_BYTES + 100_000


def test_data_that_change_on_their_way_make_no_dataset(service, tmp_path):
    changing = tmp_path / "changing.csv"
    rows = [f"text number {index:07},{index % 2}" for index in range(700_000)]
    changing.write_text("text,label\n" + "\n".join(rows))
    with Client(service.url) as client:
        send = client._http.request

        def changed(**call):
            if call["method"] == "PATCH" and call["headers"]["Upload-Offset"] != "0":
                call["content"] = b"".join(call["content"]).replace(b"number", b"NUMBER")
            return send(**call)

        client._http.request = changed
        with pytest.raises(ServiceProblem) as refused:
            client.upload(changing)
        assert refused.value.code == "upload_damaged"
        assert "changing.csv" not in [dataset["name"] for dataset in client.datasets()]
