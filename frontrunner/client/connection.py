"""Requests and answers without a connection: what both clients send, when they try again, and what they read."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import httpx

from frontrunner.client.problems import problem_of
from frontrunner.client.profiles import Profile, read_profiles
from frontrunner.client.uploading import Upload

Answered = TypeVar("Answered")
# A service that restarts, or says that it is busy, is asked again for this long before that is an error.
PATIENCE_S = 60.0
# How long a job is waited for. A week: a tuning of many checkpoints takes days.
LONGEST_S = 7 * 24 * 3600.0
_BUSY = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
# For a connection to stand.
_CONNECT_S = 10.0
# Of a part, what is sent before whoever watches hears of it.
_PIECE = 1 << 18


class JobEvent(NamedTuple):
    """Something that happened to a job; `number` counts within the job."""

    number: int
    type: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A body that is sent piece by piece.

    Attributes:
        content: all of it.
        heard: is told how many bytes of it were handed on; from 0 again where the request is sent again.
    """

    content: bytes
    heard: Callable[[int], None]

    def __iter__(self) -> Iterator[bytes]:
        for first in range(0, len(self.content), _PIECE):
            piece = self.content[first : first + _PIECE]
            yield piece
            self.heard(first + len(piece))


@dataclass(frozen=True)
class Call:
    """A request, which may be sent several times.

    Attributes:
        method, path: of the request.
        options: of `httpx.Client.request`.
        upload: the file or folder that goes with it.
        part: the body.
        patient: whether it is sent again where the service cannot answer now.
    """

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)
    upload: Upload | None = None
    part: Part | None = None
    patient: bool = True

    @contextmanager
    def arguments(self) -> Iterator[dict[str, Any]]:
        """What `httpx.Client.request` takes, with what is uploaded opened anew."""
        given = {"method": self.method, "url": self.path, **self.options}
        if self.part is not None:
            # httpx does not know how long it is, and a service reads no part of which it does not.
            given["headers"] = {**given.get("headers", {}), "Content-Length": str(len(self.part.content))}
            given["content"] = self.part
        if self.upload is None:
            yield given
            return
        with self.upload.open() as file:
            yield given | {"files": {"file": (self.upload.name, file)}, "timeout": unhurried()}


# Asks for answers to calls, one after the other, and returns what comes out of them.
Operation: TypeAlias = Generator[Call, httpx.Response, Answered]


def unhurried(quiet_s: float | None = None) -> httpx.Timeout:
    """A connection has to stand soon, and may then be quiet for `quiet_s`; for as long as it likes by default."""
    return httpx.Timeout(quiet_s, connect=_CONNECT_S)


def creating(path: str, *, upload: Upload | None = None, **options: Any) -> Call:
    """A POST that makes one thing only, however often it is sent."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return Call("POST", path, {"headers": headers, **options}, upload)


def settings_of(url: str | None, key: str | None, timeout_s: float) -> dict[str, Any]:
    """What `httpx.Client` takes: the address and the key given, or those of the environment, or of a profile.

    Raises:
        ProfileUnknown, ProfilesUnusable: a profile is named, and there is none, or its file cannot be used.
    """
    server = url or os.environ.get("FRONTRUNNER_SERVER")
    key = key or os.environ.get("FRONTRUNNER_API_KEY")
    # Whoever says both needs no profile: the file may be unreadable, as in a container.
    profile = Profile(server.rstrip("/")) if server and "://" in server and key else read_profiles().find(server)
    key = key or profile.key
    return {
        "base_url": profile.url,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},
        "timeout": timeout_s,
        "follow_redirects": True,
    }


class Patience:
    """How long to go on asking a service that does not answer, or not now."""

    def __init__(self, longest_s: float = PATIENCE_S) -> None:
        self._left_s = longest_s
        self._next_s = _FIRST_PAUSE_S

    def pause_after(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds to wait before the request is sent again; None where it is not."""
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in _BUSY:
                return None
            asked = outcome.headers.get("Retry-After", "")
            if outcome.status_code == httpx.codes.TOO_MANY_REQUESTS and not asked:
                return None  # a quota that waiting does not lift
            pause = float(asked) if asked.isdigit() else self._next_s
        else:
            pause = self._next_s
        if pause > self._left_s:
            return None
        self._left_s -= pause
        self._next_s = min(2 * self._next_s, _LONGEST_PAUSE_S)
        return pause


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer.

    Raises:
        ServiceProblem: it is a refusal.
    """
    refuse_problem(answer)
    body: dict[str, Any] = answer.json()
    return body


def refuse_problem(answer: httpx.Response) -> None:
    """Raise what an answer says was wrong.

    Raises:
        ServiceProblem: it is a refusal.
    """
    if answer.is_error:
        is_json = "json" in answer.headers.get("content-type", "")
        raise problem_of(answer.status_code, answer.json() if is_json else {})


class EventLines:
    """Events of a job from the lines of a stream, as they come."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> JobEvent | None:
        """The event that ends with this line, if one does."""
        if line:
            name, _, value = line.partition(": ")
            self._fields[name] = value
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None
        return JobEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that were given."""
    return {name: value for name, value in values.items() if value is not None}
