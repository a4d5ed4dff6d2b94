"""What every request shares: settings, database, broker, store; and how an endpoint asks for them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Annotated

from celery import Celery
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from api.datasets.checking import CheckPool
from api.jobs.watcher import Watcher
from frontrunner.hub import Catalogue, HubAccess, with_named
from frontrunner.settings import Settings
from frontrunner.store import Blobs, Store, uploads
from jobs.catalogue import load_catalogue, refresh_catalogue
from models import Database

# A checkpoint that is copied into a hub is offered after this long at most.
CATALOGUE_PERIOD_S = 5.0


@dataclass
class State:
    """Opened once per process."""

    settings: Settings
    database: Database
    broker: Celery
    store: Store
    checks: CheckPool
    watcher: Watcher
    registry: CollectorRegistry
    _looked_at: float = field(default=float("-inf"))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def uploads(self) -> Blobs:
        """Datasets as they were uploaded."""
        return uploads(self.store)

    def catalogue(self, *names: str) -> Catalogue:
        """The checkpoints on offer, and those in `names` of hubs that are not at hand."""
        self.refresh_catalogue()
        with self.database.read_transaction() as session:
            found = load_catalogue(session)
        return with_named(found, names, HubAccess.of(self.settings))

    def refresh_catalogue(self) -> None:
        """Bring the catalogue up to what the hubs hold that this machine sees, at most every few seconds."""
        with self._lock:
            if time.monotonic() - self._looked_at > CATALOGUE_PERIOD_S:
                refresh_catalogue(self.database, self.settings)
                self._looked_at = time.monotonic()


# Dependencies that wait for nothing are `async`: FastAPI hands the others to a thread, one after the other.
async def _state(request: Request) -> State:
    state: State = request.app.state.frontrunner
    return state


StateDependency = Annotated[State, Depends(_state)]
