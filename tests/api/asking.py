"""Requests and answers that several tests of the API make and check."""

from __future__ import annotations

import json

import numpy as np

from frontrunner.extraction import FeatureKey
from jobs import lifecycle
from jobs.kinds import KINDS
from jobs.notification import QUEUES
from tests.jobs.rows import output


def upload(client, path, **fields):
    with path.open("rb") as file:
        return client.post("/v1/datasets", files={"file": (path.name, file)}, data=fields)


def is_problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"]) == (code, status)
    assert body["type"] == f"urn:frontrunner:problem:{code}"
    assert body["detail"]
    return body


def upload_features(client, tmp_path, seed=0):
    """A dataset of precomputed features: needs no checkpoint; its id."""
    generator = np.random.default_rng(seed)
    path = tmp_path / f"features-{seed}.npz"
    np.savez(path, mine=generator.normal(size=(60, 8)), labels=np.repeat([0, 1, 2], 20))
    return upload(client, path).json()["id"]


def claim(database):
    """Claim the best step."""
    with database.write_transaction() as session:
        return lifecycle.claim_best(session, QUEUES, 30.0)


def finish(database, held, value=0.5):
    """Accept an output for a claimed step, as of features of its own."""
    work = KINDS[held.kind].payload.model_validate_json(held.payload).root
    said = json.loads(output(value)) | {
        "feature_key": FeatureKey.of(work.checkpoint, work.dataset.digest, (), work.dataset.owner).digest
    }
    with database.write_transaction() as session:
        return lifecycle.succeed_step(session, held, json.dumps(said))
