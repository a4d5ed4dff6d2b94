"""B-Tuning: the student learns to predict what the teachers' Bayesian linear models predict, the better the more.

You et al., "Ranking and Tuning Pre-trained Models: A New Paradigm for Exploiting Model Hubs", JMLR 23
(2022), section 5. LogME gives each checkpoint k a score and posterior weights m_k, so that phi_k m_k predicts the
one-hot labels. The predictions of all teachers have one shape, whatever their features, and can be averaged.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from frontrunner.errors import StudentUnsupported
from frontrunner.scores.posterior import Posterior, posterior
from frontrunner.statistics import FeatureStatistics, Floats
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import BTuningOptions
from frontrunner.tuning.training.method import Batch, Method, Outcome, cross_entropy, plain, rates


def b_tuning(context: TuningContext[BTuningOptions]) -> Method:
    """Loss: cross-entropy + lambda mean (phi_t m_t - sum_k pi_k phi_k m_k)^2, pi = softmax(LogME / T).

    The mean is over examples and classes, the cross-entropy's over examples only. So lambda, 100 in the source, whose
    datasets have about a hundred classes, is the number of classes unless named: each class then weighs alike. With
    seven classes 100 is too steep to descend (docs/tuning.md).

    Teachers see the plain views and are read once; the student's own m_t comes from its pretrained features and stays.
    """
    options = context.options
    student = context.open_student()
    if not student.reads_as_ranked:
        raise StudentUnsupported(
            f"{student.description.id} as a classifier has other features than those that rankings read, and the "
            "linear model of these says nothing of them; try finetune or distill"
        )
    features_of = {teacher.digest: context.extract(teacher).features for teacher in context.teachers}
    models = {digest: _model(features, context) for digest, features in features_of.items()}
    scores = [models[digest].evidence.score for digest in features_of]
    predictions = [models[digest].predict_mean(features) for digest, features in features_of.items()]
    target = teachers_prediction(scores, predictions, options.temperature)
    wanted = torch.from_numpy(target).float()
    strength = context.classes if options.strength is None else options.strength
    weights = _Weights(_student_mean(context, models))

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)
        distance = nn.functional.mse_loss(features @ weights.mean, wanted[batch.rows].to(logits.device))
        return Outcome({"task": cross_entropy(logits, batch.labels), "bayes": strength * distance}, logits)

    by_digest = dict(zip(features_of, teachers_shares(scores, options.temperature).tolist(), strict=True))
    counts = {teacher.id: by_digest[teacher.digest] for teacher in context.teachers}
    return Method(
        student, rates(student), loss, student, plain(student), frozen=[weights], teacher_weights=lambda _views: counts
    )


def teachers_shares(scores: list[float], temperature: float) -> Floats:
    """(K,) pi = softmax(scores / temperature)."""
    scaled = np.array(scores) / temperature
    shares = np.exp(scaled - scaled.max())
    return np.asarray(shares / shares.sum())


def teachers_prediction(scores: list[float], predictions: list[Floats], temperature: float) -> Floats:
    """(n, C) sum_k pi_k phi_k m_k, from each teacher's (n, C) phi_k m_k."""
    return np.asarray(np.tensordot(teachers_shares(scores, temperature), np.stack(predictions), axes=1))


class _Weights(nn.Module):
    """m_t, (D, C)."""

    mean: torch.Tensor

    def __init__(self, mean: Floats) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float(), persistent=False)


def _model(features: np.ndarray, context: TuningContext[BTuningOptions]) -> Posterior:
    return posterior(FeatureStatistics().update(features, labels=context.train.labels.numpy()))


def _student_mean(context: TuningContext[BTuningOptions], known: dict[str, Posterior]) -> Floats:
    student = context.pretrained
    model = known.get(student.digest) or _model(context.extract(student).features, context)
    return model.mean
