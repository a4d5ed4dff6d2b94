"""Tuning in this process: no server, no database; the work folder under `FRONTRUNNER_HOME` is the only state."""

from __future__ import annotations

from pathlib import Path

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.hub import HubAccess, HubFolders, find_catalogue, with_curated
from frontrunner.progress import SILENT, Progress
from frontrunner.ranking import RankingRequest, rank, the_checkpoint
from frontrunner.ranking.local import open_checked
from frontrunner.settings import Settings, get_settings
from frontrunner.tuning.choosing import take_best
from frontrunner.tuning.request import TuningRequest, require_source, require_tunable, tuning_payload
from frontrunner.tuning.result import TuningOutput


def tune(
    dataset: str | Path,
    request: TuningRequest,
    *,
    hub: HubFolders = None,
    top: int | None = None,
    source: str | Path | None = None,
    options: DatasetOptions | None = None,
    progress: Progress = SILENT,
    settings: Settings | None = None,
) -> TuningOutput:
    """Tune checkpoints on a dataset; called again after an interruption it goes on where it stopped.

    Args:
        dataset: images or texts with classes; see `frontrunner.data`.
        request: the method, the checkpoints, the numbers.
        hub: where the checkpoints are looked for; see `frontrunner.rank`.
        top: rank the hub on the dataset first, and take the best ones, see `take_best`.
        source: the labelled source of an adaptation.
        options: how to read the datasets.
        progress: hears of checks, of the ranking, and of what `run_tuning` tells.
        settings: where state and artifacts lie, and how hubs are reached; the environment by default.

    Raises:
        InvalidDataset: a dataset cannot be used.
        CheckpointError, TuningError: a checkpoint is unknown, or does not suit the method.
        TuningDiverged: before any epoch was over.
    """
    from frontrunner.tuning.run import run_tuning

    settings = settings or get_settings()
    options = options or DatasetOptions()
    _, report = open_checked(dataset, options, settings, progress)
    require_tunable(report, request.method)
    require_source(request.method, given=source is not None)
    source_reference = None
    if source is not None:
        _, source_report = open_checked(source, options, settings, progress)
        require_tunable(source_report, request.method)
        source_reference = DatasetReference.of(Path(source).resolve(), source_report, options)
    catalogue = find_catalogue(hub, settings, *request.named)
    if top is not None:
        ranked_by = RankingRequest(baselines=False)
        if hub is None:  # the ranking may hold what a machine's curated set adds
            catalogue = with_curated(catalogue, report.modality, ranked_by.constraints, HubAccess.of(settings))
        ranking = rank(
            dataset,
            hub=hub,
            request=ranked_by,
            options=options,
            progress=progress,
            settings=settings,
        )
        known = {found.id: found for found in catalogue.checkpoints}
        request = take_best(request, [known[line.checkpoint] for line in ranking.ranking], top)
    checkpoints = {name: the_checkpoint(name, [report], catalogue) for name in request.named}
    payload = tuning_payload(
        request,
        DatasetReference.of(Path(dataset).resolve(), report, options),
        checkpoints,
        settings.tunings.resolve(),
        source_reference,
    )
    return run_tuning(payload, progress, access=HubAccess.of(settings))
