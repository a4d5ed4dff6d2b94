"""What can be known of a checkpoint without opening it: from its configuration and its weights' header.

Describing imports neither torch nor timm, so the API can list a hub.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data.files import digest_file
from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.card import CARD_FILE, Card, read_card
from frontrunner.hub.describing.configuration import (
    CONFIG_FILE,
    DECIDING_FILES,
    PROCESSOR_FILE,
    TOKENIZER_FILES,
    read_config,
    read_pooling,
    read_small,
    refuse_unsafe,
)
from frontrunner.hub.describing.weights import layer_parameters, parameters_of, tensor_shapes, weight_files

Library: TypeAlias = Literal["timm", "transformers", "features"]
Pooling: TypeAlias = Literal["mean", "cls", "last"]

# Families of text decoders, by the beginning of `model_type`: their last token has seen the whole text, no other has.
_DECODERS = (
    "bloom", "falcon", "gemma", "gpt", "granite", "llama", "mistral", "mixtral", "olmo", "opt", "phi", "qwen",
    "smollm", "stablelm", "starcoder",
)  # fmt: skip
_DECODER_HEADS = ("ForCausalLM", "LMHeadModel")
# How configurations call the number of layers in a stack.
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")


class TextPooling(BaseModel):
    """How the hidden states of a text become one row of features. Part of a checkpoint's identity where chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: Pooling = Field(description="Mean over tokens, the first token, or the last one.")
    layer: int | Literal["mean"] | None = Field(
        default=None, description="Output of the first k layers alone, the mean over all layers, or of the last: null."
    )
    normalised: bool = Field(
        default=False, description="Brought to length 1, where the checkpoint's own pipeline ends so."
    )


class RemoteFile(BaseModel):
    """A file of a repository on a hub at one revision."""

    model_config = ConfigDict(frozen=True)

    name: str
    bytes: int
    sha256: str | None = Field(description="Of its bytes, where the hub knows it: large files.")
    git_sha1: str = Field(description="Its name among git's objects: of small files the SHA-1 of header and bytes.")


class PinnedRepository(BaseModel):
    """Where a checkpoint is downloaded from, pinned: other bytes than these are refused."""

    model_config = ConfigDict(frozen=True)

    repository: str
    revision: str = Field(description="The commit, whatever name it was asked for by.")
    files: tuple[RemoteFile, ...]


class ReadingCost(BaseModel):
    """What reading took on one kind of device, as measured by a worker."""

    model_config = ConfigDict(frozen=True)

    device: str
    latency_ms: float = Field(description="Forward pass, an example; batches as large as reading uses.")
    memory_mb: float = Field(description="Most memory taken beyond that of the libraries: weights and activations.")


class CheckpointDescription(BaseModel):
    """A checkpoint, before it is opened. Everything here is JSON, so a step can carry it to a runner."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="What its hub calls it: `local:NAME`, `timm:NAME.TAG`, `hf:ORG/NAME@REVISION`...")
    library: Library = Field(description="What opens it.")
    modality: Literal["image", "text", "features"]
    architecture: str
    digest: str = Field(description="SHA-256 over weights, configuration, preprocessing and pooling, hexadecimal.")
    preprocessing_digest: str = Field(description="SHA-256 of how inputs are prepared, hexadecimal.")
    parameters: int = Field(description="Trained weights; buffers are not counted.")
    bytes: int = Field(description="Size of the weights' files.")
    path: str = Field(description="Folder where it lies; empty where its hub has to bring it into one first.")
    license: str | None = None
    pretraining: str | None = Field(default=None, description="Data that it was trained on, where stated.")
    base_model: str | None = Field(default=None, description="Checkpoint that it was tuned from, where stated.")
    tags: tuple[str, ...] = ()
    input_size: int | None = Field(default=None, description="Pixels a side, images only.")
    text_pooling: TextPooling | None = Field(default=None, description="Texts only.")
    layer_parameters: tuple[int, ...] = Field(
        default=(), description="Trained weights of each layer of the stack, where known, texts only."
    )
    costs: tuple[ReadingCost, ...] = ()
    remote: PinnedRepository | None = None


def describe_directory(folder: Path, *, pickles_allowed: bool = False) -> CheckpointDescription:
    """Describe a checkpoint folder in timm's or transformers' form: `config.json` beside safetensors.

    Args:
        folder: where its files lie.
        pickles_allowed: whether an administrator lets pickled weights count. They are not read here.

    Raises:
        CheckpointUnreadable: the configuration or the weights' header is missing or damaged.
        UnsafeCheckpoint: the only weights are pickles, or a configuration asks for more than to be read.
    """
    config = read_config(folder / CONFIG_FILE)
    weights = weight_files(folder, pickles_allowed=pickles_allowed)
    refuse_unsafe(folder)
    readable = [path for path in weights if path.suffix == ".safetensors"]
    shapes = {name: shape for path in readable for name, shape in tensor_shapes(path).items()}
    size = sum(path.stat().st_size for path in weights)
    present = [path for name in DECIDING_FILES if (path := folder / name).is_file()]
    found = describe(
        f"local:{folder.name}",
        config,
        read_card(folder / CARD_FILE),
        pooling=read_pooling(lambda name: read_small(folder / name)),
        digests={path.relative_to(folder).as_posix(): digest_once(path) for path in (*present, *weights)},
        parameters=parameters_of(shapes, size),
        size=size,
    )
    stack = layer_parameters(shapes, layer_count(config)) if found.modality == "text" else ()
    return found.model_copy(update={"path": str(folder.resolve()), "layer_parameters": stack})


def describe(
    checkpoint_id: str,
    config: dict[str, Any],
    card: Card,
    *,
    pooling: dict[str, Any],
    digests: Mapping[str, str],
    parameters: int,
    size: int,
) -> CheckpointDescription:
    """A description from what is known of a checkpoint's files, wherever they lie.

    Args:
        checkpoint_id: its public id.
        config: its `config.json`.
        card: its model card.
        pooling: what a sentence encoder says of its pooling, as `read_pooling` gives it; empty otherwise.
        digests: a digest of every file that decides what it computes, by the file's name.
        parameters: trained weights.
        size: bytes of its weights.

    Raises:
        CheckpointUnreadable: the configuration is of neither library.
    """
    library, architecture = _library(checkpoint_id, config)
    modality = _modality(config, library, digests)
    provenance = _as_mapping(config.get("provenance"))
    pretrained_cfg = _as_mapping(config.get("pretrained_cfg"))
    preparing = {name: digest for name, digest in digests.items() if name in (PROCESSOR_FILE, *TOKENIZER_FILES)}
    return CheckpointDescription(
        id=checkpoint_id,
        library=library,
        modality=modality,
        architecture=architecture,
        digest=_combined(digests),
        preprocessing_digest=_combined(preparing or {"pretrained_cfg": json.dumps(pretrained_cfg, sort_keys=True)}),
        parameters=parameters,
        bytes=size,
        path="",
        license=_text(provenance.get("license") or config.get("license") or pretrained_cfg.get("license"))
        or card.license,
        pretraining=_text(provenance.get("pretraining_dataset")) or card.pretraining,
        base_model=card.base_model,
        tags=card.tags,
        input_size=_input_size(config, pretrained_cfg) if modality == "image" else None,
        text_pooling=_text_pooling(config, pooling) if modality == "text" else None,
    )


def layer_count(config: Mapping[str, Any]) -> int:
    """Layers of the stack that a configuration describes; 0 where it does not say."""
    return next((count for name in _LAYERS if isinstance(count := config.get(name), int) and count > 0), 0)


def digest_once(path: Path) -> str:
    """`digest_file`, remembered while the file's size and modification time stay."""
    status = path.stat()
    return _digest(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, modified_ns: int, inode: int) -> str:
    return digest_file(Path(path))


def _combined(digests: Mapping[str, str]) -> str:
    total = hashlib.sha256()
    for name in sorted(digests):
        total.update(f"{name}\0{digests[name]}\n".encode())
    return total.hexdigest()


def _library(checkpoint_id: str, config: Mapping[str, Any]) -> tuple[Library, str]:
    architecture = config.get("architecture")
    if isinstance(architecture, str):
        return "timm", architecture
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        return "transformers", model_type
    raise CheckpointUnreadable(
        f"{checkpoint_id}: {CONFIG_FILE} has neither 'architecture' (timm) nor 'model_type' (transformers)"
    )


def _modality(config: Mapping[str, Any], library: Library, names: Collection[str]) -> Literal["image", "text"]:
    if library == "timm" or PROCESSOR_FILE in names:
        return "image"
    return "text" if "vocab_size" in config or not set(TOKENIZER_FILES).isdisjoint(names) else "image"


def _text_pooling(config: Mapping[str, Any], pooling: Mapping[str, Any]) -> TextPooling:
    """What the checkpoint's own pooling says; else the last token of a decoder, or the mean over tokens."""
    normalised = bool(pooling.get("normalised"))
    if pooling.get("pooling_mode_cls_token"):
        return TextPooling(pooling="cls", normalised=normalised)
    if pooling.get("pooling_mode_lasttoken"):
        return TextPooling(pooling="last", normalised=normalised)
    heads = [str(name) for name in config.get("architectures") or ()]
    decodes = any(name.endswith(_DECODER_HEADS) for name in heads) or str(config["model_type"]).startswith(_DECODERS)
    return TextPooling(pooling="last" if decodes and not pooling else "mean", normalised=normalised)


def _input_size(config: Mapping[str, Any], pretrained_cfg: Mapping[str, Any]) -> int | None:
    size = pretrained_cfg.get("input_size")
    if isinstance(size, list) and size and isinstance(size[-1], int):
        return size[-1]
    image_size = config.get("image_size")
    return image_size if isinstance(image_size, int) else None


def _as_mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
