"""N-LEEP: LEEP with a Gaussian mixture on the features in place of source classes.

Li, Jia, Sang, Zhu, Green, Wang & Gong, "Ranking Neural Checkpoints", CVPR 2021. Principal components that hold 80% of
the variance, a mixture of 5 C Gaussians, and LEEP on its responsibilities; so checkpoints without a classifier
can be scored. The mixture has diagonal covariances (the components are uncorrelated) and at most one component per ten
rows; the paper fixes neither. The interval holds the mixture still.
"""

from __future__ import annotations

import warnings

import numpy as np

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


def _estimate(case: ScoringInput) -> Estimate:
    rows = case.rows(LARGEST_SAMPLE)
    codes = np.asarray(rows.codes)
    theta = responsibilities(rows.features, case.class_count)
    return log_expected_prediction(lambda: iter([(theta, codes)]), case.class_count, rows.groups)


def responsibilities(features: Floats, classes: int) -> Floats:
    """(m, K) of a Gaussian mixture on the principal components of `features` (m, D); one column if they do not vary."""
    # Its import takes most of a second, which who asks for other scores need not wait for.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    components = principal_components(features, VARIANCE_KEPT)
    m = features.shape[0]
    count = max(min(COMPONENTS_PER_CLASS * classes, m // ROWS_PER_COMPONENT), 1)
    if components.shape[1] == 0 or count == 1:
        return np.ones((m, 1))
    mixture = GaussianMixture(count, covariance_type="diag", random_state=SEED)
    with warnings.catch_warnings():
        # Duplicated rows leave k-means fewer distinct centres than asked for; the mixture is defined all the same.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(mixture.fit(components).predict_proba(components))


def principal_components(features: Floats, kept: float) -> Floats:
    """(m, p) scores on the fewest components that hold the share `kept` of the variance, largest at unit variance."""
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
    source="Li et al., CVPR 2021",
    needs="features",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="dear: principal components and a Gaussian mixture of at most 2,048 rows",
    explanation="How well clusters of the features translate into your classes.",
    estimate=_estimate,
    highest=0.0,
    largest_sample=LARGEST_SAMPLE,
)
