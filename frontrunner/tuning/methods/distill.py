"""Distillation: the student's features learn to predict the teachers' features, its answers to follow theirs.

Features: Romero et al., "FitNets", ICLR 2015, and the multi-teacher baseline of You et al., JMLR 2022: mean_k
|phi_k - W_k phi_t|^2 with W_k learned; each phi_k is standardised, so that no teacher's scale drowns another's.
Answers: Hinton, Vinyals & Dean, 2015. The teachers know other classes than the target's, so a probe on each one's
features speaks for it; its answer to an image comes from a probe that has not seen that image.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from torch import Tensor, nn

from frontrunner.errors import TooFewExamples
from frontrunner.statistics import Floats
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.options import DistillOptions
from frontrunner.tuning.training.method import (
    HEAD_RATE,
    Batch,
    Method,
    Outcome,
    cross_entropy,
    decaying,
    divergence,
    plain,
    rates,
)

_FOLDS = 5


class _WithProjections(nn.Module):
    def __init__(self, student: Classifier, projections: list[nn.Linear]) -> None:
        super().__init__()
        self.student = student
        self.projections = nn.ModuleList(projections)


def distill(context: TuningContext[DistillOptions]) -> Method:
    """Loss: cross-entropy + lambda mean_k |phi_k - W_k phi_t|^2 + mu T^2 KL(teachers' answers || the student's)."""
    options = context.options
    student = context.open_student()
    features_of = [_standardised(context.extract(teacher).features) for teacher in context.teachers]
    labels = context.train.labels.numpy()
    answers = np.mean(
        [probe_answers(features, labels, context.classes, context.seed) for features in features_of], axis=0
    )
    softened = torch.softmax(torch.from_numpy(np.log(np.maximum(answers, 1e-12))) / options.temperature, dim=1).float()
    wanted = [torch.from_numpy(features).float() for features in features_of]
    own = context.feature_dimension(student)
    projections = [nn.Linear(own, features.shape[1]) for features in wanted]

    def loss(batch: Batch) -> Outcome:
        features, logits = student.both(batch.views)

        def distance(projection: nn.Linear, teacher: Tensor) -> Tensor:
            return nn.functional.mse_loss(projection(features), teacher[batch.rows].to(logits.device))

        apart = torch.stack([distance(p, t) for p, t in zip(projections, wanted, strict=True)]).mean()
        followed = divergence(logits, softened[batch.rows].to(logits.device), options.temperature)
        parts = {
            "task": cross_entropy(logits, batch.labels),
            "features": options.feature_strength * apart,
            "answers": options.logit_strength * followed,
        }
        return Outcome(parts, logits)

    module = _WithProjections(student, projections)
    groups = [*rates(student), *decaying(module.projections.parameters(), HEAD_RATE)]
    return Method(module, groups, loss, student, plain(student))


def probe_answers(features: Floats, labels: np.ndarray, classes: int, seed: int) -> Floats:
    """(n, C) probabilities from logistic regressions, each on four fifths of the rows and asked about the rest."""
    fewest = int(np.bincount(labels)[np.unique(labels)].min())
    if fewest < 2:
        raise TooFewExamples(
            "distill asks probes about images they have not seen: each class needs two training images"
        )
    folds = StratifiedKFold(min(_FOLDS, fewest), shuffle=True, random_state=seed)
    answered = np.zeros((len(labels), classes))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a likelihood that has not settled still orders the classes
        model = LogisticRegression(C=0.1, max_iter=100)
        found = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    answered[:, np.unique(labels)] = found
    return answered


def _standardised(features: np.ndarray) -> Floats:
    centred = features.astype(np.float64) - features.mean(axis=0)
    return np.asarray(centred / np.maximum(centred.std(axis=0), 1e-6))
