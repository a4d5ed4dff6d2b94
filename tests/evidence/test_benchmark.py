"""Facts about the benchmark of rankings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks.ranking_quality.__main__ import qualities, static_order, table
from benchmarks.ranking_quality.tables import observations, whole_datasets
from benchmarks.ranking_quality.truth import sentence
from frontrunner.evidence.ground_truth import RefusedRun
from frontrunner.evidence.quality import Truth
from frontrunner.evidence.runs import MeasuredScore, RunKey
from tests.evidence.test_quality import run

TRUTH = Truth(
    {
        "pets": (("a", "b", "c"), np.array([[0.9, 0.92], [0.8, 0.78], [0.7, 0.74]])),
        "cars": (("a", "b", "c"), np.array([[0.5, 0.5], [0.6, 0.6], [0.4, 0.4]])),
        "birds": (("a", "b", "d"), np.array([[0.5, 0.5], [0.6, 0.6], [0.7, 0.7]])),
    }
)


def test_the_static_order_of_a_dataset_knows_the_other_datasets_alone():
    low, middle, high = norm.ppf((np.array([1, 2, 3]) - 0.5) / 3)
    found = static_order(TRUTH)
    assert found["pets"] == pytest.approx({"a": (middle + low) / 2, "b": (high + middle) / 2, "c": low})
    assert found["birds"] == pytest.approx({"a": (high + middle) / 2, "b": (middle + high) / 2})  # d was never tried


def test_a_dataset_counts_once_every_checkpoint_was_adapted_to_it():
    runs = [run("pets", name, 0, 0.5 + 0.1 * place) for place, name in enumerate("abcd")]
    runs += [run("cars", name, 0, 0.5 + 0.1 * place) for place, name in enumerate("abc")]
    assert list(whole_datasets(runs, "full").accuracies) == ["pets"]
    # A run that diverged has been made: its checkpoint is left out, and not the dataset.
    found = whole_datasets([*runs, run("cars", "d", 0, None)], "full")
    assert {name: len(names) for name, (names, _) in found.accuracies.items()} == {"pets": 4, "cars": 3}


def test_the_table_has_the_best_score_first_and_shares_of_the_ceiling():
    values = {
        "bad": {"pets": {"a": 1.0, "b": 2.0, "c": 3.0}, "cars": {"a": 2.0, "b": 1.0, "c": 3.0}},
        "good": {"pets": {"a": 3.0, "b": 2.0, "c": 1.0}, "cars": {"a": 2.0, "b": 3.0, "c": 1.0}},
        "elsewhere": {"planes": {"a": 3.0}},
    }
    found = qualities(TRUTH, values)
    assert [line.score for line in found] == ["good", "bad"]
    lines = table(found, TRUTH, "full adaptation").splitlines()
    assert lines[0] == (
        "full adaptation: 3 datasets, 3 checkpoints, 2 seeds, which agree with each other by tau_w 1.00; "
        "the best checkpoint by one seed loses 0.0 points under another."
    )
    assert lines[4].startswith("| good | 1.00 ± 0.00 | 1.00 ± 0.00 | 0.0 ± 0.0 | 0.0 ± 0.0 | 100% |")
    assert lines[5].startswith("| bad | -1.00 ± 0.00 | -1.00 ± 0.00 | 19.")


def test_observations_join_scores_and_accuracies():
    runs = [run("pets", name, 0, 0.5 + 0.1 * place) for place, name in enumerate("abc")]
    # 340 trained on, 60 held out
    runs = [each.model_copy(update={"train_examples": 340}) for each in runs]
    rows = [
        MeasuredScore(
            dataset="pets",
            checkpoint=name,
            score="parameters",
            value=value,
            examples=400,
            version=1,
            dataset_digest="d",
            checkpoint_digest="c",
        )
        for name, value in (("a", 100.0), ("c", 1000.0))
    ]
    found = observations(runs, rows, "full")
    assert [(each.checkpoint, each.accuracy) for each in found] == [("a", 0.5), ("c", pytest.approx(0.7))]
    assert found[1].measured["parameters"] == 1000
    assert found[1].measured["examples"] == 400


def test_a_line_says_what_came_of_a_run():
    assert sentence(RefusedRun.of(RunKey("lora", "pets", "local:cnn", 1), "method_unsuited", "why")) == (
        "pets local:cnn lora seed 1: method_unsuited: why"
    )
    assert sentence(run("pets", "a", 0, None)) == "pets a full seed 0: diverged"
