"""Quality of scores against truths whose figures are known by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.stats import weightedtau

from frontrunner.evidence.quality import Truth, chance, noise_ceiling, noise_regret, quality, truth_of
from frontrunner.evidence.runs import Adaptation, MeasuredRun

SEEDS = {"a": (0.9, 0.6), "b": (0.7, 0.7), "c": (0.5, 0.5)}


def run(
    dataset: str, checkpoint: str, seed: int, accuracy: float | None, adaptation: Adaptation = "full"
) -> MeasuredRun:
    return MeasuredRun(
        adaptation=adaptation,
        dataset=dataset,
        checkpoint=checkpoint,
        seed=seed,
        status="diverged" if accuracy is None else "completed",
        accuracy=accuracy,
        examples=400,
        epochs=6,
        batch_size=32,
        dataset_digest="d",
        checkpoint_digest="c",
        finished=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_the_price_of_one_seed_is_what_its_pick_loses_under_the_other() -> None:
    """By the first seed a is the best, which loses 10 points under the second; by that one b, which loses 20."""
    runs = [run("pets", name, seed, value) for name, values in SEEDS.items() for seed, value in enumerate(values)]
    assert noise_regret(truth_of(runs, "full")) == pytest.approx(15.0)
    assert noise_regret(truth_of([each for each in runs if each.seed == 0], "full")) is None


def test_truth_is_of_the_seeds_that_all_checkpoints_share_and_never_of_diverged_runs() -> None:
    runs = [run("pets", name, seed, 0.5 + 0.1 * seed) for name in "abc" for seed in range(2)]
    runs += [run("pets", "a", 2, 0.9), run("pets", "d", 0, None), run("pets", "e", 0, 0.1, "probe")]
    runs = [run_ if run_.checkpoint != "c" else run_.model_copy(update={"accuracy": 0.4}) for run_ in runs]
    runs += [run("cars", "a", 0, 0.5), run("cars", "b", 0, 0.4)]
    runs += [run("flat", name, 0, 0.5) for name in "abc"]
    found = truth_of(runs, "full")
    assert list(found.accuracies) == ["pets"]  # two checkpoints, or three equal ones, make no order
    names, values = found.accuracies["pets"]
    assert names == ("a", "b", "c")
    np.testing.assert_allclose(values, [[0.5, 0.6], [0.5, 0.6], [0.4, 0.4]])
    assert found.mean("pets") == pytest.approx({"a": 0.55, "b": 0.55, "c": 0.4})


def test_quality_is_the_mean_over_datasets() -> None:
    truth = Truth(
        {
            "pets": (("a", "b", "c", "d"), np.array([[0.9], [0.8], [0.7], [0.6]])),
            "cars": (("a", "b", "c", "d"), np.array([[0.50], [0.45], [0.40], [0.30]])),
        }
    )
    values = {"pets": {"a": 4, "b": 3, "c": 2, "d": 1}, "cars": {"a": 1, "b": 2, "c": 3, "d": 4}, "other": {"a": 1}}
    found = quality("s", values, truth)
    assert found.datasets == 2
    assert found.weighted_tau.mean == found.kendall.mean == pytest.approx(0.0)  # 1 and -1
    assert found.regret.mean == pytest.approx((0 + 20) / 2)
    assert found.regret_of_three.mean == pytest.approx((0 + 5) / 2)
    assert found.of_ceiling is None
    assert found.by_dataset == pytest.approx({"pets": 1.0, "cars": -1.0})
    # Of 1 and -1: their deviation is the square root of 2, the mean of two has 1.
    assert found.weighted_tau.error == pytest.approx(1.0, abs=0.06)


def test_a_checkpoint_without_a_value_stands_last() -> None:
    truth = Truth({"pets": (("a", "b", "c"), np.array([[0.9], [0.8], [0.7]]))})
    assert quality("s", {"pets": {"a": -5.0, "b": -6.0}}, truth).weighted_tau.mean == pytest.approx(1.0)
    assert quality("s", {"pets": {"b": -6.0, "c": -7.0}}, truth).regret.mean == pytest.approx(10.0)


def test_the_ceiling_is_the_agreement_of_seeds_and_errors_carry_their_noise() -> None:
    accuracies = np.random.default_rng(0).normal(0.7, 0.05, size=(8, 1)) + np.random.default_rng(1).normal(
        0, 0.05, size=(8, 3)
    )
    truth = Truth({"pets": (tuple("abcdefgh"), accuracies)})
    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = np.mean([weightedtau(accuracies[:, a], accuracies[:, b]).statistic for a, b in pairs])
    assert noise_ceiling(truth) == pytest.approx(expected)
    found = quality("s", {"pets": dict(zip("abcdefgh", accuracies[:, 0], strict=True))}, truth)
    assert found.of_ceiling == pytest.approx(found.weighted_tau.mean / expected)
    assert found.weighted_tau.error is None  # nothing is known of other datasets


def test_a_set_that_one_seed_solves_with_every_checkpoint_has_a_ceiling_of_no_agreement() -> None:
    solved = Truth({"easy": (tuple("abc"), np.array([[1.0, 1.0], [0.99, 1.0], [0.98, 1.0]]))})
    assert noise_ceiling(solved) == 0.0
    assert quality("s", {"easy": {"a": 3.0, "b": 2.0, "c": 1.0}}, solved).of_ceiling is None


def test_chance_is_the_share_of_orders_that_do_as_well() -> None:
    """Of the 24 orders of four checkpoints one is right, on however many datasets with the same truth."""
    truth = Truth({"pets": (tuple("abcd"), np.array([[0.9], [0.8], [0.7], [0.6]]))})
    right = {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}
    assert chance({"pets": right}, truth) == pytest.approx(1 / 24, abs=0.02)
    assert chance({"pets": {name: -value for name, value in right.items()}}, truth) == 1.0
    both = Truth(truth.accuracies | {"cars": truth.accuracies["pets"]})
    assert chance({"pets": right, "cars": right}, both) == pytest.approx(1 / 24, abs=0.02)
    # Two datasets of opposite truths: an order is right on both only where it follows the data, and then by chance
    # only with 1 of 24 permutations.
    opposite = Truth(truth.accuracies | {"cars": (tuple("dcba"), truth.accuracies["pets"][1])})
    follows = {"pets": right, "cars": {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}}
    assert chance(follows, opposite) == pytest.approx(1 / 24, abs=0.02)
