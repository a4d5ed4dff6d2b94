"""Facts about the discrepancy of a linear head."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frontrunner.discrepancy import SGDNoise, compare, head_discrepancy, stationary_covariance
from frontrunner.discrepancy.errors import InvalidDiscrepancyInput, SingularCovariance
from frontrunner.discrepancy.gaussians import GaussianTerms
from frontrunner.discrepancy.report import report
from frontrunner.errors import IncompatibleStatistics, NothingToSeparate
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics, Floats

seeds = st.integers(0, 2**32 - 1)
RATE, BATCH = 0.05, 16


def task(seed: int, n: int = 120, d: int = 6, classes: int = 3, noise: float = 1.0) -> tuple[Floats, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centres = generator.normal(size=(classes, d))
    return centres[labels] + noise * generator.normal(size=(n, d)) @ generator.normal(size=(d, d)), labels


def statistics(seed: int, **shape: float) -> FeatureStatistics:
    features, labels = task(seed, **shape)  # type: ignore[arg-type]
    return FeatureStatistics().update(features, labels=labels)


def explicit(found: FeatureStatistics, source: FeatureStatistics | None, noise: str) -> GaussianTerms:
    """The definition with full matrices, one `compare` a column."""
    evidence = maximise_evidence(decompose(moments_of(found)))
    n, d = found.n, found.dimension
    total = np.zeros(3)

    def stationary(side: FeatureStatistics, alpha: float, beta: float) -> Floats:
        signal = beta * side.gram / side.n
        a = signal + alpha / side.n * np.eye(d)
        if noise == "isotropic":
            return np.asarray(np.linalg.inv(a) / n)
        c = a if noise == "fisher" else signal
        return stationary_covariance(a, c, learning_rate=RATE, batch_size=BATCH)

    for column, (alpha, beta) in enumerate(zip(evidence.alpha, evidence.beta, strict=True)):
        ft = stationary(found, alpha, beta)
        mean = np.linalg.solve(alpha / beta * np.eye(d) + found.gram, found.cross[:, column])
        if source is None:
            pt = np.full(d, 1 / alpha)
        else:
            origin = maximise_evidence(decompose(moments_of(source)))
            pt = stationary(source, float(origin.alpha.mean()), float(origin.beta.mean()))
        terms = compare(pt, ft, mean)
        total += [terms.log_det, terms.trace, terms.mahalanobis]
    return GaussianTerms(d * len(evidence.alpha), *total.tolist())


@settings(deadline=None, max_examples=20)
@given(seeds, st.sampled_from(["isotropic", "empirical", "fisher"]), st.booleans())
def test_the_closed_forms_agree_with_full_matrices(seed: int, noise: str, with_source: bool) -> None:
    target = statistics(seed)
    source = statistics(seed + 1, n=300, classes=5) if with_source else None
    found = head_discrepancy(target, source, noise=SGDNoise(noise, RATE, BATCH))
    want = explicit(target, source, noise)
    assert found.dimension == want.dimension == 18
    assert found.twice_kl == pytest.approx(want.twice_kl, rel=1e-6)
    assert found.discrepancy == pytest.approx(want.discrepancy, rel=1e-6)
    assert found.dimension_dependent == pytest.approx(want.dimension_dependent, rel=1e-6)
    assert found.amgm_upper_bound == pytest.approx(want.amgm_upper_bound, rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_against_the_prior_definition_2_is_the_kl_with_its_sign_turned(seed: int) -> None:
    """At the evidence's maximum alpha m'm = gamma, so tr M + theta' S_PT^-1 theta = d: the slip ranks backwards."""
    found = head_discrepancy(statistics(seed))
    assert found.discrepancy == pytest.approx(-found.twice_kl, rel=1e-6)
    d = found.dimension
    assert found.dimension_dependent == pytest.approx(
        math.log(d - found.effective_parameters) + d * math.log(d), rel=1e-6
    )


@settings(deadline=None, max_examples=10)
@given(seeds)
def test_logme_is_expected_log_likelihood_minus_the_heads_kl(seed: int) -> None:
    """log p(y) = E_Q[log p(y | w)] - KL(Q || prior): what LogME adds to the discrepancy is the fit."""
    features, labels = task(seed)
    target = FeatureStatistics().update(features, labels=labels)
    evidence = maximise_evidence(decompose(moments_of(target)))
    likelihood = 0.0
    for column, (alpha, beta) in enumerate(zip(evidence.alpha, evidence.beta, strict=True)):
        covariance = np.linalg.inv(alpha * np.eye(6) + beta * target.gram)
        mean = beta * covariance @ target.cross[:, column]
        residual = ((labels == column) - features @ mean) ** 2
        square = residual.sum() + np.trace(target.gram @ covariance)
        likelihood += target.n / 2 * math.log(beta / (2 * math.pi)) - beta / 2 * square
    found = head_discrepancy(target)
    assert target.n * evidence.log_evidence.sum() == pytest.approx(likelihood - found.twice_kl / 2, rel=1e-7)


def test_the_gap_is_a_bound_only_from_a_source_and_without_directions_taken_from_the_data() -> None:
    target, source = statistics(0), statistics(1)
    kinds = {
        (noise, origin is not None): head_discrepancy(target, origin, noise=SGDNoise(noise)).gap_kind  # type: ignore[arg-type]
        for noise in ("isotropic", "empirical", "fisher")
        for origin in (None, source)
    }
    assert {where for where, kind in kinds.items() if kind == "bound"} == {("isotropic", True), ("fisher", True)}


def test_a_heads_pac_bayes_bound_holds_for_heads_drawn_from_its_posterior() -> None:
    """The prior from another dataset; test error of a drawn head less its training error, over 40 samples."""
    means = 4 * np.random.default_rng(99).normal(size=(3, 4))

    def sample(seed: int, n: int) -> tuple[Floats, np.ndarray]:
        labels = np.arange(n) % 3
        return np.random.default_rng(seed).normal(size=(n, 4)) + means[labels], labels

    source = FeatureStatistics().update(*sample(500, 2000))
    unseen, truth = sample(600, 2000)
    for seed in range(40):
        features, labels = sample(seed, 45)
        target = FeatureStatistics().update(features, labels=labels)
        evidence = maximise_evidence(decompose(moments_of(target)))
        generator = np.random.default_rng(seed)
        heads = np.empty((200, 4, 3))
        for column, (alpha, beta) in enumerate(zip(evidence.alpha, evidence.beta, strict=True)):
            covariance = np.linalg.inv(alpha * np.eye(4) + beta * target.gram)
            mean = beta * covariance @ target.cross[:, column]
            heads[:, :, column] = generator.multivariate_normal(mean, covariance, size=200)
        errors = [
            (np.einsum("nd,hdc->hnc", rows, heads).argmax(axis=2) != codes).mean()
            for rows, codes in ((features, labels), (unseen, truth))
        ]
        found = head_discrepancy(target, source)
        assert found.gap_kind == "bound"
        assert errors[1] - errors[0] <= found.pac_bayes_gap


def test_n_delta_and_effective_parameters_are_reported() -> None:
    target = statistics(0)
    evidence = maximise_evidence(decompose(moments_of(target)))
    gamma = sum(
        np.trace(np.linalg.solve(target.gram + alpha / beta * np.eye(6), target.gram))
        for alpha, beta in zip(evidence.alpha, evidence.beta, strict=True)
    )
    found = head_discrepancy(target, delta=0.2)
    assert (found.n, found.delta, head_discrepancy(target).delta) == (120, 0.2, 0.05)
    assert found.effective_parameters == pytest.approx(gamma)
    assert found.twice_kl_per_parameter == pytest.approx(found.twice_kl / 18)
    assert found.dimension_dependent_per_parameter == pytest.approx(found.dimension_dependent / 18)
    for gap, d in ((found.pac_bayes_gap, found.twice_kl), (found.published_gap, found.dimension_dependent)):
        assert gap == pytest.approx(math.sqrt((d + 2 * math.log(5) + 2 * math.log(120) + 4) / 478))


def test_a_gap_is_vacuous_above_one_and_not_below() -> None:
    terms = [GaussianTerms(2, 0.0, 2.0, mahalanobis) for mahalanobis in (100.0, 150.0)]
    found = [
        report(
            one,
            space="head",
            noise_model="isotropic",
            reference="source",
            effective_parameters=1.0,
            n=40,
            delta=0.05,
            gap_kind="bound",
        )
        for one in terms
    ]
    assert [0.8 < one.pac_bayes_gap < 1 for one in found] == [True, False]
    assert [one.vacuous for one in found] == [False, True]


def test_noise_has_a_learning_rate_of_a_hundredth_and_batches_of_32_by_default() -> None:
    assert SGDNoise("empirical") == SGDNoise("empirical", 0.01, 32)
    assert SGDNoise("empirical").temperature == pytest.approx(0.01 / 64)
    assert SGDNoise("empirical", 1.0, 1).temperature == 0.5
    for rate, batch in ((0.0, 1), (math.inf, 1), (0.1, 0)):
        with pytest.raises(InvalidDiscrepancyInput):
            SGDNoise("empirical", rate, batch)


def test_a_report_as_json_has_no_infinity_and_says_when_the_published_gap_is_undefined() -> None:
    singular = report(
        GaussianTerms(2, -math.inf, 1.0, 0.5),
        space="head",
        noise_model="isotropic",
        reference="source",
        effective_parameters=1.0,
        n=10,
        delta=0.05,
        gap_kind="bound",
    )
    values = singular.as_dict()
    assert (values["twice_kl"], values["discrepancy"], values["pac_bayes_gap"]) == (None, None, None)
    assert (values["vacuous"], values["gap_kind"], values["twice_kl_per_parameter"]) == (True, "bound", None)
    # log tr M + tr M + theta' S^-1 theta + d log d - d, by hand.
    assert values["dimension_dependent"] == pytest.approx(math.log(1) + 1 + 0.5 + 2 * math.log(2) - 2)
    still = report(
        GaussianTerms(1, -math.inf, 0.0, 0.0),
        space="head",
        noise_model="isotropic",
        reference="source",
        effective_parameters=0.0,
        n=10,
        delta=0.05,
        gap_kind="bound",
    )
    assert still.published_gap is None
    assert still.as_dict()["published_gap"] is None


def test_with_fisher_noise_only_the_shift_is_left() -> None:
    target, source = statistics(0), statistics(1)
    found = head_discrepancy(target, source, noise=SGDNoise("fisher", RATE, BATCH))
    evidence = maximise_evidence(decompose(moments_of(target)))
    means = [
        np.linalg.solve(alpha / beta * np.eye(6) + target.gram, target.cross[:, column])
        for column, (alpha, beta) in enumerate(zip(evidence.alpha, evidence.beta, strict=True))
    ]
    want = sum(float(mean @ mean) for mean in means) * 2 * BATCH / RATE
    assert found.discrepancy == pytest.approx(want, rel=1e-9)
    assert found.twice_kl == pytest.approx(want, rel=1e-9)


def test_a_spectrum_and_evidence_computed_already_give_the_same_report() -> None:
    target = statistics(3)
    spectrum = decompose(moments_of(target))
    again = head_discrepancy(target, spectrum=spectrum, evidence=maximise_evidence(spectrum))
    assert again == head_discrepancy(target)


def test_dead_features_are_left_out_by_empirical_noise_and_agree_with_the_prior_otherwise() -> None:
    features, labels = task(5)
    dead = FeatureStatistics().update(np.hstack([features, np.zeros((120, 4))]), labels=labels)
    alive = FeatureStatistics().update(features, labels=labels)
    assert head_discrepancy(dead).twice_kl == pytest.approx(head_discrepancy(alive).twice_kl)
    assert head_discrepancy(dead).dimension == 30
    empirical = [head_discrepancy(s, noise=SGDNoise("empirical")) for s in (dead, alive)]
    assert empirical[0].dimension == empirical[1].dimension == 18
    assert empirical[0].twice_kl == pytest.approx(empirical[1].twice_kl)
    with_source = [head_discrepancy(s, s, noise=SGDNoise("empirical")).twice_kl for s in (dead, alive)]
    assert with_source[0] == pytest.approx(with_source[1], rel=1e-6)


@pytest.mark.parametrize("noise", ["isotropic", "fisher"])
@pytest.mark.parametrize("with_source", [True, False])
def test_dead_features_and_fewer_rows_than_features_agree_with_full_matrices(noise: str, with_source: bool) -> None:
    features, labels = task(5)
    generator = np.random.default_rng(5)
    dead = FeatureStatistics().update(np.hstack([features, np.zeros((120, 4))]), labels=labels)
    wide = FeatureStatistics().update(generator.normal(size=(8, 10)) + np.eye(8, 10), labels=np.arange(8) % 2)
    source = statistics(6, n=200, d=10, classes=4) if with_source else None
    for target in (dead, wide):
        found, want = (
            head_discrepancy(target, source, noise=SGDNoise(noise, RATE, BATCH)),
            explicit(target, source, noise),
        )  # type: ignore[arg-type]
        for name in ("twice_kl", "discrepancy", "dimension_dependent", "amgm_upper_bound"):
            assert getattr(found, name) == pytest.approx(getattr(want, name), rel=1e-6), name


def test_a_source_that_never_moved_where_the_target_must_is_an_error_with_empirical_noise() -> None:
    features, labels = task(6)
    narrow = features.copy()
    narrow[:, 3:] = 0.0
    source = FeatureStatistics().update(narrow, labels=labels)
    with pytest.raises(SingularCovariance):
        head_discrepancy(FeatureStatistics().update(features, labels=labels), source, noise=SGDNoise("empirical"))


def test_fewer_rows_than_features_and_real_targets_have_finite_reports() -> None:
    generator = np.random.default_rng(7)
    wide = FeatureStatistics().update(generator.normal(size=(30, 80)), labels=np.arange(30) % 3)
    real = FeatureStatistics().update(generator.normal(size=(50, 4)), targets=generator.normal(size=(50, 2)))
    for found in (wide, real):
        values = head_discrepancy(found).as_dict()
        assert values["space"] == "head"
        assert all(math.isfinite(v) for v in values.values() if isinstance(v, float))


def test_what_cannot_be_compared_is_refused_by_name() -> None:
    target = statistics(0)
    with pytest.raises(IncompatibleStatistics):
        head_discrepancy(target, statistics(1, d=7))
    with pytest.raises(InvalidDiscrepancyInput):
        SGDNoise("cubic")  # type: ignore[arg-type]
    with pytest.raises(InvalidDiscrepancyInput):
        SGDNoise("isotropic", learning_rate=-1.0)
    with pytest.raises(NothingToSeparate):
        head_discrepancy(FeatureStatistics().update(np.eye(3), labels=[1, 1, 1]))


def test_importing_the_discrepancy_loads_no_torch() -> None:
    code = "import sys, frontrunner.discrepancy; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
