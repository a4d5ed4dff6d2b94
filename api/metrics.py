"""`/metrics`: what Prometheus scrapes. Counts of jobs come from the database, so every API process shows the same."""

from __future__ import annotations

import time
from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import RESPONSES
from api.state import AdminStateDependency
from frontrunner.status import Status
from jobs.lifecycle import CLAIM_BUCKETS_S
from models import CounterRow, Database, JobRow, StepRow, WorkerRow, database_now

router = APIRouter(tags=["health"], responses=RESPONSES)

# A worker that was not seen for this long is not counted.
_ALIVE_S = 30.0
# A client may send any word as a method; each would make a series.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SUMS = {
    "steps": ("frontrunner_steps", "Steps that ended, by kind and outcome.", ("kind", "outcome")),
    "attempts_lost": ("frontrunner_attempts_lost", "Attempts lost through no fault of the input.", ("code",)),
    "forward_examples": ("frontrunner_forward_examples", "Examples that went through a checkpoint.", ("kind",)),
    "cached_examples": ("frontrunner_cached_examples", "Examples whose features were cached.", ("kind",)),
}


class Requests:
    """ASGI middleware: how long requests take, by method, route and status."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._seconds = Histogram(
            "frontrunner_http_seconds",
            "Seconds until the answer began, by method, route and status.",
            ("method", "route", "status"),
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                # The route's template and not the path: ids would make a series each.
                route = getattr(scope.get("route"), "path", "unknown")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                labels = (method, route, str(message["status"]))
                self._seconds.labels(*labels).observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, measured)


class Jobs(Collector):
    """What the database says of queues, steps and workers; read at each scrape."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> list[Metric]:
        """Nothing in advance: registering must not need the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family; only `frontrunner_database_up` while the database is away."""
        up = GaugeMetricFamily("frontrunner_database_up", "Whether the database answers.")
        try:
            families = [*self._queues(), *self._counters()]
        except SQLAlchemyError:
            families = []
        up.add_metric([], float(bool(families)))
        yield up
        yield from families

    def _queues(self) -> list[Metric]:
        depth = GaugeMetricFamily("frontrunner_queue_steps", "Steps that wait.", labels=["queue"])
        age = GaugeMetricFamily("frontrunner_queue_age_seconds", "How long the first one waits.", labels=["queue"])
        running = GaugeMetricFamily("frontrunner_steps_running", "Steps in hand.", labels=["queue"])
        jobs = GaugeMetricFamily("frontrunner_jobs", "Jobs by kind and status.", labels=["kind", "status"])
        workers = GaugeMetricFamily("frontrunner_workers", "Workers that are alive.")
        with self._database.read_transaction() as session:
            now = session.scalar(select(database_now())) or 0.0
            waiting = select(StepRow.queue, func.count(), func.min(StepRow.available_at)).group_by(StepRow.queue)
            for queue, steps, oldest in session.execute(waiting.where(StepRow.status == Status.QUEUED)):
                depth.add_metric([queue], steps)
                age.add_metric([queue], max(0.0, now - oldest))
            in_hand = select(StepRow.queue, func.count()).where(StepRow.status == Status.RUNNING)
            for queue, steps in session.execute(in_hand.group_by(StepRow.queue)):
                running.add_metric([queue], steps)
            kept = select(JobRow.kind, JobRow.status, func.count()).group_by(JobRow.kind, JobRow.status)
            for kind, status, count in session.execute(kept):
                jobs.add_metric([kind, status], count)
            alive = select(func.count()).select_from(WorkerRow).where(WorkerRow.seen_at > now - _ALIVE_S)
            workers.add_metric([], session.scalar(alive) or 0)
        return [depth, age, running, jobs, workers]

    def _counters(self) -> Iterator[Metric]:
        with self._database.read_transaction() as session:
            found = session.execute(select(CounterRow.name, CounterRow.label, CounterRow.value)).all()
        for name, (title, says, labels) in _SUMS.items():
            family = CounterMetricFamily(title, says, labels=labels)
            for row in found:
                if row.name == name:
                    family.add_metric(row.label.split(":", len(labels) - 1), row.value)
            yield family
        yield _claims({(row.name, row.label): row.value for row in found})


def _claims(counters: dict[tuple[str, str], float]) -> Metric:
    family = HistogramMetricFamily(
        "frontrunner_claim_seconds", "From when a step may be claimed until it is.", labels=["queue"]
    )
    for name, queue in sorted(counters):
        if name != "claim_seconds_sum":
            continue
        total, buckets = 0.0, []
        for bound in (*(f"{bound:g}" for bound in CLAIM_BUCKETS_S), "+Inf"):
            total += counters.get(("claim_seconds", f"{queue}:{bound}"), 0.0)
            buckets.append((bound, total))
        family.add_metric([queue], buckets, counters[name, queue])
    return family


@router.get(
    "/metrics",
    operation_id="getMetrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus's text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
def read_metrics(state: AdminStateDependency) -> Response:
    """Queues, steps, claims, forward passes, cache hits and HTTP latency in Prometheus's text format."""
    return Response(generate_latest(state.registry), media_type=CONTENT_TYPE_LATEST)
