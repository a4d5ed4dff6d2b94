"""`ScoreValue` is the one type of a score, from its computation to a line of a ranking."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from frontrunner.ranking import StepOutput
from frontrunner.ranking.result import RankedCheckpoint
from frontrunner.scores import ScoreValue

MEASURED = ScoreValue(value=0.5, low=0.4, high=0.6, raw=0.5, replicates=(0.49, 0.51))


def test_a_score_without_replicates_is_four_numbers_in_json() -> None:
    assert MEASURED.without_replicates().model_dump_json() == '{"value":0.5,"low":0.4,"high":0.6,"raw":0.5}'
    assert ScoreValue(value=1.0).model_dump() == {"value": 1.0, "low": None, "high": None, "raw": None}


def test_the_output_of_a_step_keeps_the_replicates_through_json() -> None:
    output = StepOutput(
        scores={"logme": MEASURED, "discrepancy": ScoreValue(value=-1.0, raw=1.0)},
        examples=9,
        forward_examples=9,
        feature_dimension=3,
        feature_key="k",
        feature_bytes=1,
        seconds=1.0,
        scoring_seconds=0.1,
    )
    stored = output.model_dump(mode="json")
    assert stored["scores"]["logme"]["replicates"] == [0.49, 0.51]
    assert "replicates" not in stored["scores"]["discrepancy"]
    assert StepOutput.model_validate(stored) == output


def test_the_schema_of_a_ranking_describes_the_numbers_and_the_mark_and_no_replicates() -> None:
    properties = RankedCheckpoint.model_json_schema(mode="serialization")["$defs"]["ScoreValue"]["properties"]
    assert properties.keys() == {"value", "low", "high", "raw", "unreliable"}
    assert all(entry["description"] for entry in properties.values())


def test_a_stored_score_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValidationError, match="valid number"):
        ScoreValue.model_validate({"value": "high"})
