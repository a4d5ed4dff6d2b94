"""A store of each kind: a folder, and a bucket of a real server on loopback."""

from __future__ import annotations

import itertools
import json

import pytest
from pydantic import SecretStr

from frontrunner.settings import Settings
from frontrunner.store import open_store
from tests.servers import s3_server

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3, tmp_path):
    """Settings of a machine whose store is an empty bucket; another `home` is another machine."""
    url = s3.new_bucket(f"bucket-{next(_NUMBERS)}")
    options = {
        "endpoint_url": s3.environment["AWS_ENDPOINT_URL"],
        "key": s3.environment["AWS_ACCESS_KEY_ID"],
        "secret": s3.environment["AWS_SECRET_ACCESS_KEY"],
    }
    return Settings(home=tmp_path / "one", store_url=f"{url}/below", store_options=SecretStr(json.dumps(options)))


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    """Settings of a machine whose store is of either kind."""
    return request.getfixturevalue("bucket") if request.param == "bucket" else Settings(home=tmp_path / "one")


@pytest.fixture
def store(place):
    return open_store(place)


@pytest.fixture
def elsewhere(place, tmp_path):
    """The same store as another machine sees it: nothing is shared but the store itself."""
    if not place.store_url:
        return open_store(place)
    return open_store(place.model_copy(update={"home": tmp_path / "another"}))
