"""Facts about the divergences and the stationary covariance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frontrunner.discrepancy import (
    LowRankPlusDiagonal,
    amgm_upper_bound,
    compare,
    dimension_dependent_discrepancy,
    domain_discrepancy,
    pac_bayes_gap,
    pretraining_discrepancy,
    stationary_covariance,
    twice_kl,
)
from frontrunner.discrepancy.errors import (
    InvalidDiscrepancyInput,
    NoStationaryDistribution,
    NotPositiveSemidefinite,
    SingularCovariance,
)
from frontrunner.discrepancy.gaussians import GaussianTerms
from frontrunner.statistics import Floats

ORACLES = Path(__file__).parents[1] / "oracles"
EXPECTED = json.loads((ORACLES / "expected.json").read_text())
seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 12)


def random_covariance(generator: np.random.Generator, d: int, spread: float = 2.0) -> Floats:
    basis, _ = np.linalg.qr(generator.normal(size=(d, d)))
    return np.asarray((basis * np.exp(generator.uniform(-spread, spread, size=d))) @ basis.T)


@pytest.mark.parametrize("name", ["gaussians_8", "gaussians_40"])
def test_the_oracles_are_reached_to_1e_9(name: str) -> None:
    with np.load(ORACLES / f"{name}.npz") as given_arrays:
        z = dict(given_arrays)
    want = EXPECTED[name]
    step = {"learning_rate": want["learning_rate"], "batch_size": want["batch_size"]}
    pt = stationary_covariance(z["hessian_pt"], z["noise_pt"], **step)
    ft = stationary_covariance(z["hessian_ft"], z["noise_ft"], **step)
    terms = compare(pt, ft, z["shift"])
    n, delta = want["n_finetune"], want["delta"]
    found = {
        "covariance_pt_trace": np.trace(pt),
        "covariance_ft_trace": np.trace(ft),
        "discrepancy": domain_discrepancy(pt, ft, z["shift"]),
        "dimension_dependent_discrepancy": dimension_dependent_discrepancy(pt, ft, z["shift"]),
        "twice_kl": twice_kl(pt, ft, z["shift"]),
        "amgm_upper_bound": amgm_upper_bound(pt, ft, z["shift"]),
        "gap_theorem_2": pac_bayes_gap(terms.discrepancy, n, delta),
        "gap_corollary_1": pac_bayes_gap(terms.dimension_dependent, n, delta),
        "gap_from_kl": pac_bayes_gap(terms.twice_kl, n, delta),
    }
    for key, value in found.items():
        assert value == pytest.approx(want[key], rel=1e-9), key


def test_a_simulated_ornstein_uhlenbeck_path_has_the_stationary_covariance() -> None:
    """dw = -A w dt + sqrt(eta/|B| C) dB, 4000 independent paths; a variance of m samples is known to sqrt(2/m)."""
    generator = np.random.default_rng(0)
    hessian, noise = random_covariance(generator, 3, 0.7), random_covariance(generator, 3, 0.7)
    learning_rate, batch_size, paths, dt = 0.1, 8, 4000, 0.005
    expected = stationary_covariance(hessian, noise, learning_rate=learning_rate, batch_size=batch_size)
    root = np.linalg.cholesky(learning_rate / batch_size * noise) * np.sqrt(dt)
    w = np.zeros((paths, 3))
    # Six relaxation times of the flattest direction forget the start to e^-12.
    for _ in range(int(6 / np.linalg.eigvalsh(hessian)[0] / dt)):
        w += -dt * w @ hessian + generator.normal(size=w.shape) @ root.T
    sampled = w.T @ w / paths
    spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / paths)
    assert (np.abs(sampled - expected) < 4 * spread).all()


@given(seeds, dimensions)
def test_the_stationary_covariance_solves_its_lyapunov_equation(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    a, c = random_covariance(generator, d), random_covariance(generator, d)
    s = stationary_covariance(a, c, learning_rate=0.3, batch_size=4)
    np.testing.assert_allclose(s @ a + a @ s, 0.3 / 4 * c, atol=1e-10 * np.abs(c).max())
    assert np.linalg.eigvalsh(s)[0] > 0


@given(seeds, dimensions)
def test_commuting_matrices_have_the_closed_form_c_over_2a(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    a = random_covariance(generator, d)
    # C = A gives eta/(2|B|) I whatever A: the `fisher` noise model.
    s = stationary_covariance(a, a, learning_rate=0.2, batch_size=5)
    np.testing.assert_allclose(s, 0.02 * np.eye(d), atol=1e-12)
    isotropic = stationary_covariance(a, np.ones(d), learning_rate=0.2, batch_size=5)
    np.testing.assert_allclose(isotropic, 0.02 * np.linalg.inv(a), rtol=1e-9, atol=1e-12)


@given(seeds, dimensions)
def test_every_form_of_one_covariance_gives_one_answer(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    low = [
        LowRankPlusDiagonal(np.exp(generator.normal(size=d)), generator.normal(size=(d, generator.integers(0, 4))))
        for _ in range(2)
    ]
    diagonal, theta = np.exp(generator.normal(size=d)), generator.normal(size=d)
    for pt in (*low, diagonal):
        for ft in (*low, diagonal):
            full = [c.matrix() if isinstance(c, LowRankPlusDiagonal) else np.diag(c) for c in (pt, ft)]
            thin, dense = compare(pt, ft, theta), compare(full[0], full[1], theta)
            assert thin.log_det == pytest.approx(dense.log_det, rel=1e-9, abs=1e-9)
            assert thin.trace == pytest.approx(dense.trace, rel=1e-9)
            assert thin.mahalanobis == pytest.approx(dense.mahalanobis, rel=1e-9)


@given(seeds, dimensions)
def test_twice_kl_is_twice_what_torch_distributions_says(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    pt, ft, theta = random_covariance(generator, d), random_covariance(generator, d), generator.normal(size=d)
    normal = torch.distributions.MultivariateNormal
    q = normal(torch.as_tensor(theta), torch.as_tensor(ft))
    p = normal(torch.zeros(d, dtype=torch.float64), torch.as_tensor(pt))
    want = 2 * float(torch.distributions.kl_divergence(q, p))
    assert twice_kl(pt, ft, theta) == pytest.approx(want, rel=1e-8, abs=1e-9)


@given(seeds, dimensions)
def test_no_divergence_changes_under_a_change_of_basis(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    pt, ft, theta = random_covariance(generator, d), random_covariance(generator, d), generator.normal(size=d)
    change = random_covariance(generator, d, 1.0) @ np.linalg.qr(generator.normal(size=(d, d)))[0]
    before = compare(pt, ft, theta)
    after = compare(change @ pt @ change.T, change @ ft @ change.T, change @ theta)
    for name in ("discrepancy", "dimension_dependent", "twice_kl", "amgm_upper_bound"):
        assert getattr(after, name) == pytest.approx(getattr(before, name), rel=1e-7, abs=1e-7)


@given(seeds, dimensions)
def test_equal_gaussians_have_discrepancy_and_kl_zero(seed: int, d: int) -> None:
    covariance = random_covariance(np.random.default_rng(seed), d)
    assert domain_discrepancy(covariance, covariance, np.zeros(d)) == pytest.approx(0.0, abs=1e-9)
    assert twice_kl(covariance, covariance, np.zeros(d)) == pytest.approx(0.0, abs=1e-9)


@given(seeds, dimensions)
def test_the_amgm_bound_is_never_below_definition_2_and_a_kl_never_below_zero(seed: int, d: int) -> None:
    generator = np.random.default_rng(seed)
    pt, ft = (random_covariance(generator, d, 4.0) for _ in range(2))
    terms = compare(pt, ft, generator.normal(size=d))
    assert terms.amgm_upper_bound >= terms.discrepancy - 1e-9 * abs(terms.discrepancy)
    assert terms.twice_kl >= 0


def test_lemma_2_fails_for_a_hundred_times_the_identity() -> None:
    """The published lemma: log det M <= log tr M + d log d. So Definition 3 does not bound Definition 2."""
    pt, ft, d = np.eye(2), 100 * np.eye(2), 2
    log_det, claimed = compare(pt, ft, np.zeros(d)).log_det, np.log(200.0) + d * np.log(d)
    assert log_det == pytest.approx(9.2103, abs=1e-4)
    assert claimed == pytest.approx(6.6846, abs=1e-4)
    assert log_det > claimed
    assert domain_discrepancy(pt, ft, np.zeros(d)) > dimension_dependent_discrepancy(pt, ft, np.zeros(d))
    assert amgm_upper_bound(pt, ft, np.zeros(d)) >= domain_discrepancy(pt, ft, np.zeros(d))


def test_definition_2_is_negative_where_the_kl_is_positive() -> None:
    pt, ft = np.ones(4), np.full(4, 0.5)
    assert domain_discrepancy(pt, ft, np.zeros(4)) == pytest.approx(4 * (np.log(0.5) - 0.5))
    assert domain_discrepancy(pt, ft, np.zeros(4)) < 0 < twice_kl(pt, ft, np.zeros(4))


def test_the_gap_between_definition_2_and_the_kl_is_twice_log_det() -> None:
    terms = compare(random_covariance(np.random.default_rng(1), 6), np.eye(6), np.ones(6))
    assert terms.discrepancy - terms.twice_kl == pytest.approx(2 * terms.log_det)


def test_theorem_1_compares_with_the_standard_normal() -> None:
    s = random_covariance(np.random.default_rng(2), 5)
    assert pretraining_discrepancy(s) == pytest.approx(np.linalg.slogdet(s)[1] + np.trace(s) - 5)


def test_badly_scaled_but_well_conditioned_covariances_keep_their_digits() -> None:
    scale = 10.0 ** np.arange(-12, 12, 3)
    core = random_covariance(np.random.default_rng(3), 8)
    pt, ft = core * np.outer(scale, scale), 2 * core * np.outer(scale, scale)
    terms = compare(pt, ft, np.zeros(8))
    assert terms.trace == pytest.approx(16, rel=1e-12)
    assert terms.log_det == pytest.approx(8 * np.log(2), rel=1e-12)


def test_a_nearly_singular_reference_keeps_six_digits() -> None:
    basis = np.linalg.qr(np.random.default_rng(4).normal(size=(6, 6)))[0]
    values = 10.0 ** -np.arange(0.0, 12.0, 2.0)
    pt = (basis * values) @ basis.T
    terms = compare((pt + pt.T) / 2, np.eye(6), np.zeros(6))
    # Rounding pt alone moves its smallest eigenvalue, 1e-10, by 1e-16.
    assert terms.trace == pytest.approx((1 / values).sum(), rel=1e-5)


def test_a_singular_fine_tuning_covariance_is_infinitely_far_and_a_singular_reference_an_error() -> None:
    singular = np.diag([1.0, 1.0, 0.0]) + 0.1 * np.outer([1, 1, 0], [1, 1, 0])
    terms = compare(np.eye(3), singular, np.zeros(3))
    assert terms.twice_kl == np.inf
    assert terms.discrepancy == -np.inf
    assert np.isfinite(terms.amgm_upper_bound)
    for reference in (singular, [1.0, 0.0, 1.0], LowRankPlusDiagonal(np.zeros(3), np.ones((3, 1)))):
        with pytest.raises(SingularCovariance):
            compare(reference, np.eye(3), np.zeros(3))


def test_a_singular_fine_tuning_covariance_keeps_its_trace_and_its_place_in_the_bound() -> None:
    """One direction of variance 6 in three dimensions: tr M = 6 and the bound is 3 log 2 + 3."""
    direction = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    singular = 6 * np.outer(direction, direction)
    for ft in (singular, singular - 1e-17 * np.eye(3)):
        terms = compare(np.eye(3), ft, np.zeros(3))
        assert terms.trace == pytest.approx(6)
        assert terms.log_det == -np.inf
        assert terms.amgm_upper_bound == pytest.approx(3 * np.log(2) + 3)
    with pytest.raises(NotPositiveSemidefinite):
        compare(np.eye(3), singular - 1e-12 * np.eye(3), np.zeros(3))


def test_the_divergences_of_three_terms_by_hand() -> None:
    """d = 4, log det M = -1, tr M = 8, Mahalanobis 3."""
    terms = GaussianTerms(4, -1.0, 8.0, 3.0)
    assert terms.discrepancy == pytest.approx(-1 + (8 - 4) + 3)
    assert terms.twice_kl == pytest.approx((8 - 4) + 3 + 1)
    assert terms.dimension_dependent == pytest.approx(np.log(8) + 8 + 3 + 4 * np.log(4) - 4)
    assert terms.amgm_upper_bound == pytest.approx(4 * np.log(2) + (8 - 4) + 3)
    assert GaussianTerms(2, 0.0, 2.0 - 1e-15, 0.0).twice_kl == 0.0
    still = GaussianTerms(2, -np.inf, 0.0, 1.0)
    assert still.dimension_dependent == still.amgm_upper_bound == -np.inf
    assert GaussianTerms(1, 0.0, 0.5, 0.0).dimension_dependent == pytest.approx(np.log(0.5) + 0.5 - 1)


@given(seeds, dimensions)
def test_every_form_of_a_hessian_and_its_noise_gives_one_stationary_covariance(seed: int, d: int) -> None:
    """Against the Kronecker form of the Lyapunov equation."""
    generator = np.random.default_rng(seed)
    low = LowRankPlusDiagonal(np.exp(generator.normal(size=d)), generator.normal(size=(d, 2)))
    diagonal = np.exp(generator.normal(size=d))
    for a in (low, diagonal):
        for c in (low, diagonal):
            full = [form.matrix() if isinstance(form, LowRankPlusDiagonal) else np.diag(form) for form in (a, c)]
            lyapunov = np.kron(full[0], np.eye(d)) + np.kron(np.eye(d), full[0])
            want = np.linalg.solve(lyapunov, (0.3 / 7 * full[1]).ravel()).reshape(d, d)
            found = stationary_covariance(a, c, learning_rate=0.3, batch_size=7)
            assert found.ndim == (1 if a is diagonal and c is diagonal else 2)
            found = np.diag(found) if found.ndim == 1 else found
            np.testing.assert_allclose(found, want, rtol=1e-8, atol=1e-10)


def test_rounding_of_a_symmetric_matrix_is_averaged_and_a_real_asymmetry_refused() -> None:
    nearly, symmetric = np.array([[2.0, 1.0 + 4e-7], [1.0, 2.0]]), np.array([[2.0, 1.0 + 2e-7], [1.0 + 2e-7, 2.0]])
    found, want = (compare(matrix, np.eye(2), [1.0, 0.0]) for matrix in (nearly, symmetric))
    assert found.trace == pytest.approx(want.trace, rel=1e-12)
    with pytest.raises(NotPositiveSemidefinite, match="not symmetric"):
        compare(np.array([[2.0, 1.0 + 4e-6], [1.0, 2.0]]), np.eye(2), [1.0, 0.0])


def test_a_reference_is_singular_where_float64_cannot_invert_it() -> None:
    basis = np.linalg.qr(np.random.default_rng(6).normal(size=(4, 4)))[0]
    with pytest.raises(SingularCovariance):
        compare((basis * [1.0, 1.0, 1.0, 1e-16]) @ basis.T, np.eye(4), np.zeros(4))
    fine = (basis * [1.0, 1.0, 1.0, 1e-12]) @ basis.T
    assert compare((fine + fine.T) / 2, np.eye(4), np.zeros(4)).trace == pytest.approx(1e12, rel=1e-3)
    for reference in (np.diag([1.0, 0.0]), [1.0, 0.0]):
        with pytest.raises(SingularCovariance, match="zero in 1 of 2 directions"):
            compare(reference, np.eye(2), np.zeros(2))
    with pytest.raises(SingularCovariance, match="zero in 1 of 2 directions"):
        compare([1.0, 0.0], [1.0, 1.0], np.zeros(2))


@pytest.mark.parametrize(
    ("diagonal", "factor", "error"),
    [
        (np.ones((2, 2)), np.ones((2, 1)), InvalidDiscrepancyInput),
        (np.ones(2), np.ones(2), InvalidDiscrepancyInput),
        (np.ones(2), np.ones((3, 1)), InvalidDiscrepancyInput),
        (np.array([1.0, np.nan]), np.ones((2, 1)), InvalidDiscrepancyInput),
        (np.ones(2), np.full((2, 1), np.inf), InvalidDiscrepancyInput),
        (np.array([1.0, -1.0]), np.ones((2, 1)), NotPositiveSemidefinite),
    ],
)
def test_what_is_no_low_rank_covariance_is_refused(diagonal: Floats, factor: Floats, error: type) -> None:
    with pytest.raises(error):
        LowRankPlusDiagonal(diagonal, factor)


def test_a_low_rank_reference_without_a_diagonal_is_compared_in_full() -> None:
    thin = LowRankPlusDiagonal([0.0, 1.0], [[2.0], [0.0]])  # diag(4, 1)
    terms = compare(thin, [8.0, 3.0], [2.0, 1.0])
    assert terms.trace == pytest.approx(8 / 4 + 3)
    assert terms.log_det == pytest.approx(np.log(24 / 4))
    assert terms.mahalanobis == pytest.approx(1 + 1)
    partly = compare([4.0, 1.0], [0.0, 3.0], [2.0, 1.0])
    assert (partly.trace, partly.log_det, partly.mahalanobis) == (3.0, -np.inf, 2.0)


@pytest.mark.parametrize(
    ("pt", "ft", "shift", "error"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], np.eye(2), [0.0, 0.0], NotPositiveSemidefinite),
        (np.eye(2), [[1.0, 2.0], [2.0, 1.0]], [0.0, 0.0], NotPositiveSemidefinite),
        (np.eye(2), [[1.0, 0.5], [0.0, 1.0]], [0.0, 0.0], NotPositiveSemidefinite),
        ([1.0, -1.0], [1.0, 1.0], [0.0, 0.0], NotPositiveSemidefinite),
        ([1.0, 1.0], [1.0, 1.0], [0.0], InvalidDiscrepancyInput),
        ([1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0], InvalidDiscrepancyInput),
        (np.ones((2, 3)), [1.0, 1.0], [0.0, 0.0], InvalidDiscrepancyInput),
        (np.ones((2, 2, 2)), [1.0, 1.0], [0.0, 0.0], InvalidDiscrepancyInput),
        (np.zeros(0), np.zeros(0), np.zeros(0), InvalidDiscrepancyInput),
        ([1.0, np.nan], [1.0, 1.0], [0.0, 0.0], InvalidDiscrepancyInput),
        ([1.0, 1.0], [1.0, 1.0], [0.0, np.inf], InvalidDiscrepancyInput),
    ],
)
def test_what_is_no_covariance_is_refused_by_name(pt: Floats, ft: Floats, shift: Floats, error: type) -> None:
    with pytest.raises(error):
        compare(pt, ft, shift)


@pytest.mark.parametrize("hessian", [[1.0, 0.0], [1.0, 1e-17], np.diag([1.0, 0.0]), [[1.0, 2.0], [2.0, 1.0]]])
def test_a_flat_or_descending_direction_has_no_stationary_distribution(hessian: Floats) -> None:
    with pytest.raises(NoStationaryDistribution):
        stationary_covariance(hessian, np.eye(2), learning_rate=0.1, batch_size=1)


def test_noise_with_a_negative_eigenvalue_is_refused_and_singular_noise_is_not() -> None:
    with pytest.raises(NotPositiveSemidefinite):
        stationary_covariance(np.eye(2), [[1.0, 2.0], [2.0, 1.0]], learning_rate=0.1, batch_size=1)
    s = stationary_covariance(np.eye(2), [[1.0, 1.0], [1.0, 1.0]], learning_rate=0.1, batch_size=1)
    np.testing.assert_allclose(s, 0.05)
    for rate, batch in ((0.0, 1), (np.inf, 1), (0.1, 0)):
        with pytest.raises(InvalidDiscrepancyInput):
            stationary_covariance(np.eye(2), np.eye(2), learning_rate=rate, batch_size=batch)
    with pytest.raises(InvalidDiscrepancyInput):
        stationary_covariance(np.eye(2), np.eye(3), learning_rate=0.1, batch_size=1)
    with pytest.raises(NotPositiveSemidefinite):
        stationary_covariance([1.0, 2.0], [[1.0, 2.0], [2.0, 1.0]], learning_rate=0.1, batch_size=1)
    tiny = stationary_covariance([1e-20, 2e-20], [1e-20, 1e-20], learning_rate=0.2, batch_size=1)
    np.testing.assert_allclose(tiny, [0.1, 0.05])
    silent = stationary_covariance(np.eye(2), np.zeros((2, 2)), learning_rate=0.1, batch_size=1)
    np.testing.assert_array_equal(silent, np.zeros((2, 2)))


@settings(max_examples=5)
@given(seeds)
def test_a_low_rank_covariance_of_many_dimensions_needs_no_square_matrix(seed: int) -> None:
    """d = 50,000: a full matrix would be 20 GB."""
    generator = np.random.default_rng(seed)
    d = 50_000
    one = LowRankPlusDiagonal(np.ones(d), generator.normal(size=(d, 3)))
    terms = compare(one, one, np.zeros(d))
    assert terms.trace == pytest.approx(d, rel=1e-9)
    assert terms.twice_kl == pytest.approx(0, abs=1e-3)
