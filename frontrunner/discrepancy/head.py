"""The discrepancy in the `head` space: a linear head on frozen features, from statistics alone.

Each output column c has LogME's precisions alpha_c, beta_c. Of the mean loss over n examples its curvature is
A_c = beta_c G/n + (alpha_c/n) I and its gradient noise C_c = beta_c G/n, which commute, so the stationary covariance
is diagonal in G's eigenbasis. The columns are independent: the whole head is one Gaussian of d = D C parameters,
whose terms are the sums over columns.

The noise models differ in temperature and shape:
- `isotropic`: C = c I, so S ~ A^-1. c is set so that S = A^-1 / n: then S_FT is exactly LogME's posterior covariance
  (Mandt, Hoffman & Blei, JMLR 2017: the step size at which SGD samples the posterior), and neither learning rate nor
  batch size enters. The source side gets the same temperature.
- `empirical`: C as above, S_i = (eta/2|B|) s_i^2/(s_i^2 + t) with t = alpha/beta. Directions that no example reaches
  carry no noise and no stationary distribution; they are left out and d counts the rest.
- `fisher`: C = A, S = (eta/2|B|) I: only the shift is left. Kept as a check.

Without source statistics the reference is the no-knowledge prior N(0, I/alpha_c), and everything follows from
LogME's own numbers in O(rank C). At an interior maximum of the evidence alpha m'm = gamma (MacKay), so that
tr M + theta' S_PT^-1 theta = D exactly: twice_kl is sum log(1 + s_i^2/t) and Definition 2 is its negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, solve_triangular

from frontrunner.discrepancy.covariance import definite_factor
from frontrunner.discrepancy.errors import SingularCovariance
from frontrunner.discrepancy.gaussians import GaussianTerms
from frontrunner.discrepancy.report import DiscrepancyReport, SGDNoise, report
from frontrunner.errors import IncompatibleStatistics
from frontrunner.scores.logme import Evidence, maximise_evidence, moments_of
from frontrunner.scores.scoring_input import occurring_columns
from frontrunner.scores.spectrum import Spectrum, decompose
from frontrunner.statistics import FeatureStatistics, Floats

_ISOTROPIC = SGDNoise("isotropic")


def head_discrepancy(
    statistics: FeatureStatistics,
    source: FeatureStatistics | None = None,
    *,
    noise: SGDNoise = _ISOTROPIC,
    delta: float = 0.05,
    spectrum: Spectrum | None = None,
    evidence: Evidence | None = None,
) -> DiscrepancyReport:
    """The discrepancy of fine-tuning a linear head on the target's features.

    Args:
        statistics: of the target, with labels or targets.
        source: labelled statistics of the same checkpoint on its source dataset; None means the prior.
        noise: of the fine-tuning to come; isotropic by default, which needs no step size.
        delta: failure probability in the gaps' formula. From a `source` whose examples are others, and with noise
            that is not empirical, the gap is a bound for a head drawn from Q_FT; against the prior it is an estimate.
        spectrum, evidence: `decompose(moments_of(statistics))` and `maximise_evidence` of it where LogME was computed
            already; against the prior the discrepancy then costs O(D C) and no decomposition.

    Raises:
        NothingToSeparate, InvalidFeatures: as LogME does.
        IncompatibleStatistics: source and target features have different dimensions.
        SingularCovariance: with `empirical` noise, the source never moved in a direction that the target needs.
        InvalidDiscrepancyInput: `delta` is out of range.

    Source: He & Tao 2021, Definitions 2 and 3, on LogME's model (You et al. 2021).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat([0, 1], 100)
        >>> features = rng.normal(size=(200, 5)) + labels[:, None]
        >>> found = head_discrepancy(FeatureStatistics().update(features, labels=labels))
        >>> found.space, found.reference, found.dimension
        ('head', 'prior', 10)
        >>> abs(found.twice_kl + found.discrepancy) < 1e-6
        True
    """
    spectrum = spectrum or decompose(moments_of(statistics))
    evidence = evidence or maximise_evidence(spectrum)
    if source is None:
        terms = _from_prior(spectrum, evidence, statistics.dimension, noise)
    else:
        if source.dimension != statistics.dimension:
            raise IncompatibleStatistics(
                f"source features have dimension {source.dimension}, target features {statistics.dimension}: "
                "both must come from one checkpoint"
            )
        origin = _source_side(source, noise, statistics.n)
        terms = _from_source(statistics, evidence, origin, noise)
    return report(
        terms,
        space="head",
        noise_model=noise.model,
        reference="prior" if source is None else "source",
        effective_parameters=float(evidence.effective_parameters.sum()),
        n=statistics.n,
        delta=delta,
        # Against the prior alpha is fitted to these very examples; with empirical noise the directions are.
        gap_kind="estimate" if source is None or noise.model == "empirical" else "bound",
    )


def _from_prior(spectrum: Spectrum, evidence: Evidence, dimension: int, noise: SGDNoise) -> GaussianTerms:
    """S_PT = I/alpha_c; every matrix is diagonal in G's eigenbasis and 1/alpha_c outside its span."""
    alpha, t = evidence.alpha, evidence.alpha / evidence.beta
    squared = spectrum.squared_singular_values[:, None]
    columns, null = alpha.size, dimension - squared.shape[0]
    # The spectrum's slope is t m'm, so that alpha m'm = beta slope.
    mahalanobis = float(evidence.beta @ spectrum.unexplained(t).slope)
    if noise.model == "isotropic":
        # M = t/(t + s^2) per direction and 1 in the null space.
        trace = float((t / (t + squared)).sum()) + null * columns
        return GaussianTerms(dimension * columns, -float(np.log1p(squared / t).sum()), trace, mahalanobis)
    if noise.model == "fisher":
        ratio = alpha * noise.temperature
        log_det, trace = dimension * float(np.log(ratio).sum()), dimension * float(ratio.sum())
        return GaussianTerms(dimension * columns, log_det, trace, mahalanobis)
    reached = squared[: _rank(spectrum.squared_singular_values, spectrum.n)]
    ratios = alpha * noise.temperature * reached / (t + reached)
    return GaussianTerms(ratios.size, float(np.log(ratios).sum()), float(ratios.sum()), mahalanobis)


@dataclass(frozen=True)
class _SourceSide:
    """The source's stationary covariance U diag(variances) U'; one for all target columns."""

    vectors: Floats
    variances: Floats


def _source_side(source: FeatureStatistics, noise: SGDNoise, n_target: int) -> _SourceSide:
    """Curvature of the source's loss averaged over its columns: the target's columns have no counterpart among them.

    The new head starts at 0 as heads do; what the source contributes is how tightly each direction was held.
    """
    evidence = maximise_evidence(decompose(moments_of(source)))
    alpha, beta = float(evidence.alpha.mean()), float(evidence.beta.mean())
    squared, vectors = _eigenbasis(source)
    signal = beta * squared / source.n
    curvature = signal + alpha / source.n
    if noise.model == "isotropic":
        return _SourceSide(vectors, 1.0 / (n_target * curvature))
    if noise.model == "fisher":
        return _SourceSide(vectors, np.full_like(curvature, noise.temperature))
    return _SourceSide(vectors, noise.temperature * signal / curvature)


def _from_source(
    statistics: FeatureStatistics, evidence: Evidence, origin: _SourceSide, noise: SGDNoise
) -> GaussianTerms:
    """Whiten by the source in the target's eigenbasis, where every column's S_FT is diagonal: one factor for all."""
    squared, vectors = _eigenbasis(statistics)
    rank = int((squared > 0).sum())
    t, columns = evidence.alpha / evidence.beta, evidence.alpha.size
    mean = (vectors.T @ statistics.cross[:, occurring_columns(statistics)]) / (t + squared[:, None])
    mean[rank:] = 0.0
    if noise.model == "empirical":
        vectors, mean, reached = vectors[:, :rank], mean[:rank], squared[:rank, None]
        variances = noise.temperature * reached / (t + reached)
    elif noise.model == "fisher":
        variances = np.full((statistics.dimension, columns), noise.temperature)
    else:
        variances = 1.0 / (evidence.alpha + evidence.beta * squared[:, None])

    rotation = origin.vectors.T @ vectors
    if (origin.variances > 0).all() and vectors.shape[1] == statistics.dimension:
        whiten = rotation / np.sqrt(origin.variances)[:, None]
        log_det_pt = float(np.log(origin.variances).sum())
    else:
        whiten, log_det_pt = _compressed(rotation, origin.variances)
    moved = whiten @ mean
    log_det = float(np.log(variances).sum()) - columns * log_det_pt
    trace = float((whiten**2).sum(axis=0) @ variances.sum(axis=1))
    return GaussianTerms(variances.size, log_det, trace, float(np.vdot(moved, moved)))


def _compressed(rotation: Floats, variances: Floats) -> tuple[Floats, float]:
    """(L^-1, log det) of the source covariance compressed onto the target's span, P = R' diag(v) R = L L'."""
    name = "the source's covariance on the target's span"
    compressed = rotation.T @ (variances[:, None] * rotation)
    deviation = np.sqrt(np.diagonal(compressed))
    unreached = int((deviation == 0).sum())
    if unreached:
        raise SingularCovariance(f"the source's gradient noise does not reach {unreached} directions of the target")
    lower = definite_factor(compressed / (deviation[:, None] * deviation), name)
    inverse = solve_triangular(lower, np.diag(1.0 / deviation), lower=True, check_finite=False)
    return np.asarray(inverse), 2.0 * float(np.log(np.diagonal(lower) * deviation).sum())


def _eigenbasis(statistics: FeatureStatistics) -> tuple[Floats, Floats]:
    """(s^2 descending with null directions at exactly 0, V) of F'F, all D of them."""
    values, vectors = eigh(statistics.gram_lower, lower=True, check_finite=False, driver="evd")
    squared, vectors = values[::-1].copy(), vectors[:, ::-1]
    squared[_rank(squared, statistics.n) :] = 0.0
    return squared, vectors


def _rank(descending: Floats, n: int) -> int:
    """How many eigenvalues of F'F stand above rounding; at most n."""
    cut = max(n, descending.size) * np.finfo(np.float64).eps * float(descending.max(initial=0.0))
    return min(int((descending > cut).sum()), n)
