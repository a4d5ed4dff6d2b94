"""Where a command's work is done: in this process, or by a running service. Commands ask an `Engine`, and show it.

The two differ in what Ctrl-C leaves, and in that a service can be left alone with its work; neither shows in a command.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from frontrunner.commands.common import hub_settings, interruptions, refusals
from frontrunner.commands.service import service

if TYPE_CHECKING:
    from frontrunner.commands.engine.remote import Remote
    from frontrunner.data import DatasetOptions, DatasetReport
    from frontrunner.evidence import History
    from frontrunner.hub import Catalogue, Constraints
    from frontrunner.hub.describing.listing import CatalogueMatches
    from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest
    from frontrunner.tuning import TuningRequest
    from frontrunner.tuning.result import TuningOutput


@dataclass(frozen=True)
class Given:
    """What a command works on.

    Attributes:
        dataset: a path; of a service's own datasets, the id.
        options: how it is read where its layout leaves a choice.
        history: past results; a service has its own.
    """

    dataset: Path
    options: DatasetOptions
    history: History | None = None


class Engine(Protocol):
    """Does what commands ask for. Everything that it refuses is a `FrontrunnerError`."""

    def check(self, given: Given) -> DatasetReport:
        """What a dataset was read as, and whether it can be ranked on."""
        ...

    def rank(self, given: Given, request: RankingRequest) -> Ranking:
        """Checkpoints for a dataset, best first."""
        ...

    def extend(self, ranking: Path, given: Given, added: Sequence[str]) -> Ranking:
        """The checkpoints of an earlier ranking, as `--json` wrote it, together with further ones."""
        ...

    def tune(self, given: Given, request: TuningRequest, *, top: int | None, source: Path | None) -> TuningOutput:
        """Checkpoints tuned into a model; the best `top` of a ranking, where that is said."""
        ...

    def copy_model(self, output: TuningOutput, folder: Path) -> None:
        """The first of the tuned models, in a folder that is not there yet."""
        ...

    def compare(
        self, datasets: Sequence[Path], request: TaskDistanceRequest, options: DatasetOptions
    ) -> TaskDistanceMatrix:
        """How far datasets are from each other."""
        ...

    def checkpoints(self, name: str, modality: str | None, limits: Constraints) -> Catalogue | CatalogueMatches:
        """What there is to rank."""
        ...


@contextmanager
def engine(
    server: str | None,
    key_file: Path | None = None,
    *,
    wait: bool = True,
    quiet: bool,
    hub: list[Path] | None = None,
    curated: bool = False,
    max_download: str | None = None,
    kept: str = "",
) -> Iterator[Engine]:
    """The engine that the command line means; what it refuses, and Ctrl-C, end the command with their exit codes.

    Args:
        server: an address or a profile; this process where it is None or empty.
        key_file: of the service's key.
        wait: for the result of a service; otherwise the command ends, well, once the job is accepted.
        quiet: whether no progress is shown.
        hub, curated, max_download: which checkpoints this process has; a service has its own.
        kept: what is kept where Ctrl-C ends the work in this process, and how to go on.
    """
    if not server:
        if not wait:
            raise typer.BadParameter("without --server nobody would go on with the work", param_hint="--detach")
        if curated and hub:
            raise typer.BadParameter("it stands in for a hub: give one of --hub and --curated", param_hint="--curated")
        from frontrunner.commands.engine.local import Local

        with refusals(), interruptions(kept):
            yield Local(hub, hub_settings(curated, max_download), quiet=quiet)
        return
    for given, name in ((hub, "--hub"), (curated, "--curated"), (max_download, "--max-download")):
        if given:
            raise typer.BadParameter("a service offers what its own hubs hold", param_hint=name)
    with following(server, key_file, wait=wait, quiet=quiet) as remote:
        yield remote


@contextmanager
def following(server: str | None, key_file: Path | None = None, *, wait: bool = True, quiet: bool) -> Iterator[Remote]:
    """The engine over a service; Ctrl-C leaves its work alone and says how to go on."""
    from frontrunner.commands.engine.remote import Detached, Remote

    with service(server, key_file) as client:
        remote = Remote(client, server, wait=wait, quiet=quiet)
        try:
            yield remote
        except Detached:
            remote.tell_job()
        except KeyboardInterrupt:
            typer.echo(f"stopped. {remote.kept}", err=True)
            raise typer.Exit(130) from None
