"""What is known of a checkpoint before it is opened, and what is refused."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys

import pytest

from frontrunner import errors
from frontrunner.hub import describe_directory, find_catalogue
from frontrunner.hub.describing.weights import tensor_shapes
from frontrunner.settings import Settings


def test_a_timm_folder_is_described_by_its_header_alone(hub):
    import timm

    found = describe_directory(hub / "resnet")
    assert (found.id, found.library, found.modality) == ("local:resnet", "timm", "image")
    module = timm.create_model("test_resnet", num_classes=10)
    assert found.parameters == sum(p.numel() for p in module.parameters())
    assert found.input_size == 32


def test_a_transformers_folder_is_described(hub):
    found = describe_directory(hub / "mobilenet")
    assert (found.library, found.modality, found.architecture) == ("transformers", "image", "mobilenet_v1")


def test_the_digest_follows_the_weights_and_the_preprocessing(hub, tmp_path):
    copy = tmp_path / "resnet"
    shutil.copytree(hub / "resnet", copy)
    assert describe_directory(copy).digest == describe_directory(hub / "resnet").digest
    config = json.loads((copy / "config.json").read_text())
    config["pretrained_cfg"]["mean"] = [0.0, 0.0, 0.0]
    (copy / "config.json").write_text(json.dumps(config))
    changed = describe_directory(copy)
    assert changed.digest != describe_directory(hub / "resnet").digest
    assert changed.preprocessing_digest != describe_directory(hub / "resnet").preprocessing_digest


def test_describing_a_hub_loads_no_torch(hub):
    code = f"""
import sys
from pathlib import Path
from frontrunner.hub import find_catalogue
from frontrunner.settings import Settings
assert len(find_catalogue(None, Settings(hub=(Path({str(hub)!r}),))).checkpoints) >= 3
assert not {{"torch", "timm", "transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_hub_lists_what_it_cannot_use_with_the_reason(hub, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(hub, mixed)
    (mixed / "README.md").write_text("not a checkpoint")
    (mixed / "empty").mkdir()
    (mixed / "pickled").mkdir()
    (mixed / "pickled" / "config.json").write_text('{"architecture": "resnet18"}')
    (mixed / "pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (mixed / "odd").mkdir()
    (mixed / "odd" / "config.json").write_text("[]")
    (mixed / "coded").mkdir()
    shutil.copy(mixed / "mobilenet" / "model.safetensors", mixed / "coded")
    (mixed / "coded" / "config.json").write_text('{"model_type": "x", "auto_map": {"AutoModel": "evil.py"}}')
    catalogue = find_catalogue(mixed, Settings())
    assert {c.id for c in catalogue.checkpoints} == {"local:resnet", "local:vit", "local:mobilenet"}
    assert {s.checkpoint: s.code for s in catalogue.skipped} == {
        "local:empty": "checkpoint_not_found",
        "local:pickled": "checkpoint_unsafe",
        "local:odd": "checkpoint_unreadable",
        "local:coded": "checkpoint_unsafe",
    }


def test_one_name_in_two_hubs_is_used_once_and_reported(hub):
    catalogue = find_catalogue([hub, hub], Settings())
    assert len(catalogue.checkpoints) == 3
    assert {s.code for s in catalogue.skipped} == {"checkpoint_name_taken"}


def test_of_one_name_in_two_hubs_the_first_that_can_be_used_is(hub, tmp_path):
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "config.json").write_text("[]")
    (found,) = [c for c in find_catalogue([tmp_path, hub], Settings()).checkpoints if c.id == "local:vit"]
    assert found.path == str(hub / "vit")


def test_a_single_checkpoint_folder_is_a_hub_of_one(hub):
    assert [c.id for c in find_catalogue(hub / "vit", Settings()).checkpoints] == ["local:vit"]


def test_a_hub_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(errors.CheckpointNotFound):
        find_catalogue(tmp_path / "nowhere", Settings())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 7,
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 5) + b"notjs",
        struct.pack("<Q", 64) + b'{"w":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'[:64].ljust(64),
        (lambda header: struct.pack("<Q", len(header)) + header)(
            b'{"w":{"dtype":"F32","shape":[1000],"data_offsets":[0,4000]}}'
        ),
    ],
)
def test_damaged_or_lying_safetensors_headers_are_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(errors.CheckpointUnreadable):
        tensor_shapes(path)
