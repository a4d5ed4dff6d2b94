"""Calls to a hub through its own client: with patience that has an end, and every failure as one of our errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import huggingface_hub
from huggingface_hub import HfApi, get_token
from huggingface_hub import errors as hub_errors
from huggingface_hub.constants import ENDPOINT
from huggingface_hub.utils._http import default_client_factory, parse_ratelimit_headers

from frontrunner import __version__
from frontrunner.errors import (
    CheckpointError,
    CheckpointNotFound,
    CheckpointUnreadable,
    HubError,
    HubOffline,
    HubRateLimited,
    HubUnauthorized,
    TransferBroken,
)
from frontrunner.hub.access import HubAccess

Answer = TypeVar("Answer")

REQUEST_TIMEOUT_S = 10.0
# A hub that asks for a longer pause is taken at its word: the step fails and says so, instead of holding its worker.
MAX_WAIT_S = 30
_ATTEMPTS = 3
_BUSY = 429
_AWAY = (500, 502, 503, 504)

_prepared = threading.Event()


def client(access: HubAccess) -> HfApi:
    """The hub's own client, for this machine's endpoint and token."""
    if not _prepared.is_set():
        _prepared.set()
        # The client waits as long as a busy hub asks; this hook ends a wait that would be too long.
        huggingface_hub.set_client_factory(lambda: _refusing_long_waits(default_client_factory()))
    # Else that of `hf auth login`, and only for the Hub that it is for: a mirror never hears it.
    token = access.token or (get_token() if access.endpoint == ENDPOINT else None) or False
    return HfApi(access.endpoint, token=token, library_name="frontrunner", library_version=__version__)


def ask(call: Callable[[], Answer], what: str) -> Answer:
    """The answer to a request for metadata, asked again where the hub is busy or briefly away.

    Raises:
        HubError, CheckpointNotFound: see `hub_errors_named`.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with hub_errors_named(what):
                return call()
        except HubError as error:
            wait = _pause(error.__cause__, attempt)
            if wait is None or attempt == _ATTEMPTS:
                raise
            time.sleep(wait)
    raise AssertionError("unreachable")


@contextmanager
def hub_errors_named(what: str) -> Iterator[None]:
    """Failures of the hub's client as named errors about `what`.

    Raises:
        CheckpointNotFound: no such repository, revision or file.
        HubUnauthorized: the token is missing or not enough.
        HubRateLimited: the hub is busy, or asks for a longer wait than `MAX_WAIT_S`.
        TransferBroken: a file came incomplete.
        HubOffline: this machine fetches nothing.
        CheckpointUnreadable: a safetensors file has no header that can be read.
        HubError: the hub is away, or answered with something else.
    """
    try:
        yield
    except CheckpointError:
        raise
    except hub_errors.GatedRepoError as error:
        raise HubUnauthorized(f"{what} is gated: ask for access on the hub and set FRONTRUNNER_HUB_TOKEN") from error
    except hub_errors.HfHubHTTPError as error:
        raise _named(error, what) from error
    except hub_errors.LocalEntryNotFoundError as error:
        # What the client says when it could not ask; the reason lies behind it.
        if isinstance(error.__cause__, hub_errors.HfHubHTTPError):
            raise _named(error.__cause__, what) from error.__cause__
        if error.__cause__ is None:
            raise HubOffline(f"{what} is not at hand, and this machine fetches nothing") from error
        raise HubError(f"{what}: the hub cannot be reached: {_line(error.__cause__)}") from error
    except (hub_errors.EntryNotFoundError, hub_errors.HFValidationError) as error:
        raise CheckpointNotFound(f"{what} is not on the hub: {_line(error)}") from error
    except hub_errors.SafetensorsParsingError as error:
        raise CheckpointUnreadable(f"{what} is not a safetensors file: {_line(error)}") from error
    except Exception as error:  # the transport's errors share no public base class
        if "onsistency check failed" in str(error) or "incomplete" in str(error) or "complete message" in str(error):
            raise TransferBroken(f"{what} came incomplete: {_line(error)}") from error
        raise HubError(f"{what}: the hub cannot be reached: {_line(error)}") from error


def _named(error: hub_errors.HfHubHTTPError, what: str) -> CheckpointError:
    status = error.response.status_code
    if status in (401, 403):
        return HubUnauthorized(
            f"{what}: the hub answers {status}; it is private, or there is no such checkpoint. "
            "Set FRONTRUNNER_HUB_TOKEN to a token that may read it"
        )
    if status == 404:
        return CheckpointNotFound(f"{what} is not on the hub")
    if status == _BUSY:
        return HubRateLimited(f"{what}: the hub is busy and limits requests; try again later or set a token")
    return HubError(f"{what}: the hub answers {status}")


def _pause(cause: BaseException | None, attempt: int) -> float | None:
    """Seconds to wait before another attempt, or None where none would help."""
    if not isinstance(cause, hub_errors.HfHubHTTPError):
        return None
    if cause.response.status_code == _BUSY:
        asked = _asked_wait(cause.response)
        return None if asked is not None and asked > MAX_WAIT_S else float(asked if asked is not None else attempt)
    return float(attempt) if cause.response.status_code in _AWAY else None


def _refusing_long_waits(http_client: Any) -> Any:
    def refuse_long_waits(response: Any) -> None:
        asked = _asked_wait(response) if response.status_code == _BUSY else None
        if asked is not None and asked > MAX_WAIT_S:
            raise HubRateLimited(f"the hub is busy and asks to wait {asked} s; at most {MAX_WAIT_S} s are waited")

    hooks = http_client.event_hooks
    http_client.event_hooks = {**hooks, "response": [*hooks.get("response", []), refuse_long_waits]}
    return http_client


def _asked_wait(response: Any) -> int | None:
    limits = parse_ratelimit_headers(response.headers)
    if limits is not None and limits.remaining == 0:
        return int(limits.reset_in_seconds)
    asked = response.headers.get("retry-after", "")
    return int(asked) if asked.isdecimal() else None


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
