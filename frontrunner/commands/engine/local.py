"""Work in this process: no server, no database."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from frontrunner import ranking as rankings
from frontrunner.bars import progress_bars
from frontrunner.commands.engine import Given
from frontrunner.data import DatasetOptions, DatasetReport, check_dataset, digest_dataset, open_dataset
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

    def check(self, given: Given) -> DatasetReport:
        """See `Engine`."""
        return check_dataset(open_dataset(given.dataset, given.options))

    def rank(self, given: Given, request: RankingRequest) -> Ranking:
        """See `Engine`."""
        with progress_bars(Terminal(stderr=True), quiet=self._quiet) as progress:
            return rankings.rank(
                given.dataset,
                hub=self._hub,
                request=request,
                options=given.options,
                history=given.history,
                progress=progress,
                settings=self._settings,
            )

    def extend(self, ranking: Path, given: Given, added: Sequence[str]) -> Ranking:
        """See `Engine`."""
        earlier = rankings.read_ranking(ranking)
        rankings.require_same_dataset(earlier, digest_dataset(given.dataset, given.options))
        return self.rank(given, rankings.extension_of(earlier, added))

    def tune(self, given: Given, request: TuningRequest, *, top: int | None, source: Path | None) -> TuningOutput:
        """See `Engine`."""
        with progress_bars(Terminal(stderr=True), quiet=self._quiet) as progress:
            return tune(
                given.dataset,
                request,
                hub=self._hub,
                top=top,
                source=source,
                options=given.options,
                progress=progress,
            )

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
