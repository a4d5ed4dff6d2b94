"""The algebra of `FeatureStatistics`: sums, whatever the order, and nothing changes when an argument is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontrunner import FeatureStatistics, shifted_sums
from frontrunner.errors import FeaturesNotFinite, IncompatibleStatistics, InvalidFeatures

ARRAYS = ("gram", "feature_sum", "mean", "cross", "target_sum", "target_square_sum")
SOURCE_ARRAYS = ("source_joint", "source_counts")
ABOUT_A_SHIFT = ("shifted_sum", "shifted_cross", "norm_cross", "norm_weighted_sum", "norm_fourth_sum")


def examples(seed: int, n: int, dimension: int = 5, classes: int = 4) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        "features": generator.normal(1.0, 2.0, size=(n, dimension)),
        "labels": generator.integers(0, classes, n),
        "source_probabilities": generator.dirichlet(np.ones(6), size=n),
    }


def part(of: dict[str, Any], rows: Any) -> FeatureStatistics:
    return FeatureStatistics().update(**{name: values[rows] for name, values in of.items()})


def assert_same(a: FeatureStatistics, b: FeatureStatistics, tolerance: float = 1e-9) -> None:
    assert (a.n, a.classes) == (b.n, b.classes)
    if a.n:
        a, b = a.about(np.zeros(a.dimension)), b.about(np.zeros(b.dimension))
    for name in (*ARRAYS, *SOURCE_ARRAYS, *ABOUT_A_SHIFT):
        left, right = getattr(a, name), getattr(b, name)
        if left is None or right is None:
            assert left is None
            assert right is None
        else:
            scale = max(float(np.abs(right).max(initial=0.0)), 1.0)
            np.testing.assert_allclose(left, right, rtol=0, atol=tolerance * scale, err_msg=name)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(3, 60), st.randoms(use_true_random=False))
def test_shards_merge_in_any_order_and_any_grouping(seed: int, n: int, random: Any) -> None:
    data = examples(seed, n)
    cuts = np.array_split(np.arange(n), 3)
    shuffled = list(cuts)
    random.shuffle(shuffled)
    whole = part(data, slice(None))
    a, b, c = (part(data, rows) for rows in shuffled)
    assert_same((a + b) + c, whole)
    assert_same(a + (b + c), whole)
    assert_same(c + b + a, whole)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(2, 60), st.data())
def test_subtracting_a_shard_leaves_the_statistics_of_the_others(seed: int, n: int, draw: Any) -> None:
    cut = draw.draw(st.integers(1, n - 1))
    data = examples(seed, n)
    left, right = part(data, slice(0, cut)), part(data, slice(cut, None))
    rest = (left + right) - right
    # A class that only the removed shard held keeps its column, at zero: counts tell.
    assert set(left.classes or ()) <= set(rest.classes or ())
    assert_same(rest + right, left + right)
    np.testing.assert_allclose(rest.gram, left.gram, rtol=1e-9, atol=1e-9 * float(np.abs((left + right).gram).max()))
    assert rest.target_sum.sum() == left.n


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 97), st.integers(1, 40))
def test_the_size_of_chunks_does_not_matter(n: int, chunk: int) -> None:
    data = examples(n, n)
    streamed = FeatureStatistics()
    for start in range(0, n, chunk):
        streamed.update(**{name: values[start : start + chunk] for name, values in data.items()})
    assert_same(streamed, part(data, slice(None)))


def test_the_number_of_rows_converted_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples(0, 83)
    whole = part(data, slice(None))
    monkeypatch.setattr(shifted_sums, "ROWS_PER_BLOCK", 7)
    assert_same(part(data, slice(None)), whole)


@pytest.mark.parametrize("labels", [np.array([3, 1, 3, 1]), np.array(["dog", "cat", "dog", "ant"]), None])
def test_what_is_saved_is_loaded_unchanged(tmp_path: Path, labels: Any) -> None:
    features = np.random.default_rng(0).normal(size=(4, 3))
    kept = FeatureStatistics().update(features, labels, None if labels is not None else features[:, :2])
    kept.save(tmp_path / "statistics.npz")
    loaded = FeatureStatistics.load(tmp_path / "statistics.npz")
    assert_same(loaded, kept, tolerance=0.0)
    assert [p.name for p in tmp_path.iterdir()] == ["statistics.npz"]
    assert_same(loaded.update(features, labels, None if labels is not None else features[:, :2]), kept + kept)


def test_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(IncompatibleStatistics):
        FeatureStatistics.load(tmp_path / "other.npz")


def test_sums_are_those_of_the_definition() -> None:
    data = examples(3, 50)
    kept, f, y = part(data, slice(None)), data["features"], np.eye(4)[data["labels"]]
    np.testing.assert_allclose(kept.gram, f.T @ f, rtol=1e-12)
    np.testing.assert_allclose(kept.cross, f.T @ y, rtol=1e-12)
    np.testing.assert_allclose(kept.mean, f.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(kept.source_joint, data["source_probabilities"].T @ y, rtol=1e-12)


@pytest.mark.parametrize("shift", [np.zeros(5), np.full(5, 3.0), np.array([1.0, -2.0, 0.5, 40.0, 7.0])])
def test_sums_about_any_shift_are_those_of_the_definition(shift: np.ndarray) -> None:
    data = examples(3, 50)
    kept, y = part(data, slice(None)).about(shift), np.eye(4)[data["labels"]]
    x = data["features"] - shift
    norms = (x**2).sum(axis=1)
    np.testing.assert_allclose(np.tril(kept.shifted_gram_lower), np.tril(x.T @ x), rtol=1e-11)
    np.testing.assert_allclose(kept.shifted_sum, x.sum(axis=0), rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(kept.shifted_cross, x.T @ y, rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(kept.norm_cross, y.T @ norms, rtol=1e-11)
    np.testing.assert_allclose(kept.norm_weighted_sum, x.T @ norms, rtol=1e-11, atol=1e-9)
    np.testing.assert_allclose(kept.norm_fourth_sum, [(norms**2).sum()], rtol=1e-11)


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8])
def test_sums_about_the_mean_keep_their_digits_whatever_the_offset_and_the_shards(offset: float) -> None:
    # Multiples of 1/8: the offset changes none of them.
    data = {**examples(5, 60), "features": np.round(examples(5, 60)["features"] * 8) / 8}
    moved = {**data, "features": data["features"] + offset}
    shards = [part(moved, slice(start, start + 20)) for start in (0, 20, 40)]
    found = shards[2] + shards[0] + shards[1] + shards[0] - shards[0]
    x, y = data["features"] - data["features"].mean(axis=0), np.eye(4)[data["labels"]]
    norms = (x**2).sum(axis=1)
    np.testing.assert_allclose(np.tril(found.scatter_lower()), np.tril(x.T @ x), rtol=1e-7)
    np.testing.assert_allclose(found.centred_cross, x.T @ y, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(found.centred_norm_cross, y.T @ norms, rtol=1e-7)
    np.testing.assert_allclose(found.about(found.mean).norm_fourth_sum, [(norms**2).sum()], rtol=1e-7)


def test_a_class_gets_its_column_when_it_first_occurs() -> None:
    kept = FeatureStatistics().update(np.ones((2, 3)), ["pear", "plum"])
    kept.update(2 * np.ones((1, 3)), ["apple"])
    assert kept.classes == ("apple", "pear", "plum")
    assert kept.cross.tolist() == [[2.0, 1.0, 1.0]] * 3


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"features": np.full((2, 3), np.nan), "labels": [0, 1]}, FeaturesNotFinite),
        ({"features": np.full((2, 3), np.inf), "labels": [0, 1]}, FeaturesNotFinite),
        ({"features": np.full((2, 3), 1e200), "labels": [0, 1]}, FeaturesNotFinite),
        ({"features": np.ones((2, 3)), "labels": [0, 1, 1]}, InvalidFeatures),
        ({"features": np.ones((2, 3)), "labels": [0.5, 1.0]}, InvalidFeatures),
        ({"features": np.ones((2, 3)), "labels": ["a", "b"]}, IncompatibleStatistics),
        ({"features": np.ones((2, 3)), "targets": [0.5, 1.0]}, IncompatibleStatistics),
        ({"features": np.ones((2, 4)), "labels": [0, 1]}, IncompatibleStatistics),
        ({"features": np.ones(3), "labels": [0]}, InvalidFeatures),
        ({"features": np.array([["a"]]), "labels": [0]}, InvalidFeatures),
        ({"features": np.ones((2, 3)), "targets": np.array(["x", "y"])}, InvalidFeatures),
        ({"features": np.ones((2, 3)), "labels": [0, 1], "targets": [0.0, 1.0]}, InvalidFeatures),
        ({"features": np.ones((1, 3)), "labels": [0], "source_probabilities": [[-1.0, 2.0]]}, InvalidFeatures),
        ({"features": np.ones((1, 3)), "labels": [0], "source_probabilities": [[np.nan, 1.0]]}, FeaturesNotFinite),
    ],
)
def test_nothing_changes_when_an_argument_is_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    kept = FeatureStatistics().update(np.arange(12.0).reshape(4, 3), [0, 1, 1, 0])
    before = kept.copy()
    with pytest.raises(error):
        kept.update(**arguments)
    assert_same(kept, before, tolerance=0.0)


def test_half_precision_is_summed_in_double() -> None:
    features = np.random.default_rng(0).normal(100, 50, size=(200, 4)).astype(np.float16)
    kept = FeatureStatistics().update(features, np.arange(200) % 2)
    np.testing.assert_allclose(kept.gram, features.astype(float).T @ features.astype(float), rtol=1e-12)


def test_examples_that_were_never_added_cannot_be_taken_out() -> None:
    small, large = part(examples(0, 3), slice(None)), part(examples(0, 9), slice(None))
    with pytest.raises(IncompatibleStatistics):
        small - large


def test_memory_does_not_grow_with_the_number_of_examples() -> None:
    def peak(updates: int) -> int:
        features, labels = np.ones((64, 200), dtype=np.float32), np.arange(64) % 5
        kept = FeatureStatistics().update(features, labels)
        tracemalloc.start()
        for _ in range(updates):
            kept.update(features, labels)
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    assert peak(40) < 1.1 * peak(2)
