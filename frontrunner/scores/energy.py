"""ETran's energy term: mean log sum exp of the features, a measure of how familiar the data are to the checkpoint.

Gholami et al., "ETran: Energy-Based Transferability Estimation", ICCV 2023. The energy of an example is
E = -log sum_d exp(f_d); in-distribution data have a low one. Labels play no part, so this is a term to be added to
others, not a ranking of its own: it grows with the features' scale and number.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from frontrunner.errors import ScoreNotApplicable
from frontrunner.scores.intervals import leave_group_out_of_mean
from frontrunner.scores.score import EVERY_TASK, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput


def _estimate(case: ScoringInput) -> Estimate:
    if not case.has_rows:
        raise ScoreNotApplicable("the energy is a sum over rows, and only sums of features are at hand")
    negative_energy = np.concatenate([logsumexp(b.astype(np.float64), axis=1) for b in case.feature_blocks()])
    value = float(negative_energy.mean())
    return Estimate(value, -value, lambda: leave_group_out_of_mean(negative_energy, case.groups))


SCORE = Score(
    name="energy",
    title="ETran energy",
    source="Gholami et al., ICCV 2023",
    needs="features",
    tasks=EVERY_TASK,
    range="unbounded; grows with the features' scale; the raw value is the energy, the lower the better",
    cost="one pass, n D",
    explanation="How familiar the images look to the checkpoint, whatever their labels.",
    estimate=_estimate,
)
