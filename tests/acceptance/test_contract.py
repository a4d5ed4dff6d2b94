"""Requests generated from the API's own document; `python -m benchmarks.service.contract` tries thousands of them."""

from __future__ import annotations

import pytest

from benchmarks.service.contract import ask, ask_as_each, new_key, things_of
from benchmarks.service.setting import embedded

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def service():
    """An API and a worker."""
    with embedded(webhook_allow_private=True) as running:
        running.start_api()
        running.start_worker()
        yield running


def test_answers_to_generated_requests_are_as_documented_and_hold_nothing_of_another_tenant(service):
    for tenant, outcome in ask_as_each(service, cases_each=4, seed=3, phases="fuzzing,stateful"):
        assert not outcome.failed, outcome.said
        assert outcome.cases > 100, tenant
        assert {200, 404, 422} <= set(outcome.statuses), outcome.statuses


def test_an_answer_that_holds_what_is_anothers_would_be_noticed(service):
    """What is one's own is passed off as another's: every finding of it must fail."""
    key = new_key(service, "anna")
    own = things_of(service, "anna", key)
    outcome = ask(service, key, own, own, cases_each=2, seed=3, phases="fuzzing")
    assert outcome.failed
    assert "another tenant's" in outcome.said
