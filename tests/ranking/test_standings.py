"""Places, ties and probabilities, from made-up measurements."""

from __future__ import annotations

import numpy as np
import pytest

from frontrunner import errors
from frontrunner.hub import CheckpointDescription
from frontrunner.ranking import RankingRequest, StepOutput
from frontrunner.ranking.answer import summary
from frontrunner.ranking.planner import Plan, assemble
from frontrunner.ranking.request import Refusal
from frontrunner.ranking.stages import BudgetReport
from frontrunner.ranking.standings import best_layers, standings
from frontrunner.scores import ScoreValue
from frontrunner.status import Status
from tests.jobs.rows import REPORT


def described(name: str, parameters: int = 10) -> CheckpointDescription:
    return CheckpointDescription(
        id=name,
        library="timm",
        modality="image",
        architecture="resnet",
        digest=name,
        preprocessing_digest="",
        parameters=parameters,
        bytes=1,
        path="",
    )


def scored(value: float, reach: float = 0.1, noise: tuple[float, ...] = (-0.01, 0.0, 0.01)) -> ScoreValue:
    replicates = tuple(value + shift for shift in noise)
    return ScoreValue(value=value, low=value - reach, high=value + reach, raw=value, replicates=replicates)


def output(**values: ScoreValue) -> StepOutput:
    return StepOutput(
        scores=values,
        examples=9,
        forward_examples=9,
        feature_dimension=3,
        feature_key="k",
        feature_bytes=1,
        seconds=1.0,
        scoring_seconds=0.1,
    )


def test_a_lead_within_what_the_draw_of_examples_changes_is_a_tie_and_a_clear_one_is_not():
    finished = [
        (described("near"), output(logme=scored(0.99, noise=(0.01, -0.01, 0.0)))),
        (described("best"), output(logme=scored(1.0))),
        (described("far"), output(logme=scored(0.5))),
    ]
    lines = standings(finished, RankingRequest())
    assert [(line.checkpoint, line.tied_with_best) for line in lines] == [
        ("best", False),
        ("near", True),
        ("far", False),
    ]
    said = summary(lines, "logme", "classification", planned=3, failed=0)
    assert "As good, or better, may be near; the other one is worse." in said


@pytest.mark.parametrize(("kept", "stands"), [((), "a#layer=2"), (("a#layer=1",), "a#layer=1")])
def test_the_layer_that_a_race_picks_stands_for_its_checkpoint_whatever_another_scores(kept, stands):
    finished = [
        (described("a#layer=1"), output(logme=scored(0.8))),
        (described("a#layer=2"), output(logme=scored(0.9))),
        (described("b"), output(logme=scored(0.7))),
    ]
    found = best_layers(finished, "logme", lambda name: True, kept)
    assert [description.id for description, _ in found] == [stands, "b"]


@pytest.mark.parametrize("pick", ["a#layer=1", "a#layer=2", "b"])
def test_a_budget_may_pick_any_layer_where_the_best_of_each_checkpoint_is_asked_for(pick):
    checkpoints = tuple(described(name) for name in ("a#layer=1", "a#layer=2", "b"))
    outcomes = {
        found.id: output(logme=scored(value)) for found, value in zip(checkpoints, (0.8, 0.9, 0.7), strict=True)
    }
    spent = BudgetReport(
        budget="30%", unit="share", limit=0.3, spent=0.3, full_cost=1.0, stages=[], inside=list(outcomes), pick=pick,
        probability_best=0.5, more=None,
    )  # fmt: skip
    request = RankingRequest(variant="layer=best", budget="30%", baselines=False)
    found = assemble("r", Status.SUCCEEDED, request, REPORT, Plan(checkpoints, ()), outcomes, spent)
    assert found.best.checkpoint == found.ranking[0].checkpoint == pick
    assert len(found.ranking) == 2


def test_replicates_that_move_together_make_a_small_lead_certain_and_independent_ones_do_not():
    together = (-0.05, 0.0, 0.05)
    certain = standings(
        [
            (described("a"), output(logme=scored(1.0, noise=together))),
            (described("b"), output(logme=scored(0.99, noise=together))),
        ],
        RankingRequest(),
    )
    doubtful = standings(
        [
            (described("a"), output(logme=scored(1.0, noise=together))),
            (described("b"), output(logme=scored(0.99, noise=together[::-1]))),
        ],
        RankingRequest(),
    )
    assert certain[0].beats_next == 1.0
    assert 0.5 < doubtful[0].beats_next < 0.7
    assert certain[-1].beats_next is None


def test_every_score_asked_for_and_the_discrepancy_have_places_of_their_own():
    finished = [
        (described("a"), output(logme=scored(3.0), knn=scored(1.0), discrepancy=scored(1.0))),
        (described("b"), output(logme=scored(2.0), knn=scored(3.0), discrepancy=scored(2.0))),
        (described("c"), output(logme=scored(1.0), knn=scored(2.0), discrepancy=scored(3.0))),
    ]
    lines = standings(finished, RankingRequest(scores=("logme", "knn")))
    assert {line.checkpoint: line.ranks for line in lines} == {
        "a": {"logme": 1, "knn": 3, "discrepancy": 3},
        "b": {"logme": 2, "knn": 1, "discrepancy": 2},
        "c": {"logme": 3, "knn": 2, "discrepancy": 1},
    }


def test_a_checkpoint_without_a_secondary_score_stands_last_under_it_and_says_why():
    refused = output(logme=scored(2.0))
    refused = refused.model_copy(
        update={"not_applicable": {"leep": Refusal(code="score_not_applicable", reason="no head")}}
    )
    lines = standings(
        [(described("a"), refused), (described("b"), output(logme=scored(1.0), leep=scored(-1.0)))],
        RankingRequest(scores=("logme", "leep")),
    )
    assert lines[0].ranks["leep"] == 2
    assert lines[0].not_applicable["leep"].reason == "no head"


def test_replicates_stay_out_of_the_result():
    (line,) = standings([(described("a"), output(logme=scored(1.0)))], RankingRequest())
    assert "replicates" not in line.model_dump_json()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_equal_values_stand_in_order_of_size_whatever_order_they_came_in(order):
    finished = [(described(name, size), output(logme=scored(1.0))) for name, size in (("c", 30), ("a", 20), ("b", 10))]
    lines = standings([finished[i] for i in order], RankingRequest())
    assert [line.checkpoint for line in lines] == ["b", "a", "c"]
    assert [line.rank for line in lines] == [1, 2, 3]


def test_ranking_by_something_that_was_not_asked_for_is_refused():
    with pytest.raises(errors.UnknownScore, match="knn"):
        RankingRequest(scores=("logme",), rank_by="knn")
    with pytest.raises(errors.UnknownScore, match="combined"):
        RankingRequest(rank_by="combined")


@pytest.mark.parametrize(
    ("modality", "task", "scores"),
    [
        ("image", "classification", ("predicted_accuracy", "logme")),
        ("image", "regression", ("logme",)),
        ("image", "multi-label", ("logme",)),
        ("text", "classification", ("logme",)),
    ],
)
def test_a_request_without_scores_means_those_that_there_is_evidence_for(modality, task, scores):
    assert RankingRequest().on(modality, task).asked == scores
    assert RankingRequest(rank_by="knn").on(modality, task).asked == ("knn", *scores)
    assert RankingRequest(rank_by="knn").on(modality, task).ordered_by == "knn"
    assert RankingRequest(scores=("gbc",)).on(modality, task).asked == ("gbc",)


def test_rank_by_one_of_several_scores_orders_by_it():
    finished = [
        (described("a"), output(logme=scored(3.0), knn=scored(1.0))),
        (described("b"), output(logme=scored(2.0), knn=scored(3.0))),
    ]
    lines = standings(finished, RankingRequest(scores=("logme", "knn"), rank_by="knn"))
    assert [line.checkpoint for line in lines] == ["b", "a"]
    assert np.isfinite(lines[0].beats_next)
