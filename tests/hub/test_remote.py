"""Checkpoints on a hub, through the hub's own client against a server on the loopback interface."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save

from frontrunner import errors
from frontrunner.data import open_dataset
from frontrunner.extraction import FeatureShards
from frontrunner.hub import describe_directory
from frontrunner.hub.access import HubAccess
from frontrunner.hub.fetching.remote import describe_remote, fetch
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Silent, Stage
from frontrunner.settings import Settings
from frontrunner.store import FolderStore
from tests.hub.loopback import Hub, Repository, serving

NAME = "timm/test_resnet.r160_in1k"
ID = "timm:test_resnet.r160_in1k"


@pytest.fixture
def server(hub):
    card = {"license": "apache-2.0", "datasets": ["imagenet-1k"], "base_model": "org/parent", "tags": ["image"]}
    repositories = {
        NAME: Repository.of(hub / "resnet", card=card),
        "org/mobilenet": Repository.of(hub / "mobilenet"),
    }
    with serving(Hub(repositories)) as running:
        yield running


@pytest.fixture
def access(server, tmp_path):
    return HubAccess(
        folder=tmp_path / "kept",
        endpoint=server.address,
        token=None,
        mode="named",
        max_bytes=10**9,
        pickles_allowed=False,
    )


def changed(access, **values):
    return HubAccess(**{**vars(access), **values})


class Heard(Silent):
    """Keeps what it hears."""

    def __init__(self):
        self.heard = []

    def advance(self, stage, done, total, *, of=""):
        self.heard.append((stage, done, total, of))


def weights_of(server, name=NAME):
    return server.repositories[name].files["model.safetensors"]


def test_a_description_comes_from_metadata_alone_and_equals_the_folders(server, access, hub):
    found = describe_remote(ID, access)
    local = describe_directory(hub / "resnet")
    same = ("library", "modality", "architecture", "parameters", "bytes", "input_size")
    assert [getattr(found, name) for name in same] == [getattr(local, name) for name in same]
    assert (found.id, found.path, found.remote.repository) == (ID, "", NAME)
    assert found.remote.revision == server.repositories[NAME].commit
    assert (found.license, found.pretraining, found.base_model) == ("apache-2.0", "imagenet-1k", "org/parent")
    assert server.bodies_of("model.safetensors") == ["bytes=0-100000"]


def test_a_name_without_a_revision_and_the_commit_it_stands_for_are_the_same_checkpoint(server, access):
    commit = server.repositories["org/mobilenet"].commit
    branch, pinned = describe_remote("hf:org/mobilenet", access), describe_remote(f"hf:org/mobilenet@{commit}", access)
    assert branch.digest == pinned.digest
    assert branch.remote == pinned.remote


def test_other_weights_under_the_same_name_have_another_digest(server, access):
    before = describe_remote(ID, access).digest
    files = server.repositories[NAME].files
    files["model.safetensors"] = files["model.safetensors"][:-4] + b"\0\0\0\0"
    assert describe_remote(ID, access).digest != before


@pytest.mark.parametrize(("name", "folder"), [(ID, "resnet"), ("hf:org/mobilenet", "mobilenet")])
def test_an_opened_one_computes_what_the_folder_computes(server, access, hub, name, folder):
    described = describe_remote(name, access)
    progress = Heard()
    opened = open_checkpoint(described, access, progress=progress)
    pixels = torch.randn(2, 3, 32, 32)
    local = open_checkpoint(describe_directory(hub / folder))
    torch.testing.assert_close(opened.read(pixels).features.clone(), local.read(pixels).features)
    total = sum(file.bytes for file in described.remote.files)
    assert progress.heard[-1] == (Stage.FETCH, total, total, name)
    assert progress.heard == sorted(progress.heard)


def test_only_files_that_a_checkpoint_consists_of_are_fetched(server, access):
    server.repositories[NAME].files |= {"pytorch_model.bin": b"\x80\x04.", "train.py": b"import os", "README.md": b"#"}
    fetch(ID, describe_remote(ID, access).remote, access)
    asked = {path.rsplit("/", 1)[-1] for method, path, _ in server.requests if "/resolve/" in path}
    assert asked == {"config.json", "model.safetensors"}


def test_a_broken_transfer_goes_on_where_it_broke(server, access):
    """The client hands on chunks of 10 MiB; what came of the next one is asked for again."""
    from huggingface_hub.constants import DOWNLOAD_CHUNK_SIZE as CHUNK

    large = save({"weight": torch.arange(6_000_000, dtype=torch.float32)})
    server.repositories["org/mobilenet"].files["model.safetensors"] = large
    described = describe_remote("hf:org/mobilenet", access)
    server.cuts = [CHUNK + 1000, 500]
    folder = fetch(described.id, described.remote, access)
    assert (folder / "model.safetensors").read_bytes() == large
    assert server.bodies_of("model.safetensors")[1:] == [None, f"bytes={CHUNK}-", f"bytes={CHUNK}-"]


def test_a_transfer_that_breaks_again_and_again_is_named(server, access, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    described = describe_remote(ID, access)
    server.cuts = [1000] * 10
    with pytest.raises(errors.TransferBroken):
        fetch(ID, described.remote, access)


def test_what_was_fetched_is_used_offline_and_nothing_else(server, access):
    described = describe_remote(ID, access)
    fetch(ID, described.remote, access)
    asked = len(server.requests)
    offline = changed(access, mode="offline")
    assert open_checkpoint(described, offline).feature_dimension > 0
    assert describe_remote(ID, offline) == described
    with pytest.raises(errors.HubOffline, match="never asked for it"):
        describe_remote("hf:org/mobilenet", offline)
    with pytest.raises(errors.HubOffline):
        fetch(ID, described.remote, changed(offline, folder=access.folder / "other"))
    assert len(server.requests) == asked


def test_what_another_program_fetched_into_the_clients_cache_is_used_and_what_was_changed_there_is_not(
    server, access, tmp_path, monkeypatch
):
    from huggingface_hub import hf_hub_download

    shared = tmp_path / "shared"
    monkeypatch.setattr("frontrunner.hub.fetching.download.HF_HUB_CACHE", shared)
    for name in ("config.json", "model.safetensors"):
        path = hf_hub_download(NAME, name, endpoint=server.address, cache_dir=shared, token=False)
    described = describe_remote(ID, access)
    asked = len(server.bodies_of("model.safetensors"))
    assert fetch(ID, described.remote, access).is_relative_to(shared)
    assert len(server.bodies_of("model.safetensors")) == asked
    Path(path).resolve().write_bytes(weights_of(server)[:-4] + b"1234")
    assert not fetch(ID, described.remote, access).is_relative_to(shared)


def test_a_name_without_a_tag_is_the_one_that_timm_takes(server, access, hub):
    server.repositories["timm/resnet18.a1_in1k"] = Repository.of(hub / "resnet")
    found = describe_remote("timm:resnet18", access)
    assert (found.id, found.remote.repository) == ("timm:resnet18", timm.get_pretrained_cfg("resnet18").hf_hub_id)
    with pytest.raises(errors.CheckpointNotFound, match="timm has none"):
        describe_remote("timm:nothing_like_it", access)


def test_the_token_of_a_login_goes_to_the_hub_that_it_is_for_and_to_no_mirror(server, access, monkeypatch):
    monkeypatch.setattr("frontrunner.hub.fetching.client.get_token", lambda: "of-a-login")
    describe_remote(ID, access)
    assert all("of-a-login" not in headers.get("authorization", "") for _, _, headers in server.requests)
    monkeypatch.setattr("frontrunner.hub.fetching.client.ENDPOINT", server.address)
    describe_remote(ID, access)
    assert server.requests[-1][2]["authorization"] == "Bearer of-a-login"


def test_the_token_is_sent_and_its_absence_is_named(server, access):
    server.token = "secret"
    with pytest.raises(errors.HubUnauthorized, match="FRONTRUNNER_HUB_TOKEN"):
        describe_remote(ID, access)
    allowed = changed(access, token="secret")
    assert "secret" not in repr(allowed)
    folder = fetch(ID, describe_remote(ID, allowed).remote, allowed)
    assert (folder / "model.safetensors").is_file()


def test_a_gated_repository_says_what_to_do(server, access):
    server.failures = [(403, {"X-Error-Code": "GatedRepo"})]
    with pytest.raises(errors.HubUnauthorized, match="gated"):
        describe_remote(ID, access)


@pytest.mark.parametrize("name", ["hf:org/nothing", f"hf:{NAME}@nowhere", "timm:nothing.in1k"])
def test_what_is_not_there_is_not_found(server, access, name):
    with pytest.raises(errors.CheckpointNotFound):
        describe_remote(name, access)


@pytest.mark.parametrize(
    "name", ["hf:../etc", "hf:a/b/c", "hf:org/x@../../y", "timm:a/b", "hf:org/..", "timm:" + "a" * 300, "hf:", "hf:org"]
)
def test_names_that_are_no_names_are_never_sent(server, access, name):
    with pytest.raises(errors.CheckpointNotFound):
        describe_remote(name, access)
    assert server.requests == []


def test_a_busy_hub_is_asked_again_after_the_time_it_named(server, access, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    server.failures = [(429, {"Retry-After": "7"}), (503, {})]
    assert describe_remote(ID, access).parameters > 0
    assert waits == [7, 2]


def test_a_hub_that_asks_for_a_long_wait_is_not_waited_for(server, access, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"slept {seconds} s"))
    server.failures = [(429, {"Retry-After": "3600"})]
    with pytest.raises(errors.HubRateLimited):
        describe_remote(ID, access)
    described = describe_remote(ID, access)
    server.failures = [(429, {"Retry-After": "3600"})]
    with pytest.raises(errors.HubRateLimited):
        fetch(ID, described.remote, changed(access, folder=access.folder / "other"))


def test_a_hub_that_is_away_is_named(access, server, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    server.failures = [(500, {})] * 3
    with pytest.raises(errors.HubError, match="500"):
        describe_remote(ID, access)
    with pytest.raises(errors.HubError, match="cannot be reached"):
        describe_remote(ID, changed(access, endpoint="http://127.0.0.1:1"))


def test_other_bytes_than_the_pinned_ones_are_refused_and_forgotten(server, access):
    described = describe_remote(ID, access)
    server.swapped["model.safetensors"] = weights_of(server)[:-4] + b"evil"
    with pytest.raises(errors.CheckpointChanged, match=r"model\.safetensors"):
        fetch(ID, described.remote, access)
    server.swapped.clear()
    assert (fetch(ID, described.remote, access) / "model.safetensors").read_bytes() == weights_of(server)


def test_a_checkpoint_over_the_limit_is_refused_before_its_weights_are_asked_for(server, access):
    small = changed(access, max_bytes=1000)
    with pytest.raises(errors.CheckpointTooLarge, match="FRONTRUNNER_HUB_MAX_BYTES"):
        describe_remote(ID, small)
    described = describe_remote(ID, access)
    with pytest.raises(errors.CheckpointTooLarge):
        fetch(ID, described.remote, small)
    assert server.bodies_of("model.safetensors") == ["bytes=0-100000"]


def test_a_repository_of_pickles_is_refused_before_anything_is_fetched(server, access):
    files = server.repositories["org/mobilenet"].files
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    with pytest.raises(errors.UnsafeCheckpoint, match="run code"):
        describe_remote("hf:org/mobilenet", access)
    assert not [path for _, path, _ in server.requests if "/resolve/" in path]


def test_a_sharded_checkpoint_is_described_and_opened(server, access, hub, tmp_path):
    from transformers import AutoModelForImageClassification

    folder = tmp_path / "sharded"
    AutoModelForImageClassification.from_pretrained(hub / "mobilenet").save_pretrained(folder, max_shard_size="200KB")
    shutil.copy(hub / "mobilenet" / "preprocessor_config.json", folder)
    assert len(list(folder.glob("*.safetensors"))) > 1
    server.repositories["org/sharded"] = Repository.of(folder)
    described = describe_remote("hf:org/sharded", access)
    assert (
        described.parameters
        == describe_directory(folder).parameters
        == describe_directory(hub / "mobilenet").parameters
    )
    expected = open_checkpoint(describe_directory(hub / "mobilenet")).module.state_dict()
    for tensor, value in open_checkpoint(described, access).module.state_dict().items():
        assert torch.equal(value, expected[tensor])


@pytest.mark.parametrize("shard", ["../../secret.safetensors", "/etc/passwd", "a\\b.safetensors", "weights.bin"])
def test_an_index_that_leads_elsewhere_is_refused(server, access, shard):
    files = server.repositories["org/mobilenet"].files
    del files["model.safetensors"]
    files["model.safetensors.index.json"] = json.dumps({"weight_map": {"w": shard}}).encode()
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_remote("hf:org/mobilenet", access)


def test_a_giant_header_is_refused_before_the_file_is_fetched(server, access):
    server.repositories[NAME].files["model.safetensors"] = (1 << 60).to_bytes(8, "little") + b"{}" * 1000
    with pytest.raises(errors.CheckpointUnreadable):
        describe_remote(ID, access)


def test_a_step_fetches_its_checkpoint_and_a_cached_one_asks_for_nothing(server, access, colours, tmp_path):
    dataset = open_dataset(colours)
    described = describe_remote(ID, access)

    def shards():
        return FeatureShards(described, dataset, np.arange(80), 20, FolderStore(tmp_path / "cache"), access=access)

    first = shards()
    assert [shard.features.shape[0] for shard in first] == [20]
    assert server.bodies_of("model.safetensors")[1:] == [None]
    asked = len(server.requests)
    again = shards()
    assert [shard.features.shape[0] for shard in again] == [20]
    assert (again.forward_examples, len(server.requests)) == (0, asked)


@pytest.mark.parametrize("variable", ["FRONTRUNNER_HUB_TOKEN", "HF_TOKEN"])
def test_the_token_comes_from_the_environment_and_is_never_shown(monkeypatch, tmp_path, variable):
    for name in ("FRONTRUNNER_HUB_TOKEN", "HF_TOKEN", "HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HUB_TOKEN", "somebody else's")
    assert HubAccess.of(Settings(home=tmp_path)).token is None
    monkeypatch.setenv(variable, "hf_secret")
    settings = Settings(home=tmp_path)
    assert HubAccess.of(settings).token == "hf_secret"
    assert "hf_secret" not in repr(settings) + repr(HubAccess.of(settings)) + settings.model_dump_json()
