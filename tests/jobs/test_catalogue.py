"""The catalogue in both databases: what is found, what is heard of, what a filter leaves."""

from __future__ import annotations

import json
import shutil

import pytest

from frontrunner.hub import Catalogue, ReadingCost, find_catalogue
from frontrunner.hub.describing.listing import CatalogueFilter, ListedCheckpoint
from frontrunner.settings import Settings
from jobs.catalogue import best_matches, load_catalogue, search_catalogue, store_catalogue, store_cost, store_listed

LISTED = [
    ListedCheckpoint(id=f"hf:org/{name}", library="transformers", modality="text", **stated)
    for name, stated in {
        "a": {"tags": ("x", 'quo"te', "ärger"), "license": "mit", "parameters": 10},
        "b": {"tags": ("xy",), "license": "m_t", "flops": 5},
        "c": {"architecture": "bert", "family": "bert", "base_model": "p" * 500},
    }.items()
]


def found(database, **wanted):
    with database.read_transaction() as session:
        return [row.id.removeprefix("hf:org/") for row in search_catalogue(session, CatalogueFilter(**wanted))]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, ["a", "b", "c"]),
        ({"tag": "x"}, ["a"]),
        ({"tag": 'quo"te'}, ["a"]),
        ({"tag": "ärger"}, ["a"]),
        ({"license": "M_T"}, ["b"]),
        ({"license": "MIT"}, ["a"]),
        ({"family": "bert"}, ["c"]),
        ({"max_parameters": 10}, ["a"]),
        ({"min_parameters": 11}, []),
        ({"max_flops": 5}, ["b"]),
        ({"search": "ORG bert"}, ["c"]),
        ({"search": "o%g"}, []),
    ],
)
def test_a_filter_leaves_the_same_in_both_databases(database, wanted, names):
    with database.write_transaction() as session:
        assert store_listed(session, LISTED) == 3
    assert found(database, **wanted) == names


def test_of_several_matches_the_exact_name_comes_first_and_then_the_most_used(database):
    entries = [("timm:seresnet18", 9), ("timm:resnet18.b", 1), ("timm:resnet18.c", 5), ("hf:org/resnet18", None)]
    with database.write_transaction() as session:
        store_listed(session, [ListedCheckpoint(id=name, popularity=used) for name, used in entries])
    with database.read_transaction() as session:
        rows = best_matches(session, CatalogueFilter(search="ResNet18"), limit=9)
        assert [row.id for row in rows] == ["hf:org/resnet18", "timm:resnet18.c", "timm:resnet18.b", "timm:seresnet18"]
        assert len(best_matches(session, CatalogueFilter(search="resnet18"), limit=2)) == 3
        for index, row in enumerate(rows):
            following = best_matches(session, CatalogueFilter(search="resnet18"), after=row.id, limit=9)
            assert [each.id for each in following] == [each.id for each in rows[index + 1 :]]


def test_a_list_read_again_changes_what_it_said_and_adds_no_row(database):
    with database.write_transaction() as session:
        store_listed(session, LISTED)
    with database.write_transaction() as session:
        store_listed(session, [LISTED[0].model_copy(update={"popularity": 7})])
    with database.read_transaction() as session:
        rows = search_catalogue(session, CatalogueFilter())
        assert [row.popularity for row in rows] == [7, None, None]


def test_checkpoints_that_vanish_are_not_offered_and_changed_ones_are_described_anew(database, hub, tmp_path):
    own = shutil.copytree(hub, tmp_path / "hub")

    def look():
        with database.write_transaction() as session:
            store_catalogue(session, find_catalogue(own, Settings()))
        with database.read_transaction() as session:
            return load_catalogue(session)

    with database.write_transaction() as session:
        store_listed(session, LISTED)
    before = {entry.id: entry for entry in look().checkpoints}
    assert set(before) == {"local:mobilenet", "local:resnet", "local:vit"}
    config = json.loads((own / "vit" / "config.json").read_text())
    config["pretrained_cfg"]["license"] = "mit"
    (own / "vit" / "config.json").write_text(json.dumps(config))
    shutil.rmtree(own / "resnet")
    (own / "mobilenet" / "config.json").write_text("[]")
    after = look()
    assert [entry.id for entry in after.checkpoints] == ["local:vit"]
    assert after.checkpoints[0].digest != before["local:vit"].digest
    assert [(entry.checkpoint, entry.code) for entry in after.skipped] == [("local:mobilenet", "checkpoint_unreadable")]
    assert found(database, license="MIT") == ["a", "local:vit"]
    shutil.rmtree(own / "mobilenet")
    shutil.copytree(hub / "mobilenet", own / "mobilenet")
    assert {entry.id for entry in look().checkpoints} == {"local:mobilenet", "local:vit"}


def test_costs_belong_to_the_weights_and_come_with_the_description(database, hub):
    catalogue = find_catalogue(hub, Settings())
    vit = next(entry for entry in catalogue.checkpoints if entry.id == "local:vit")
    cost = ReadingCost(device="cpu", latency_ms=2.0, memory_mb=50.0)
    with database.write_transaction() as session:
        store_catalogue(session, catalogue)
        store_cost(session, vit.digest, cost)
    with database.read_transaction() as session:
        loaded = {entry.id: entry.costs for entry in load_catalogue(session).checkpoints}
    assert loaded == {"local:mobilenet": (), "local:resnet": (), "local:vit": (cost,)}
    with database.write_transaction() as session:
        changed = Catalogue(checkpoints=(vit.model_copy(update={"digest": "0" * 64}),))
        store_catalogue(session, changed)
    with database.read_transaction() as session:
        assert load_catalogue(session).checkpoints[0].costs == ()
