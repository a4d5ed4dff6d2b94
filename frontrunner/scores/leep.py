"""LEEP: log expected empirical prediction.

Nguyen, Hassner, Seeger & Archambeau, ICML 2020. With theta_i = p(z | x_i) over the checkpoint's own classes and the
soft joint p(y, z) = 1/n sum_i [y_i = y] theta_iz, the score is the mean over examples of log sum_z p(y_i | z) theta_iz.
Public code leaves the logarithm out, or returns NaN where a source class is never predicted; here p(y | z) of such a
class is zero, and as its theta is zero too it adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from frontrunner.scores.intervals import leave_group_out
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats


def log_expected_prediction(
    blocks: Callable[[], Iterator[tuple[Floats, NDArray[np.int64]]]], classes: int, groups: NDArray[np.int64]
) -> Estimate:
    """LEEP of soft assignments, read several times.

    Args:
        blocks: gives (b, Z) assignments and (b,) classes of all examples, a block at a time.
        classes: C.
        groups: (n,) the group each example is left out with.
    """
    joint = sum(_scatter(theta, codes, classes) for theta, codes in blocks())
    joint = np.asarray(joint)
    mass = joint.sum(axis=0)
    conditional = np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)
    n = groups.shape[0]
    terms = np.concatenate([np.log(_predicted(theta, codes, conditional)) for theta, codes in blocks()])
    value = float(terms.mean())

    def replicates() -> Floats:
        # Another example of class y moves p(. | z) as well: by theta_z ([. = y] - p(. | z)) / mass_z.
        pulls = np.asarray(
            sum(
                _scatter(theta / _predicted(theta, codes, conditional)[:, None], codes, classes)
                for theta, codes in blocks()
            )
        )
        gain = np.divide(pulls - (conditional * pulls).sum(axis=0), mass, out=np.zeros_like(joint), where=mass > 0)
        moved = np.concatenate([np.einsum("bz,bz->b", theta, gain[codes]) for theta, codes in blocks()])
        return leave_group_out(value, (terms - value + moved) / n, groups)

    return Estimate(value, value, replicates)


def _scatter(theta: Floats, codes: NDArray[np.int64], classes: int) -> Floats:
    """(C, Z) sums of `theta` (b, Z) per class."""
    return np.asarray(np.eye(classes)[:, codes] @ theta)


def _predicted(theta: Floats, codes: NDArray[np.int64], conditional: Floats) -> Floats:
    """(b,) sum_z p(y_i | z) theta_iz."""
    return np.asarray(np.einsum("bz,bz->b", theta, conditional[codes]))


def _estimate(case: ScoringInput) -> Estimate:
    return log_expected_prediction(case.probability_blocks, case.class_count, case.groups)


SCORE = Score(
    name="leep",
    title="LEEP",
    source="Nguyen et al., ICML 2020",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="below 0, the nearer to it the better",
    cost="two passes over the checkpoint's predictions, n C_source",
    explanation="How well the classes the checkpoint already predicts translate into yours.",
    estimate=_estimate,
    highest=0.0,
)
