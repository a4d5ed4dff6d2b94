"""The pages in this process, as browsers of several people ask for them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.pages.routes import ROUTERS
from frontrunner.settings import Settings
from jobs.keys import Scope, create_key
from jobs.secret import service_secret
from models import Database
from tests.api.conftest import HERE, migrated

PAGE = {"accept": "text/html,application/xhtml+xml"}


def features(seed: int = 0) -> bytes:
    """A dataset of precomputed features of two checkpoints: an npz file."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(["cat", "dog", "owl"], 20)
    shift = np.repeat(np.arange(3.0), 20)[:, None]
    file = io.BytesIO()
    np.savez(
        file,
        good=generator.normal(size=(60, 8)) + shift,
        poor=generator.normal(size=(60, 8)),
        labels=labels,
    )
    return file.getvalue()


@dataclass
class Person:
    """Somebody with a browser: it keeps cookies, asks for pages, and fills in forms."""

    client: TestClient

    def get(self, path: str, **more) -> httpx.Response:
        """A page, wherever it leads."""
        return self.client.get(path, headers=PAGE | more.pop("headers", {}), follow_redirects=False, **more)

    def token(self, path: str = "/") -> str:
        """What the forms of a page carry."""
        found = re.search(r'name="csrf" value="([\w-]+)"', self.get(path).text)
        assert found, f"no form at {path}"
        return found[1]

    def post(self, path: str, *, at: str = "/", headers: dict[str, str] | None = None, **fields) -> httpx.Response:
        """A form of the page `at`, sent to `path`."""
        data = {"csrf": self.token(at)} | fields
        return self.client.post(path, data=data, headers=PAGE | (headers or {}), follow_redirects=False)

    def upload(self, name: str, content: bytes, **fields) -> httpx.Response:
        """The form of a new dataset."""
        data = {"csrf": self.token("/")} | fields
        files = {"file": (name, content)}
        return self.client.post("/datasets", data=data, files=files, headers=PAGE, follow_redirects=False)

    def sign_in(self, key: str, **fields) -> httpx.Response:
        """Show a key."""
        return self.post("/sign-in", at="/sign-in", key=key, **fields)


@pytest.fixture
def settings(tmp_path):
    """No hub: datasets of precomputed features bring their checkpoints, and nothing is read here."""
    return Settings(home=tmp_path / "home", packages=False, max_upload_bytes=5_000_000)


@pytest.fixture
def app(settings):
    migrated(settings)
    return create_app(settings)


@pytest.fixture
def somebody(app):
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield Person(client)


@pytest.fixture
def another(app, somebody):
    """A second browser on the same service."""
    return Person(TestClient(app, base_url=HERE, raise_server_exceptions=False))


@pytest.fixture
def database(somebody, settings):
    database = Database(settings.resolved_database_url)
    yield database
    database.close()


@pytest.fixture
def key_of(database, settings):
    """Makes a key of a tenant; its id and the key itself."""

    def make(tenant: str, *scopes: Scope) -> tuple[str, str]:
        with database.write_transaction() as session:
            row, key = create_key(
                session, service_secret(settings), name="test", tenant=tenant, scopes=scopes or tuple(Scope)
            )
            return row.id, key

    return make


def page_routes() -> list[tuple[str, str]]:
    """(method, path) of every page and form, assets left out."""
    return [
        (method, route.path.replace(":path", ""))
        for router in ROUTERS
        for route in router.routes
        for method in route.methods
        if not route.path.startswith("/assets")
    ]
