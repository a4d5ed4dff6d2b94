"""Ranking in this process: no server, no database; the cache is the only state."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypedDict, Unpack

from frontrunner.data import (
    Dataset,
    DatasetOptions,
    DatasetReference,
    DatasetReport,
    check_dataset,
    open_dataset,
    stratified_order,
)
from frontrunner.data.memory import DatasetLike, held_dataset
from frontrunner.data.positions import read_positions
from frontrunner.errors import NoCheckpoints, NothingRanked, error_of
from frontrunner.extraction import FeatureShards
from frontrunner.extras import require_reading
from frontrunner.failures import is_failure
from frontrunner.hub import (
    Catalogue,
    CheckpointDescription,
    Constraints,
    FeatureSets,
    HubAccess,
    HubFolders,
    SkippedCheckpoint,
    catalogue_of,
    find_catalogue,
    offer,
    with_curated,
    with_named,
)
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.progress import SILENT, Guarded, Planned, Progress, Spent, Stage
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.costs import keep_cost, load_libraries, with_costs, with_first_costs
from frontrunner.ranking.planner import Plan, Progressed, assemble, plan, progressed
from frontrunner.ranking.prediction import Adaptation
from frontrunner.ranking.request import RankingRequest, StepOutput, ranking_payload
from frontrunner.ranking.result import Ranking
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.ranking.stages import BudgetReport, Expectations, Reading, StageReport, Trial
from frontrunner.ranking.stages.expectations import expectations_of
from frontrunner.ranking.step import run_step
from frontrunner.ranking.task_distances import (
    TaskDistanceMatrix,
    TaskDistancePayload,
    TaskDistanceRequest,
    compare_tasks,
)
from frontrunner.ranking.verification import step_payload
from frontrunner.scores import Score, ScoreFunction, register
from frontrunner.settings import Settings, get_settings
from frontrunner.shard import fold
from frontrunner.status import Status
from frontrunner.store import Store, open_store, read_json, write_json
from frontrunner.tuning.verification import VerificationOutput, forget, run_verification

if TYPE_CHECKING:
    from frontrunner.evidence import History

Outcome: TypeAlias = StepOutput | VerificationOutput | SkippedCheckpoint

# Part of the name of a cached check: raise it whenever the report of the same bytes would differ.
_REPORT_VERSION = 4


class Terms(TypedDict, total=False):
    """What a ranking may be asked for by keyword: the fields of `RankingRequest`, which explains them."""

    checkpoints: Sequence[str] | None
    constraints: Constraints
    scores: Sequence[str | Score | ScoreFunction] | None
    adaptation: Adaptation
    variant: str | None
    rank_by: str | None
    baselines: bool
    max_examples: int
    seed: int
    budget: str | None
    verify: int | None


def rank(
    dataset: DatasetLike,
    *,
    hub: HubFolders = None,
    request: RankingRequest | None = None,
    options: DatasetOptions | None = None,
    history: History | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
    **terms: Unpack[Terms],
) -> Ranking:
    """Rank checkpoints for a dataset, best first, without a server.

    Args:
        dataset: an image folder, or a zip, CSV, Parquet, CoNLL or npz file; or data in memory: `(inputs, labels)`, a
            data frame, a `datasets.Dataset`, a torch dataset. See `frontrunner.data.memory.held_dataset`.
        hub: a folder of checkpoints, or several; by default the configured folders and every other hub at hand.
        request: which checkpoints, which scores, how many examples.
        options: how to read the dataset where its layout leaves a choice.
        history: past results, from which a budget's shortlist is made; published facts are used without.
        progress: hears of the check, of every download and batch, of every checkpoint that is over, and of a budget's
            stages (`frontrunner.ranking.stages.StageReport`); by default a bar where somebody is watching.
        settings: where the cache lies and which hubs are configured; the environment by default.
        terms: the fields of `RankingRequest` by keyword: `scores`, `checkpoints`, `budget`, `max_examples`... They go
            before those of `request`. `scores` may hold functions of (features, labels) besides names.

    Raises:
        InvalidDataset: nothing can be ranked on the dataset; a subclass says why.
        NoCheckpoints: no hub is given or configured.
        NothingRanked: every checkpoint failed; the message names the first reasons.
        ExtraMissing: inputs of this kind are read by libraries that are not installed.
        pydantic.ValidationError: a term is out of range, or there is no such term.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(["a", "b"], 40)
        >>> ranking = rank((rng.normal(size=(80, 4)) + (labels == "b")[:, None], labels), scores=["logme", "gbc"])
        >>> ranking.ranking[0].checkpoint, sorted(ranking.ranking[0].scores)[:2]
        ('features:features', ['discrepancy', 'gbc'])
    """
    wanted = requested(request, terms)
    with held_dataset(dataset) as path, watched(progress) as listener:
        return _rank(path, hub, wanted, options or DatasetOptions(), history, listener, settings or get_settings())


@contextmanager
def watched(progress: Progress | None) -> Iterator[Progress]:
    """The progress that was given; else a bar where somebody is watching, in a terminal or a notebook."""
    if progress is not None:
        yield progress
        return
    from frontrunner.bars import progress_bars
    from frontrunner.terminal import Terminal

    with progress_bars(Terminal(stderr=True), quiet=False) as bars:
        yield bars


def requested(request: RankingRequest | None, terms: Terms) -> RankingRequest:
    """The request with terms given by keyword; functions among the scores are registered under their names.

    Raises:
        InvalidScore: a function's name cannot be that of a score.
        pydantic.ValidationError: a term is out of range, or there is no such term.
    """
    given: dict[str, object] = dict(terms)
    if (named := terms.get("scores")) is not None:
        given["scores"] = tuple(score if isinstance(score, str) else register(score).name for score in named)
    kept = {} if request is None else {name: getattr(request, name) for name in request.model_fields_set}
    return RankingRequest.model_validate(kept | given)


def _rank(
    dataset: Path,
    hub: HubFolders,
    request: RankingRequest,
    options: DatasetOptions,
    history: History | None,
    progress: Progress,
    settings: Settings,
) -> Ranking:
    opened, report = open_checked(dataset, options, settings, progress)
    began = time.monotonic()
    require_reading(report.modality)
    request = request.on(report.modality, report.task)

    own = hub is None and bool(report.feature_sets)
    access = HubAccess.of(settings)
    catalogue = catalogue_of([FeatureSets(report)]) if own else find_catalogue(hub, settings)
    if request.checkpoints is not None:
        catalogue = with_named(catalogue, request.checkpoints, access)
    elif hub is None and not own:
        if not catalogue.checkpoints and not catalogue.skipped and access.mode != "curated":
            raise NoCheckpoints(offer(report.modality))
        catalogue = with_curated(catalogue, report.modality, request.constraints, access)
    store = open_store(settings)
    planned = plan(request, report, with_costs(catalogue.checkpoints, store), catalogue.skipped)
    identity = hashlib.sha256(f"{report.digest}\n{request.model_dump_json()}".encode()).hexdigest()[:24]
    priced = planned
    unit = None if request.budget is None else Budget.parse(request.budget).unit
    if unit == "share":
        priced = Plan(tuple(with_first_costs(planned.checkpoints, identity, store)), planned.skipped)
    progress.event(Planned(work={found.id: _work_of(found) for found in planned.checkpoints}))
    progress.advance(Stage.RANK, 0, len(planned.checkpoints))

    reference = DatasetReference.of(dataset.resolve(), report, options)
    sources = SourceStore(store).find_all(checkpoint.digest for checkpoint in planned.checkpoints)
    described = {checkpoint.id: checkpoint for checkpoint in planned.checkpoints}

    shared: set[Path] = set()  # of the examples of verifications

    def do(step: Reading | Trial, left: Sequence[str], listener: Guarded) -> StepOutput | VerificationOutput:
        checkpoint = described[step.checkpoint]
        if isinstance(step, Trial):
            payload = step_payload(request, reference, described, step, left).below(settings.tunings)
            shared.add(payload.folder)
            return run_verification(payload, listener, access=access)
        reading = ranking_payload(request, reference, checkpoint, sources.get(checkpoint.digest), step.examples)
        outcome = run_step(reading, listener, dataset=opened, access=access, store=store)
        if outcome.reading_cost is not None:
            keep_cost(checkpoint, outcome.reading_cost, store)
        return outcome

    def done(step: Reading | Trial, left: Sequence[str]) -> StepOutput | VerificationOutput | SkippedCheckpoint:
        listener = Guarded(progress)
        try:
            return do(step, left, listener)
        except BaseException as error:
            if error is listener.raised or not is_failure(error):
                raise
            return SkippedCheckpoint.because(step.checkpoint, error)

    expectations = Expectations()
    if request.budget is not None:
        expectations = expectations_of(planned.checkpoints, report, history, request.ordered_by)
    if unit == "seconds":
        load_libraries(planned.checkpoints)
    gone = time.monotonic() - began
    reached = _run(lambda results: progressed(request, report, priced, expectations, results, gone), done, progress)
    for folder in shared:
        forget(folder)
    ranking = assemble(
        f"local_{identity}",
        Status.SUCCEEDED,
        request,
        report,
        planned,
        reached.outcomes,
        reached.spent,
        reached.verified,
    )
    if not ranking.ranking:
        raise NothingRanked(nothing_ranked_reason(ranking.skipped))
    return ranking


def _work_of(found: CheckpointDescription) -> float:
    """What a forward pass of one example takes beside others: weights times pixels, of texts weights alone."""
    return float(max(found.parameters, 1) * (found.input_size or 1) ** 2)


def _run(
    reached_with: Callable[[Mapping[Reading | Trial, Outcome]], Progressed],
    do: Callable[[Reading | Trial, Sequence[str]], Outcome],
    progress: Progress,
) -> Progressed:
    """Do a step at a time until a ranking is over; stages are told of as they end, and what is spent as it goes."""
    results: dict[Reading | Trial, Outcome] = {}
    told: list[StageReport] = []
    while True:
        reached = reached_with(results)
        stages = reached.stages
        for stage in stages[len(told) :]:
            if stage.waiting:
                break
            progress.event(stage)
            told.append(stage)
        if reached.spent is not None:
            progress.event(_spent(reached.spent, sum(stage.seconds for stage in stages)))
        if not reached.next:
            return reached
        step = reached.next[0]
        results[step] = do(step, reached.trained_no_further)
        entered, waiting = (stages[-1].entered, len(stages[-1].waiting)) if stages else (0, 0)
        total = entered or len(results) + len(reached.next) - 1
        progress.advance(Stage.RANK, total - (waiting or len(reached.next)) + 1, total, of=step.checkpoint)


def _spent(found: BudgetReport, seconds: float) -> Spent:
    """How far a budget is; work took so many seconds."""
    left = max(found.limit - found.spent, 0.0)
    if found.unit == "seconds":
        seconds_left: float | None = left
    else:  # at the pace so far; what was cached took no time
        seconds_left = seconds * left / found.spent if found.spent else None
    return Spent(share=found.spent / found.limit, seconds_left=seconds_left)


def compare_datasets(
    datasets: Sequence[str | Path],
    checkpoint: str,
    *,
    hub: HubFolders = None,
    request: TaskDistanceRequest | None = None,
    options: DatasetOptions | None = None,
    progress: Progress = SILENT,
    settings: Settings | None = None,
) -> TaskDistanceMatrix:
    """Asymmetric distances between classification datasets, as one checkpoint sees them.

    Args:
        datasets: two or more, each as for `rank`.
        checkpoint: its id.
        hub: where the checkpoint is looked for; see `rank`.
        request: how many examples, and the weight of information.
        options: how to read the datasets, one for all.
        progress: hears of every download and batch.
        settings: see `rank`.

    Raises:
        InvalidDataset: a dataset cannot be used.
        CheckpointError: the checkpoint is unknown, broken, or reads something else.
    """
    settings = settings or get_settings()
    options = options or DatasetOptions()
    request = request or TaskDistanceRequest(checkpoint=checkpoint)
    opened = [open_checked(path, options, settings, progress) for path in datasets]
    catalogue = find_catalogue(hub, settings, checkpoint)
    payload = TaskDistancePayload(
        datasets=tuple(
            DatasetReference.of(Path(path).resolve(), report, options)
            for path, (_, report) in zip(datasets, opened, strict=True)
        ),
        checkpoint=the_checkpoint(checkpoint, [report for _, report in opened], catalogue),
        request=request,
    )
    return compare_tasks(
        payload,
        progress,
        datasets=[dataset for dataset, _ in opened],
        access=HubAccess.of(settings),
        store=open_store(settings),
    )


def register_source(
    checkpoint: str,
    dataset: str | Path,
    *,
    hub: HubFolders = None,
    options: DatasetOptions | None = None,
    max_examples: int = DEFAULT_MAX_EXAMPLES,
    progress: Progress = SILENT,
    settings: Settings | None = None,
) -> SourceReference:
    """Read a checkpoint's features of its source dataset and keep their statistics for the discrepancy.

    Every later ranking of this checkpoint measures from them instead of from the no-knowledge prior.

    Raises:
        InvalidDataset: the dataset cannot be used.
        CheckpointError: the checkpoint is unknown, broken, or reads something else.
    """
    settings = settings or get_settings()
    opened, report = open_checked(dataset, options or DatasetOptions(), settings, progress)
    description = the_checkpoint(checkpoint, [report], find_catalogue(hub, settings, checkpoint))
    order = stratified_order(opened.train, seed=0)
    access, store = HubAccess.of(settings), open_store(settings)
    shards = FeatureShards(description, opened, order, max_examples, store, progress=progress, access=access)
    return SourceStore(store).keep(description.digest, fold(shards), report.name)


def the_checkpoint(name: str, reports: Sequence[DatasetReport], catalogue: Catalogue) -> CheckpointDescription:
    """The checkpoint called `name`, if it can read all of these datasets.

    Raises:
        CheckpointError: it is unknown, broken, or reads something else.
    """
    request = RankingRequest(checkpoints=(name,))
    for report in reports:
        planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
        if planned.skipped:
            raise error_of(planned.skipped[0].code, planned.skipped[0].reason)
    return planned.checkpoints[0]


def open_checked(
    path: str | Path,
    options: DatasetOptions,
    settings: Settings,
    progress: Progress = SILENT,
) -> tuple[Dataset, DatasetReport]:
    """The dataset without the inputs that cannot be read, and its check.

    Raises:
        InvalidDataset: nothing can be ranked on it.
    """
    opened = open_dataset(Path(path), options)
    report = load_report(opened, open_store(settings), progress)
    left_out = read_positions(report.unreadable_positions, len(opened.train) + len(opened.test))
    return opened.without(left_out), report


def nothing_ranked_reason(skipped: Sequence[SkippedCheckpoint]) -> str:
    """Why a ranking came out empty, from the first reasons."""
    alike = reasons(skipped)
    first = "; ".join(alike[:3])
    more = f"; and {len(alike) - 3} more reasons" if len(alike) > 3 else ""
    return f"none of {len(skipped)} checkpoints could be ranked: {first}{more}"


def reasons(skipped: Sequence[SkippedCheckpoint]) -> list[str]:
    """Why checkpoints were left out, a line for each reason, however many share it: a network is away for all alike."""
    found: dict[str, list[str]] = {}
    for entry in skipped:
        reason = f"{entry.reason.removeprefix(entry.checkpoint).removeprefix(': ')} [{entry.code}]"
        found.setdefault(reason, []).append(entry.checkpoint)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in found.items()
    ]


def load_report(dataset: Dataset, store: Store, progress: Progress) -> DatasetReport:
    """The dataset's check, from the cache where these bytes were checked before.

    Raises:
        InvalidDataset: nothing can be ranked on it.
    """
    name = f"cache/reports/{dataset.digest}-{_REPORT_VERSION}.json"
    stored = read_json(store, name)
    if stored is not None:
        return DatasetReport.model_validate(stored).model_copy(update={"name": dataset.name})
    report = check_dataset(dataset, progress)
    write_json(store, name, report.model_dump(mode="json"))
    return report
