"""A Python client of the service."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from frontrunner.errors import FrontrunnerError
from frontrunner.ranking import Ranking, RankingRequest

_TERMINAL = frozenset({"succeeded", "failed", "cancelled"})


class ServiceProblem(FrontrunnerError):
    """The service refused a request; `problem` is its RFC 9457 document."""

    code = "service_problem"

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(problem.get("detail", "the service gave no reason"))
        self.problem = problem


class Client:
    """Talks to a running service.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     ranking = client.recommend("flowers.zip")
        ...     print(ranking.summary)
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=url, timeout=timeout_s)

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

    def wait(
        self, job_id: str, *, on_job: Callable[[dict[str, Any]], None] = lambda job: None, timeout_s: float = 3600.0
    ) -> dict[str, Any]:
        """Poll a job until it is over, as often as the service asks."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self._http.get(f"/v1/jobs/{job_id}")
            job = self._json(answer)
            on_job(job)
            if job["status"] in _TERMINAL:
                return job
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {job_id} is still {job['status']} after {timeout_s:g} s")
            time.sleep(float(answer.headers.get("Retry-After", 1)))

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

    @staticmethod
    def _json(answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            is_problem = "json" in answer.headers.get("content-type", "")
            raise ServiceProblem(answer.json() if is_problem else {"detail": f"HTTP {answer.status_code}"})
        body: dict[str, Any] = answer.json()
        return body
