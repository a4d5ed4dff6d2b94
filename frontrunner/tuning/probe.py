"""The probe that a tuning has to beat: what the student's features, as pretrained, tell without any tuning."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from frontrunner.errors import FrontrunnerError
from frontrunner.scores.linear_probe import FOLDS, best_strength
from frontrunner.scores.sampling import stratified_folds
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.examples import Examples
from frontrunner.tuning.measurement import wilson
from frontrunner.tuning.networks.reading import read_plain
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.result import Interval

_ROUNDS = 300


def probe_to_beat(context: TuningContext[MethodOptions], report: Examples) -> Interval | None:
    """Accuracy on the examples of the report of a logistic regression on the untuned student's features.

    It is fitted to the examples that were trained on, by the L2 penalty that does best in a cross-validation over them.

    Args:
        context: of the tuning.
        report: examples that the tuned model was measured on.

    Returns:
        None where no checkpoint is the student, where the tuning is itself such a probe, where the examples are of one
        class, and where the student cannot be read.
    """
    labels = context.train.labels.numpy()
    if context.student is None or context.options.name == "linear_probe" or np.unique(labels).size < 2:
        return None
    try:
        features = context.extract(context.student).features
        seen = read_plain(context.open(context.student), report, context.progress).features
    except FrontrunnerError:
        return None
    scaler = StandardScaler().fit(features)
    scaled = np.asarray(scaler.transform(features), dtype=np.float32)
    _, codes = np.unique(labels, return_inverse=True)
    strength, _ = best_strength(scaled, codes, stratified_folds(codes, FOLDS))
    probe = LogisticRegression(C=strength, max_iter=_ROUNDS).fit(scaled, labels)
    right = int((probe.predict(scaler.transform(seen)) == report.labels.numpy()).sum())
    return wilson(right, len(report))
