"""Work of a running service, through its client."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import typer

from frontrunner.client import Client, Job
from frontrunner.commands.engine import Given
from frontrunner.commands.service import print_value
from frontrunner.data import DatasetOptions, DatasetReport, is_dataset_id
from frontrunner.errors import FrontrunnerError, error_of
from frontrunner.hub import Constraints
from frontrunner.hub.describing.listing import CatalogueMatches, ListedCheckpoint
from frontrunner.progress import SILENT
from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest, read_ranking
from frontrunner.status import Failure, Status
from frontrunner.tuning import Tuning, TuningRequest
from frontrunner.tuning.result import TuningOutput

Result = TypeVar("Result")


class JobCancelled(FrontrunnerError):
    """Somebody stopped the job before it was over."""

    code = "job_cancelled"


class Detached(Exception):
    """The job is accepted, and nobody wants to wait for it."""


class Remote:
    """An `Engine` over a service.

    Args:
        client: of the service.
        server: as the command line names it, for what it is told to say next.
        wait: for results; otherwise each job that is accepted ends in `Detached`.
        quiet: whether no progress is shown, and what is said is JSON.
    """

    def __init__(self, client: Client, server: str | None, *, wait: bool = True, quiet: bool) -> None:
        self._client = client
        self._server = server
        self._wait = wait
        self._quiet = quiet
        self._progress = SILENT if quiet else None
        self._job: str | None = None

    @property
    def kept(self) -> str:
        """What goes on where Ctrl-C ends the command, and how to go on with it."""
        if self._job is None:
            return "The service has no job of it."
        named = f" --server {self._server}" if self._server else ""
        return (
            f"The job {self._job} goes on: 'frontrunner jobs wait {self._job}{named}' shows its result, "
            f"'frontrunner jobs cancel {self._job}{named}' stops it."
        )

    def tell_job(self) -> None:
        """Say which job was accepted, and how to see its result."""
        if self._job is not None and self._quiet:
            print_value(self._client.job(self._job))
        else:
            typer.echo(self.kept)

    def check(self, given: Given) -> DatasetReport:
        """See `Engine`: the service keeps the dataset."""
        found = self._client.dataset(self._client.upload(given.dataset, given.options, progress=self._progress))
        return DatasetReport.model_validate(found["report"])

    def rank(self, given: Given, request: RankingRequest) -> Ranking:
        """See `Engine`: the service looks into its own past results; a dataset that lies there is named by its id."""
        if is_dataset_id(str(given.dataset)) and not given.dataset.exists():
            return self.result(self._client.rank(str(given.dataset), request))
        return self.result(
            self._client.recommend(given.dataset, request, options=given.options, progress=self._progress)
        )

    def extend(self, ranking: Path, given: Given, added: Sequence[str]) -> Ranking:
        """See `Engine`: the ranking is the service's own, on the dataset that it knows."""
        return self.extended(read_ranking(ranking).id, added)

    def tune(self, given: Given, request: TuningRequest, *, top: int | None, source: Path | None) -> TuningOutput:
        """See `Engine`."""
        if top is None:
            tuned = self._client.tune(
                given.dataset, request, source=source, options=given.options, progress=self._progress
            )
            return self._tuned(tuned)
        then = request.model_dump(mode="json", exclude_unset=True, exclude={"teachers"}) | {"top": top}
        ranked_by = RankingRequest(baselines=False)
        ranking = self._client.recommend(
            given.dataset, ranked_by, options=given.options, then=then, progress=self._progress
        )
        self.result(ranking)
        following = self._client.job(ranking.id)
        if following["next"] is None:
            refused = following["next_refused"] or {"code": JobCancelled.code, "reason": "no tuning followed"}
            raise error_of(refused["code"], refused["reason"])
        return self._tuned(self._client.follow(following["next"]))

    def copy_model(self, output: TuningOutput, folder: Path) -> None:
        """See `Engine`."""
        model = f"{output.models[0].folder}/"
        for file in output.files:
            if file.name.startswith(model):
                self._client.download(str(self._job), file.name, folder / file.name.removeprefix(model))

    def compare(
        self, datasets: Sequence[Path], request: TaskDistanceRequest, options: DatasetOptions
    ) -> TaskDistanceMatrix:
        """See `Engine`."""
        return self.result(self._client.compare(datasets, request, options, progress=self._progress))

    def checkpoints(self, name: str, modality: str | None, limits: Constraints) -> CatalogueMatches:
        """See `Engine`."""
        found = self._client.checkpoints(
            origin="hubs", search=name or None, modality=modality, max_parameters=limits.max_parameters
        )
        usable = [ListedCheckpoint.model_validate(entry) for entry in found if entry["usable"]]
        accepted = tuple(entry for entry in usable if limits.accepts(entry.license))
        return CatalogueMatches(checkpoints=accepted, more=False)

    def follow(self, job: str) -> Any:
        """What comes out of a job that was begun before; see `result`."""
        found = self.result(self._client.follow(job))
        return found.output if isinstance(found, Tuning) else found

    def extended(self, ranking: str, added: Sequence[str]) -> Ranking:
        """A ranking of the service with further checkpoints; see `result`."""
        return self.result(self._client.extend(ranking, added))

    def result(self, job: Job[Result]) -> Result:
        """What comes out of a job.

        Raises:
            Detached: nobody wants to wait for it.
            FrontrunnerError: it failed, by the library's own type where it has one, or was cancelled.
        """
        self._job = job.id
        if not self._wait:
            raise Detached
        found = job.wait(progress=self._progress)
        failure: Failure | None = getattr(found, "failure", None)
        if failure is not None:
            raise error_of(failure.code, failure.reason)
        if job.status == Status.CANCELLED:
            raise JobCancelled(f"the job {job.id} was cancelled; 'frontrunner jobs retry {job.id}' goes on with it")
        return found

    def _tuned(self, job: Job[Tuning]) -> TuningOutput:
        output = self.result(job).output
        if output is None:
            raise JobCancelled(f"the tuning {job.id} is over and has made nothing")
        return output
