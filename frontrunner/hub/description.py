"""What can be known of a checkpoint without opening it: from its configuration and its weights' header.

Describing imports neither torch nor timm, so the API can list a hub.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data.files import digest_file
from frontrunner.errors import CheckpointNotFound, CheckpointUnreadable, UnsafeCheckpoint

Library: TypeAlias = Literal["timm", "transformers", "features"]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
PROCESSOR_FILE = "preprocessor_config.json"
# Files that decide what a checkpoint computes; each that exists is part of its digest.
_DECIDING = (CONFIG_FILE, PROCESSOR_FILE, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_PICKLED = ("*.bin", "*.pth", "*.pt", "*.ckpt", "*.pkl")
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")
MAX_CONFIG_BYTES = 4 * 1024**2
# safetensors itself refuses larger headers.
MAX_HEADER_BYTES = 100 * 1024**2
# Buffers of normalisation layers, which are measured and not trained: no parameters.
_BUFFERS = (".running_mean", ".running_var", ".num_batches_tracked", "position_ids")


class CheckpointDescription(BaseModel):
    """A checkpoint, before it is opened. Everything here is JSON, so a step can carry it to a runner."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(description="`local:NAME`, `package:NAME` or `features:NAME`.")
    library: Library = Field(description="What opens it.")
    modality: Literal["image", "text", "features"]
    architecture: str
    digest: str = Field(description="SHA-256 over weights, configuration and preprocessing, hexadecimal.")
    preprocessing_digest: str = Field(description="SHA-256 of how inputs are prepared, hexadecimal.")
    parameters: int = Field(description="Trained weights; buffers are not counted.")
    bytes: int = Field(description="Size of the weights' file.")
    path: str = Field(description="Folder or file that it is opened from; empty for precomputed features.")
    license: str | None = None
    pretraining: str | None = Field(default=None, description="Data that it was trained on, where stated.")
    input_size: int | None = Field(default=None, description="Pixels a side, images only.")


def describe_directory(folder: Path) -> CheckpointDescription:
    """Describe a checkpoint folder in timm's or transformers' form: `config.json` beside `model.safetensors`.

    Raises:
        CheckpointUnreadable: the configuration or the weights' header is missing or damaged.
        UnsafeCheckpoint: the only weights are pickles, which can run code when loaded.
    """
    config = read_config(folder / CONFIG_FILE)
    weights = folder / WEIGHTS_FILE
    if not weights.is_file():
        pickles = [path.name for pattern in _PICKLED for path in folder.glob(pattern)]
        if pickles:
            raise UnsafeCheckpoint(
                f"{folder.name} offers only pickled weights ({pickles[0]}), which can run code when loaded; "
                f"convert them to {WEIGHTS_FILE}"
            )
        raise CheckpointUnreadable(f"{folder.name} has no {WEIGHTS_FILE}")
    shapes = tensor_shapes(weights)
    library, architecture = _library(folder, config)
    modality = _modality(folder, config, library)
    provenance = _as_mapping(config.get("provenance"))
    pretrained_cfg = _as_mapping(config.get("pretrained_cfg"))
    deciding = [path for name in _DECIDING if (path := folder / name).is_file()]
    processor = folder / PROCESSOR_FILE
    preparing = processor.read_bytes() if processor.is_file() else json.dumps(pretrained_cfg, sort_keys=True).encode()
    return CheckpointDescription(
        id=f"local:{folder.name}",
        library=library,
        modality=modality,
        architecture=architecture,
        digest=_combined_digest([*deciding, weights]),
        preprocessing_digest=hashlib.sha256(preparing).hexdigest(),
        parameters=sum(_count(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS)),
        bytes=weights.stat().st_size,
        path=str(folder.resolve()),
        license=_text(provenance.get("license") or config.get("license") or pretrained_cfg.get("license")),
        pretraining=_text(provenance.get("pretraining_dataset")),
        input_size=_input_size(config, pretrained_cfg) if modality == "image" else None,
    )


def read_config(path: Path) -> dict[str, Any]:
    """A checkpoint's configuration.

    Raises:
        CheckpointUnreadable: absent, too large, or not a JSON object.
    """
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise CheckpointUnreadable(f"{path.parent.name}/{path.name} is larger than {MAX_CONFIG_BYTES:,} bytes")
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointNotFound(f"{path.parent.name} has no {path.name}: not a checkpoint folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} must hold a JSON object")
    return config


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of a safetensors file's tensors, from its header alone.

    Raises:
        CheckpointUnreadable: the header is damaged, larger than allowed, or promises more bytes than there are.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(MAX_HEADER_BYTES, size - 8):
                raise CheckpointUnreadable(f"{path.name}: its header claims {length:,} bytes of a file of {size:,}")
            header = json.loads(file.read(length))
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        if any(entry["data_offsets"][1] > size - 8 - length for entry in tensors.values()):
            raise CheckpointUnreadable(f"{path.name} is truncated: its tensors reach past its end")
        return {name: tuple(int(side) for side in entry["shape"]) for name, entry in tensors.items()}
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path.name} is not a safetensors file: {error}") from error


def digest_once(path: Path) -> str:
    """`digest_file`, remembered while the file's size and modification time stay."""
    status = path.stat()
    return _digest(str(path), status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=4096)
def _digest(path: str, size: int, modified_ns: int, inode: int) -> str:
    return digest_file(Path(path))


def _combined_digest(paths: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name}\0{digest_once(path)}\n".encode())
    return total.hexdigest()


def _library(folder: Path, config: dict[str, Any]) -> tuple[Library, str]:
    architecture = config.get("architecture")
    if isinstance(architecture, str):
        return "timm", architecture
    model_type = config.get("model_type")
    if isinstance(model_type, str):
        if config.get("auto_map"):
            raise UnsafeCheckpoint(f"{folder.name} asks to run its own code (auto_map); only library code is run")
        return "transformers", model_type
    raise CheckpointUnreadable(
        f"{folder.name}/{CONFIG_FILE} has neither 'architecture' (timm) nor 'model_type' (transformers)"
    )


def _modality(folder: Path, config: dict[str, Any], library: Library) -> Literal["image", "text"]:
    if library == "timm" or (folder / PROCESSOR_FILE).is_file():
        return "image"
    if any((folder / name).is_file() for name in _TOKENIZER) or "vocab_size" in config:
        return "text"
    return "image"


def _input_size(config: dict[str, Any], pretrained_cfg: dict[str, Any]) -> int | None:
    size = pretrained_cfg.get("input_size")
    if isinstance(size, list) and size and isinstance(size[-1], int):
        return size[-1]
    image_size = config.get("image_size")
    return image_size if isinstance(image_size, int) else None


def _as_mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
