"""What can be asked of the service: each operation yields calls, hears their answers, and returns what they say."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from frontrunner.client.connection import (
    Call,
    Operation,
    Part,
    creating,
    json_of,
    refuse_problem,
    unhurried,
    without_none,
)
from frontrunner.client.problems import problem_of
from frontrunner.client.uploading import PartStream, Upload
from frontrunner.data import DatasetOptions
from frontrunner.hub.describing.listing import CatalogueMatches, ListedCheckpoint
from frontrunner.limits import PART_BYTES
from frontrunner.progress import Progress, Stage
from frontrunner.ranking import Ranking, RankingRequest, TaskDistanceMatrix, TaskDistanceRequest, TaskDistances
from frontrunner.ranking.local import watched
from frontrunner.ranking.result import Outlook
from frontrunner.recommending import first_lines
from frontrunner.status import TERMINAL
from frontrunner.tuning import BestOfRanking, Tuning, TuningRequest

# A request that waits is held this long by the service, and asked again: proxies cut longer silences.
_HELD_S = 20
# Longer than a request is held: whatever the client's own limit, a job that is quiet is no service that is away.
_ANSWER_S = 30.0
# For one part, on a slow line too.
_PART_S = 300.0


def upload(dataset: Path, options: DatasetOptions | None, progress: Progress | None) -> Operation[dict[str, Any]]:
    """The dataset; the same data has the same id. What is larger than a part comes in parts.

    Raises:
        UploadInterrupted: it is to be carried on, and is not any more what it was.
    """
    fields = {} if options is None else options.model_dump(exclude_none=True)
    sent = Upload(dataset)
    if sent.bytes > PART_BYTES:
        return (yield from _upload_in_parts(sent, fields, progress))
    return json_of((yield Call("POST", "/v1/datasets", {"data": fields}, sent)))


def _upload_in_parts(data: Upload, fields: dict[str, Any], progress: Progress | None) -> Operation[dict[str, Any]]:
    """The dataset; what came before a connection broke, or this process ended, is not sent again."""
    with data.open() as file, watched(progress) as listener:
        begin = {"json": {"name": data.name, "options": fields}, "headers": {"Idempotency-Key": data.fingerprint}}
        begun = json_of((yield Call("POST", "/v1/uploads", begin)))
        address, stream = f"/v1/uploads/{begun['id']}", PartStream(file, begun["part_bytes"])
        stream.skip_to(begun["offset"])
        taken = file.taken
        listener.advance(Stage.SEND, taken, data.bytes, of=data.name)
        while part := stream.part():
            told = _telling(listener, data, taken, file.taken, len(part))
            headers = {"Upload-Offset": str(stream.offset), "Content-Type": "application/octet-stream"}
            answer = yield Call("PATCH", address, {"headers": headers, "timeout": _PART_S}, part=Part(part, told))
            ends_at = answer.headers.get("Upload-Offset", "")
            if answer.status_code != httpx.codes.CONFLICT or not ends_at.isdigit():
                refuse_problem(answer)
            stream.skip_to(int(ends_at))  # also past a part that had come, though no answer to it did
            taken = file.taken
            listener.safe_point()
        listener.advance(Stage.CHECK, 0, 1, of=data.name)
        end = {"json": {"sha256": stream.sha256}, "timeout": unhurried()}
        return json_of((yield Call("POST", f"{address}/dataset", end)))


def _telling(listener: Progress, data: Upload, before: int, after: int, size: int) -> Callable[[int], None]:
    """Tells how much of the data has gone, as a part of `size` bytes goes that was made of theirs from `before` on."""

    def tell(sent: int) -> None:
        listener.advance(Stage.SEND, before + (after - before) * sent // size, data.bytes, of=data.name)

    return tell


def recommend(
    dataset: Path,
    request: RankingRequest,
    options: DatasetOptions | None,
    then: Mapping[str, Any] | None,
    progress: Progress | None,
) -> Operation[dict[str, Any]]:
    """The job that ranks an upload: in one request, or once its parts have come."""
    asked = request.model_dump(mode="json", exclude_unset=True)
    if then is not None:
        asked["then"] = dict(then)
    fields = {} if options is None else options.model_dump(exclude_none=True)
    sent = Upload(dataset)
    if sent.bytes > PART_BYTES:
        identifier = (yield from _upload_in_parts(sent, fields, progress))["id"]
        return json_of((yield creating("/v1/rankings", json={"dataset": identifier, **asked})))
    fields["options"] = json.dumps(asked)
    return json_of((yield creating("/v1/recommendations", upload=sent, data=fields)))


def rank(dataset: str, request: RankingRequest) -> Operation[dict[str, Any]]:
    """The job that ranks a dataset of the service."""
    body = {"dataset": dataset, **request.model_dump(mode="json", exclude_unset=True)}
    return json_of((yield creating("/v1/rankings", json=body)))


def extend(ranking: str, checkpoints: Sequence[str]) -> Operation[dict[str, Any]]:
    """The job of a ranking with more checkpoints."""
    body = {"checkpoints": list(checkpoints)} if checkpoints else {}
    return json_of((yield creating(f"/v1/rankings/{ranking}/extend", json=body)))


def tune(
    dataset: str, request: TuningRequest, best_of: BestOfRanking | None, source: str | None
) -> Operation[dict[str, Any]]:
    """The job that tunes on a dataset of the service."""
    body = {"dataset": dataset, **request.model_dump(mode="json", exclude_unset=True)}
    if source is not None:
        body["source"] = source
    if best_of is not None:
        body["teachers"] = best_of.model_dump()
    return json_of((yield creating("/v1/tunings", json=body)))


def compare(datasets: Sequence[str], request: TaskDistanceRequest) -> Operation[dict[str, Any]]:
    """The job that measures the distances between datasets of the service."""
    body = {"datasets": list(datasets), **request.model_dump(mode="json", exclude_unset=True)}
    return json_of((yield creating("/v1/task-distances", json=body)))


def wait(job: str, on_job: Callable[[dict[str, Any]], None], timeout_s: float) -> Operation[dict[str, Any]]:
    """The job, once it is over; `on_job` hears it each time it has changed.

    Raises:
        TimeoutError: it did not end in `timeout_s`.
    """
    began, tag, status = time.monotonic(), "", "queued"
    while True:
        left = timeout_s - (time.monotonic() - began)
        held = max(1, min(_HELD_S, int(left)))
        options = {"headers": {"Prefer": f"wait={held}", "If-None-Match": tag}, "timeout": held + _ANSWER_S}
        answer = yield Call("GET", f"/v1/jobs/{job}", options)
        if answer.status_code != httpx.codes.NOT_MODIFIED:
            found = json_of(answer)
            tag, status = answer.headers.get("ETag", ""), found["status"]
            on_job(found)
            if status in TERMINAL:
                return found
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"job {job} is still {status} after {timeout_s:g} s")


def job_events(job: str, after: int, quiet_s: float | None) -> Call:
    """What is streamed of a job from event `after` on; the service says something every quarter of a minute."""
    options = {"headers": {"Last-Event-ID": str(after)}, "timeout": unhurried(quiet_s)}
    return Call("GET", f"/v1/jobs/{job}/events", options)


def tuning_file(tuning: str, name: str) -> Call:
    """What is streamed of a file of a tuning."""
    return Call("GET", f"/v1/tunings/{tuning}/files/{quote(name)}")


def place_of(name: str, to: str | Path) -> Path:
    """Where a file is written that goes to `to`: into it under its own name, where that is a folder."""
    return Path(to) / Path(name).name if Path(to).is_dir() else Path(to)


def read_ranking(ranking: str, top: int | None = None) -> Operation[Ranking]:
    """A ranking, or its first `top` lines; partial while it runs."""
    return first_lines(Ranking.model_validate(json_of((yield Call("GET", f"/v1/rankings/{ranking}")))), top)


def read_tuning(tuning: str) -> Operation[Tuning]:
    """A tuning; partial while it runs."""
    return Tuning.model_validate(json_of((yield Call("GET", f"/v1/tunings/{tuning}"))))


def read_distances(job: str) -> Operation[TaskDistanceMatrix]:
    """The distances that a job measured.

    Raises:
        ServiceProblem: the job did not succeed.
    """
    answer = yield Call("GET", f"/v1/task-distances/{job}")
    found = TaskDistances.model_validate(json_of(answer))
    if found.matrix is None:
        failed = {"detail": f"the job is {found.status}"}
        if found.failure is not None:
            failed = {"detail": found.failure.reason, "code": found.failure.code}
        raise problem_of(answer.status_code, failed)
    return found.matrix


def result_of(job: Mapping[str, Any]) -> Operation[Any]:
    """What comes out of a job, by its kind: a `Ranking`, a `Tuning` or a `TaskDistanceMatrix`.

    Raises:
        ServiceProblem: the service does work that this client does not know.
    """
    readers: dict[str, Callable[[str], Operation[Any]]] = {
        "ranking": read_ranking, "tuning": read_tuning, "task_distances": read_distances
    }  # fmt: skip
    if job["kind"] not in readers:
        raise problem_of(httpx.codes.OK, {"detail": f"a job of the kind {job['kind']}: a newer client may read it"})
    return readers[job["kind"]](job["id"])


def read_outlook(ranking: str) -> Operation[Outlook]:
    """What a service's past results say beside a finished ranking."""
    return Outlook.model_validate(json_of((yield Call("GET", f"/v1/rankings/{ranking}/outlook"))))


def create_webhook(url: str) -> Operation[dict[str, Any]]:
    """The webhook, with its secret."""
    return json_of((yield Call("POST", "/v1/webhooks", {"json": {"url": url}})))


def redeliver(webhook: str, delivery: str) -> Operation[dict[str, Any]]:
    """The message that is sent again."""
    return json_of((yield Call("POST", f"/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver")))


def reach() -> Operation[httpx.Response]:
    """The answer of a service that is there; asked once."""
    return (yield Call("GET", "/livez", patient=False))


def version() -> Operation[str]:
    """The version that a service's document names."""
    return str(json_of((yield Call("GET", "/openapi.json")))["info"]["version"])


def read_ready() -> Operation[dict[str, Any]]:
    """What each part of the service says of itself, ready or not."""
    answer = yield Call("GET", "/readyz", patient=False)
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and "problem" not in answer.headers["content-type"]:
        body: dict[str, Any] = answer.json()
        return body
    return json_of(answer)


def resource(method: str, path: str) -> Operation[dict[str, Any]]:
    """What a path answers."""
    return json_of((yield Call(method, path)))


def delete(path: str) -> Operation[None]:
    """Nothing, once what was there is gone."""
    refuse_problem((yield Call("DELETE", path)))


def page(path: str, narrowed_by: dict[str, Any]) -> Operation[list[dict[str, Any]]]:
    """The items of the first page of a list."""
    items: list[dict[str, Any]] = json_of((yield Call("GET", path, {"params": without_none(narrowed_by)})))["items"]
    return items


def search(words: str, limit: int, narrowed_by: dict[str, Any]) -> Operation[CatalogueMatches]:
    """The checkpoints of a service's catalogue that are meant, the best match first."""
    params = without_none({**narrowed_by, "search": words or None, "order": "match", "limit": limit})
    found = json_of((yield Call("GET", "/v1/checkpoints", {"params": params})))
    usable = tuple(ListedCheckpoint.model_validate(entry) for entry in found["items"] if entry["usable"])
    return CatalogueMatches(checkpoints=usable, more=found["next"] is not None)


def every_page(path: str, narrowed_by: dict[str, Any]) -> Operation[list[dict[str, Any]]]:
    """The items of all pages of a list."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = without_none({**narrowed_by, "cursor": cursor})
        found = json_of((yield Call("GET", path, {"params": params})))
        items += found["items"]
        cursor = found["next"]
        if cursor is None:
            return items
