"""Hubs that installed packages add: listed, named, opened and read like our own."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest

import frontrunner
from frontrunner import errors
from frontrunner.hub import HubAccess, describe_directory, find_catalogue, hub_of, hubs_of
from frontrunner.hub.finding.sync import lists_of
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.ranking import RankingRequest
from frontrunner.settings import Settings
from tests.conftest import write_timm_checkpoint

# Checkpoints of a shelf, `NAME:CHECKPOINT`, copied before they are opened: the folder that is described is not read.
SHELF = """
import shutil
from pathlib import Path

from frontrunner.hub import ListedCheckpoint, describe_directory
from frontrunner.progress import SILENT

ROOT = Path({root!r})


class Shelf:
    name = "shelf"
    at_hand = True

    def __init__(self, access):
        self.copies = access.folder / self.name

    def owns(self, checkpoint_id):
        return checkpoint_id.startswith(self.name + ":")

    def list(self, pattern="*", limit=500):
        for folder in sorted(ROOT.glob(pattern)):
            yield ListedCheckpoint(id=f"{{self.name}}:{{folder.name}}", modality="image")

    def describe(self, checkpoint_id):
        found = describe_directory(ROOT / checkpoint_id.split(":")[1])
        return found.model_copy(update={{"id": checkpoint_id, "path": ""}})

    def fetch(self, description, progress=SILENT):
        copy = self.copies / description.digest[:16]
        return Path(shutil.copytree(ROOT / description.id.split(":")[1], copy, dirs_exist_ok=True))


class Depot(Shelf):
    name = "depot"
    at_hand = False


def fails(access):
    raise RuntimeError("no shelf today")


def gives_no_hub(access):
    return "a shelf"
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package of one module with entry points into `frontrunner.hubs`; gives the folder it lies in."""
    site = tmp_path / "site"

    def make(module, code, **entry_points):
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {module}:{attribute}" for name, attribute in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[frontrunner.hubs]", *lines]))
        return site

    monkeypatch.syspath_prepend(str(site))
    yield make
    for module in ("shelving", "broken"):
        sys.modules.pop(module, None)


@pytest.fixture
def shelf(tmp_path):
    root = tmp_path / "shelf"
    write_timm_checkpoint(root / "a", "test_resnet", seed=5)
    write_timm_checkpoint(root / "b", "test_resnet", seed=6)
    return root


@pytest.fixture
def site(install, shelf):
    return install("shelving", SHELF.format(root=str(shelf)), shelf="Shelf", depot="Depot")


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


def test_a_hub_of_an_installed_package_is_in_the_catalogue_and_can_be_named(site, settings, hub, colours):
    request = RankingRequest(max_examples=40, baselines=False)
    found = find_catalogue(None, settings)
    assert [c.id for c in found.checkpoints] == ["shelf:a", "shelf:b"]
    ranking = frontrunner.rank(colours, request=request, settings=settings)
    assert {line.checkpoint for line in ranking.ranking} == {"shelf:a", "shelf:b"}
    assert sorted(path.name for path in (settings.home / "hub" / "shelf").iterdir()) == sorted(
        c.digest[:16] for c in found.checkpoints
    )
    named = request.model_copy(update={"checkpoints": ("shelf:b",)})
    ranking = frontrunner.rank(colours, request=named, settings=settings)
    assert [line.checkpoint for line in ranking.ranking] == ["shelf:b"]


def test_one_that_is_away_is_asked_for_what_is_named_and_its_list_can_be_read(site, settings, hub, colours):
    named = RankingRequest(max_examples=40, baselines=False, checkpoints=("depot:a", "local:resnet", "depot:missing"))
    ranking = frontrunner.rank(colours, hub=hub, request=named, settings=settings)
    assert {line.checkpoint for line in ranking.ranking} == {"depot:a", "local:resnet"}
    assert [(entry.checkpoint, entry.code) for entry in ranking.skipped] == [("depot:missing", "checkpoint_not_found")]
    (listed,) = lists_of(hubs_of(HubAccess.of(settings)), "depot", pattern="b")
    assert [(entry.id, entry.modality) for entry in listed] == [("depot:b", "image")]


def test_another_process_opens_it_from_its_description_alone(site, settings, shelf):
    """As a runner does: it knows the description, and how this machine reaches hubs."""
    description = hub_of("shelf:a", hubs_of(HubAccess.of(settings))).describe("shelf:a")
    code = """
import sys
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import get_settings

opened = open_checkpoint(CheckpointDescription.model_validate_json(sys.stdin.read()), HubAccess.of(get_settings()))
sys.stdout.write(str(opened.module.state_dict()["conv1.0.weight"].sum().item()))
"""
    environment = {"PYTHONPATH": str(site), "FRONTRUNNER_HOME": str(settings.home), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=description.model_dump_json(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    expected = open_checkpoint(describe_directory(shelf / "a")).module.state_dict()["conv1.0.weight"].sum().item()
    assert float(done.stdout) == expected
    assert [path.name for path in (settings.home / "hub" / "shelf").iterdir()] == [description.digest[:16]]


def test_hubs_that_cannot_be_made_are_reported_once_and_break_no_other(site, install, settings, hub, caplog):
    install("broken", "import no_such_module", first="Hub")
    install("worse", SHELF.format(root="/nowhere"), second="fails", third="gives_no_hub", fourth="Missing")
    with caplog.at_level("WARNING", logger="frontrunner.hubs"):
        for _ in range(3):
            found = find_catalogue(None, settings.model_copy(update={"hub": (hub,)}))
    assert {c.id for c in found.checkpoints} >= {"shelf:a", "local:resnet"}
    said = [record.getMessage() for record in caplog.records if record.name == "frontrunner.hubs"]
    assert len(said) == 4
    for reason in ("no_such_module", "no shelf today", "makes a str, which is no Hub", "Missing"):
        assert sum(reason in line for line in said) == 1


def test_an_id_of_no_hub_is_named_with_what_ids_begin_with(settings):
    hubs = hubs_of(HubAccess.of(settings))
    with pytest.raises(errors.CheckpointNotFound, match=r"no checkpoint 'resnet18'.* ids begin with local:"):
        hub_of("resnet18", hubs)


def test_a_name_that_two_hubs_list_is_used_once_and_reported(install, settings, hub, tmp_path):
    shutil.copytree(hub / "resnet", tmp_path / "shelf" / "resnet")
    install("shelving", SHELF.format(root=str(tmp_path / "shelf")).replace('"shelf"', '"local"'), shelf="Shelf")
    catalogue = find_catalogue(None, settings.model_copy(update={"hub": (hub / "resnet",)}))
    assert [(c.id, c.path) for c in catalogue.checkpoints] == [("local:resnet", str(hub / "resnet"))]
    assert [(entry.checkpoint, entry.code) for entry in catalogue.skipped] == [
        ("local:resnet", "checkpoint_name_taken")
    ]


def test_feature_sets_have_nothing_to_open(tmp_path, settings):
    from frontrunner.data import check_dataset, open_dataset
    from frontrunner.hub import FeatureSets, catalogue_of

    generator = np.random.default_rng(0)
    np.savez(
        tmp_path / "f.npz", a=generator.normal(size=(9, 4)), b=np.ones((9, 2), np.float32), labels=np.arange(9) % 3
    )
    report = check_dataset(open_dataset(tmp_path / "f.npz"))
    found = {c.id: c for c in catalogue_of([FeatureSets(report)]).checkpoints}
    assert {name: (c.architecture, c.bytes) for name, c in found.items()} == {
        "features:a": ("precomputed, 4 features", 9 * 4 * 8),
        "features:b": ("precomputed, 2 features", 9 * 2 * 4),
    }
    assert found["features:a"].digest != found["features:b"].digest
    with pytest.raises(errors.ModalityMismatch, match="nothing to open"):
        open_checkpoint(found["features:a"], HubAccess.of(settings))
    with pytest.raises(errors.CheckpointNotFound, match="no feature set 'c'"):
        FeatureSets(report).describe("features:c")
