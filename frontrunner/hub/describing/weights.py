"""Weights as safetensors: which files hold them, what their headers say. Nothing here reads a tensor or a pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from frontrunner.errors import CheckpointUnreadable, UnsafeCheckpoint

Shapes: TypeAlias = dict[str, tuple[int, ...]]

WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
# The pickles that may stand in for them, where an administrator allows it.
PICKLE_FILE = "pytorch_model.bin"
PICKLE_INDEX_FILE = "pytorch_model.bin.index.json"
PICKLE_SUFFIX = ".bin"
# How names of a text encoder's weights begin beside an image encoder's.
_TEXT_TOWER = ("text_model.", "text_encoder.", "clip.text_model.")
# Parts of the names of what follows an encoder.
_AFTER_ENCODER = {"decoder", "lm_head", "classification_head", "qa_outputs", "final_logits_bias", "prediction_head"}
_EMBEDDINGS = ("embed", "wte", "shared")
PICKLES = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".h5", ".msgpack")
# safetensors itself refuses larger headers.
MAX_HEADER_BYTES = 100 * 1024**2
MAX_INDEX_BYTES = 32 * 1024**2
# The largest checkpoints in use have about two hundred.
MAX_SHARDS = 1000
# What is measured or computed and not trained, and no parameter: buffers that files hold all the same.
_BUFFERS = (
    ".running_mean", ".running_var", ".num_batches_tracked", "position_ids", "token_type_ids", ".masked_bias",
    "inv_freq", "embed_positions.weights", "attention_bias_idxs", "relative_position_index", "relative_coords_table",
    ".attn_mask", ".input_min", ".input_max", ".output_min", ".output_max",
)  # fmt: skip
# A causal mask (1, 1, n, n), which decoders once kept where others keep a bias.
_MASKS = (".attn.bias", ".attention.bias")


def weight_files(folder: Path, *, pickles_allowed: bool = False) -> tuple[Path, ...]:
    """The files that hold a checkpoint's weights: one, or the shards that its index names.

    With `pickles_allowed` a pickle counts where there is nothing better.

    Raises:
        UnsafeCheckpoint: the only weights are pickles, which can run code when loaded; or the index leads elsewhere.
        CheckpointUnreadable: there are none, or a shard is missing.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return (folder / WEIGHTS_FILE,)
    if (folder / INDEX_FILE).is_file():
        return _shards(folder, INDEX_FILE)
    if pickles_allowed and (folder / PICKLE_FILE).is_file():
        return (folder / PICKLE_FILE,)
    if pickles_allowed and (folder / PICKLE_INDEX_FILE).is_file():
        return _shards(folder, PICKLE_INDEX_FILE)
    refuse_pickles(folder.name, (path.name for path in folder.iterdir()))
    raise CheckpointUnreadable(f"{folder.name} has no {WEIGHTS_FILE}")


def _shards(folder: Path, index: str) -> tuple[Path, ...]:
    shards = tuple(folder / name for name in shard_names((folder / index).read_bytes(), folder.name, index))
    missing = [path.name for path in shards if not path.is_file()]
    if missing:
        raise CheckpointUnreadable(f"{folder.name} lacks {missing[0]}, which {index} names")
    return shards


def refuse_pickles(checkpoint: str, names: Iterable[str]) -> None:
    """To be asked where there is no safetensors file.

    Raises:
        UnsafeCheckpoint: a file among `names` holds pickled weights.
    """
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    if pickles:
        raise UnsafeCheckpoint(
            f"{checkpoint} offers only pickled weights ({pickles[0]}), which can run code when loaded; "
            f"convert them to {WEIGHTS_FILE}, or have an administrator set FRONTRUNNER_HUB_PICKLES"
        )


def shard_names(index: bytes, checkpoint: str, index_name: str = INDEX_FILE) -> tuple[str, ...]:
    """The shards that an index of weights names, ascending.

    Args:
        index: its bytes.
        checkpoint: whose it is, for messages.
        index_name: its own name, which says what kind of file its shards are.

    Raises:
        CheckpointUnreadable: it is no index, or too large.
        UnsafeCheckpoint: a shard's name is a path, or not that of a file of weights.
    """
    suffix = PICKLE_SUFFIX if index_name == PICKLE_INDEX_FILE else ".safetensors"
    if len(index) > MAX_INDEX_BYTES:
        raise CheckpointUnreadable(f"{checkpoint}: {index_name} is larger than {MAX_INDEX_BYTES:,} bytes")
    try:
        names = sorted({str(name) for name in json.loads(index)["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointUnreadable(f"{checkpoint}: {index_name} maps no weights to files: {error}") from error
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(suffix):
            raise UnsafeCheckpoint(f"{checkpoint}: {index_name} names '{name[:100]}', not a {suffix} file beside it")
    if not 0 < len(names) <= MAX_SHARDS:
        raise CheckpointUnreadable(f"{checkpoint}: {index_name} names {len(names)} files; at most {MAX_SHARDS}")
    return tuple(names)


def parameters_of(shapes: Shapes, size: int) -> int:
    """Trained weights; of a pickle, whose shapes nobody reads, as many as `size` bytes of float32 hold."""
    return count_parameters(shapes) if shapes else size // 4


def tensor_shapes(path: Path) -> Shapes:
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


def count_parameters(shapes: Shapes) -> int:
    """Trained weights among these tensors; buffers are not counted."""
    return sum(_count(shape) for name, shape in shapes.items() if not _is_buffer(name, shape))


def layer_parameters(shapes: Shapes, layers: int) -> tuple[int, ...]:
    """(layers,) trained weights of each layer of a stack; empty where the names do not tell.

    A layer's tensors carry its number as a part of their names: `encoder.layer.3.output.dense.weight`.
    """
    counts = [0] * layers
    for name, shape in shapes.items():
        number = next((int(part) for part in name.split(".") if part.isdecimal()), None)
        if number is not None and number < layers and not _is_buffer(name, shape):
            counts[number] += _count(shape)
    return tuple(counts) if layers and all(counts) else ()


def read_of_texts(shapes: Shapes, config: Mapping[str, Any], *, tower: bool) -> Shapes:
    """The tensors that reading a text needs, by their names: no decoder behind an encoder, no head, no image encoder.

    Args:
        shapes: all that the files hold.
        config: the checkpoint's configuration.
        tower: it is one of a pair of encoders, and the other one reads images.

    Example:
        >>> names = ("bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.bias", "cls.predictions.bias")
        >>> list(read_of_texts(dict.fromkeys(names, (4,)), {"model_type": "bert"}, tower=False))
        ['bert.embeddings.word_embeddings.weight', 'bert.encoder.layer.0.bias']
    """
    if tower:
        text = {name: shape for name, shape in shapes.items() if name.startswith(_TEXT_TOWER)}
        return text or shapes
    if config.get("is_encoder_decoder"):
        shapes = {name: shape for name, shape in shapes.items() if not set(name.split(".")) & _AFTER_ENCODER}
    body = _body(shapes)
    return {name: shape for name, shape in shapes.items() if name.startswith(body)}


def _body(shapes: Shapes) -> str:
    """What the names of a model begin with that was saved with a head beside it, `bert.`; else nothing.

    It is the one part that holds embeddings and numbered layers.
    """
    embedding, numbered = set[str](), set[str]()
    for name in shapes:
        first, *rest = name.split(".")
        if any(part.isdecimal() for part in rest):
            numbered.add(first)
        elif any(word in part for part in rest for word in _EMBEDDINGS):
            embedding.add(first)
    bodies = (embedding & numbered) - {"encoder", "decoder"}
    return f"{bodies.pop()}." if len(bodies) == 1 else ""


def _is_buffer(name: str, shape: tuple[int, ...]) -> bool:
    return name.endswith(_BUFFERS) or (name.endswith(_MASKS) and len(shape) == 4)


def _count(shape: tuple[int, ...]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
