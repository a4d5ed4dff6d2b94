"""From rows to typed jobs and back: here the JSON of requests, payloads, outputs and results is made and read.

Runners, which load no tables, do their half in `jobs.work`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from pydantic import BaseModel
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from frontrunner.data import DatasetReport
from frontrunner.status import Failure, JobResult, Status
from jobs.kinds import KINDS, JobKind, JobState, NewStep, StepState
from models import DatasetRow, JobRow, StepRow


def state_of(session: Session, job: JobRow) -> JobState[Any, Any, Any]:
    """The job as it stands. What its kind never asks for is neither loaded nor parsed."""
    kind = KINDS[job.kind]
    contents = _StepContents(session, job.id)
    rows = session.execute(
        select(StepRow.id, StepRow.name, StepRow.status, StepRow.error_code, StepRow.error_reason)
        .where(StepRow.job_id == job.id)
        .order_by(StepRow.ordinal)
    )
    return JobState(
        id=job.id,
        status=Status(job.status),
        failure=failure_of(job.error_code, job.error_reason),
        steps=[
            StepState(
                row.name,
                Status(row.status),
                failure_of(row.error_code, row.error_reason),
                payload=partial(contents.payload, kind, row.id),
                output=partial(contents.output, kind, row.id),
            )
            for row in rows
        ],
        request=lambda: kind.request.model_validate_json(job.request),
        report=partial(_report, session, job),
    )


def step_rows(job: JobRow, steps: Sequence[NewStep[Any]], first: int) -> list[StepRow]:
    """Rows of new steps of a job, in no session yet and without status; `first` is the ordinal of the first one."""
    return [
        StepRow(
            job_id=job.id,
            tenant=job.tenant,
            kind=job.kind,
            priority=job.priority,
            ordinal=ordinal,
            name=step.name,
            queue=step.queue,
            dataset_digests=list(step.dataset_digests),
            payload=json_of(step.payload),
            max_attempts=job.max_attempts,
            examples_total=step.examples_total,
        )
        for ordinal, step in enumerate(steps, start=first)
    ]


def json_of(value: BaseModel) -> str:
    """The JSON that a row keeps of a request, payload, output or result."""
    return value.model_dump_json()


def result_json(session: Session, job: JobRow) -> str:
    """The job's result as JSON: the stored one, or what its finished steps say so far."""
    return job.result if job.result is not None else json_of(result_of(session, job))


def result_of(session: Session, job: JobRow) -> JobResult:
    """The job's result as it stands, from its steps."""
    return KINDS[job.kind].result(state_of(session, job))


def accepted(kind: JobKind[Any, Any, Any], payload: str, output: str) -> tuple[BaseModel, BaseModel]:
    """The payload and the output of a step whose runner has finished it.

    Raises:
        ValidationError: the output is not one of this kind.
    """
    return kind.payload.model_validate_json(payload), kind.output.model_validate_json(output)


def report_of(dataset: DatasetRow) -> DatasetReport:
    """The check of a dataset."""
    return DatasetReport.model_validate(dataset.report)


def files_of(session: Session, *conditions: ColumnElement[bool]) -> set[str]:
    """What the files are called that the steps of some jobs leave."""
    found = set()
    for kind in KINDS.values():
        if kind.leaves_files:
            payloads = select(StepRow.payload).join(JobRow, JobRow.id == StepRow.job_id).where(JobRow.kind == kind.name)
            for payload in session.scalars(payloads.where(*conditions)):
                found.add(kind.files_name(kind.payload.model_validate_json(payload)))
    return found


def failure_of(code: str | None, reason: str | None) -> Failure | None:
    """The failure in two columns."""
    return None if code is None else Failure(code=code, reason=reason or "")


class _StepContents:
    """Payloads and outputs of a job's steps: loaded together when the first one is asked for."""

    def __init__(self, session: Session, job_id: str) -> None:
        self._session = session
        self._job_id = job_id

    @cached_property
    def _rows(self) -> dict[str, tuple[str, str | None]]:
        found = select(StepRow.id, StepRow.payload, StepRow.output).where(StepRow.job_id == self._job_id)
        return {row.id: (row.payload, row.output) for row in self._session.execute(found)}

    def payload(self, kind: JobKind[Any, Any, Any], step_id: str) -> BaseModel:
        payload: BaseModel = kind.payload.model_validate_json(self._rows[step_id][0])
        return payload

    def output(self, kind: JobKind[Any, Any, Any], step_id: str) -> BaseModel:
        output: BaseModel = kind.output.model_validate_json(self._rows[step_id][1] or "")
        return output


def _report(session: Session, job: JobRow) -> DatasetReport:
    return report_of(session.get_one(DatasetRow, job.dataset_id))
