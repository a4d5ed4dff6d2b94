"""The FastAPI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import health, problems
from api.checkpoints import endpoints as checkpoints
from api.datasets import endpoints as datasets
from api.jobs import endpoints as jobs
from api.rankings import endpoints as rankings
from api.state import State
from frontrunner import __version__
from frontrunner.blobs import BlobStore
from frontrunner.doorbell import celery_app
from frontrunner.logs import configure_logs
from frontrunner.settings import Settings, get_settings
from models import Database


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application with its own connections; what uvicorn's `--factory` calls."""
    settings = settings or get_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logs(settings)
        state = State(
            settings=settings,
            database=Database(settings.resolved_database_url),
            bell=celery_app(settings),
            blobs=BlobStore(settings.blobs),
        )
        app.state.frontrunner = state
        yield
        state.database.close()
        state.bell.close()

    app = FastAPI(
        title="Frontrunner",
        version=__version__,
        summary="Which pretrained checkpoint should I use for my data?",
        lifespan=lifespan,
    )
    problems.install(app)
    for room in (datasets, rankings, jobs, checkpoints, health):
        app.include_router(room.router)
    return app
