"""What a finished step says is believed only of itself: the half of a runner that says it opens what strangers made."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from frontrunner.extraction import FeatureKey
from frontrunner.tuning.result import TunedFile
from jobs import lifecycle
from models import FeatureRow
from tests.jobs.rows import DIGEST, apply, claim, description, output, steps_of, submit

OWN = FeatureKey.of(description("a"), DIGEST, ("one", "two")).digest
OTHERS = FeatureKey.of(description("a"), DIGEST, ("one", "two"), "another-tenant").digest


def noted(database):
    with database.read_transaction() as session:
        return [row.key for row in session.query(FeatureRow)]


@pytest.mark.parametrize(
    "key",
    [
        OTHERS,
        FeatureKey.of(description("b"), DIGEST, ()).digest,
        "./" * 16,  # all that is cached, whoever's
        ("../../blobs" + "/." * 11)[:32],
        OWN[:32] + "/../" + "0" * 28,
        OWN[:32],
        "",
    ],
)
def test_features_of_others_are_not_noted_as_the_steps_own(database, key):
    """The row would have them removed together with a dataset of the step's tenant."""
    job = submit(database, ("a",))
    said = json.dumps(json.loads(output(0.5)) | {"feature_key": key})
    assert apply(database, lifecycle.succeed_step, claim(database), said)
    assert [step.status for step in steps_of(database, job)] == ["succeeded"]
    assert noted(database) == []


def test_features_of_the_step_are_noted(database):
    submit(database, ("a",))
    said = json.dumps(json.loads(output(0.5)) | {"feature_key": OWN})
    assert apply(database, lifecycle.succeed_step, claim(database), said)
    assert noted(database) == [OWN]


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "model/../../x", "/etc/x", "model//x", "a\\..\\b", "a\x1b[2J"])
def test_files_of_a_tuning_lead_down_from_the_folder_that_they_are_fetched_into(name):
    with pytest.raises(ValidationError):
        TunedFile(name=name, bytes=1, sha256="a" * 64)
    assert TunedFile(name="model/model.safetensors", bytes=1, sha256="a" * 64).name == "model/model.safetensors"


@pytest.mark.parametrize("digest", ["../" * 21 + "x", "a" * 63, "A" * 64])
def test_files_of_a_tuning_are_named_by_digests(digest):
    with pytest.raises(ValidationError):
        TunedFile(name="model/config.json", bytes=1, sha256=digest)
