"""`/v1/checkpoints`: what is at hand and what was heard of, filtered, searched and paged."""

from __future__ import annotations

import json
import shutil

import pytest
from fastapi.testclient import TestClient

import migrations
from api.app import create_app
from frontrunner.hub import ReadingCost, describe_directory
from frontrunner.hub.describing.listing import ListedCheckpoint
from frontrunner.settings import Settings
from jobs.catalogue import store_cost, store_listed
from models import Database
from tests.api.conftest import HERE

LISTED = (
    ListedCheckpoint(
        id="timm:resnet50.a1_in1k",
        library="timm",
        modality="image",
        architecture="resnet50",
        family="resnet",
        parameters=25_557_032,
        flops=8_000_000_000,
        license="apache-2.0",
        tags=("image", "a1"),
        popularity=5,
    ),
    ListedCheckpoint(
        id="hf:org/sentences",
        library="transformers",
        modality="text",
        architecture="bert",
        family="bert",
        license="MIT",
        base_model="org/parent_base",
    ),
    ListedCheckpoint(id="local:vit", library="timm", modality="text"),
)


@pytest.fixture
def settings(tmp_path, hub):
    mixed = tmp_path / "hub"
    shutil.copytree(hub, mixed)
    config = json.loads((mixed / "vit" / "config.json").read_text()) | {"label_names": ["cat", "dog"]}
    (mixed / "vit" / "config.json").write_text(json.dumps(config))
    (mixed / "broken").mkdir()
    (mixed / "broken" / "config.json").write_text("[]")
    return Settings(home=tmp_path / "home", hub=(mixed,), packages=False)


@pytest.fixture
def database(settings):
    settings.home.mkdir()
    database = Database(settings.resolved_database_url)
    migrations.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def client(settings, database):
    with TestClient(create_app(settings), base_url=HERE, raise_server_exceptions=False) as client:
        client.get("/v1/checkpoints")
        with database.write_transaction() as session:
            store_listed(session, LISTED)
        yield client


def ids(client, **query):
    return [item["id"] for item in client.get("/v1/checkpoints", params=query).json()["items"]]


def test_what_is_at_hand_stands_beside_what_was_heard_of(client):
    items = {item["id"]: item for item in client.get("/v1/checkpoints").json()["items"]}
    assert items["local:resnet"]["at_hand"]
    assert items["timm:resnet50.a1_in1k"]["popularity"] == 5
    assert not items["timm:resnet50.a1_in1k"]["at_hand"]
    assert (items["local:broken"]["usable"], items["local:broken"]["error_code"]) == (False, "checkpoint_unreadable")


def test_a_list_never_changes_what_is_known_of_a_checkpoint_at_hand(client):
    assert client.get("/v1/checkpoints/local:vit").json()["modality"] == "image"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"modality": "text"}, ["hf:org/sentences"]),
        ({"family": "resnet"}, ["timm:resnet50.a1_in1k"]),
        ({"library": "transformers"}, ["hf:org/sentences", "local:mobilenet"]),
        ({"license": "apache-2.0"}, ["timm:resnet50.a1_in1k"]),
        ({"license": "mit"}, ["hf:org/sentences"]),
        ({"license": "%"}, []),
        ({"tag": "a1"}, ["timm:resnet50.a1_in1k"]),
        ({"tag": "a"}, []),
        ({"origin": "lists"}, ["hf:org/sentences", "timm:resnet50.a1_in1k"]),
        ({"min_parameters": 1_000_000}, ["timm:resnet50.a1_in1k"]),
        ({"max_parameters": 1000}, []),
        ({"max_flops": 9_000_000_000}, ["timm:resnet50.a1_in1k"]),
        ({"search": "RESNET50 a1"}, ["timm:resnet50.a1_in1k"]),
        ({"search": "parent_base"}, ["hf:org/sentences"]),
        ({"search": "parentXbase"}, []),
    ],
)
def test_filters_and_search_leave_what_they_say(client, query, found):
    assert ids(client, **query) == found


def test_pages_are_by_id_and_join_without_a_gap(client):
    everything = ids(client)
    assert everything == sorted(everything)
    first = client.get("/v1/checkpoints?limit=2").json()
    rest = client.get(f"/v1/checkpoints?limit=500&cursor={first['next']}").json()
    assert [item["id"] for item in [*first["items"], *rest["items"]]] == everything
    assert rest["next"] is None


def test_an_unknown_parameter_is_refused(client):
    answer = client.get("/v1/checkpoints?familly=resnet")
    assert (answer.status_code, answer.json()["code"]) == (422, "request_invalid")


def test_one_checkpoint_tells_its_labels_and_what_reading_took(client, database, settings):
    digest = describe_directory(settings.hub[0] / "vit").digest
    with database.write_transaction() as session:
        store_cost(session, digest, ReadingCost(device="cpu", latency_ms=9.0, memory_mb=100.0))
        store_cost(session, digest, ReadingCost(device="cpu", latency_ms=3.5, memory_mb=120.0))
    body = client.get("/v1/checkpoints/local:vit").json()
    assert body["label_names"] == ["cat", "dog"]
    assert body["costs"] == [{"device": "cpu", "latency_ms": 3.5, "memory_mb": 120.0}]
    assert "label_names" not in client.get("/v1/checkpoints").json()["items"][0]
