"""What `frontrunner.discrepancy` says of a tuned model's gap, from what is at hand once it is tuned."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from frontrunner.discrepancy import DiscrepancyReport, HeadMargins, SGDNoise, generalisation_report, tuned_discrepancy
from frontrunner.discrepancy.subspace import ClassifierHead, GaussianHead, measure_curvature, projected_shift
from frontrunner.errors import FrontrunnerError, StudentUnsupported
from frontrunner.scores.posterior import posterior
from frontrunner.statistics import FeatureStatistics, Floats
from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.examples.images import Images
from frontrunner.tuning.networks.classifier import Classifier, NewHead
from frontrunner.tuning.networks.image_classifier import ImageClassifier
from frontrunner.tuning.networks.new_heads import image_classifier, own_linear_classifier
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.result import GapOutput, GeneralisationOutput
from frontrunner.tuning.training.loop import Schedule

# Curvature takes a loop over single examples: 32 images of 224 pixels through a small network take some ten seconds.
_CURVATURE_EXAMPLES = 32
_DIMENSION = 64
_AT_ONCE = 64
# What the report calls what may be missing.
_RADEMACHER = "Rademacher (head)"
_PAC_BAYES = f"PAC-Bayes estimate (tuned, {_DIMENSION} directions)"


def bounds(
    tuned: Classifier,
    context: TuningContext[MethodOptions],
    schedule: Schedule,
    *,
    train_accuracy: float,
    test_accuracy: float,
) -> GeneralisationOutput:
    """Every bound and estimate that the tuning's measurements allow, and why one is missing.

    VC from the count of weights; Rademacher from the margins of the linear head, a bound where the features were not
    trained; PAC-Bayes in the `tuned` space where the checkpoint has a linear classifier of its own to measure its
    curvature with.

    Args:
        tuned: the tuned model.
        context: of the tuning, which holds the examples that it was trained on.
        schedule: that it was trained by.
        train_accuracy, test_accuracy: of the tuned model; their difference is the measured gap.
    """
    train, statistics, margins = context.train, FeatureStatistics(), list[HeadMargins]()
    missing: dict[str, str] = {}
    head = tuned.eval().linear_head()
    with torch.inference_mode():
        for rows in torch.split(torch.arange(len(train)), _AT_ONCE):
            features, labels = tuned.features(train.plain(rows)).numpy(), train.labels[rows].numpy()
            statistics.update(features, labels=labels)
            if head is not None and _RADEMACHER not in missing:
                try:
                    margins.append(_margins(features, labels, head))
                except FrontrunnerError as error:
                    missing[_RADEMACHER] = error.reason
    discrepancy = None
    try:
        discrepancy = _discrepancy(tuned, context, schedule, statistics)
    except FrontrunnerError as error:
        missing[_PAC_BAYES] = error.reason
    report = generalisation_report(
        len(train),
        sum(weight.numel() for weight in tuned.parameters()),
        head=functools.reduce(operator.add, margins) if margins and _RADEMACHER not in missing else None,
        features_were_frozen=context.options.name == "linear_probe",
        discrepancy=discrepancy,
        measured=train_accuracy - test_accuracy,
    )
    return GeneralisationOutput(
        n=report.n,
        delta=report.delta,
        gaps=[
            GapOutput(
                name=gap.name,
                kind=gap.kind,
                value=gap.value if math.isfinite(gap.value) else None,
                vacuous=gap.vacuous,
            )
            for gap in report.gaps
        ],
        measured=report.measured,
        missing=missing,
    )


def _margins(features: Floats, labels: NDArray[np.int64], head: nn.Linear) -> HeadMargins:
    biases = None if head.bias is None else head.bias.detach().numpy()
    return HeadMargins.of(features, labels, head.weight.detach().numpy().T, biases)


def _discrepancy(
    tuned: Classifier, context: TuningContext[MethodOptions], schedule: Schedule, statistics: FeatureStatistics
) -> DiscrepancyReport:
    """In the `tuned` space: from the pretrained weights to the ones reached."""
    train = context.train
    if not (isinstance(tuned, ImageClassifier) and isinstance(train, Images)):
        raise StudentUnsupported("curvature is measured of models of images")
    opened = context.open_at_size(tuned.description)
    own = own_linear_classifier(opened, train.image_size)
    if own is None:
        raise StudentUnsupported(
            f"{tuned.description.id} has no linear classifier of its own, whose curvature is needed"
        )
    model = posterior(statistics)
    codes = {label: column for column, label in enumerate(model.classes or ())}
    rows = torch.arange(min(len(train), _CURVATURE_EXAMPLES))
    labels = torch.tensor([codes[int(label)] for label in train.labels[rows]])
    batches = [(train.plain(rows), labels)]
    before = image_classifier(opened, NewHead(context.classes, context.seed), train.image_size).features_alone()
    after = tuned.features_alone()
    source, _ = measure_curvature(before, batches, source=ClassifierHead(own), target=None, dimension=_DIMENSION)
    target = GaussianHead(model.mean, model.evidence.beta)
    _, reached = measure_curvature(after, batches, source=None, target=target, dimension=_DIMENSION)
    shift = projected_shift(list(before.parameters()), list(after.parameters()), dimension=_DIMENSION)
    assert source is not None and reached is not None  # noqa: S101, PT018 - both heads were given
    return tuned_discrepancy(
        source,
        reached,
        shift,
        noise=SGDNoise("empirical", schedule.learning_rate, min(schedule.batch_size, len(train))),
        n=len(train),
    )
