"""Ranking in this process: no server, no database; the cache is the only state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from frontrunner.data import (
    Dataset,
    DatasetOptions,
    DatasetReference,
    DatasetReport,
    check_dataset,
    open_dataset,
    stratified_order,
)
from frontrunner.errors import FrontrunnerError, NothingRanked, error_of
from frontrunner.extraction import FeatureShards
from frontrunner.files import whole_file
from frontrunner.hub import (
    Catalogue,
    CheckpointDescription,
    Constraints,
    HubAccess,
    SkippedCheckpoint,
    feature_sets,
    find_checkpoints,
    with_remote,
)
from frontrunner.ranking.planner import assemble, plan
from frontrunner.ranking.request import (
    DEFAULT_MAX_EXAMPLES,
    RankingPayload,
    RankingRequest,
    StepOutput,
    ranking_payloads,
)
from frontrunner.ranking.result import Ranking
from frontrunner.ranking.sources import SourceReference, SourceStore
from frontrunner.ranking.step import run_step
from frontrunner.ranking.task_distances import (
    TaskDistanceMatrix,
    TaskDistancePayload,
    TaskDistanceRequest,
    compare_tasks,
)
from frontrunner.settings import Settings, get_settings
from frontrunner.shard import fold
from frontrunner.status import Status

# Part of the name of a cached check: raise it whenever the report of the same bytes would differ.
_REPORT_VERSION = 1


# A folder of checkpoints, several, or the configured ones.
Hub: TypeAlias = str | Path | Iterable[str | Path] | None


@dataclass(frozen=True)
class Listener:
    """Who hears how a local ranking goes; every callback may be left out."""

    on_check: Callable[[int, int], None] = lambda done, total: None
    on_plan: Callable[[DatasetReport, Sequence[CheckpointDescription]], None] = lambda report, steps: None
    on_fetch: Callable[[str, int, int], None] = lambda checkpoint, done, total: None
    on_progress: Callable[[str, int, int], None] = lambda checkpoint, done, total: None
    on_outcome: Callable[[str, StepOutput | SkippedCheckpoint], None] = lambda checkpoint, outcome: None


def rank(
    dataset: str | Path,
    *,
    hub: Hub = None,
    request: RankingRequest | None = None,
    options: DatasetOptions | None = None,
    listener: Listener | None = None,
    settings: Settings | None = None,
) -> Ranking:
    """Rank checkpoints for a dataset, best first, without a server.

    Args:
        dataset: an image folder, or a zip, CSV, Parquet or npz file; see `frontrunner.data`.
        hub: a folder of checkpoints, or several; by default the configured folders and installed packages.
        request: which checkpoints, which scores, how many examples.
        options: how to read the dataset where its layout leaves a choice.
        listener: hears of progress.
        settings: where the cache lies and which hubs are configured; the environment by default.

    Raises:
        InvalidDataset: nothing can be ranked on the dataset; a subclass says why.
        NoCheckpoints: no hub is given or configured.
        NothingRanked: every checkpoint failed; the message names the first reasons.
    """
    request = request or RankingRequest()
    options = options or DatasetOptions()
    listener = listener or Listener()
    settings = settings or get_settings()
    opened, report = open_checked(dataset, options, settings, listener.on_check)

    own = feature_sets(opened)
    access = HubAccess.of(settings)
    catalogue = Catalogue(checkpoints=own) if own and hub is None else find_catalogue(hub, settings)
    if request.checkpoints is not None or (hub is None and not own):
        catalogue = with_remote(catalogue, request.checkpoints, report.modality, request.constraints, access)
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    listener.on_plan(report, planned.steps)

    reference = DatasetReference.of(Path(dataset).resolve(), report, options)
    outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
    for order in ranking_payloads(request, reference, planned.steps, settings.cache, SourceStore(settings.sources)):
        outcome = _outcome(order, opened, listener, access)
        outcomes[order.checkpoint.id] = outcome
        listener.on_outcome(order.checkpoint.id, outcome)

    identity = hashlib.sha256(f"{report.digest}\n{request.model_dump_json()}".encode()).hexdigest()[:24]
    ranking = assemble(f"local_{identity}", Status.SUCCEEDED, request, report, planned, outcomes)
    if not ranking.ranking:
        raise NothingRanked(nothing_ranked_reason(ranking.skipped))
    return ranking


def compare_datasets(
    datasets: Sequence[str | Path],
    checkpoint: str,
    *,
    hub: Hub = None,
    request: TaskDistanceRequest | None = None,
    options: DatasetOptions | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    settings: Settings | None = None,
) -> TaskDistanceMatrix:
    """Asymmetric distances between classification datasets, as one checkpoint sees them.

    Args:
        datasets: two or more, each as for `rank`.
        checkpoint: its id.
        hub: where the checkpoint is looked for; see `rank`.
        request: how many examples, and the weight of information.
        options: how to read the datasets, one for all.
        on_progress: hears (examples done, examples in all).
        settings: see `rank`.

    Raises:
        InvalidDataset: a dataset cannot be used.
        CheckpointError: the checkpoint is unknown, broken, or reads something else.
    """
    settings = settings or get_settings()
    options = options or DatasetOptions()
    request = request or TaskDistanceRequest(checkpoint=checkpoint)
    opened = [open_checked(path, options, settings) for path in datasets]
    catalogue = find_catalogue(hub, settings, checkpoint)
    order = TaskDistancePayload(
        datasets=tuple(
            DatasetReference.of(Path(path).resolve(), report, options)
            for path, (_, report) in zip(datasets, opened, strict=True)
        ),
        checkpoint=the_checkpoint(checkpoint, [report for _, report in opened], catalogue),
        request=request,
        cache=settings.cache,
    )
    return compare_tasks(order, on_progress, datasets=[dataset for dataset, _ in opened], access=HubAccess.of(settings))


def register_source(
    checkpoint: str,
    dataset: str | Path,
    *,
    hub: Hub = None,
    options: DatasetOptions | None = None,
    max_examples: int = DEFAULT_MAX_EXAMPLES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    settings: Settings | None = None,
) -> SourceReference:
    """Read a checkpoint's features of its source dataset and keep their statistics for the discrepancy.

    Every later ranking of this checkpoint measures from them instead of from the no-knowledge prior.

    Raises:
        InvalidDataset: the dataset cannot be used.
        CheckpointError: the checkpoint is unknown, broken, or reads something else.
    """
    settings = settings or get_settings()
    opened, report = open_checked(dataset, options or DatasetOptions(), settings)
    description = the_checkpoint(checkpoint, [report], find_catalogue(hub, settings, checkpoint))
    order = stratified_order(opened.train, seed=0)
    access = HubAccess.of(settings)
    shards = FeatureShards(description, opened, order, max_examples, settings.cache, on_progress, access=access)
    return SourceStore(settings.sources).keep(description.digest, fold(shards), report.name)


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
    return planned.steps[0]


def open_checked(
    path: str | Path,
    options: DatasetOptions,
    settings: Settings,
    on_check: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Dataset, DatasetReport]:
    """The dataset without the inputs that cannot be read, and its check.

    Raises:
        InvalidDataset: nothing can be ranked on it.
    """
    opened = open_dataset(Path(path), options)
    report = load_report(opened, settings.cache, on_check)
    return opened.without({file.key for file in report.unreadable}), report


def nothing_ranked_reason(skipped: Sequence[SkippedCheckpoint]) -> str:
    """Why a ranking came out empty, from the first reasons."""
    first = "; ".join(f"{entry.checkpoint}: {entry.reason}" for entry in skipped[:3])
    more = f"; and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return f"none of {len(skipped)} checkpoints could be ranked: {first}{more}"


def load_report(dataset: Dataset, cache: Path, on_progress: Callable[[int, int], None]) -> DatasetReport:
    """The dataset's check, from the cache where these bytes were checked before.

    Raises:
        InvalidDataset: nothing can be ranked on it.
    """
    path = cache / "reports" / f"{dataset.digest}-{_REPORT_VERSION}.json"
    try:
        return DatasetReport.model_validate_json(path.read_bytes()).model_copy(update={"name": dataset.name})
    except (FileNotFoundError, ValueError):
        report = check_dataset(dataset, on_progress)
    with whole_file(path) as file:
        file.write(report.model_dump_json().encode())
    return report


def _outcome(
    order: RankingPayload, dataset: Dataset, listener: Listener, access: HubAccess
) -> StepOutput | SkippedCheckpoint:
    name = order.checkpoint.id

    def on_progress(done: int, total: int) -> None:
        listener.on_progress(name, done, total)

    def on_fetch(done: int, total: int) -> None:
        listener.on_fetch(name, done, total)

    try:
        return run_step(order, on_progress, dataset=dataset, access=access, on_fetch=on_fetch)
    except FrontrunnerError as error:
        return SkippedCheckpoint(checkpoint=name, code=error.code, reason=error.reason)


def find_catalogue(hub: Hub, settings: Settings, *names: str) -> Catalogue:
    """What the given hub offers, or the configured ones; and `names` that lie on a hub away from here."""
    found = find_checkpoints(
        _folders(hub, settings), packages=hub is None and settings.packages, pickles_allowed=settings.hub_pickles
    )
    return with_remote(found, names, "", Constraints(), HubAccess.of(settings)) if names else found


def _folders(hub: Hub, settings: Settings) -> tuple[Path, ...]:
    if hub is None:
        return settings.hub
    if isinstance(hub, (str, Path)):
        return (Path(hub),)
    return tuple(Path(folder) for folder in hub)
