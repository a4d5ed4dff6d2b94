"""N-LEEP: LEEP with the components of a Gaussian mixture on the features in place of source classes.

It scores checkpoints that have no classifier. The mixture has diagonal covariances, as principal components are
uncorrelated, and at most one component for ten rows; the paper fixes neither. The interval treats the mixture as fixed.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from frontrunner.scores.influence import Influence
from frontrunner.scores.leep import log_expected_prediction
from frontrunner.scores.sampling import SEED
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.scores.symmetric import eigen
from frontrunner.statistics import Floats

LARGEST_SAMPLE = 2048
VARIANCE_KEPT = 0.8
COMPONENTS_PER_CLASS = 5
ROWS_PER_COMPONENT = 10
# Random starts of the mixture beside the one that gives the score, for the interval.
OTHER_STARTS = 3


def estimate(data: ScoringInput) -> Estimate:
    """LEEP of a mixture's responsibilities: the mean of log sum_v p(y_i | v) p(v | f_i) over its components v.

    The mixture of 5 C Gaussians is fitted to the principal components that hold 80% of the features' variance.

    Args:
        data: at most 2,048 rows of (n, D) features of C classes are read.

    Returns:
        Minus infinity to 0; higher where the clusters of the features match the classes.

    Raises:
        ScoreNotApplicable: no rows are at hand.

    Source: Li, Jia, Sang, Zhu, Green, Wang & Gong, "Ranking Neural Checkpoints", CVPR 2021.

    Example:
        >>> from frontrunner.scores import score
        >>> labels = np.arange(40) % 2
        >>> noise = np.random.default_rng(0).normal(size=(40, 3))
        >>> separated = noise + 10 * labels[:, None]
        >>> score("n_leep", noise, labels) < score("n_leep", separated, labels) <= 0.0
        True
    """
    rows = data.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    components = _principal_components(rows.features, VARIANCE_KEPT)

    def fitted(seed: int) -> Estimate:
        theta = _responsibilities(components, data.class_count, seed)
        return log_expected_prediction(lambda: iter([(theta, codes)]), data.class_count, rows.index)

    first = fitted(SEED)
    of_rows = first.influence

    def influence() -> Influence:
        # A mixture has many optima; which one is found changes the score as much as the examples do.
        starts = tuple(fitted(SEED + 1 + start).value for start in range(OTHER_STARTS))
        return replace(of_rows() if of_rows is not None else Influence(np.zeros(codes.size)), starts=starts)

    # What the fit adds is the same for every checkpoint, as they have the same number of clusters: it misleads nobody.
    return replace(first, influence=influence, optimism=0.0)


def _responsibilities(components: Floats, classes: int, seed: int) -> Floats:
    """(m, K) of a Gaussian mixture of principal components (m, p); one column where there are none."""
    # Imported here, because the import takes most of a second and the other scores do not need it.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    m = components.shape[0]
    count = max(min(COMPONENTS_PER_CLASS * classes, m // ROWS_PER_COMPONENT), 1)
    if components.shape[1] == 0 or count == 1:
        return np.ones((m, 1))
    mixture = GaussianMixture(count, covariance_type="diag", random_state=seed)
    with warnings.catch_warnings():
        # Duplicated rows leave k-means fewer distinct centres than asked for; the mixture is defined all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(mixture.fit(components).predict_proba(components))


def _principal_components(features: Floats, kept: float) -> Floats:
    """(m, p) scores on the fewest components that hold the share `kept` of the variance; the largest has variance 1."""
    centred = features - features.mean(axis=0)
    square = float((centred**2).sum())
    if square <= 1e-24 * float((features**2).sum()):
        return np.zeros((features.shape[0], 0))
    small = centred @ centred.T if centred.shape[0] <= centred.shape[1] else centred.T @ centred
    values, vectors = eigen(small)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    count = int(np.searchsorted(np.cumsum(values) / values.sum(), kept)) + 1
    scores = vectors[:, :count] * np.sqrt(values[:count])
    if centred.shape[0] > centred.shape[1]:
        scores = centred @ vectors[:, :count]
    return np.asarray(scores * np.sqrt(features.shape[0] / values[0]))


SCORE = Score(
    name="n_leep",
    title="N-LEEP",
    citation="Li et al., CVPR 2021",
    needs="features",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="expensive: principal components and a Gaussian mixture of at most 2,048 rows",
    explanation="How well clusters of the features translate into your classes.",
    estimate=estimate,
    highest=0.0,
    largest_sample=LARGEST_SAMPLE,
)
