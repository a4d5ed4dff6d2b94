"""Hostile clients against a real service: refused or served, and nobody else is harmed.

How long they take, and what others' polls take meanwhile, is printed by `python -m benchmarks.service.hostile`.
"""

from __future__ import annotations

import pytest

from benchmarks.service import hostile
from benchmarks.service.polling import polling
from benchmarks.service.setting import embedded

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]


@pytest.fixture(scope="module")
def attacked():
    """A service, the attacker's key, and another tenant's job and key."""
    with embedded() as service:
        service.start_api()
        yield service, *hostile.prepare(service)


def come_to(attacked, attack, *arguments):
    """What an attack comes to, while another tenant polls; each poll must be answered."""
    service, attacker, job, key = attacked
    with polling(service.port, job, key) as latencies:
        answers = attack(service, attacker, *arguments)
    assert latencies
    assert service.get("/livez").status_code == 200
    assert not list((service.home / "blobs").rglob("*.part*"))
    return answers


def test_ten_terabytes_are_refused_before_they_come(attacked):
    assert come_to(attacked, hostile.claim_ten_terabytes) == {"413": 1}


def test_a_zip_of_many_empty_files_is_refused(attacked):
    """A million of them are in the benchmark."""
    (answer,) = come_to(attacked, hostile.send_many_empty_files, 50_000)
    assert answer in ("422 dataset_empty", "422 dataset_unreadable", "413 dataset_too_large")


def test_of_many_uploads_at_once_some_are_served_and_the_others_told_when_to_come_again(attacked):
    answers = come_to(attacked, hostile.send_many_uploads, 60)
    assert set(answers) == {"201", "503 checks_busy"}
    assert answers["201"] >= 2


def test_a_resolver_that_flips_and_a_redirect_lead_nowhere_else(attacked):
    """A name resolves to one address when it is looked at, and to another whenever it is asked for again."""
    answers = come_to(attacked, hostile.flip)
    assert answers == {"302 not followed, from 127.0.0.1 alone": 1, "private address refused": 1}
