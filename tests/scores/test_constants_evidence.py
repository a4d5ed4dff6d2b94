"""Constants and terms of LogME's evidence, its decompositions and the ridge probe, against plain linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebpts1
from scipy.optimize import brentq
from scipy.stats import multivariate_normal, norm

from frontrunner import scores
from frontrunner.errors import InvalidFeatures
from frontrunner.scores import fixed_point_evidence, logme, maximise_evidence, ridge_probe
from frontrunner.scores.leave_one_out import _interpolation, leave_one_out, log_predictive_density
from frontrunner.scores.logme import Evidence, _floor, _newton, _without_each_row, evidence_of, moments_of
from frontrunner.scores.moments import Moments, Reflector, mean_first
from frontrunner.scores.ridge_probe import _decomposition, penalties_of
from frontrunner.scores.scoring_input import Rows, ScoringInput
from frontrunner.scores.spectrum import Eigenbasis, Spectrum, Tridiagonal, decompose

EPS = float(np.finfo(np.float64).eps)


class Watched:
    """A spectrum that notes at which t it is asked."""

    def __init__(self, spectrum: Spectrum) -> None:
        self.spectrum, self.grids, self.points = spectrum, list[np.ndarray](), list[np.ndarray]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.spectrum, name)

    def on_grid(self, t: np.ndarray) -> Any:
        self.grids.append(np.log(t))
        return self.spectrum.on_grid(t)

    def unexplained(self, t: np.ndarray) -> Any:
        self.points.append(np.log(t))
        return self.spectrum.unexplained(t)


def regression(n: int, dimension: int, seed: int = 0, offset: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, D) away from zero, and targets (n, 3): half signal, nearly all noise, and nearly no noise."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(n, dimension)) * np.geomspace(0.3, 3.0, dimension) + offset
    signal, noise = features @ generator.normal(size=dimension), generator.normal(size=(n, 3))
    return features, signal[:, None] * [0.5, 0.02, 1.0] + noise * [1.0, 1.0, 0.05] + 0.4


def input_of(features: np.ndarray, targets: np.ndarray) -> ScoringInput:
    shard = scores.shard_of(features, targets)
    return ScoringInput(shard.statistics(), [shard])


def moments(features: np.ndarray, targets: np.ndarray) -> Moments:
    return moments_of(scores.statistics_of(features, targets))


def spectra(features: np.ndarray, targets: np.ndarray) -> list[Spectrum]:
    """Every decomposition of these rows."""
    found, mean = moments(features, targets), features.mean(axis=0)
    forms: list[Spectrum] = [Eigenbasis.of_moments(found)]
    if features.shape[0] > features.shape[1]:
        return [*forms, Tridiagonal.of_moments(found)]
    return [*forms, Eigenbasis.of_rows(mean, features - mean, targets)]


class Column:
    """log p(y) at the best beta, by log(alpha/beta): a Gaussian of covariance (I + FF'/t) / beta, along its axes."""

    def __init__(self, features: np.ndarray, y: np.ndarray) -> None:
        axes, singular, _ = np.linalg.svd(features)
        self.squared, self.square = np.pad(singular**2, (0, y.size - singular.size)), (axes.T @ y) ** 2

    def __call__(self, u: float) -> float:
        variances, n = 1 + self.squared / np.exp(u), self.square.size
        total = (self.square / variances).sum()
        return float(-0.5 * (n * (np.log(2 * np.pi * total / n) + 1) + np.log(variances).sum()))

    def slope(self, u: float) -> float:
        return (self(u + 1e-3) - self(u - 1e-3)) / 2e-3

    def step(self, u: float, low: float, high: float) -> float:
        """Newton's, or to the middle of what is left of [low, high] where that leads out of it."""
        left, right = (u, high) if self.slope(u) > 0 else (low, u)
        newton = u - self.slope(u) * 1e-6 / (self(u + 1e-3) - 2 * self(u) + self(u - 1e-3))
        return newton if left <= newton <= right else (left + right) / 2


# Fewer, as many and more rows than features; a single feature; two; features of rank 3; far from zero.
def shapes() -> list[tuple[str, np.ndarray, np.ndarray]]:
    found = [(f"{n} x {d}", *regression(n, d)) for n, d in ((40, 7), (9, 9), (8, 20), (12, 1), (12, 2), (1, 4), (1, 1))]
    features, targets = regression(30, 3)
    wide = features @ np.random.default_rng(1).normal(size=(3, 12))
    return [
        *found,
        ("rank 3 of 12, 30 rows", wide, targets),
        ("rank 3 of 12, 10 rows", wide[:10], targets[:10]),
        ("offset", features + 300.0, targets),
        ("offset, few rows", *regression(8, 20, offset=300.0)),
        ("small", features * 1e-4, targets * 1e-3),
        ("tiny, few rows", regression(8, 20)[0] * 1e-9, regression(8, 20)[1]),
        ("centred", features - features.mean(axis=0), targets - targets.mean(axis=0)),
        ("one target", features, targets[:, :1]),
    ]


@pytest.mark.parametrize(("features", "y"), [s[1:] for s in shapes()], ids=[s[0] for s in shapes()])
def test_every_decomposition_answers_as_the_matrices_themselves(features: np.ndarray, y: np.ndarray) -> None:
    n, dimension = features.shape
    gram, cross = features.T @ features, features.T @ y
    squared = np.linalg.svd(features, compute_uv=False) ** 2
    rank = int((squared > 1e-20 * squared[0]).sum())
    t = float(squared[rank - 1]) * np.array([0.3, 2.0, 50.0])[: y.shape[1]]
    solves = [np.linalg.inv(gram + s * np.eye(dimension)) for s in t]
    new = np.r_[features, np.random.default_rng(2).normal(size=(n + 3, n)) @ features, np.zeros((1, dimension))]
    for form in spectra(features, y):
        assert form.n == n
        assert form.full_row_rank == (rank == n)
        np.testing.assert_allclose(form.target_square, (y**2).sum(axis=0), rtol=1e-12)
        found = form.squared_singular_values
        assert (found >= 0).all()
        if isinstance(form, Eigenbasis):
            assert found.size == rank
        np.testing.assert_allclose(found[:rank], squared[:rank], rtol=1e-6)
        at = form.unexplained(t)
        mean = np.stack([solve @ b for solve, b in zip(solves, cross.T, strict=True)], axis=1)
        total = np.einsum("nc,nc->c", y, y - features @ mean)
        tolerance = {"rtol": 1e-5, "atol": 1e-9 * float((y**2).sum())}
        np.testing.assert_allclose(at.total, total, **tolerance)
        np.testing.assert_allclose(at.residual, ((y - features @ mean) ** 2).sum(axis=0), **tolerance)
        slope = t * (mean**2).sum(axis=0)
        twice = np.array([m @ solve @ m for solve, m in zip(solves, mean.T, strict=True)])
        np.testing.assert_allclose(at.slope, slope, **tolerance)
        np.testing.assert_allclose(at.curvature, slope - 2 * t**2 * twice, **tolerance)
        np.testing.assert_allclose(np.diagonal(form.on_grid(t)), total, **tolerance)
        assert form.on_grid(t[:1]).shape == (1, y.shape[1])
        np.testing.assert_allclose(form.posterior_mean(t), mean, rtol=1e-5, atol=1e-7 * np.abs(mean).max())
        right = features.T @ np.random.default_rng(3).normal(size=y.shape)
        expected = np.stack([solve @ r for solve, r in zip(solves, right.T, strict=True)], axis=1)
        np.testing.assert_allclose(form.solve(right, t), expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())
        leverages = np.stack([np.einsum("md,de,me->m", new, solve, new) for solve in solves], axis=1)
        np.testing.assert_allclose(form.leverages(new, t), leverages, rtol=1e-4, atol=1e-7 * leverages.max())
        assert form.leverages(new[:0], t).shape == (0, t.size)


def test_leverages_of_many_rows_are_those_of_each() -> None:
    features, y = regression(2100, 3)
    form, t = Tridiagonal.of_moments(moments(features, y)), np.array([3.0])
    expected = np.einsum("md,de,me->m", features, np.linalg.inv(features.T @ features + 3.0 * np.eye(3)), features)
    np.testing.assert_allclose(form.leverages(features, t)[:, 0], expected, rtol=1e-9)


def test_what_of_a_row_lies_outside_the_span_counts_from_a_ten_thousand_millionth_of_its_square() -> None:
    features, y = regression(6, 3)
    features = np.hstack([features, np.zeros((6, 5))])
    form, t = Eigenbasis.of_moments(moments(features, y)), np.array([1e-3])
    row = np.zeros((3, 8))
    row[:, :3] = 1e-3
    square = float(row[0] @ row[0])
    row[:, 5] = np.sqrt(np.array([1.5e-10, 0.7e-10, 1e-6]) * square)
    inside = row[0, :3] @ np.linalg.inv(features[:, :3].T @ features[:, :3] + 1e-3 * np.eye(3)) @ row[0, :3]
    outside = np.array([1.5e-10, 0.0, 1e-6]) * square / 1e-3
    np.testing.assert_allclose(form.leverages(row, t)[:, 0] - inside, outside, atol=1e-3 * outside[0])


def test_more_rows_than_features_are_reduced_and_others_decomposed() -> None:
    for n, form in ((9, Tridiagonal), (8, Eigenbasis), (7, Eigenbasis)):
        features, y = regression(n, 8)
        assert isinstance(decompose(moments(features, y)), form)
        # With rows at hand these are read where they are not more than features.
        spectrum = evidence_of(input_of(features, y))[0]
        assert isinstance(spectrum, form)
        assert isinstance(spectrum, Tridiagonal) or spectrum.row_basis is not None
        without = evidence_of(ScoringInput(scores.statistics_of(features, y), []))
        assert isinstance(without[0], form)
        centred = _decomposition(input_of(features, y))[1]
        assert isinstance(centred, Tridiagonal) or (isinstance(centred, Eigenbasis) and centred.row_basis is not None)


def test_a_target_of_zeros_has_no_evidence_and_a_small_one_has() -> None:
    features, y = regression(9, 4)
    mean = features.mean(axis=0)
    for targets in (y * [1.0, 0.0, 1.0], 0 * y):
        with pytest.raises(InvalidFeatures):
            decompose(moments(features, targets))
        with pytest.raises(InvalidFeatures):
            Eigenbasis.of_rows(mean, features - mean, targets)
    small = Eigenbasis.of_rows(mean, features - mean, 1e-3 * y)
    np.testing.assert_allclose(small.target_square, 1e-6 * (y**2).sum(axis=0))
    assert (decompose(moments(features, 1e-3 * y)).target_square < 1).all()


def test_rounding_leaves_no_square_and_no_rest_below_zero() -> None:
    for seed in range(10):
        generator = np.random.default_rng(seed)
        features = generator.normal(size=(30, 4)) @ generator.normal(size=(4, 15))
        y = features @ generator.normal(size=(15, 6))
        found = moments(features, y)
        reduced, basis = Tridiagonal.of_moments(found), Eigenbasis.of_moments(found)
        assert (reduced.squared_singular_values >= 0).all()
        assert (basis.rest >= 0).all()
        for form in (reduced, basis):
            assert (form.unexplained(np.full(6, 1e-9)).residual >= 0).all()


def test_a_reflector_takes_its_vector_to_the_first_axis_to_all_digits() -> None:
    generator = np.random.default_rng(0)
    # Near the first axis, on either side, a reflector of the wrong sign would cancel.
    near = [sign * np.array([0.9, -3e-6, 2e-6]) for sign in (1, -1)]
    vectors = [*near, np.array([0.6, 0.8]), np.array([2.0]), np.array([-0.5]), np.array([0.0, 1.0]), np.zeros(3)]
    for vector in [*vectors, generator.normal(size=5)]:
        found = Reflector.to_first_axis(vector)
        assert abs(found.sign) == 1
        axis = np.eye(vector.size)[0]
        plain = np.eye(vector.size) - 2 * np.outer(found.vector, found.vector)
        np.testing.assert_allclose(plain @ plain, np.eye(vector.size), atol=1e-14)
        moved = found.apply(vector[:, None])[:, 0]
        np.testing.assert_allclose(moved, found.sign * np.linalg.norm(vector) * axis, atol=4e-16)
        columns = generator.normal(size=(vector.size, 4))
        np.testing.assert_allclose(found.apply(columns), plain @ columns, atol=1e-14)
        assert found.apply(columns[:, :0]).shape == (vector.size, 0)
        matrix = columns @ columns.T
        both = found.apply_to_both_sides(np.tril(matrix))
        np.testing.assert_allclose(np.tril(both), np.tril(plain @ matrix @ plain), atol=1e-13)


@pytest.mark.parametrize("shape", [(20, 5), (4, 6), (10, 1)])
def test_moments_are_rotated_by_the_reflector_of_the_mean(shape: tuple[int, int]) -> None:
    features, y = regression(*shape)
    reflector, lower, cross = mean_first(moments(features, y))
    plain = np.eye(shape[1]) - 2 * np.outer(reflector.vector, reflector.vector)
    np.testing.assert_allclose(np.tril(lower), np.tril(plain @ features.T @ features @ plain), atol=1e-11)
    np.testing.assert_allclose(cross, plain @ features.T @ y, atol=1e-11)


def many_columns(seed: int, dimension: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Features (36, D) and 24 targets with more and more signal; the last is orthogonal to every feature."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(36, dimension)) * np.geomspace(3.0, 0.02, dimension) + 0.3
    signal = features @ generator.normal(size=(dimension, 24)) * np.geomspace(0.8, 30, 24)
    y = signal + generator.normal(size=(36, 24))
    q = np.linalg.qr(features)[0]
    y[:, -1] -= q @ (q.T @ y[:, -1])
    return features, y


@pytest.mark.parametrize(("seed", "scale"), [(0, 1.0), (1, 1e-3)])
def test_the_search_begins_on_a_grid_and_goes_on_by_newtons_steps_to_the_maximum(
    seed: int, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    brackets = list[tuple[np.ndarray, np.ndarray]]()

    def newton(spectrum: Spectrum, floor: np.ndarray, start: np.ndarray, left: np.ndarray, right: np.ndarray) -> Any:
        brackets.append((start - left, right - start))
        return _newton(spectrum, floor, start, left, right)

    monkeypatch.setattr(logme, "_newton", newton)
    features, y = many_columns(seed)
    features *= scale
    squared = np.linalg.svd(features, compute_uv=False) ** 2
    watched = Watched(decompose(moments(features, y)))
    found = maximise_evidence(watched)
    low, high = np.log(squared[1]) - 30, np.log(squared[0]) + 30
    (grid,) = watched.grids
    np.testing.assert_allclose(grid, np.linspace(low, high, 1 + int(np.ceil(high - low))), rtol=1e-9)
    # From the best point to its neighbours on either side, if there are any.
    ((below, above),) = brackets
    np.testing.assert_allclose(below, grid[1] - grid[0], rtol=1e-6)
    np.testing.assert_allclose(above, np.r_[np.full(23, grid[1] - grid[0]), 0.0], rtol=1e-6)
    # Newton's method doubles the digits at every step.
    assert len(watched.points) <= 7
    for c in range(y.shape[1] - 1):
        column = Column(features, y[:, c])
        start = int(np.argmax([column(u) for u in grid]))
        assert watched.points[0][c] == pytest.approx(grid[start], abs=1e-9)
        step = column.step(grid[start], grid[start - 1], grid[start + 1])
        assert watched.points[1][c] == pytest.approx(step, abs=1e-4)
        best = brentq(column.slope, grid[start - 1], grid[start + 1], xtol=1e-10)
        t = np.exp(best)
        assert np.log(found.alpha[c] / found.beta[c]) == pytest.approx(best, abs=1e-5)
        assert found.log_evidence[c] == pytest.approx(column(best) / 36, rel=1e-10)
        shape = np.eye(36) / found.beta[c] + features @ features.T / found.alpha[c]
        density = multivariate_normal(np.zeros(36), shape).logpdf(y[:, c])
        assert found.log_evidence[c] == pytest.approx(density / 36, rel=1e-10)
        assert found.effective_parameters[c] == pytest.approx(np.sum(squared / (squared + t)), rel=1e-5)
    # Nothing explains the last column: its maximum is the end of the search.
    assert np.log(found.alpha[-1] / found.beta[-1]) == pytest.approx(high, abs=1e-9)
    assert found.score == pytest.approx(found.log_evidence.mean())


@pytest.mark.parametrize("dimension", [6, 1])
def test_a_step_out_of_the_bracket_is_one_to_its_middle(dimension: int) -> None:
    features, y = many_columns(0, dimension)
    evidence = maximise_evidence(decompose(moments(features, y)))
    y = y[:, evidence.effective_parameters > 0.1]
    spectrum = decompose(moments(features, y))
    best = np.log(maximise_evidence(spectrum).alpha / maximise_evidence(spectrum).beta)
    assert best.size > 20
    away = np.resize([-5.0, -3.0, -2.0, -1.0, -0.3, 0.3, 1.0, 2.0, 3.0, 5.0], best.size)
    watched = Watched(spectrum)
    ends = best - 5.5, best + 6.5
    found = _newton(watched, _floor(spectrum), best + away, *ends)
    np.testing.assert_allclose(found, best, atol=1e-6)
    assert len(watched.points) <= 12
    expected = [Column(features, y[:, c]).step(u, ends[0][c], ends[1][c]) for c, u in enumerate(best + away)]
    np.testing.assert_allclose(watched.points[1], expected, atol=2e-4)
    # At the maximum a step of no length stays within the bracket, of which it is an end.
    for _ in range(3):
        watched.points.clear()
        found = _newton(watched, _floor(spectrum), found, *ends)
        assert len(watched.points) == 1


def test_the_fixed_point_starts_at_the_mean_square_and_ends_at_the_maximum_of_every_column() -> None:
    few, targets = regression(6, 9)
    for features, y in (many_columns(0), (few, targets)):
        watched = Watched(decompose(moments(features, y)))
        found, searched = fixed_point_evidence(watched), maximise_evidence(watched.spectrum)
        squared = watched.squared_singular_values
        assert np.exp(watched.points[0]) == pytest.approx(float(squared.mean()), rel=1e-12)
        assert len(watched.points) < 500
        np.testing.assert_allclose(found.log_evidence, searched.log_evidence, rtol=1e-10)
        np.testing.assert_allclose(found.alpha / found.beta, searched.alpha / searched.beta, rtol=1e-5)


def test_of_several_maxima_the_search_finds_the_highest() -> None:
    features, y = (array[:5] for array in many_columns(1))
    spectrum = decompose(moments(features, y))
    searched, iterated = maximise_evidence(spectrum), fixed_point_evidence(spectrum)
    column = Column(features, y[:, 7])
    found, other = (float(np.log(e.alpha[7] / e.beta[7])) for e in (searched, iterated))
    highest = max(column(u) for u in np.arange(-20.0, 20.0, 0.01))
    assert column(found) == pytest.approx(highest, abs=1e-3)
    assert column(other) < highest - 0.1
    for u in (found, other):
        assert column(u) > max(column(u - 0.3), column(u + 0.3))


def test_the_search_ends_thirty_below_the_second_largest_square_where_the_evidence_still_grows() -> None:
    # With z_i = s_i the evidence of three axes grows on below t = s_3^2.
    axes = np.diag([1.0, 1.0, np.exp(-14.5)])
    mean = axes.mean(axis=0)
    spectrum = Eigenbasis.of_rows(mean, axes - mean, axes.sum(axis=1, keepdims=True))
    found = maximise_evidence(spectrum)
    assert np.log(found.alpha / found.beta) == pytest.approx(-30.0, abs=1e-9)
    assert np.log(fixed_point_evidence(spectrum).alpha / found.beta) == pytest.approx(-30.0, abs=1e-2)


@pytest.mark.parametrize("shape", [(12, 3), (3, 12)])
def test_features_of_zeros_leave_the_ends_of_the_search(shape: tuple[int, int]) -> None:
    y = np.random.default_rng(0).normal(size=(shape[0], 2))
    spectrum = decompose(moments(np.zeros(shape), y))
    searched, iterated = maximise_evidence(spectrum), fixed_point_evidence(spectrum)
    for found, end in ((searched, -30.0), (iterated, 30.0)):
        np.testing.assert_allclose(np.log(found.alpha / found.beta), end)
        np.testing.assert_allclose(found.beta, shape[0] / (y**2).sum(axis=0))
        density = norm(0, np.sqrt((y**2).mean(axis=0))).logpdf(y).mean(axis=0)
        np.testing.assert_allclose(found.log_evidence, density)
        assert (found.effective_parameters == 0).all()


def test_what_is_left_unexplained_is_never_below_rounding() -> None:
    features, y = regression(9, 4)
    square = (y**2).sum(axis=0)
    np.testing.assert_allclose(_floor(decompose(moments(features, y))), EPS * square, rtol=1e-12)
    np.testing.assert_allclose(
        _floor(decompose(moments(features[:3], y[:3]))),
        float(np.finfo(np.float64).tiny) * (y[:3] ** 2).sum(axis=0),
        rtol=1e-12,
    )
    # Without the row nothing is left of Q: the machine's epsilon of it stands for zero.
    evidence = Evidence(np.array([0.3]), np.ones(1), np.array([5 / 7.0]), np.ones(1))
    found = _without_each_row(5, evidence, np.array([[np.sqrt(3.5)]]), np.array([[0.5]]))
    determinant = -2 * 5 * 0.3 - 5 * (np.log(2 * np.pi * 7.0 / 5) + 1)
    expected = -0.5 * (np.log(2 * np.pi * EPS * 7.0 / 4) + 1 + (determinant + np.log(0.5)) / 4)
    assert found[0, 0] == pytest.approx(expected, rel=1e-12)


def inputs_to_leave_out() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Real targets, one of them a single 1 among zeros, and classes, one of them of a single example."""
    features, y = regression(14, 4)
    y[:, 1] = np.r_[1.0, np.zeros(13)]
    y[:, 2] = np.r_[1.0, -0.5, 0.5, np.zeros(11)]
    labels = np.r_[np.zeros(7), np.ones(6), 2].astype(int)
    wide = features[:, :3] @ np.random.default_rng(1).normal(size=(3, 30))
    return [
        ("real", features, y),
        ("classes", features, labels),
        ("a class of one of two", features, (np.arange(14) == 5).astype(int)),
        ("fewer rows", regression(8, 20)[0], regression(8, 20)[1]),
        ("fewer rows of classes", regression(14, 20)[0], labels),
        ("as many rows", regression(9, 9)[0], regression(9, 9)[1]),
        ("rank 3 of 30", wide, y),
        ("two rows", features[:2], y[:2] + 0.3),
        ("one feature", features[:, :1], y),
    ]


@pytest.mark.parametrize(
    ("features", "targets"), [s[1:] for s in inputs_to_leave_out()], ids=[s[0] for s in inputs_to_leave_out()]
)
def test_the_evidence_without_a_row_is_that_of_the_others_at_the_same_ratio(
    features: np.ndarray, targets: np.ndarray
) -> None:
    data = input_of(features, targets)
    n, outputs = data.n, targets if targets.ndim == 2 else np.eye(targets.max() + 1)[targets]
    spectrum, evidence = evidence_of(data)
    ratio = evidence.alpha / evidence.beta
    weights = spectrum.posterior_mean(ratio)
    residual, unseen = leave_one_out(spectrum, data.rows(n), ratio)
    assert ((unseen > 0) & (unseen <= 1)).all()
    without, expected = np.empty((n, outputs.shape[1])), np.empty((n, outputs.shape[1]))
    for c, t in enumerate(ratio):
        if n > data.dimension:
            solved = np.linalg.solve(features.T @ features + t * np.eye(data.dimension), features.T)
        else:
            solved = features.T @ np.linalg.inv(features @ features.T + t * np.eye(n))
        mean, hat = solved @ outputs[:, c], features @ solved
        np.testing.assert_allclose(weights[:, c], mean, rtol=1e-4, atol=1e-6 * np.abs(mean).max())
        np.testing.assert_allclose(residual[:, c], outputs[:, c] - hat @ outputs[:, c], rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(unseen[:, c], 1 - np.diagonal(hat), rtol=1e-5, atol=1e-8)
        shape = np.eye(n) + features @ features.T / t
        whole = multivariate_normal(np.zeros(n), shape / evidence.beta[c]).logpdf(outputs[:, c])
        for i in range(n):
            rest = np.delete(np.arange(n), i)
            part = multivariate_normal(np.zeros(n - 1), shape[np.ix_(rest, rest)] / evidence.beta[c])
            expected[i, c] = whole - part.logpdf(outputs[rest, c])
            if outputs[rest, c].any():
                without[i, c] = Column(features[rest], outputs[rest, c])(np.log(t)) / (n - 1)
            else:
                assert targets.ndim == 1 or c == 1
                without[i, c] = np.nan
    density = log_predictive_density(residual, unseen, evidence.beta)
    np.testing.assert_allclose(density, expected, rtol=1e-5, atol=1e-6)
    found = _without_each_row(n, evidence, residual, unseen)
    kept = np.isfinite(without)
    np.testing.assert_allclose(found[kept], without[kept], rtol=1e-5, atol=1e-6)
    influence = logme.estimate(data).influence
    assert influence is not None
    assert influence().whole
    if targets.ndim == 2:
        np.testing.assert_allclose(influence().changes, -found.mean(axis=1), rtol=1e-9)
    else:
        np.testing.assert_allclose(influence().changes, -np.nanmean(without, axis=1), rtol=1e-5, atol=1e-6)


def test_one_row_alone_tells_of_no_other() -> None:
    data = input_of(np.array([[1.0, 2.0]]), np.array([[0.5]]))
    influence = logme.estimate(data).influence
    assert influence is not None
    assert influence().changes.tolist() == [0.0]


@pytest.mark.parametrize("half", [0.4, 1.0, 1.7, 2.2, 3.0, 4.5, 6.0, 9.0])
def test_leverages_are_interpolated_between_chebyshevs_nodes_to_a_thousandth(half: float) -> None:
    u = np.linspace(0.6 - half, 0.6 + half, 60)
    count = int(np.ceil(np.log(1e3) / np.arcsinh(np.pi / half)))
    nodes, weights = _interpolation(np.exp(u))
    np.testing.assert_allclose(np.sort(np.log(nodes)), 0.6 + half * chebpts1(count), atol=1e-12)
    # Polynomials of a lower degree than there are nodes are met exactly.
    for degree in range(count):
        chebyshev = np.polynomial.chebyshev.Chebyshev.basis(degree, domain=[0.6 - half, 0.6 + half])
        np.testing.assert_allclose(chebyshev(np.log(nodes)) @ weights, chebyshev(u), atol=1e-9)
    # No more values than nodes are their own nodes.
    for size in (count - 1, count):
        few = np.exp(np.linspace(0.6 - half, 0.6 + half, size)) if size > 1 else np.ones(1)
        nodes, weights = _interpolation(few)
        np.testing.assert_array_equal(nodes @ weights, few)
    nodes, weights = _interpolation(np.full(4, 2.5))
    assert (nodes.tolist(), weights.tolist()) == ([2.5], [[1.0] * 4])


def test_no_leverage_that_was_interpolated_is_below_zero() -> None:
    features, _ = regression(200, 3)
    rows = Rows(np.arange(200), features, None, np.random.default_rng(0).normal(size=(200, 60)))
    spectrum = Tridiagonal.of_moments(moments(features, rows.outputs))
    t = np.geomspace(1e-2, 1e12, 60)
    exact = spectrum.leverages(features, t)
    nodes, weights = _interpolation(t)
    assert (spectrum.leverages(features, nodes) @ weights).min() < -1e-6
    unseen = leave_one_out(spectrum, rows, t)[1]
    assert unseen.max() == 1.0
    np.testing.assert_allclose(unseen, 1 - exact, atol=1e-3)


def test_a_model_of_classes_has_a_column_for_each_that_occurs() -> None:
    features, labels = regression(30, 4)[0], np.r_[np.zeros(15), np.ones(12), 2, 3, 3].astype(int)
    gone = scores.statistics_of(features[-2:], labels[-2:])
    model = scores.posterior(scores.statistics_of(features, labels) - gone)
    assert model.classes == (0, 1, 2)
    kept, y = features[:28], np.eye(3)[labels[:28]]
    for c, (alpha, beta) in enumerate(zip(model.evidence.alpha, model.evidence.beta, strict=True)):
        covariance = np.linalg.inv(alpha * np.eye(4) + beta * kept.T @ kept)
        mean = beta * covariance @ kept.T @ y[:, c]
        np.testing.assert_allclose(model.mean[:, c], mean, rtol=1e-6)
        np.testing.assert_allclose(model.predict_mean(features)[:, c], features @ mean, rtol=1e-6)
        variance = 1 / beta + np.einsum("md,de,me->m", features, covariance, features)
        np.testing.assert_allclose(model.predict_variance(features)[:, c], variance, rtol=1e-6)
    assert scores.posterior(scores.statistics_of(*regression(9, 4))).classes is None
    np.testing.assert_allclose(scores.posterior_mean(scores.statistics_of(kept, labels[:28])), model.mean, rtol=1e-6)


def test_a_model_predicts_no_rows_and_refuses_other_features() -> None:
    model = scores.posterior(scores.statistics_of(*regression(9, 4)))
    assert model.predict_mean(np.empty((0, 4))).shape == model.predict_variance(np.empty((0, 4))).shape == (0, 3)
    for shape in ((4, 3), (3, 5), (4, 5)):
        with pytest.raises(InvalidFeatures):
            model.predict_mean(np.ones(shape))


@pytest.mark.parametrize("shape", [(20, 4), (9, 9), (8, 20), (30, 1)])
def test_the_ridge_probe_of_real_targets_leaves_rows_out_exactly(shape: tuple[int, int]) -> None:
    n, dimension = shape
    features, y = regression(*shape)
    y[:, 1] = np.random.default_rng(5).normal(size=n) * 0.3 + features[:, 0]
    data = input_of(features, y)
    x, penalties = features - features.mean(axis=0), penalties_of(data)
    predicted, trained = np.empty_like(y), np.empty_like(y)
    for c, t in enumerate(penalties):
        for i in range(n):
            rest = np.delete(np.arange(n), i)
            # About the mean of the others; the penalty is that of all.
            inner, level = features[rest] - features[rest].mean(axis=0), y[rest, c].mean()
            weights = np.linalg.solve(inner.T @ inner + t * np.eye(dimension), inner.T @ (y[rest, c] - level))
            predicted[i, c] = level + (features[i] - features[rest].mean(axis=0)) @ weights
        hat = x @ np.linalg.solve(x.T @ x + t * np.eye(dimension), x.T)
        error = y[:, c] - predicted[:, c]
        trained[:, c] = 2 * error * (hat @ error - np.diagonal(hat) * error)
    losses, spread = (y - predicted) ** 2, (y - y.mean(axis=0)) ** 2
    found = ridge_probe.estimate(data)
    assert found.value == pytest.approx((1 - losses.sum(axis=0) / spread.sum(axis=0)).mean(), rel=1e-6)
    assert found.influence is not None
    others = (losses.sum(axis=0) - losses + trained) / (spread.sum(axis=0) - n / (n - 1) * spread)
    without = 1 - others.mean(axis=1)
    np.testing.assert_allclose(
        found.influence().changes, (without.mean() - without) * (1 - 1 / n), rtol=1e-5, atol=1e-6 * without.std()
    )


@pytest.mark.parametrize("shape", [(30, 4), (12, 12), (12, 30)])
def test_the_ridge_probe_of_classes_is_wider_by_its_leverage(shape: tuple[int, int]) -> None:
    n, dimension = shape
    features, labels = regression(*shape)[0], np.arange(n) % 3
    features[:, 0] += labels
    data = input_of(features, labels)
    x, y = features - features.mean(axis=0), np.eye(3)[labels]
    predicted, leverage = np.empty((n, 3)), np.empty((n, 3))
    for c, t in enumerate(penalties_of(data)):
        for i in range(n):
            rest = np.delete(np.arange(n), i)
            inner, level = features[rest] - features[rest].mean(axis=0), y[rest, c].mean()
            weights = np.linalg.solve(inner.T @ inner + t * np.eye(dimension), inner.T @ (y[rest, c] - level))
            predicted[i, c] = y[:, c].mean() + (features[i] - features[rest].mean(axis=0)) @ weights
        leverage[:, c] = np.diagonal(x @ np.linalg.solve(x.T @ x + t * np.eye(dimension), x.T))
    hits = predicted.argmax(axis=1) == labels
    found = ridge_probe.estimate(data)
    assert found.value == pytest.approx(hits.mean(), abs=1e-12)
    assert found.influence is not None
    expected = (hits - hits.mean()) / n * np.sqrt(1 + leverage.mean())
    np.testing.assert_allclose(found.influence().changes, expected, rtol=1e-3, atol=1e-9)


def test_penalties_are_those_of_the_evidence_with_an_intercept_and_never_vanish() -> None:
    features, y = regression(40, 5)
    features = np.hstack([features, np.zeros((40, 2))])
    found = penalties_of(input_of(features, y))
    x, centred = features - features.mean(axis=0), y - y.mean(axis=0)
    for c, t in enumerate(found):
        column = Column(x, centred[:, c])
        assert column.slope(np.log(t)) == pytest.approx(0.0, abs=1e-6)
        assert column(np.log(t)) > max(column(np.log(t) - 3), column(np.log(t) + 3)) - 1e-9
    assert found.min() < 0.9
    # Fewer rows than features and no noise: the evidence wants no penalty, and gets a millionth of the mean square.
    features, weights = regression(8, 20)[0], np.random.default_rng(3).normal(size=20)
    x = features - features.mean(axis=0)
    found = penalties_of(input_of(features, features @ weights))
    assert found == pytest.approx(1e-6 * (x**2).sum() / 7, rel=1e-9)
    # Nothing varies.
    for n in (20, 3):
        assert penalties_of(input_of(np.full((n, 5), 3.0), np.arange(n) * 1.0)).tolist() == [1.0]
    # Rounding about the mean is no target.
    for n, constant in ((8, 1.0), (7, 0.1), (29, 7.3), (30, 1 / 3), (41, -1e-3)):
        with pytest.raises(InvalidFeatures):
            scores.score("ridge_probe", regression(n, 20)[0], np.full(n, constant))
    assert scores.describe("ridge_probe").largest_sample == 4096
