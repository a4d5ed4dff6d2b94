"""Task complexity in errors: the expected 0-1 loss of LogME's posterior plus beta times its divergence from the prior.

`tasks` measures complexity with the squared loss, from statistics alone. That cannot show the published straight line
of complexity against the share p of random labels: what labels explain is quadratic in them, so that the expected
complexity is exactly a + b (1 - (1 - p)^2), and a line through it has R^2 = 0.92 over p = 0, 0.2, ... 1. A wrong label
costs the 0-1 loss one error whatever the others are, and its complexity rises nearly in a line; but it needs rows.

E_Q[L] + beta KL(Q || P) is the quantity whose least value over Q is C_beta; LogME's posterior Q is not that minimiser
for the 0-1 loss, so this is an upper bound on C_beta, of the kind that PAC-Bayes bounds take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.discrepancy.errors import InvalidDiscrepancyInput
from frontrunner.discrepancy.head import head_discrepancy
from frontrunner.discrepancy.tasks import BETA
from frontrunner.inputs import as_feature_matrix, encode_labels
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics

_ROWS_AT_ONCE = 1024


def gibbs_complexity(
    features: ArrayLike, labels: ArrayLike, *, beta: float = BETA, draws: int = 32, seed: int = 0
) -> float:
    """E_Q[errors] + beta KL(Q || P) of a classification, Q LogME's posterior over heads and P its prior.

    Args:
        features: F, (n, D).
        labels: (n,) integers or strings.
        beta: errors that one nat of description is worth, > 0.
        draws: heads drawn for each example; the expectation's error is under 1/sqrt(n draws) of n.
        seed: of the draws.

    Returns:
        In errors, summed over examples; not negative.

    Raises:
        InvalidFeatures, FeaturesNotFinite, NothingToSeparate: as LogME does.
        InvalidDiscrepancyInput: beta or draws out of range.

    Source: Achille et al. 2018 with the 0-1 loss; the Gibbs classifier of McAllester 1999.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(200) % 2
        >>> features = rng.normal(size=(200, 8)) + 3 * labels[:, None]
        >>> gibbs_complexity(features, labels) < gibbs_complexity(features, rng.permutation(labels))
        True
    """
    if not 0 < beta < np.inf or draws < 1:
        raise InvalidDiscrepancyInput(f"beta must be positive and draws at least 1, got {beta} and {draws}")
    matrix = as_feature_matrix(features)
    _, codes = encode_labels(labels)
    statistics = FeatureStatistics().update(matrix, labels=labels)
    spectrum = decompose(moments_of(statistics))
    evidence = maximise_evidence(spectrum)
    t = evidence.alpha / evidence.beta
    weights = spectrum.posterior_mean(t)
    generator = np.random.default_rng(seed)
    errors = 0.0
    for start in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        rows = matrix[start : start + _ROWS_AT_ONCE].astype(np.float64)
        # A head drawn from Q gives example f an output with mean f'm and variance f'(alpha I + beta G)^-1 f.
        deviation = np.sqrt(spectrum.leverages(rows, t) / evidence.beta)
        outputs = (rows @ weights) + generator.normal(size=(draws, *deviation.shape)) * deviation
        errors += float((outputs.argmax(axis=2) != codes[start : start + _ROWS_AT_ONCE]).sum()) / draws
    return errors + beta / 2 * head_discrepancy(statistics, spectrum=spectrum, evidence=evidence).twice_kl
