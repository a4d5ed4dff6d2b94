"""Errors as RFC 9457 problem documents with a stable `code`."""

from __future__ import annotations

import time
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError, OperationalError, SQLAlchemyError
from starlette.exceptions import HTTPException

from api.access_errors import FormForeign, KeyInvalid, KeyMissing, KeysRequired, KeysUnavailable, ScopeMissing
from api.datasets.checking import RETRY_AFTER_S, ChecksBusy
from api.document import reference
from api.rates import RateLimited
from api.state import OF_REQUEST, State
from frontrunner import errors
from frontrunner.errors import FrontrunnerError
from jobs.errors import JobConflict, JobNotFound
from jobs.keys import KeyNotFound
from jobs.quotas import QuotaExceeded
from jobs.uploads import UploadConflict, UploadNotFound, UploadOffset

MEDIA_TYPE = "application/problem+json"
# When tokens may be accepted again whose issuer is away.
ISSUER_RETRY_AFTER_S = 10

_log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` says what was given, what was expected and what to do."""

    type: str = Field(description="urn:frontrunner:problem:CODE")
    title: str
    status: int
    detail: str
    code: str
    errors: list[dict[str, Any]] | None = Field(default=None, description="Where the request failed validation.")


class NotFound(FrontrunnerError):
    """Nothing is there under this id."""

    code = "not_found"


class MalformedRequest(FrontrunnerError):
    """The request's body cannot be read."""

    code = "request_malformed"


# The most specific class decides; everything else that a user can cause is a request that cannot be processed.
_STATUS: dict[type[FrontrunnerError], int] = {
    FrontrunnerError: 422,
    MalformedRequest: 400,
    NotFound: 404,
    ChecksBusy: 503,
    KeyMissing: 401,
    KeyInvalid: 401,
    ScopeMissing: 403,
    FormForeign: 403,
    KeysRequired: 403,
    KeysUnavailable: 503,
    RateLimited: 429,
    QuotaExceeded: 429,
    JobConflict: 409,
    UploadConflict: 409,
    UploadNotFound: 404,
    JobNotFound: 404,
    errors.CheckpointNotFound: 422,
    errors.DatasetNotFound: 404,
    KeyNotFound: 404,
    errors.DatasetTooLarge: 413,
    errors.UnsupportedDataset: 415,
    errors.InternalError: 500,
    errors.FileRefused: 500,
    errors.DiskFull: 507,
    errors.StorageFull: 507,
    errors.StoredFileMissing: 410,
    errors.StoredFileDamaged: 410,
    errors.StoreUnavailable: 503,
}

# Of answers that the framework gives.
_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
}
# Of a request that does not fit: a body of 4 MiB may be wrong in a hundred thousand places.
# The same refusal is noted in the audit log this often; so many kinds of them are remembered.
_NOTED_EVERY_S, _MAX_NOTED = 60.0, 10_000
_MAX_ERRORS = 50
_MAX_CHARACTERS = 300
_INVALID = "The request does not fit its schema."

_CONTENT = {MEDIA_TYPE: {"schema": reference(Problem)}}
# Documented on every operation; FastAPI's own validation answer is replaced by ours.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "What was wrong with the request", "content": _CONTENT},
    "5XX": {"description": "What is wrong with the service; `Retry-After` where it passes", "content": _CONTENT},
}


def install(app: FastAPI) -> None:
    """Answer every error of the application with a problem document."""
    refused: dict[tuple[str, str, str], float] = {}

    def is_news(state: State, code: str) -> bool:
        """Whether this refusal was not noted within the last minute: who repeats it fills no log."""
        key, now = (f"{state.principal.tenant}/{state.principal.name}", state.operation, code), time.monotonic()
        if now - refused.get(key, float("-inf")) < _NOTED_EVERY_S:
            return False
        if len(refused) >= _MAX_NOTED:
            refused.clear()
        refused[key] = now
        return True

    @app.exception_handler(FrontrunnerError)
    async def _input_error(request: Request, error: FrontrunnerError) -> JSONResponse:
        status = status_of(error)
        answer = problem(status, error.code, type(error).__doc__ or error.code, error.reason)
        if status == 401:
            answer.headers["WWW-Authenticate"] = "Bearer"
        if (wait_s := _retry_after_s(error)) is not None:
            answer.headers["Retry-After"] = str(wait_s)
        if isinstance(error, UploadOffset):
            answer.headers["Upload-Offset"] = str(error.offset)
        if isinstance(error, ScopeMissing) and is_news(request.scope[OF_REQUEST], error.code):
            await run_in_threadpool(_note_refusal, request.scope[OF_REQUEST], error.code)
        return answer

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        found = [
            {"at": ".".join(map(str, e["loc"]))[:_MAX_CHARACTERS], "message": e["msg"][:_MAX_CHARACTERS]}
            for e in error.errors()[:_MAX_ERRORS]
        ]
        detail = "; ".join(f"{entry['at']}: {entry['message']}" for entry in found[:5])
        return problem(422, "request_invalid", _INVALID, detail, found)

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        code = _CODES.get(error.status_code, "http_error")
        answer = problem(error.status_code, code, str(error.detail), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(DatabaseError)
    async def _refused_by_database(_request: Request, error: DatabaseError) -> JSONResponse:
        if isinstance(error, DataError):  # PostgreSQL's word for a NUL, or a number that no column holds
            return problem(422, "request_invalid", _INVALID, "a value cannot be stored: a NUL, or too large a number")
        if isinstance(error, IntegrityError):  # what the request rests on went meanwhile
            return problem(409, "conflict", "Something else changed this.", "nothing was changed; look, and try again")
        if not (isinstance(error, OperationalError) or type(error) is DatabaseError):  # the latter: a damaged file
            raise error
        _log.warning("database_away", error=str(error.orig))
        answer = problem(503, "database_unavailable", "The database is away.", "nothing was changed; try again soon")
        answer.headers["Retry-After"] = "1"
        return answer


def status_of(error: FrontrunnerError) -> int:
    """The status of the answer that says this error."""
    return next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)


def _retry_after_s(error: FrontrunnerError) -> int | None:
    """When the same request may be answered otherwise; None where waiting alone does not help."""
    if isinstance(error, RateLimited):
        return error.allowance.reset_s
    if isinstance(error, QuotaExceeded):
        return error.retry_after_s
    if isinstance(error, KeysUnavailable):
        return ISSUER_RETRY_AFTER_S
    return RETRY_AFTER_S if isinstance(error, ChecksBusy) else None


def _note_refusal(state: State, code: str) -> None:
    """Write into the audit log that somebody known tried what they may not."""
    try:
        with state.database.write_transaction() as session:
            state.note(session, outcome=code)
    except SQLAlchemyError as error:  # they are refused all the same
        _log.warning("refusal_not_noted", code=code, error=type(error).__name__)


def internal_error() -> JSONResponse:
    """The answer to a request that met a defect of ours."""
    return problem(500, "internal_error", "A defect of ours", "the server met an error; its log has the details")


def problem(status: int, code: str, title: str, detail: str, found: list[dict[str, Any]] | None = None) -> JSONResponse:
    """A problem document as an answer."""
    document = Problem(
        type=f"urn:frontrunner:problem:{code}",
        title=title.splitlines()[0],
        status=status,
        detail=detail,
        code=code,
        errors=found,
    )
    return JSONResponse(document.model_dump(exclude_none=True), status, media_type=MEDIA_TYPE)
