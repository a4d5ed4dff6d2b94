"""NCE: negative conditional entropy of the labels given the checkpoint's own predicted class.

Tran, Nguyen & Hassner, "Transferability and Hardness of Supervised Classification Tasks", ICCV 2019: -H(Y | Z) with Z
the most probable source class, over the empirical joint of (Z, Y); natural logarithms. Never above LEEP's hard
assignments' own value, and 0 where each source class holds one of your classes only.
"""

from __future__ import annotations

import numpy as np

from frontrunner.scores.intervals import leave_group_out_of_mean
from frontrunner.scores.score import CLASSIFICATION, Estimate, Score
from frontrunner.scores.scoring_input import ScoringInput
from frontrunner.statistics import Floats


def _estimate(case: ScoringInput) -> Estimate:
    if case.statistics.source_counts is not None:
        counts = case.statistics.source_counts[:, case.columns]
    else:
        counts = np.zeros((0, 0))
        for theta, codes in case.probability_blocks():
            counts = counts if counts.size else np.zeros((theta.shape[1], case.class_count))
            np.add.at(counts, (theta.argmax(axis=1), codes), 1.0)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    log_share = np.log(share, out=np.zeros_like(share), where=counts > 0)
    value = float((counts * log_share).sum()) / case.n

    def replicates() -> Floats:
        # The entropy is stationary in the conditional distribution: a row moves it by its own term alone.
        terms = [log_share[theta.argmax(axis=1), codes] for theta, codes in case.probability_blocks()]
        return leave_group_out_of_mean(np.concatenate(terms), case.groups)

    return Estimate(value, value, replicates if case.has_rows else None)


SCORE = Score(
    name="nce",
    title="NCE",
    source="Tran et al., ICCV 2019",
    needs="source_probabilities",
    tasks=CLASSIFICATION,
    range="-log C to 0",
    cost="one pass over the checkpoint's predictions, n C_source",
    explanation="How much of your label is left open once the checkpoint's own top class is known.",
    estimate=_estimate,
    highest=0.0,
)
