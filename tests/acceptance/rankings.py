"""What a right ranking is."""

from __future__ import annotations

import json

import pytest

from benchmarks.service.fleet import Fleet
from frontrunner.status import Status


def is_right(service: Fleet, job_id: str, expected: dict[str, float]) -> None:
    """Each checkpoint has one line, with the value that a local ranking gives it."""
    job = service.job(job_id)
    assert job.status == Status.SUCCEEDED, (job.error_code, service.logs()[-5000:])
    ranking = json.loads(job.result)["ranking"]
    lines = {line["checkpoint"]: line["scores"]["logme"]["value"] for line in ranking}
    assert lines == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}
    assert len(ranking) == len(expected)
