"""Ranking in this process: no server, no database; the cache is the only state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from frontrunner.data import Dataset, DatasetOptions, DatasetReport, check_dataset, open_dataset
from frontrunner.errors import FrontrunnerError, NothingRanked
from frontrunner.hub import Catalogue, CheckpointDescription, SkippedCheckpoint, feature_sets, find_checkpoints
from frontrunner.ranking.planner import assemble, plan
from frontrunner.ranking.request import DatasetReference, RankingRequest, StepOrder, StepOutput, step_orders
from frontrunner.ranking.result import Ranking
from frontrunner.ranking.step import run_step
from frontrunner.settings import Settings, get_settings

# Part of the name of a cached check: raise it whenever the report of the same bytes would differ.
_REPORT_VERSION = 1


@dataclass(frozen=True)
class Listener:
    """Who hears how a local ranking goes; every callback may be left out."""

    on_check: Callable[[int, int], None] = lambda done, total: None
    on_plan: Callable[[DatasetReport, Sequence[CheckpointDescription]], None] = lambda report, steps: None
    on_progress: Callable[[str, int, int], None] = lambda checkpoint, done, total: None
    on_outcome: Callable[[str, StepOutput | SkippedCheckpoint], None] = lambda checkpoint, outcome: None


def rank(
    dataset: str | Path,
    *,
    hub: str | Path | Iterable[str | Path] | None = None,
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
    opened = open_dataset(Path(dataset), options)
    report = load_report(opened, settings.cache, listener.on_check)
    opened = opened.without({file.key for file in report.unreadable})

    own = feature_sets(opened)
    if own and hub is None:
        catalogue = Catalogue(checkpoints=own)
    else:
        catalogue = find_checkpoints(_folders(hub, settings), packages=hub is None and settings.packages)
    planned = plan(request, report, catalogue.checkpoints, catalogue.skipped)
    listener.on_plan(report, planned.steps)

    reference = DatasetReference.of(Path(dataset).resolve(), report, options)
    outcomes: dict[str, StepOutput | SkippedCheckpoint] = {}
    for order in step_orders(request, reference, planned.steps, settings.cache):
        outcome = _outcome(order, opened, listener)
        outcomes[order.checkpoint.id] = outcome
        listener.on_outcome(order.checkpoint.id, outcome)

    identity = hashlib.sha256(f"{report.digest}\n{request.model_dump_json()}".encode()).hexdigest()[:24]
    ranking = assemble(f"local_{identity}", "succeeded", request, report, planned, outcomes)
    if not ranking.ranking:
        raise NothingRanked(nothing_ranked_reason(ranking.skipped))
    return ranking


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
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{hashlib.sha256(report.name.encode()).hexdigest()[:8]}.partial")
    partial.write_text(report.model_dump_json())
    partial.replace(path)
    return report


def _outcome(order: StepOrder, dataset: Dataset, listener: Listener) -> StepOutput | SkippedCheckpoint:
    name = order.checkpoint.id
    try:
        return run_step(order, lambda done, total: listener.on_progress(name, done, total), dataset=dataset)
    except FrontrunnerError as error:
        return SkippedCheckpoint(checkpoint=name, code=error.code, reason=error.reason)


def _folders(hub: str | Path | Iterable[str | Path] | None, settings: Settings) -> tuple[Path, ...]:
    if hub is None:
        return settings.hub
    if isinstance(hub, (str, Path)):
        return (Path(hub),)
    return tuple(Path(folder) for folder in hub)
