"""A tuning as the service tells it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from frontrunner.status import Failure, Status
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.result import TuningOutput


class Tuning(BaseModel):
    """A tuning; `output` is None until it is over."""

    id: str
    status: Status
    dataset: str = Field(description="Name of the target dataset.")
    method: MethodOptions
    student: str | None
    teachers: list[str]
    output: TuningOutput | None
    failure: Failure | None = None
