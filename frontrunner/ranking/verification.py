"""Verification in a ranking: who may be adapted and how, and what the lines say once it was done. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy.special import logit

from frontrunner.data import DatasetReference, DatasetReport
from frontrunner.errors import FrontrunnerError
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking.prediction import model_for
from frontrunner.ranking.request import RankingRequest
from frontrunner.ranking.result import RankedCheckpoint, Verified
from frontrunner.ranking.stages import BudgetReport, Leader, Trial, VerificationStanding, VerificationTerms, verify
from frontrunner.ranking.stages.prices import Prices
from frontrunner.ranking.stages.verification import ENOUGH, MOST
from frontrunner.ranking.standings import reordered
from frontrunner.tuning.options import method_of
from frontrunner.tuning.request import has_tuned_form, require_tunable
from frontrunner.tuning.verification import VerificationOutput, VerificationPayload, halves, verification_payload


def terms_of(
    request: RankingRequest, dataset: DatasetReport, candidates: Sequence[CheckpointDescription]
) -> VerificationTerms | None:
    """The verification that a request asks for; None where it asks for none.

    With a budget it is done without being asked for, wherever the budget reaches.
    """
    most = request.verify if request.verify is not None else MOST if request.budget is not None else 0
    if not most:
        return None
    method = method_of(request.adaptation)
    model = model_for(dataset.modality, dataset.task, request.adaptation)
    unsuited = None
    try:
        require_tunable(dataset, method)
    except FrontrunnerError as error:
        unsuited = str(error)
    train, held = halves(dataset.train_examples)
    if unsuited is None and held < dataset.class_count:
        unsuited = (
            f"it learns from {train + held} examples, too few to hold some of each of {dataset.class_count} classes out"
        )
    return VerificationTerms(
        most=most,
        method=method,
        modality=dataset.modality,
        examples=dataset.train_examples,
        within=None if model is None else model.within,
        tunable=frozenset(found.id for found in candidates if has_tuned_form(found, method)),
        enough=ENOUGH if request.verify is None else math.inf,
        unsuited=unsuited,
    )


def step_payload(
    request: RankingRequest,
    dataset: DatasetReference,
    described: Mapping[str, CheckpointDescription],
    step: Trial,
    left: Sequence[str] = (),
) -> VerificationPayload:
    """The work of adapting one checkpoint.

    Args:
        request: what was asked for.
        dataset: to what.
        described: checkpoints by id.
        step: which one, and how far.
        left: ids of those that are not trained any further.
    """
    method, seed = method_of(request.adaptation), (request.seed + step.again) % 2**32

    def of(name: str) -> VerificationPayload:
        return verification_payload(method, dataset, described[name], step.epochs, seed=seed)

    return of(step.checkpoint).model_copy(update={"left": tuple(of(name).tuning.name for name in left)})


def verification_of(
    terms: VerificationTerms,
    lines: Sequence[RankedCheckpoint],
    results: Mapping[Trial, VerificationOutput | SkippedCheckpoint],
    prices: Prices | None,
) -> VerificationStanding:
    """How far the verification of a ranking is whose lines are all read.

    Args:
        terms: as settled.
        lines: the best first, with predictions where there are any.
        results: of the steps that are over.
        prices: what a budget has left, which is charged.
    """
    leaders = [
        Leader(
            line.checkpoint,
            # Of those that cannot be told apart at all any may be the best.
            line.probability_best if line.probability_best is not None else 1 / len(lines),
            None if line.prediction is None else float(logit(line.prediction.accuracy)),
        )
        for line in lines
        if line.examples == lines[0].examples
    ]
    return verify(terms, leaders, results, prices)


def with_verification(lines: Sequence[RankedCheckpoint], found: VerificationStanding) -> list[RankedCheckpoint]:
    """The lines with what was measured; those that were verified to the end come first, the best one first of all."""
    if not found.measured:
        return list(lines)
    order = [*found.measured, *(line.checkpoint for line in lines if line.checkpoint not in found.measured)]
    changed = []
    for line in reordered(lines, order):
        output = found.measured.get(line.checkpoint)
        update: dict[str, object] = {}
        if line.checkpoint in found.probability_best:
            update["probability_best"] = found.probability_best[line.checkpoint]
        if output is not None:
            low, middle, high = found.accuracy[line.checkpoint]
            update["verified"] = Verified(
                measured=output.accuracy,
                accuracy=middle,
                low=low,
                high=high,
                held_out=output.held_out,
                train_examples=output.train_examples,
                epochs=output.epochs,
                learning_rate=output.learning_rate,
            )
        changed.append(line.model_copy(update=update))
    return changed


def with_pick(spent: BudgetReport | None, found: VerificationStanding, prices: Prices | None) -> BudgetReport | None:
    """How a budget was spent, the verification counted."""
    if spent is None or prices is None:
        return spent
    return spent.model_copy(update={"spent": prices.spent, "pick": found.report.pick or spent.pick})
