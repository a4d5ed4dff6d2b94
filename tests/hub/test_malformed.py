"""Damaged and hostile checkpoints and tokenizers: each is refused under a code of checkpoints, and leaves nothing.

What is described and opened here is what a runner does with a checkpoint; peak memory is measured for each case.
"""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
import struct
from pathlib import Path

import psutil
import pytest

from frontrunner.errors import CheckpointError
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint

# Beside what this process holds anyway; the checkpoints are of a few hundred kB.
MEMORY_BYTES = 256 << 20
DEEP = "[" * 100_000
RESNET, MOBILENET, ENCODER = "resnet", "mobilenet", "encoder"


def header(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of safetensors with this header, whatever it says."""
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(kind: object = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    return {"w": {"dtype": kind, "shape": shape, "data_offsets": offsets}}


WEIGHTS = {
    "empty": b"",
    "short": b"\0\0\0",
    "noise": bytes(range(256)) * 8,
    "zeros": bytes(4096),
    "zip": b"PK\x03\x04" + bytes(200),
    "length-beyond-the-file": header({}, length=10_000),
    "length-of-all-bits": header({}, length=2**64 - 1),
    "length-zero": header(b"", length=0),
    "not-json": header(b"not json"),
    "not-utf-8": header(b'{"\xff": 1}'),
    "nested": header(DEEP.encode()),
    "a-list": header([]),
    "a-number": header(17),
    "no-tensor": header({}),
    "entries-that-are-words": header({"w": "words"}),
    "no-shape": header({"w": {"dtype": "F32", "data_offsets": [0, 16]}}, bytes(16)),
    "no-offsets": header({"w": {"dtype": "F32", "shape": [4]}}, bytes(16)),
    "unknown-type": header(tensor(kind="Q99"), bytes(16)),
    "negative-shape": header(tensor(shape=(-4,)), bytes(16)),
    "shape-of-words": header(tensor(shape=("a",)), bytes(16)),
    "shape-that-overflows": header(tensor(shape=(2**62, 2**62)), bytes(16)),
    "shape-of-an-exabyte": header(tensor(shape=(2**58,), offsets=(0, 2**60)), bytes(16)),
    "offsets-beyond": header(tensor(offsets=(0, 10_000)), bytes(16)),
    "offsets-backwards": header(tensor(offsets=(16, 0)), bytes(16)),
    "offsets-negative": header(tensor(offsets=(-16, 0)), bytes(16)),
    "offsets-that-do-not-fit": header(tensor(offsets=(0, 15)), bytes(16)),
    "data-missing": header(tensor()),
    "data-left-over": header(tensor(), bytes(4000)),
    "tensors-that-overlap": header(tensor() | {"v": tensor()["w"]}, bytes(16)),
    "other-names": header(tensor(), bytes(16)),
}
CONFIGS = {
    "empty": "",
    "cut": '{"architecture": "test_res',
    "nested": DEEP,
    "a-list": "[]",
    "a-number": "17",
    "null": "null",
    "no-keys": "{}",
    "not-utf-8": b'{"architecture": "\xff"}',
    "unknown-architecture": '{"architecture": "nothing_like_it"}',
    "architecture-of-a-path": '{"architecture": "../../etc/passwd"}',
    "architecture-of-another-hub": '{"architecture": "hf-hub:someone/else"}',
    "architecture-that-is-a-number": '{"architecture": 17}',
    "architecture-that-is-long": json.dumps({"architecture": "a" * 1_000_000}),
    "unknown-type": '{"model_type": "nothing_like_it"}',
    "type-that-is-a-list": '{"model_type": [1]}',
    "negative-classes": '{"architecture": "test_resnet", "num_classes": -5}',
    "classes-of-words": '{"architecture": "test_resnet", "num_classes": "many"}',
    "a-trillion-classes": '{"architecture": "test_resnet", "num_classes": 1000000000000}',
    "arguments-of-words": '{"architecture": "test_resnet", "model_args": "words"}',
    "unknown-arguments": '{"architecture": "test_resnet", "model_args": {"nothing_like_it": 1}}',
    "size-of-a-trillion": '{"architecture": "test_resnet", "pretrained_cfg": {"input_size": [3, 1000000, 1000000]}}',
    "size-of-words": '{"architecture": "test_resnet", "pretrained_cfg": {"input_size": "large"}}',
    "mean-of-words": '{"architecture": "test_resnet", "pretrained_cfg": {"mean": ["a", "b", "c"]}}',
}
TRANSFORMERS = {
    "hidden-size-of-a-billion": {"hidden_size": 1_000_000_000},
    "a-million-layers": {"num_hidden_layers": 1_000_000},
    "negative-layers": {"num_hidden_layers": -3},
    "hidden-size-of-words": {"hidden_size": "large"},
    "heads-that-do-not-divide": {"num_attention_heads": 7},
    "no-heads": {"num_attention_heads": 0},
    "vocabulary-of-a-billion": {"vocab_size": 10**9},
    "negative-vocabulary": {"vocab_size": -1},
    "unknown-activation": {"hidden_act": "nothing_like_it"},
}
TOKENIZERS = {
    "empty": "",
    "cut": '{"version": "1.0", "model": {"type": "Word',
    "nested": DEEP,
    "a-list": "[]",
    "no-model": '{"version": "1.0"}',
    "unknown-model": '{"version": "1.0", "model": {"type": "Nothing"}}',
    "vocabulary-of-words": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": "words", "unk_token": "a"}}',
    "no-word": '{"version": "1.0", "model": {"type": "WordPiece", "vocab": {}, "unk_token": "a"}}',
    "negative-numbers": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": -1}, "unk_token": "a"}}',
    "numbers-beyond": '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 1e99}, "unk_token": "a"}}',
    "merges-of-nothing": '{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["x", "y"]]}}',
    "not-utf-8": b'{"version": "\xff"}',
}


@pytest.fixture
def spoilt(hub, text_hub, tmp_path):
    """Copies a checkpoint and writes one of its files anew."""

    def make(name: str, file: str, content: str | bytes) -> Path:
        source = text_hub / name if name == ENCODER else hub / name
        folder = shutil.copytree(source, tmp_path / "spoilt")
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return make


@contextlib.contextmanager
def leaving_nothing(folder: Path):
    """Whatever happens inside leaves no file or process, and takes no more than the stated memory."""
    process = psutil.Process()
    files = sorted(path.name for path in folder.parent.rglob("*"))
    children = set(process.children())
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = process.memory_info().rss
    yield
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak - before <= MEMORY_BYTES, f"{peak - before >> 20} MiB"
    assert sorted(path.name for path in folder.parent.rglob("*")) == files
    assert set(process.children()) <= children


def refused(folder: Path) -> CheckpointError:
    """Describe and open it, as a runner does; the refusal, which is never any other error."""
    with leaving_nothing(folder), pytest.raises(CheckpointError) as found:
        open_checkpoint(describe_directory(folder))
    assert found.value.code.startswith("checkpoint_"), found.value.code
    assert str(folder.parent) not in found.value.reason
    assert len(found.value.reason) < 3_000
    return found.value


@pytest.mark.parametrize("checkpoint", [RESNET, ENCODER])
@pytest.mark.parametrize("name", WEIGHTS)
def test_malformed_weights_are_refused(spoilt, checkpoint, name):
    assert refused(spoilt(checkpoint, "model.safetensors", WEIGHTS[name])).code == "checkpoint_unreadable"


@pytest.mark.parametrize("name", CONFIGS)
def test_malformed_configurations_are_refused(spoilt, name):
    refused(spoilt(RESNET, "config.json", CONFIGS[name]))


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_configurations_that_ask_for_the_impossible_are_refused(spoilt, text_hub, name):
    config = json.loads((text_hub / ENCODER / "config.json").read_text()) | TRANSFORMERS[name]
    refused(spoilt(ENCODER, "config.json", json.dumps(config)))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_malformed_tokenizers_are_refused(spoilt, name):
    refused(spoilt(ENCODER, "tokenizer.json", TOKENIZERS[name]))


@pytest.mark.parametrize("name", ["empty", "cut", "nested", "a-list", "not-utf-8"])
def test_malformed_configurations_of_processors_are_refused(spoilt, name):
    refused(spoilt(MOBILENET, "preprocessor_config.json", CONFIGS[name]))
