"""Intervals against the jackknife that defines them, and what a comparison of two checkpoints may claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontrunner import FeatureStatistics, scores
from frontrunner.scores import ScoreValue, jackknife_over_shards, probability_first_beats_second, tied_with_best
from frontrunner.scores.influence import Influence, replicates
from frontrunner.scores.intervals import degrees_of_freedom, interval, standard_error
from frontrunner.scores.sampling import GROUPS, random_groups, stratified_folds, stratified_sample
from frontrunner.scores.scoring_input import ScoringInput
from tests.scores.inputs import separable

SHAPES = [(640, 24, 4), (192, 16, 3), (320, 100, 10)]
# How far the linearised standard error may be from the exact one; the last shape has only 3.2 rows a feature.
TOLERANCE = {"logme": 0.08, "leep": 0.03, "nce": 0.15, "h_score": 0.05, "regularized_h_score": 0.05}
TOLERANCE |= {"transrate": 0.05, "parc": 0.25, "gbc": 0.05, "energy": 1e-6}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(TOLERANCE))
def test_replicates_are_those_of_leaving_each_group_out_and_scoring_the_rest(
    name: str, shape: tuple[int, int, int]
) -> None:
    data = separable(*shape)
    shard = scores.shard_of(**data)
    groups = ScoringInput(shard.statistics(), [shard]).groups
    found = np.array(scores.evaluate([name], shard.statistics(), [shard])[name].replicates)
    exact = []
    for group in range(GROUPS):
        rest = {key: values[groups != group] for key, values in data.items()}
        exact.append(scores.score(name, **rest))
    assert standard_error(found) == pytest.approx(standard_error(np.array(exact)), rel=TOLERANCE[name])
    assert np.corrcoef(found, exact)[0, 1] > 0.9


def test_the_influence_on_logme_agrees_with_the_exact_jackknife_over_shards() -> None:
    data = separable(640, 24, 4)
    groups = random_groups(640)
    shards = [
        FeatureStatistics().update(data["features"][groups == g], data["labels"][groups == g]) for g in range(GROUPS)
    ]
    whole = sum(shards, FeatureStatistics())
    exact = jackknife_over_shards(lambda s: scores.logme_from_statistics(s).score, whole, shards)
    shard = scores.shard_of(data["features"], data["labels"])
    found = np.array(scores.evaluate(["logme"], whole, [shard])["logme"].replicates)
    assert standard_error(found) == pytest.approx(standard_error(exact), rel=0.03)
    np.testing.assert_allclose(found - found.mean(), exact - exact.mean(), atol=0.25 * exact.std())


@pytest.mark.parametrize("name", ["transrate", "gbc", "logme", "energy"])
def test_leaving_a_row_out_is_exact_also_with_fewer_rows_than_features(name: str) -> None:
    data = separable(48, 90, 3)
    shard = scores.shard_of(**data)
    found = scores.describe(name).estimate(ScoringInput(shard.statistics(), [shard])).influence
    assert found is not None
    without = [
        scores.score(name, **{key: np.delete(values, row, axis=0) for key, values in data.items()}) for row in range(48)
    ]
    assert np.corrcoef(found().changes, -np.array(without))[0, 1] > 0.95
    assert found().changes.std() == pytest.approx(np.std(without), rel=0.15)


def test_the_influence_on_sfda_is_the_derivative_by_the_rows_weights() -> None:
    data = separable(40, 5, 3)
    features, labels = data["features"], data["labels"]
    shard = scores.shard_of(features, labels)
    estimate = scores.describe("sfda").estimate(ScoringInput(shard.statistics(), [shard]))
    assert estimate.influence is not None
    changes = estimate.influence().changes
    for row in (0, 7, 20):
        # Fifty copies of every row, and one more or one less of this one: a step of a fiftieth in its weight.
        up, down = (
            scores.score("sfda", np.repeat(features, copies, axis=0), np.repeat(labels, copies))
            for copies in (np.full(40, 50) + step * (np.arange(40) == row) for step in (1, -1))
        )
        assert changes[row] - changes.mean() == pytest.approx((up - down) * 25, rel=1e-2)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    # Energy is a mean: over draws of the dataset its 95% interval must hold the expectation 95% of the time.
    generator, held = np.random.default_rng(0), 0
    truth = np.log(np.exp(generator.normal(size=(200_000, 4))).sum(axis=1)).mean()
    for _ in range(300):
        shard = scores.shard_of(generator.normal(size=(96, 4)), np.arange(96) % 2)
        value = scores.evaluate(["energy"], shard.statistics(), [shard])["energy"]
        assert value.low is not None
        assert value.high is not None
        held += value.low <= truth <= value.high
    assert 0.90 <= held / 300 <= 0.99


def test_a_sample_for_the_interval_gives_the_width_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    data = separable(4000, 6, 2)
    shard = scores.shard_of(data["features"], data["labels"])
    sampled = scores.evaluate(["logme", "h_score", "gbc"], shard.statistics(), [shard])
    for module in ("logme", "h_score", "gbc"):
        monkeypatch.setattr(f"frontrunner.scores.{module}.INTERVAL_ROWS", 4000)
    every = scores.evaluate(["logme", "h_score", "gbc"], shard.statistics(), [shard])
    for name, value in every.items():
        found = standard_error(np.array(sampled[name].replicates))
        assert found == pytest.approx(standard_error(np.array(value.replicates)), rel=0.5), name


def test_without_rows_scores_of_sums_come_without_interval() -> None:
    data = separable(60, 5, 3)
    whole = scores.statistics_of(data["features"], data["labels"])
    found = scores.evaluate(["logme", "h_score", "regularized_h_score", "gbc"], whole, [])
    assert all(v.low is None and v.high is None and v.replicates == () for v in found.values())


def replicates_of_mean(x: np.ndarray, labels: np.ndarray, draw: scores.Draw = "examples") -> np.ndarray:
    shard = scores.shard_of(x[:, None], labels)
    return replicates(float(x.mean()), Influence.on_mean(x), ScoringInput(shard.statistics(), [shard], draw))


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_leaving_rows_out_of_a_mean_is_exact(terms: list[float]) -> None:
    x = np.array(terms)
    found = replicates_of_mean(x, np.arange(x.size) % 2)
    groups = random_groups(x.size)
    expected = [x[groups != group].mean() for group in range(x.size)]
    np.testing.assert_allclose(found, expected, atol=1e-9 * (1 + np.abs(x).max()))


def test_the_jackknife_error_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=32)
    found = standard_error(replicates_of_mean(x, np.arange(32) % 2))
    assert found == pytest.approx(x.std(ddof=1) / np.sqrt(32), rel=1e-12)


def test_with_class_counts_held_the_error_of_a_mean_is_that_of_a_stratified_one() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [16, 10, 6])
    x = generator.normal(size=32) + 10 * labels
    # Var = sum n_c s_c^2 / n^2: what differs between classes does not count.
    expected = sum((labels == c).sum() * x[labels == c].var(ddof=1) for c in range(3)) / 32**2
    deviations = replicates_of_mean(x, labels, "within_classes") - x.mean()
    assert (31 / 32) ** 2 * (deviations**2).sum() == pytest.approx(expected, rel=1e-12)


def test_other_random_starts_widen_the_interval_by_the_variance_between_them() -> None:
    x = np.zeros(64)
    shard = scores.shard_of(x[:, None], np.arange(64) % 2)
    starts = (0.1, 0.5, 0.3)
    found = replicates(0.3, Influence(x, starts=starts), ScoringInput(shard.statistics(), [shard]))
    assert standard_error(found) == pytest.approx(np.std([0.3, *starts], ddof=1), rel=1e-12)


def test_one_group_that_decides_leaves_two_degrees_of_freedom() -> None:
    alone = np.zeros(32)
    alone[7] = 1.0
    # The kurtosis of one of 32 is (31^3 + 1) / (32 * 31) - by hand 30.03 - and 64 / 29.03 is 2.2.
    assert degrees_of_freedom(alone) == pytest.approx(64 / ((31**3 + 1) / (32 * 31) - 1))
    assert degrees_of_freedom(np.random.default_rng(0).uniform(size=32)) == 31


def test_intervals_stop_at_the_scores_own_limits() -> None:
    assert interval(0.99, np.array([0.9, 1.0, 0.98]), 0.0, 1.0) == (pytest.approx(0.733, abs=0.01), 1.0)
    assert interval(0.5, np.array([0.5])) is None


def test_the_probability_of_beating_is_paired_and_antisymmetric() -> None:
    noise = np.random.default_rng(0).normal(size=32)
    first = ScoreValue(value=1.02, replicates=tuple(1.02 + 0.05 * noise))
    second = ScoreValue(
        value=1.00, replicates=tuple(1.00 + 0.05 * noise + 0.001 * np.random.default_rng(1).normal(size=32))
    )
    ahead = probability_first_beats_second(first, second)
    behind = probability_first_beats_second(second, first)
    assert ahead is not None
    assert behind is not None
    assert ahead + behind == pytest.approx(1.0)
    # Unpaired, a lead of 0.02 would be lost in errors of 0.27 each.
    assert ahead > 0.95
    unpaired = probability_first_beats_second(first, ScoreValue(value=1.00, replicates=second.replicates[:-1]))
    assert unpaired is not None
    assert unpaired < 0.6
    assert probability_first_beats_second(first, ScoreValue(value=1.0)) is None


def test_the_same_checkpoint_twice_is_a_tie() -> None:
    data = separable(120, 6, 3)
    shard = scores.shard_of(data["features"], data["labels"])
    once, again = (scores.evaluate(["logme"], shard.statistics(), [shard])["logme"] for _ in range(2))
    assert probability_first_beats_second(once, again) == 0.5
    assert tied_with_best([once, again]) == [True, True]


def noisy(value: float, generator: np.random.Generator, common: np.ndarray, own: float) -> ScoreValue:
    """A value and 32 replicates whose jackknife errors are 1 in common and `own` by itself."""
    scale = np.sqrt(32) / 31  # (G - 1) / G times 31 variances
    return ScoreValue(value=value, replicates=tuple(value + scale * (common + own * generator.normal(size=32))))


@pytest.mark.parametrize("checkpoints", [2, 5, 12])
def test_among_checkpoints_of_equal_merit_any_is_called_worse_in_about_one_of_twenty_runs(checkpoints: int) -> None:
    generator, called = np.random.default_rng(0), 0
    for _ in range(400):
        common, shift = generator.normal(size=32), generator.normal()
        found = [noisy(shift + 0.3 * generator.normal(), generator, common, 0.3) for _ in range(checkpoints)]
        called += not all(tied_with_best(found))
    assert called / 400 <= 0.075


def test_a_clear_lead_is_called_although_the_intervals_overlap() -> None:
    generator = np.random.default_rng(0)
    common = generator.normal(size=32)
    ahead, *others = (noisy(value, generator, common, 0.05) for value in (0.5, 0.0, -0.1, 0.0))
    reach = standard_error(np.array(ahead.replicates))
    assert ahead.value - reach < others[0].value + reach
    assert tied_with_best([others[0], ahead, *others[1:]]) == [False, True, False, False]


def test_the_more_checkpoints_there_are_the_larger_a_lead_has_to_be() -> None:
    # 0.32 ahead with a paired error of about 0.14: significant alone, not after Holm's correction over 45 pairs.
    generator = np.random.default_rng(3)
    common = np.zeros(32)
    found = [noisy(value, generator, common, 0.1) for value in (0.4, *([0.0] * 9))]
    assert tied_with_best(found[:2]) == [True, False]
    assert all(tied_with_best(found))


def test_without_replicates_only_equal_values_are_tied() -> None:
    assert tied_with_best([ScoreValue(value=0.5), ScoreValue(value=0.5), ScoreValue(value=0.6)]) == [False, False, True]
    assert tied_with_best([ScoreValue(value=0.5)]) == [True]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200))
def test_every_fold_holds_its_share_of_every_class(labels: list[int]) -> None:
    codes = np.array(labels)
    folds = stratified_folds(codes, folds=8)
    for label in np.unique(codes):
        counts = np.bincount(folds[codes == label], minlength=folds.max() + 1)
        assert counts.max() - counts.min() <= 1


@given(st.integers(1, 200))
def test_groups_of_the_intervals_are_of_nearly_equal_size_and_the_same_every_time(n: int) -> None:
    sizes = np.bincount(random_groups(n))
    assert sizes.size == min(n, GROUPS)
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(random_groups(n), random_groups(n))


@given(st.lists(st.integers(0, 6), min_size=1, max_size=150), st.integers(1, 150))
def test_a_sample_is_stratified_seeded_and_of_the_stated_size(labels: list[int], size: int) -> None:
    codes = np.array(labels)
    rows = stratified_sample(codes, codes.size, size)
    assert rows.size == np.unique(rows).size == min(size, codes.size)
    assert np.array_equal(rows, stratified_sample(codes, codes.size, size))
    if size >= np.unique(codes).size:
        assert np.array_equal(np.unique(codes[rows]), np.unique(codes))
    other = stratified_sample(None, codes.size, size)
    assert other.size == min(size, codes.size)
