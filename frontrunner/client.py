"""A Python client of the service."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from frontrunner.errors import FrontrunnerError
from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest, TaskDistances
from frontrunner.tuning import BestOfRanking, Tuning, TuningRequest

_TERMINAL = frozenset({"succeeded", "failed", "lost", "cancelled"})
# A request that waits is held this long by the service, and asked again: proxies cut longer silences.
_HELD_S = 20
# A service that restarts is asked again for this long before its absence is an error.
_ABSENCE_S = 60.0


class ServiceProblem(FrontrunnerError):
    """The service refused a request; `problem` is its RFC 9457 document."""

    code = "service_problem"

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail", "the service gave no reason"))
        self.problem = problem


class JobEvent(NamedTuple):
    """Something that happened to a job; `number` counts within the job."""

    number: int
    type: str
    data: dict[str, Any]


class Client:
    """Talks to a running service.

    Args:
        url: where it is.
        key: an API key, where the service has keys; else the one in the environment variable FRONTRUNNER_KEY.
        timeout_s: longest wait for an answer.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     ranking = client.recommend("flowers.zip")
        ...     print(ranking.summary)
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, key: str | None = None, timeout_s: float = 60.0) -> None:
        key = key or os.environ.get("FRONTRUNNER_KEY")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    def recommend(
        self,
        dataset: str | Path,
        request: RankingRequest | None = None,
        *,
        on_job: Callable[[dict[str, Any]], None] = lambda job: None,
        timeout_s: float = 24 * 3600.0,
    ) -> Ranking:
        """Upload a dataset, wait for its ranking, and return it; `on_job` hears the job each time it is polled.

        Raises:
            ServiceProblem: the service refused the dataset or the request; its code and reason are kept.
            TimeoutError: the job did not end in `timeout_s`.
        """
        path = Path(dataset)
        with path.open("rb") as file:
            answer = self._http.post(
                "/v1/recommendations",
                files={"file": (path.name, file)},
                data={"options": (request or RankingRequest()).model_dump_json(exclude_unset=True)},
                timeout=None,
            )
        job = self._json(answer)
        self.wait(job["id"], on_job=on_job, timeout_s=timeout_s)
        return self.ranking(job["id"])

    def upload(self, dataset: str | Path) -> str:
        """Upload a dataset and return its id; the same data has the same id.

        Raises:
            ServiceProblem: the service refused it.
        """
        path = Path(dataset)
        with path.open("rb") as file:
            answer = self._http.post("/v1/datasets", files={"file": (path.name, file)}, timeout=None)
        identifier: str = self._json(answer)["id"]
        return identifier

    def compare(
        self, datasets: Sequence[str | Path], request: TaskDistanceRequest, *, timeout_s: float = 24 * 3600.0
    ) -> TaskDistanceMatrix:
        """Upload datasets and measure the distances between them, as one checkpoint sees them.

        Raises:
            ServiceProblem: the service refused a dataset or the request, or the job did not succeed.
            TimeoutError: the job did not end in `timeout_s`.
        """
        body = {"datasets": [self.upload(path) for path in datasets], **request.model_dump(exclude_unset=True)}
        job = self.wait(self._json(self._http.post("/v1/task-distances", json=body))["id"], timeout_s=timeout_s)
        found = TaskDistances.model_validate(self._json(self._http.get(job["result"])))
        if found.matrix is None:
            reason = f"the job was {job['status']}" if found.failure is None else found.failure.reason
            raise ServiceProblem({"detail": reason})
        return found.matrix

    def tune(
        self,
        dataset: str | Path,
        request: TuningRequest,
        *,
        best_of: BestOfRanking | None = None,
        on_job: Callable[[dict[str, Any]], None] = lambda job: None,
        timeout_s: float = 7 * 24 * 3600.0,
    ) -> Tuning:
        """Upload a dataset, wait for its tuning, and return it.

        Args:
            dataset: as for `recommend`.
            request: the method, the checkpoints, the numbers.
            best_of: take the checkpoints from this ranking instead.
            on_job: hears the job each time it is polled.
            timeout_s: how long to wait.

        Raises:
            ServiceProblem: the service refused the dataset or the request.
            TimeoutError: the job did not end in `timeout_s`.
        """
        body = {"dataset": self.upload(dataset), **request.model_dump(mode="json", exclude_unset=True)}
        if best_of is not None:
            body["teachers"] = best_of.model_dump()
        job = self._json(self._http.post("/v1/tunings", json=body))
        job = self.wait(job["id"], on_job=on_job, timeout_s=timeout_s)
        return Tuning.model_validate(self._json(self._http.get(job["result"])))

    def wait(
        self, job_id: str, *, on_job: Callable[[dict[str, Any]], None] = lambda job: None, timeout_s: float = 3600.0
    ) -> dict[str, Any]:
        """Wait until a job is over; `on_job` hears it each time it has changed. A restart of the service is sat out.

        Raises:
            ServiceProblem: there is no such job.
            TimeoutError: it did not end in `timeout_s`.
        """
        began = time.monotonic()
        tag = ""
        while True:
            headers = {"Prefer": f"wait={_HELD_S}", "If-None-Match": tag}
            answer = self._get_with_retries(f"/v1/jobs/{job_id}", headers)
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                job = self._json(answer)
                tag = answer.headers.get("ETag", "")
                on_job(job)
                if job["status"] in _TERMINAL:
                    return job
            if time.monotonic() - began > timeout_s:
                raise TimeoutError(f"job {job_id} is still {job['status']} after {timeout_s:g} s")

    def events(self, job_id: str, *, after: int = 0) -> Iterator[JobEvent]:
        """What happens to a job, from event `after` on, until it is over."""
        headers = {"Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=None) as answer:
            if answer.is_error:
                answer.read()
                self._json(answer)
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                    continue
                if "data" in fields:
                    yield JobEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                fields = {}

    def job(self, job_id: str) -> dict[str, Any]:
        """Read a job."""
        return self._json(self._http.get(f"/v1/jobs/{job_id}"))

    def jobs(self, **narrowed_by: Any) -> list[dict[str, Any]]:
        """The newest jobs; `narrowed_by` as in `GET /v1/jobs`."""
        items: list[dict[str, Any]] = self._json(self._http.get("/v1/jobs", params=narrowed_by))["items"]
        return items

    def cancel(self, job_id: str) -> dict[str, Any]:
        """Ask a job to stop."""
        return self._json(self._http.post(f"/v1/jobs/{job_id}/cancel"))

    def retry(self, job_id: str) -> dict[str, Any]:
        """Do again what did not succeed of a job."""
        return self._json(self._http.post(f"/v1/jobs/{job_id}/retry"))

    def delete(self, job_id: str) -> None:
        """Forget a job that is over."""
        answer = self._http.delete(f"/v1/jobs/{job_id}")
        if answer.is_error:
            self._json(answer)

    def ranking(self, ranking_id: str) -> Ranking:
        """Read a ranking; partial while it runs."""
        return Ranking.model_validate(self._json(self._http.get(f"/v1/rankings/{ranking_id}")))

    def checkpoints(self) -> list[dict[str, Any]]:
        """Every checkpoint on offer."""
        items: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self._json(self._http.get("/v1/checkpoints", params={"cursor": cursor} if cursor else {}))
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _get_with_retries(self, path: str, headers: dict[str, str]) -> httpx.Response:
        absent_since: float | None = None
        while True:
            try:
                return self._http.get(path, headers=headers)
            except httpx.TransportError:
                absent_since = absent_since or time.monotonic()
                if time.monotonic() - absent_since > _ABSENCE_S:
                    raise
                time.sleep(1.0)

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            is_problem = "json" in answer.headers.get("content-type", "")
            raise ServiceProblem(answer.json() if is_problem else {"detail": f"HTTP {answer.status_code}"})
        body: dict[str, Any] = answer.json()
        return body
