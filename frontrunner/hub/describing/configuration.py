"""A checkpoint's configuration as data: read within limits, and refused where it asks for more than to be read.

Configurations come from strangers. The libraries that open checkpoints follow what these files say: run code beside
the weights, fetch a backbone, open a file by its path. Whatever would lead one of them outside of the checkpoint's
own folder is refused here, before any library sees it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frontrunner.errors import CheckpointNotFound, CheckpointUnreadable, UnsafeCheckpoint
from frontrunner.hub.describing.sentence_encoder import (
    MODULES_FILE,
    PROMPTS_FILE,
    STEP_CONFIG,
    STEP_WEIGHTS,
    TRANSFORMER_FILES,
    SentenceEncoder,
    read_sentence_encoder,
)

CONFIG_FILE = "config.json"
PROCESSOR_FILE = "preprocessor_config.json"
# Where transformers 5 keeps an image processor that belongs to more than one modality, as the entry `image_processor`.
PROCESSORS_FILE = "processor_config.json"
PROCESSOR_FILES = (PROCESSOR_FILE, PROCESSORS_FILE)
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
# The head of a text classifier, a dense layer beside its sentence encoder: `frontrunner.hub.opening.text_head`.
HEAD_CONFIG_FILE = "classifier/config.json"
HEAD_WEIGHTS_FILE = "classifier/model.safetensors"
# Files that hold what a tokenizer knows: words, pieces, merges, characters.
VOCABULARY_FILES = (
    "tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "bpe.codes", "vocab.bpe", "spiece.model", "spm.model",
    "spm_char.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model", "source.spm", "target.spm",
    "vocab-src.json", "vocab-tgt.json", "target_vocab.json", "prophetnet.tokenizer", "byte_maps.json", "tekken.json",
    "entity_vocab.json", "dict.txt", "emoji.json", "normalizer.json", "word_shape.json", "word_pronunciation.json",
)  # fmt: skip
TOKENIZER_FILES = (*VOCABULARY_FILES, TOKENIZER_CONFIG_FILE, "special_tokens_map.json", "added_tokens.json")
# What a configuration's `problem_type` says where each output is a decision of its own: no softmax over them.
MULTI_LABEL = "multi_label_classification"
MAX_CONFIG_BYTES = 4 * 1024**2
# Of a stack. A network is built before its weights are compared with it, and each layer takes its time.
MAX_LAYERS = 2_000
_LAYER_COUNTS = frozenset(
    {
        "encoder_layers", "num_encoder_layers", "decoder_layers", "num_decoder_layers", "num_hidden_layers", "n_layer",
        "n_layers", "num_layers", "depth", "depths", "layers",
    }
)  # fmt: skip
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
    except OSError as error:
        raise CheckpointUnreadable(f"{path.parent.name}/{path.name} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
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


def sentence_encoder_in(folder: Path) -> SentenceEncoder:
    """What the sentence-transformers' files of a checkpoint folder say; see `read_sentence_encoder`."""
    return read_sentence_encoder(lambda name: read_small(folder / name), folder.name)


def deciding_files(encoder: SentenceEncoder) -> tuple[str, ...]:
    """Files that decide what a checkpoint computes, beside its weights; each that exists is part of its digest.

    Args:
        encoder: what the checkpoint's sentence-transformers' files say.

    Returns:
        Names below the checkpoint's folder; most checkpoints have few of them.
    """
    return (
        *(encoder.inside(name) for name in (CONFIG_FILE, *PROCESSOR_FILES, *TOKENIZER_FILES, *TRANSFORMER_FILES)),
        MODULES_FILE,
        PROMPTS_FILE,
        f"{encoder.pooling_folder}/{STEP_CONFIG}",
        *(f"{step.folder}/{name}" for step in encoder.weighted_steps for name in (STEP_CONFIG, STEP_WEIGHTS)),
        HEAD_CONFIG_FILE,
        HEAD_WEIGHTS_FILE,
    )


def refuse_unsafe(folder: Path) -> None:
    """Look through every configuration of a checkpoint folder.

    Raises:
        UnsafeCheckpoint: one asks to run its own code, to fetch something, or to open a file of its choice.
        CheckpointUnreadable: one is damaged.
    """
    inner = folder / sentence_encoder_in(folder).folder
    for name in (CONFIG_FILE, *PROCESSOR_FILES, TOKENIZER_CONFIG_FILE):
        refuse_unsafe_entries(read_if_there(inner / name), f"{folder.name}/{name}")


def refuse_unsafe_entries(config: dict[str, Any], name: str) -> None:
    """Look through one configuration, called `name`; see `refuse_unsafe`."""
    for key, value in _entries(config, name):
        reason = _unsafe(key, value)
        if reason:
            raise UnsafeCheckpoint(f"{name} {reason}; only library code and the checkpoint's own files are used")
        if key in _LAYER_COUNTS:
            for count in value if isinstance(value, list) else [value]:
                if isinstance(count, int) and not 0 <= count <= MAX_LAYERS:
                    raise CheckpointUnreadable(f"{name} has {count:,} {key}; expected 0 to {MAX_LAYERS:,}")


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
