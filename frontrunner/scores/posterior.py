"""LogME's model as a predictor: posterior weights, predictive mean and variance.

Given the alpha and beta of maximal evidence, w | y ~ N(m, (alpha I + beta G)^-1) with m = beta (alpha I + beta G)^-1 B,
per output column (You et al., JMLR 2022, section 4; Bishop 2006, 3.49 to 3.59). B-Tuning uses m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from frontrunner.errors import InvalidFeatures
from frontrunner.inputs import Label, as_feature_matrix, require_finite
from frontrunner.scores.logme import Evidence, maximise_evidence, moments_of
from frontrunner.scores.scoring_input import occurring_columns
from frontrunner.scores.spectrum import Spectrum, decompose
from frontrunner.statistics import FeatureStatistics, Floats


@dataclass(frozen=True)
class Posterior:
    """The posterior of LogME's weights given the examples, and its predictions for others.

    Attributes:
        evidence: alpha, beta and effective parameters per column.
        mean: (D, C) posterior mean of the weights, one column per class that occurs or per real target.
        classes: the class of each column, or None for real targets.

    Example:
        >>> labels = np.arange(100) % 2
        >>> features = np.random.default_rng(0).normal(size=(100, 3)) + 2 * labels[:, None]
        >>> model = posterior(FeatureStatistics().update(features, labels))
        >>> model.predict_mean(features).shape, model.predict_variance(features).shape
        ((100, 2), (100, 2))
        >>> bool((model.predict_variance(features) > 1 / model.evidence.beta).all())
        True
    """

    evidence: Evidence
    mean: Floats
    classes: tuple[Label, ...] | None
    _spectrum: Spectrum

    def predict_mean(self, features: ArrayLike) -> Floats:
        """(m, C) expected target of rows `features` (m, D).

        Raises:
            InvalidFeatures: `features` do not have the model's D columns.
            FeaturesNotFinite: NaN or infinity.
        """
        return np.asarray(self._checked(features) @ self.mean)

    def predict_variance(self, features: ArrayLike) -> Floats:
        """(m, C) variance of the target: 1/beta (noise) plus f'(alpha I + beta G)^-1 f (uncertainty of the weights).

        Raises:
            InvalidFeatures: `features` do not have the model's D columns.
            FeaturesNotFinite: NaN or infinity.
        """
        ratio = self.evidence.alpha / self.evidence.beta
        return np.asarray((1.0 + self._spectrum.leverages(self._checked(features), ratio)) / self.evidence.beta)

    def _checked(self, features: ArrayLike) -> Floats:
        matrix = as_feature_matrix(features).astype(np.float64)
        if matrix.shape[1] != self.mean.shape[0]:
            raise InvalidFeatures(f"the model was made of {self.mean.shape[0]} features, got {matrix.shape[1]}")
        require_finite(matrix.sum(), "features")
        return matrix


def posterior(statistics: FeatureStatistics) -> Posterior:
    """The posterior of LogME's weights at maximal evidence, from sums alone.

    Args:
        statistics: sums over (n, D) features with C classes or real target columns.

    Raises:
        NothingToSeparate: no labelled example, or a single class.
        InvalidFeatures: a target column is zero for every example.

    Example:
        >>> features = np.array([[1.0], [2.0], [3.0], [4.0]])
        >>> model = posterior(FeatureStatistics().update(features, targets=2 * features))
        >>> round(float(model.predict_mean([[10.0]])[0, 0]), 6)
        20.0
    """
    moments = moments_of(statistics)
    spectrum = decompose(moments)
    evidence = maximise_evidence(spectrum)
    classes = statistics.classes
    if classes is not None:
        classes = tuple(c for c, occurs in zip(classes, occurring_columns(statistics), strict=True) if occurs)
    return Posterior(evidence, spectrum.posterior_mean(evidence.alpha / evidence.beta), classes, spectrum)


def posterior_mean(statistics: FeatureStatistics) -> Floats:
    """(D, C) posterior mean of LogME's weights; columns are the classes that occur, in order, or the real targets.

    Raises:
        NothingToSeparate: no labelled example, or a single class.
        InvalidFeatures: a target column is zero for every example.

    Example:
        >>> labels = np.arange(100) % 2
        >>> features = np.random.default_rng(0).normal(size=(100, 3)) + labels[:, None]
        >>> posterior_mean(FeatureStatistics().update(features, labels)).shape
        (3, 2)
    """
    return posterior(statistics).mean
