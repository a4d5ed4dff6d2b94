"""A checkpoint's configuration as data: read within limits, and refused where it asks for more than to be read.

Configurations come from strangers. The libraries that open checkpoints follow what these files say: run code beside
the weights, fetch a backbone, open a file by its path. Whatever would lead one of them outside of the checkpoint's
own folder is refused here, before any library sees it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from frontrunner.errors import CheckpointNotFound, CheckpointUnreadable, UnsafeCheckpoint

CONFIG_FILE = "config.json"
PROCESSOR_FILE = "preprocessor_config.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
POOLING_FILE = "1_Pooling/config.json"
SENTENCE_FILE = "sentence_bert_config.json"
MODULES_FILE = "modules.json"
# The head of a text classifier, a dense layer beside its sentence encoder: `frontrunner.hub.opening.text_head`.
HEAD_CONFIG_FILE = "classifier/config.json"
HEAD_WEIGHTS_FILE = "classifier/model.safetensors"
TOKENIZER_FILES = (
    "tokenizer.json",
    TOKENIZER_CONFIG_FILE,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
)
# Files that decide what a checkpoint computes, beside its weights; each that exists is part of its digest.
DECIDING_FILES = (
    CONFIG_FILE,
    PROCESSOR_FILE,
    *TOKENIZER_FILES,
    POOLING_FILE,
    SENTENCE_FILE,
    MODULES_FILE,
    HEAD_CONFIG_FILE,
    HEAD_WEIGHTS_FILE,
)
# What a configuration's `problem_type` says where each output is a decision of its own: no softmax over them.
MULTI_LABEL = "multi_label_classification"
MAX_CONFIG_BYTES = 4 * 1024**2
# Arguments of timm.create_model that load files, fetch from a network or return something else than the model.
_TIMM_ARGUMENTS = frozenset(
    {
        "pretrained",
        "pretrained_cfg",
        "pretrained_cfg_overlay",
        "pretrained_strict",
        "checkpoint_path",
        "cache_dir",
        "scriptable",
        "exportable",
        "features_only",
    }
)


def read_config(path: Path) -> dict[str, Any]:
    """A checkpoint's configuration.

    Raises:
        CheckpointNotFound: absent.
        CheckpointUnreadable: too large, or not a JSON object.
    """
    try:
        data = read_small(path)
        if data is None:
            raise CheckpointNotFound(f"{path.parent.name} has no {path.name}: not a checkpoint folder")
        config = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} must hold a JSON object")
    return config


def read_if_there(path: Path) -> dict[str, Any]:
    """`read_config`, or an empty one where the file is absent."""
    return read_config(path) if path.is_file() else {}


def read_small(path: Path) -> bytes | None:
    """A small file's bytes, or None where there is none.

    Raises:
        CheckpointUnreadable: it is larger than a configuration may be.
    """
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} is larger than {MAX_CONFIG_BYTES:,} bytes")
    return path.read_bytes()


def read_pooling(read: Callable[[str], bytes | None]) -> dict[str, Any]:
    """What a sentence encoder's own files say of its pooling; empty where it has none.

    Args:
        read: gives a file of the checkpoint by its name, or None.

    Returns:
        The entries of its pooling's configuration, and `normalised`: whether its pipeline ends in vectors of length 1.

    Raises:
        CheckpointUnreadable: a file is damaged.
    """
    pooling = _parsed(read(POOLING_FILE), POOLING_FILE)
    modules = _parsed(read(MODULES_FILE), MODULES_FILE)
    steps = [step for step in modules if isinstance(step, dict)] if isinstance(modules, list) else []
    normalised = any(str(step.get("type", "")).endswith(".Normalize") for step in steps)
    return (pooling if isinstance(pooling, dict) else {}) | ({"normalised": True} if normalised else {})


def _parsed(data: bytes | None, name: str) -> Any:
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointUnreadable(f"{name} is not JSON: {error}") from error


def refuse_unsafe(folder: Path) -> None:
    """Look through every configuration of a checkpoint folder.

    Raises:
        UnsafeCheckpoint: one asks to run its own code, to fetch something, or to open a file of its choice.
        CheckpointUnreadable: one is damaged.
    """
    for name in (CONFIG_FILE, PROCESSOR_FILE, TOKENIZER_CONFIG_FILE):
        refuse_unsafe_entries(read_if_there(folder / name), f"{folder.name}/{name}")


def refuse_unsafe_entries(config: dict[str, Any], name: str) -> None:
    """Look through one configuration, called `name`; see `refuse_unsafe`."""
    for key, value in _entries(config, name):
        reason = _unsafe(key, value)
        if reason:
            raise UnsafeCheckpoint(f"{name} {reason}; only library code and the checkpoint's own files are used")


def _unsafe(key: str, value: Any) -> str | None:
    if key == "auto_map" and value:
        return "asks to run its own code (auto_map)"
    if key == "use_pretrained_backbone" and value:
        return "asks to fetch a backbone (use_pretrained_backbone)"
    if key == "init_inputs" and value:
        return "hands its tokenizer arguments without a name, a file's path first (init_inputs)"
    if key == "fast_tokenizer_files" and "/" in str(value):
        return "names tokenizer files in other folders (fast_tokenizer_files)"
    if key.endswith("attn_implementation") and "/" in str(value):
        return f"asks to fetch attention code ({value})"
    if key == "model_args" and isinstance(value, dict) and (forbidden := sorted(_TIMM_ARGUMENTS & value.keys())):
        return f"has model_args that must not be set ({', '.join(forbidden)})"
    return None


def _entries(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key of nested objects with its value."""
    if depth > 50:
        raise CheckpointUnreadable(f"{name} is nested deeper than 50 levels")
    children = value.items() if isinstance(value, dict) else ()
    for key, child in children:
        yield key, child
        yield from _entries(child, name, depth + 1)
    for child in value if isinstance(value, list) else ():
        yield from _entries(child, name, depth + 1)
