"""The FastAPI application."""

from __future__ import annotations

import functools
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware

from api import health, metrics, problems
from api.access import Access
from api.audit import endpoints as audit
from api.checkpoints import endpoints as checkpoints
from api.datasets import endpoints as datasets
from api.datasets.checking import CheckPool
from api.document import DocumentedApp
from api.documentation import endpoints as documentation
from api.door import AnswerDefects, Door
from api.headers import AnswerHeaders
from api.incoming import Incoming
from api.jobs import endpoints as jobs
from api.jobs import events
from api.jobs.shown import Shown
from api.jobs.watcher import Watcher
from api.metrics import Jobs, Requests
from api.pages.errors import ProblemPages
from api.pages.routes import ROUTERS as PAGES
from api.pages.sessions import Sessions
from api.partial_uploads import endpoints as partial_uploads
from api.quota import endpoints as quota
from api.rankings import endpoints as rankings
from api.rates import Rates
from api.requests import NameRequests
from api.scores import endpoints as scores
from api.state import CatalogueWatch, State
from api.task_distances import endpoints as task_distances
from api.traces import TraceRequests
from api.tunings import endpoints as tunings
from api.webhooks import endpoints as webhooks
from frontrunner import __version__
from frontrunner.logs import configure_logs
from frontrunner.settings import Settings, get_settings
from frontrunner.store import open_store
from frontrunner.telemetry import NO_TRACES, open_traces
from jobs.notification import celery_app
from jobs.sealing import Seal
from jobs.secret import service_secret
from models import Database

# Headers that pages of other sites may read, where the settings let them in.
CORS_EXPOSED = ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Upload-Offset", "X-Request-ID")
# And those that they may send.
CORS_ALLOWED = ("Authorization", "Idempotency-Key", "If-None-Match", "Last-Event-ID", "Prefer", "Upload-Offset")


@functools.cache
def _spare_what_stays() -> None:
    """Take what was imported out of the garbage collector's sight, once a process.

    A full collection looked at all of it, and held every request for a fifth of a second.
    """
    gc.collect()
    gc.freeze()


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its own connections; what uvicorn's `--factory` calls."""
    settings = settings or get_settings()
    registry = CollectorRegistry(auto_describe=False)
    traces = open_traces("api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs(settings.log_level, as_json=settings.logs_as_json)
        database = Database(settings.resolved_database_url)
        registry.register(Jobs(database))
        state = State(
            settings=settings,
            database=database,
            watcher=Watcher(database),
            shown=Shown(),
            registry=registry,
            broker=celery_app(settings),
            store=open_store(settings),
            access=Access(database, settings),
            rates=Rates(settings.resolved_broker_url),
            incoming=Incoming(),
            seal=Seal.of(settings),
            catalogue_watch=CatalogueWatch(database, settings),
            checks=CheckPool(settings.check_concurrency),
            sessions=Sessions(service_secret(settings), settings.session_s),
            traces=traces,
        )
        app.state.frontrunner = state
        _spare_what_stays()
        yield
        await state.incoming.drain()
        await state.rates.close()
        state.database.close()
        state.broker.close()
        traces.close()

    app = DocumentedApp(
        schemas=(problems.Problem, rankings.RankingOptions),
        title="Frontrunner",
        version=__version__,
        summary="Which pretrained checkpoint should I use for my data?",
        lifespan=lifespan,
        # Their pages load scripts of others; ours is `api.documentation`.
        docs_url=None,
        redoc_url=None,
    )
    # The last one added is the first to hear of a request.
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=CORS_ALLOWED,
            expose_headers=CORS_EXPOSED,
        )
    app.add_middleware(Door, hosts=settings.allowed_hosts, origins=settings.cors_origins)
    app.add_middleware(AnswerDefects)
    app.add_middleware(ProblemPages)
    app.add_middleware(AnswerHeaders)
    app.add_middleware(Requests, registry=registry)
    if traces is not NO_TRACES:
        app.add_middleware(TraceRequests, traces=traces)
    app.add_middleware(NameRequests)
    problems.install(app)
    for resource in (
        datasets, partial_uploads, rankings, tunings, task_distances, scores, jobs, events, webhooks, checkpoints,
        quota, audit, health, metrics, documentation,
    ):  # fmt: skip
        app.include_router(resource.router)
    for router in PAGES:
        app.include_router(router)
    return app
