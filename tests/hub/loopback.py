"""A hub on the loopback interface: enough of the protocol for the real client, and every way to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin")


def commit_of(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Repository:
    """Files at one commit, and what the hub says about them."""

    files: dict[str, bytes]
    commit: str
    card: dict[str, Any] = field(default_factory=dict)
    listing: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path, **more: Any) -> Repository:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        return cls(files, commit_of(str(folder)), **more)

    def siblings(self) -> list[dict[str, Any]]:
        found = []
        for name, data in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": git_sha1(data)}
            if name.endswith(LARGE):
                entry["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "pointerSize": 130}
            found.append(entry)
        return found


def git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    """What the server offers and how it behaves; change it while it runs.

    Attributes:
        repositories: by name.
        token: where set, every request must carry it.
        failures: (status, headers) of the next answers, first one first.
        cuts: connections to be dropped after this many bytes of a large file's body, first one first.
        swapped: bytes sent instead of a file's own, by its name; the metadata stays.
        xet_hashes: of files that the client's other transport brings, by name.
        xet_store: address where it finds them.
        requests: (method, path, headers) of everything asked so far.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    token: str | None = None
    failures: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    swapped: dict[str, bytes] = field(default_factory=dict)
    xet_hashes: dict[str, str] = field(default_factory=dict)
    xet_store: str = ""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def bodies_of(self, name: str) -> list[str | None]:
        """The `Range` of each GET of a file."""
        return [headers.get("range") for method, path, headers in self.requests if method == "GET" and name in path]


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends."""

    class Handler(_Handler):
        shown = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    shown: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.shown
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append((self.command, self.path, headers))
        if hub.failures:
            status, extra = hub.failures.pop(0)
            return self._send(status, b"{}", extra)
        if hub.token and headers.get("authorization") != f"Bearer {hub.token}":
            return self._send(401, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        url = urlsplit(self.path)
        path = unquote(url.path)
        if path == "/api/models":
            return self._list(parse_qs(url.query))
        if path == "/xet-token":
            token = {"Cas-Url": hub.xet_store, "Access-Token": "any", "Token-Expiration": str(int(time.time()) + 3600)}
            return self._send(200, b"{}", {f"X-Xet-{name}": value for name, value in token.items()})
        if path.startswith("/api/models/"):
            name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            return self._model(name, revision or "main")
        name, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        return self._file(name, revision, file)

    def _found(self, name: str, revision: str) -> Repository | None:
        repository = self.shown.repositories.get(name)
        if repository is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repository.commit):
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        else:
            return repository
        return None

    def _list(self, query: dict[str, list[str]]) -> None:
        found = [
            {"id": name, "sha": repository.commit, "tags": [], **repository.listing}
            for name, repository in self.shown.repositories.items()
        ]
        wanted = {value for values in query.get("filter", []) for value in values.split(",")}
        found = [entry for entry in found if wanted <= {*entry["tags"], entry.get("pipeline_tag")}]
        self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _model(self, name: str, revision: str) -> None:
        repository = self._found(name, revision)
        if repository is not None:
            said = {"id": name, "sha": repository.commit, "siblings": repository.siblings(), "tags": []}
            said |= {"cardData": repository.card} | repository.listing
            self._send(200, json.dumps(said).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        repository = self._found(name, revision)
        if repository is None:
            return
        if file not in repository.files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repository.commit})
            return
        stated = repository.files[file]
        data = self.shown.swapped.get(file, stated)
        large = file.endswith(LARGE)
        etag = hashlib.sha256(stated).hexdigest() if large else git_sha1(stated)
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
        if large:
            headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
        if file in self.shown.xet_hashes:
            route = f"{self.shown.address}/xet-token"
            headers |= {"X-Xet-Hash": self.shown.xet_hashes[file], "X-Xet-Refresh-Route": route}
        wanted = self.headers.get("Range")
        status, body = 200, data
        if wanted:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            end = min(int(last) if last else len(data) - 1, len(data) - 1)
            status, body = 206, data[int(first) : end + 1]
            headers["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
        cut = None
        if self.command == "GET" and large and self.shown.cuts and not (wanted or "").startswith("bytes=0-"):
            cut = self.shown.cuts.pop(0)
        self._send(status, body, headers, cut)

    def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
