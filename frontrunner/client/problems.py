"""What the service refuses, as errors: of the library's own types where it has one for the code."""

from __future__ import annotations

import functools
from typing import Any

from frontrunner.errors import FrontrunnerError, error_of


class ServiceProblem(FrontrunnerError):
    """The service refused a request.

    Where the library has an error for the code, the error is of that type too: `except UnlabelledDataset` catches what
    the service says of a dataset without labels.

    Attributes:
        code: stable, of the problem.
        status: of the HTTP answer.
        problem: the RFC 9457 document; of an answer that had none, `detail` alone.
    """

    code = "service_problem"
    status: int
    problem: dict[str, Any]


def problem_of(status: int, problem: dict[str, Any]) -> ServiceProblem:
    """The error of an answer.

    Example:
        >>> problem_of(422, {"code": "dataset_empty", "detail": "no image"}).__class__.__mro__[1].__name__
        'EmptyDataset'
    """
    code = str(problem.get("code", ServiceProblem.code))
    error = _kind(code)(str(problem.get("detail") or f"the service answered with HTTP {status}"))
    error.code, error.status, error.problem = code, status, problem
    return error


@functools.cache
def _kind(code: str) -> type[ServiceProblem]:
    known = type(error_of(code, ""))
    if issubclass(ServiceProblem, known):
        return ServiceProblem
    return type(known.__name__, (known, ServiceProblem), {"__doc__": known.__doc__, "__module__": known.__module__})
