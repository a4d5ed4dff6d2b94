"""`Client`: calls return once the service has answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import httpx

from frontrunner.client import operations
from frontrunner.client.connection import (
    LONGEST_S,
    Call,
    EventLines,
    JobEvent,
    Operation,
    Patience,
    refuse_problem,
    settings_of,
)
from frontrunner.client.job import Job
from frontrunner.client.resources import Resources
from frontrunner.data import DatasetOptions
from frontrunner.data.memory import DatasetLike, held_dataset
from frontrunner.files import whole_file
from frontrunner.progress import Progress
from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest
from frontrunner.ranking.local import Terms, requested
from frontrunner.tuning import BestOfRanking, Tuning, TuningRequest

Result = TypeVar("Result")


class Client(Resources):
    """Talks to a running service.

    Requests that the service cannot answer now, or whose connection breaks, are sent again for a minute; what makes
    something carries an idempotency key, so that it is made once.

    Args:
        url: where it is, or the name of a profile; else the environment's FRONTRUNNER_SERVER, else the default
            profile (`frontrunner login`), else this machine, port 8000.
        key: an API key, where the service has keys; else the environment's FRONTRUNNER_API_KEY, else the
            profile's.
        timeout_s: longest wait for an answer.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     ranking = client.recommend("flowers/", top=5).wait()
        ...     print(ranking.summary)
    """

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(**settings_of(url, key, timeout_s))

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._http.base_url).rstrip("/")

    def recommend(
        self,
        dataset: DatasetLike,
        request: RankingRequest | None = None,
        *,
        options: DatasetOptions | None = None,
        top: int | None = None,
        then: Mapping[str, Any] | None = None,
        progress: Progress | None = None,
        **terms: Unpack[Terms],
    ) -> Job[Ranking]:
        """Upload a dataset and have checkpoints ranked for it.

        Args:
            dataset: a file, a folder, or data in memory, as for `frontrunner.rank`.
            request: which checkpoints, which scores, how many examples.
            options: how to read the dataset where its layout leaves a choice.
            top: keep so many lines of the ranking.
            then: a tuning that follows on the ranking, as `then` in `POST /v1/recommendations`; the job's `next` names
                it.
            progress: hears how many bytes have gone; by default a bar where somebody is watching, of what is larger
                than a part.
            terms: the fields of `RankingRequest` by keyword.

        Raises:
            ServiceProblem: the service refused the dataset or the request. It is of the library's own type for the
                code too, `errors.UnlabelledDataset` for instance.
        """
        asked = requested(request, terms)
        with held_dataset(dataset) as path:
            job = self.run(operations.recommend(path, asked, options, then, progress))
        return Job(self, job, lambda: operations.read_ranking(job["id"], top))

    def upload(
        self, dataset: DatasetLike, options: DatasetOptions | None = None, *, progress: Progress | None = None
    ) -> str:
        """Upload a dataset and return its id; the same data has the same id.

        Args:
            dataset: as for `recommend`.
            options: how to read it where its layout leaves a choice.
            progress: hears how many bytes have gone, as for `recommend`.

        Raises:
            ServiceProblem: the service refused it.
        """
        with held_dataset(dataset) as path:
            identifier: str = self.run(operations.upload(path, options, progress))["id"]
        return identifier

    def rank(self, dataset: str, request: RankingRequest | None = None, **terms: Unpack[Terms]) -> Job[Ranking]:
        """Have checkpoints ranked for a dataset of the service, by its id.

        Raises:
            ServiceProblem: the service refused the request.
        """
        job = self.run(operations.rank(dataset, requested(request, terms)))
        return Job(self, job, lambda: operations.read_ranking(job["id"]))

    def extend(self, ranking: str, checkpoints: Sequence[str] = ()) -> Job[Ranking]:
        """Have further checkpoints ranked together with those of a finished ranking; all new ones by default.

        Raises:
            ServiceProblem: the service refused the request.
        """
        job = self.run(operations.extend(ranking, checkpoints))
        return Job(self, job, lambda: operations.read_ranking(job["id"]))

    def tune(
        self,
        dataset: DatasetLike,
        request: TuningRequest,
        *,
        best_of: BestOfRanking | None = None,
        source: DatasetLike | None = None,
        options: DatasetOptions | None = None,
        progress: Progress | None = None,
    ) -> Job[Tuning]:
        """Upload a dataset and have checkpoints tuned on it.

        Args:
            dataset: as for `recommend`.
            request: the method, the checkpoints, the numbers.
            best_of: take the checkpoints from this ranking instead.
            source: a labelled dataset, for methods of domain adaptation.
            options: how to read the datasets where their layout leaves a choice.
            progress: hears how many bytes have gone, as for `recommend`.

        Raises:
            ServiceProblem: the service refused a dataset or the request.
        """
        target = self.upload(dataset, options, progress=progress)
        beside = None if source is None else self.upload(source, options, progress=progress)
        job = self.run(operations.tune(target, request, best_of, beside))
        return Job(self, job, lambda: operations.read_tuning(job["id"]))

    def compare(
        self,
        datasets: Sequence[DatasetLike],
        request: TaskDistanceRequest,
        options: DatasetOptions | None = None,
        *,
        progress: Progress | None = None,
    ) -> Job[TaskDistanceMatrix]:
        """Upload datasets and have the distances between them measured, as one checkpoint sees them.

        Args:
            datasets: each as for `recommend`.
            request: the checkpoint, and how many examples it sees.
            options: how to read the datasets where their layout leaves a choice.
            progress: hears how many bytes have gone, as for `recommend`.

        Raises:
            ServiceProblem: the service refused a dataset or the request.
        """
        identifiers = [self.upload(path, options, progress=progress) for path in datasets]
        job = self.run(operations.compare(identifiers, request))
        return Job(self, job, lambda: operations.read_distances(job["id"]))

    def follow(self, job_id: str) -> Job[Any]:
        """A job that was begun elsewhere or before; what comes out of it is of its kind.

        Raises:
            ServiceProblem: there is no such job.
        """
        job = self.job(job_id)
        return Job(self, job, lambda: operations.result_of(job))

    def wait(
        self,
        job_id: str,
        *,
        on_job: Callable[[dict[str, Any]], None] = lambda job: None,
        timeout_s: float = LONGEST_S,
    ) -> dict[str, Any]:
        """Wait until a job is over; `on_job` hears it each time it has changed. A restart of the service is sat out.

        Raises:
            ServiceProblem: there is no such job.
            TimeoutError: it did not end in `timeout_s`.
        """
        return self.run(operations.wait(job_id, on_job, timeout_s))

    def events(self, job_id: str, *, after: int = 0, quiet_s: float | None = None) -> Iterator[JobEvent]:
        """What happens to a job, from event `after` on, until it is over.

        Args:
            job_id: of the job.
            after: number of the last event that is known.
            quiet_s: longest time without a word from the service, which says something every quarter of a minute.

        Raises:
            ServiceProblem: there is no such job.
            httpx.TransportError: the connection broke; ask again with the last event's number.
        """
        lines = EventLines()
        with self._streamed(operations.job_events(job_id, after, quiet_s)) as answer:
            for line in answer.iter_lines():
                if (event := lines.read(line)) is not None:
                    yield event

    def download(self, tuning_id: str, name: str, to: str | Path) -> Path:
        """Fetch a file of a finished tuning, `model/model.safetensors` for instance; the place it was written to.

        Args:
            tuning_id: of the tuning.
            name: as the tuning lists it.
            to: a file, or a folder into which it is written under its own name.

        Raises:
            ServiceProblem: there is no such file.
        """
        place = operations.place_of(name, to)
        with self._streamed(operations.tuning_file(tuning_id, name)) as answer, whole_file(place) as file:
            for piece in answer.iter_bytes():
                file.write(piece)
        return place

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, operation: Operation[Result]) -> Result:
        """Send what an operation asks for until it is over, and return what it found.

        Raises:
            ServiceProblem: an answer was a refusal.
            httpx.TransportError: the service did not answer for a minute.
        """
        try:
            call = next(operation)
            while True:
                call = operation.send(self._answer(call))
        except StopIteration as ended:
            found: Result = ended.value
            return found
        finally:
            operation.close()  # what it holds open, whatever came of it

    @contextmanager
    def _streamed(self, call: Call) -> Iterator[httpx.Response]:
        """The answer to a call, to be read as it comes.

        Raises:
            ServiceProblem: it is a refusal.
        """
        with call.arguments() as arguments, self._http.stream(**arguments) as answer:
            if answer.is_error:
                answer.read()
                refuse_problem(answer)
            yield answer

    def _answer(self, call: Call) -> httpx.Response:
        patience = Patience()
        while True:
            outcome: httpx.Response | httpx.TransportError
            try:
                with call.arguments() as arguments:
                    outcome = self._http.request(**arguments)
            except httpx.TransportError as error:
                outcome = error
            pause = patience.pause_after(outcome) if call.patient else None
            if pause is None:
                if isinstance(outcome, httpx.TransportError):
                    raise outcome
                return outcome
            time.sleep(pause)
