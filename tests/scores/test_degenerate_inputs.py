"""Inputs that break public code: every score gives a finite value or a named error, never a silent NaN."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontrunner import FeatureStatistics, scores
from frontrunner.errors import (
    FeaturesNotFinite,
    FrontrunnerError,
    IncompatibleStatistics,
    InvalidFeatures,
    NothingToSeparate,
    ScoreNotApplicable,
    UnknownScore,
)
from frontrunner.shard import Shard
from tests.scores.inputs import separable

CHEAP = [name for name in scores.names() if name not in ("n_leep", "linear_probe")]


def evaluate(data: dict[str, Any], names: list[str]) -> scores.Evaluation:
    shard = scores.shard_of(**data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        return scores.evaluate(names, shard.statistics(), [shard])


def assert_defined(data: dict[str, Any], names: list[str] | None = None) -> None:
    for name in names or scores.names():
        try:
            found = evaluate(data, [name])
        except FrontrunnerError:
            continue
        value = found[name]
        assert np.isfinite(value.value), name
        score = scores.describe(name)
        assert score.lowest - 1e-9 <= value.value <= score.highest + 1e-9, name
        assert value.low is None or np.isfinite([value.low, value.high]).all(), name
        assert np.isfinite(value.replicates).all(), name


def constant(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": np.full_like(data["features"], 3.7)}


def zero(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": np.zeros_like(data["features"])}


def duplicated(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": np.hstack([data["features"]] * 2)}


def dead(data: dict[str, Any]) -> dict[str, Any]:
    features = data["features"].copy()
    features[:, ::2] = 0.0
    return {**data, "features": features}


def half(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": data["features"].astype(np.float16)}


def repeated_rows(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": np.eye(data["features"].shape[1])[data["labels"] % data["features"].shape[1]]}


def one_feature(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": data["features"][:, :1]}


def singletons(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "labels": np.r_[np.zeros(data["labels"].size - 2, dtype=int), 1, 2]}


def every_row_its_own_class(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "labels": np.arange(data["labels"].size)}


def strings(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "labels": np.array(["ant", "bee", "cat", "dog"])[data["labels"]]}


def gaps_between_labels(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "labels": data["labels"] * 1000 - 7}


def large_offset(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": data["features"] + 1e4}


def tiny_scale(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": data["features"] * 1e-12}


def large_scale(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "features": data["features"] * 1e6}


def two_rows(data: dict[str, Any]) -> dict[str, Any]:
    return {key: values[:2] for key, values in data.items()}


DAMAGES = [
    constant, zero, duplicated, dead, half, repeated_rows, one_feature, singletons, every_row_its_own_class, strings,
    gaps_between_labels, large_offset, tiny_scale, large_scale, two_rows,
]  # fmt: skip


@pytest.mark.parametrize("shape", [(48, 5, 4), (20, 33, 3)])
@pytest.mark.parametrize("damage", DAMAGES)
def test_every_score_is_defined_or_refuses_by_name(damage: Any, shape: tuple[int, int, int]) -> None:
    assert_defined(damage(separable(*shape)))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 40),
    dimension=st.integers(1, 24),
    classes=st.integers(1, 6),
    damages=st.lists(st.sampled_from([constant, duplicated, dead, half, one_feature, large_scale]), max_size=2),
    skewed=st.booleans(),
)
def test_no_small_input_gives_a_silent_nan(
    seed: int, n: int, dimension: int, classes: int, damages: list[Any], skewed: bool
) -> None:
    data = separable(n, dimension, classes, seed=seed)
    if skewed:
        data["labels"] = np.minimum(data["labels"], np.random.default_rng(seed).geometric(0.5, n) - 1)
    for damage in damages:
        data = damage(data)
    assert_defined(data, CHEAP)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), dimension=st.integers(1, 30), outputs=st.integers(1, 3))
def test_regression_gives_no_silent_nan_either(seed: int, n: int, dimension: int, outputs: int) -> None:
    generator = np.random.default_rng(seed)
    data = {"features": generator.normal(size=(n, dimension)), "labels": generator.normal(size=(n, outputs))}
    assert_defined(data, CHEAP)


@pytest.mark.parametrize("name", scores.names())
def test_one_class_is_nothing_to_separate(name: str) -> None:
    data = separable(20, 3, 2)
    data["labels"] = np.full(20, 4)
    with pytest.raises(NothingToSeparate):
        scores.score(name, **data)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", scores.names())
def test_a_single_bad_value_is_named(name: str, bad: float) -> None:
    data = separable(20, 3, 2)
    data["features"][7, 1] = bad
    with pytest.raises(FeaturesNotFinite):
        scores.score(name, **data)


@pytest.mark.parametrize("name", scores.names())
def test_strings_and_gaps_between_labels_do_not_change_a_score(name: str) -> None:
    data = separable(60, 5, 4)
    expected = scores.score(name, **data)
    assert scores.score(name, **strings(data)) == pytest.approx(expected, rel=1e-12)
    assert scores.score(name, **gaps_between_labels(data)) == pytest.approx(expected, rel=1e-12)
    objects = {**data, "labels": np.array(strings(data)["labels"].tolist(), dtype=object)}
    assert scores.score(name, **objects) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", scores.names())
def test_a_class_that_was_subtracted_to_nothing_is_no_column(name: str) -> None:
    data = separable(60, 5, 4)
    kept, gone = (
        scores.shard_of(**{k: v[r] for k, v in data.items()}) for r in (data["labels"] < 3, data["labels"] == 3)
    )
    rest = (kept.statistics() + gone.statistics()) - gone.statistics()
    assert rest.classes == (0, 1, 2, 3)
    found = scores.evaluate([name], rest, [kept])[name].value
    assert found == pytest.approx(scores.evaluate([name], kept.statistics(), [kept])[name].value, rel=1e-6)


def test_constant_features_tell_nothing() -> None:
    data = constant(separable(40, 5, 4))
    found = evaluate(data, [n for n in scores.names() if n != "energy"])
    assert [found[n].value for n in ("h_score", "regularized_h_score", "transrate", "parc")] == [0.0] * 4
    assert found["gbc"].value == -6.0  # six pairs of classes, each wholly overlapping
    assert found["sfda"].value == pytest.approx(0.25)
    assert found["n_leep"].value == pytest.approx(-np.log(4))


def test_half_precision_is_scored_as_the_same_numbers_in_double() -> None:
    data = half(separable(60, 5, 4))
    wide = {**data, "features": data["features"].astype(np.float64)}
    for name in scores.names():
        assert scores.score(name, **data) == pytest.approx(scores.score(name, **wide), rel=1e-9), name


def test_the_only_example_of_a_class_is_a_miss_for_predictors() -> None:
    data = separable(40, 5, 2, gap=5.0)
    data["labels"][0] = 9
    for name in ("lda", "knn", "linear_probe", "ridge_probe"):
        assert scores.score(name, **data) <= 39 / 40, name


@pytest.mark.parametrize(
    ("name", "targets"), [("logme", np.zeros(20)), ("knn", np.ones(20)), ("ridge_probe", np.ones(20))]
)
def test_targets_that_do_not_vary_are_refused(name: str, targets: np.ndarray) -> None:
    with pytest.raises(InvalidFeatures):
        scores.score(name, np.random.default_rng(0).normal(size=(20, 3)), targets)


def test_a_score_that_is_not_applicable_does_not_cost_the_others() -> None:
    data = separable(40, 5, 2)
    shard = Shard(data["features"], labels=data["labels"])
    found = scores.evaluate(["logme", "leep", "knn"], shard.statistics(), [shard])
    assert list(found) == ["logme", "knn"]
    assert found.not_applicable["leep"].code == "score_not_applicable"
    with pytest.raises(ScoreNotApplicable):
        scores.evaluate(["leep", "nce"], shard.statistics(), [shard])


@pytest.mark.parametrize("name", scores.names())
def test_real_targets_are_scored_or_refused_as_the_score_says(name: str) -> None:
    generator = np.random.default_rng(0)
    features, targets = generator.normal(size=(40, 3)), generator.normal(size=(40, 2))
    if "regression" in scores.describe(name).tasks:
        assert np.isfinite(scores.score(name, features, targets))
    else:
        with pytest.raises(ScoreNotApplicable):
            scores.score(name, features, targets)


def test_multi_label_targets_are_columns_like_any_other() -> None:
    data = separable(60, 5, 3)
    outputs = np.eye(3)[data["labels"]]
    assert scores.score("logme", data["features"], outputs) == pytest.approx(
        scores.score("logme", data["features"], data["labels"]), rel=1e-12
    )


def test_shards_that_are_not_those_of_the_statistics_are_refused() -> None:
    data = separable(40, 5, 2)
    whole = scores.statistics_of(data["features"], data["labels"])
    with pytest.raises(IncompatibleStatistics):
        scores.evaluate(["knn"], whole, [Shard(data["features"][:30], labels=data["labels"][:30])])
    with pytest.raises(IncompatibleStatistics):
        scores.evaluate(["knn"], whole, [Shard(data["features"], labels=data["labels"] + 5)])


def test_no_examples_and_unknown_names_are_named_errors() -> None:
    with pytest.raises(NothingToSeparate):
        scores.evaluate(["logme"], FeatureStatistics(), [])
    with pytest.raises(UnknownScore):
        scores.score("accuracy_of_the_winner", np.ones((2, 2)), [0, 1])
