"""Intervals against the jackknife that defines them, and what a comparison of two checkpoints may claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontrunner import FeatureStatistics, scores
from frontrunner.scores import ScoreValue, jackknife_over_shards, probability_first_beats_second, tied
from frontrunner.scores.intervals import interval, leave_group_out, leave_group_out_of_mean, standard_error
from frontrunner.scores.leave_one_out import leave_one_out, log_predictive_density
from frontrunner.scores.logme import moments_of
from frontrunner.scores.sampling import GROUPS, deal_into_groups, stratified_sample
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.spectrum import decompose
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
    cuts = np.array_split(np.random.default_rng(0).permutation(640), 16)
    shards = [FeatureStatistics().update(data["features"][c], data["labels"][c]) for c in cuts]
    whole = sum(shards, FeatureStatistics())
    exact = jackknife_over_shards(lambda s: scores.logme_from_statistics(s).score, whole, shards)

    shard = scores.shard_of(data["features"], data["labels"])
    rows = ScoringInput(shard.statistics(), [shard]).rows(640)
    spectrum = decompose(moments_of(whole))
    evidence = scores.maximise_evidence(spectrum)
    left = leave_one_out(spectrum, rows, evidence.alpha / evidence.beta)
    density = log_predictive_density(*left, evidence.beta).mean(axis=1)
    groups = np.empty(640, dtype=np.int64)
    for group, cut in enumerate(cuts):
        groups[cut] = group
    linear = leave_group_out(evidence.score, (density - evidence.score) / 640, groups)
    assert standard_error(linear) == pytest.approx(standard_error(exact), rel=0.03)
    np.testing.assert_allclose(linear, exact, atol=0.25 * exact.std())


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


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_leaving_rows_out_of_a_mean_is_exact(terms: list[float]) -> None:
    x = np.array(terms)
    expected = [np.delete(x, i).mean() for i in range(x.size)]
    found = leave_group_out_of_mean(x, np.arange(x.size))
    np.testing.assert_allclose(found, expected, atol=1e-9 * (1 + np.abs(x).max()))


def test_the_jackknife_error_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=50)
    found = standard_error(leave_group_out_of_mean(x, np.arange(50)))
    assert found == pytest.approx(x.std(ddof=1) / np.sqrt(50), rel=1e-12)


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
    assert tied(once, again)


def test_ties_are_called_where_intervals_overlap() -> None:
    assert tied(ScoreValue(value=0.5, low=0.4, high=0.6), ScoreValue(value=0.65, low=0.55, high=0.75))
    assert not tied(ScoreValue(value=0.5, low=0.4, high=0.6), ScoreValue(value=0.75, low=0.65, high=0.85))
    assert tied(ScoreValue(value=0.5), ScoreValue(value=0.5))
    assert not tied(ScoreValue(value=0.5), ScoreValue(value=0.6))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200))
def test_every_group_holds_its_share_of_every_class(labels: list[int]) -> None:
    codes = np.array(labels)
    groups = deal_into_groups(codes, codes.size, groups=8)
    for label in np.unique(codes):
        counts = np.bincount(groups[codes == label], minlength=groups.max() + 1)
        assert counts.max() - counts.min() <= 1


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
