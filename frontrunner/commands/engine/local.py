"""Work in this process: no server, no database."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from frontrunner import ranking as rankings
from frontrunner.bars import progress_bars
from frontrunner.data import DatasetOptions, DatasetReport, check_dataset, digest_dataset, open_dataset
from frontrunner.evidence import History
from frontrunner.hub import Catalogue, Constraints, find_catalogue
from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest
from frontrunner.settings import Settings
from frontrunner.terminal import Terminal
from frontrunner.tuning import TuningRequest
from frontrunner.tuning.local import tune
from frontrunner.tuning.result import TuningOutput


class Local:
    """An `Engine` over the library.

    Args:
        hub: folders of checkpoints; the configured hubs where it is None.
        settings: where state lies.
        quiet: whether no progress is shown.
    """

    def __init__(self, hub: list[Path] | None, settings: Settings, *, quiet: bool) -> None:
        self._hub = hub
        self._settings = settings
        self._quiet = quiet

    def check(self, dataset: Path, options: DatasetOptions) -> DatasetReport:
        """See `Engine`."""
        return check_dataset(open_dataset(dataset, options))

    def rank(
        self, dataset: Path, request: RankingRequest, options: DatasetOptions, history: History | None = None
    ) -> Ranking:
        """See `Engine`."""
        with progress_bars(Terminal(stderr=True), quiet=self._quiet) as progress:
            return rankings.rank(
                dataset,
                hub=self._hub,
                request=request,
                options=options,
                history=history,
                progress=progress,
                settings=self._settings,
            )

    def extend(
        self,
        ranking: Path,
        dataset: Path,
        options: DatasetOptions,
        added: Sequence[str],
        history: History | None = None,
    ) -> Ranking:
        """See `Engine`."""
        earlier = rankings.read_ranking(ranking)
        rankings.require_same_dataset(earlier, digest_dataset(dataset, options))
        return self.rank(dataset, rankings.extension_of(earlier, added), options, history)

    def tune(
        self, dataset: Path, request: TuningRequest, options: DatasetOptions, *, top: int | None, source: Path | None
    ) -> TuningOutput:
        """See `Engine`."""
        with progress_bars(Terminal(stderr=True), quiet=self._quiet) as progress:
            return tune(dataset, request, hub=self._hub, top=top, source=source, options=options, progress=progress)

    def copy_model(self, output: TuningOutput, folder: Path) -> None:
        """See `Engine`."""
        shutil.copytree(Path(output.folder) / output.models[0].folder, folder)

    def compare(
        self, datasets: Sequence[Path], request: TaskDistanceRequest, options: DatasetOptions
    ) -> TaskDistanceMatrix:
        """See `Engine`."""
        with progress_bars(Terminal(stderr=True), quiet=self._quiet) as progress:
            return rankings.compare_datasets(
                datasets, request.checkpoint, hub=self._hub, request=request, options=options, progress=progress
            )

    def checkpoints(self, name: str, modality: str | None, limits: Constraints) -> Catalogue:
        """See `Engine`."""
        catalogue = find_catalogue(self._hub, self._settings)
        found = tuple(
            entry
            for entry in catalogue.checkpoints
            if name in f"{entry.id} {entry.architecture}".lower()
            and modality in (None, entry.modality)
            and limits.allows(entry)
        )
        skipped = tuple(entry for entry in catalogue.skipped if name in entry.checkpoint.lower())
        return catalogue.model_copy(update={"checkpoints": found, "skipped": skipped})
