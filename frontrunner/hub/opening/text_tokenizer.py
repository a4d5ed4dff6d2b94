"""A text checkpoint's own tokenizer, opened from its own files; a checkpoint without one is not read. Imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import transformers
from tokenizers import normalizers

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import TOKENIZER_CONFIG_FILE, VOCABULARY_FILES, read_if_there
from frontrunner.hub.describing.sentence_encoder import SentenceEncoder
from frontrunner.hub.opening.transformers_loading import LOCAL

# Tokenizers of bytes or characters, which need no file of words.
_WITHOUT_FILES = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")
_FAMILIES_WITHOUT_FILES = ("canine", "perceiver")
# Pairs of encoders whose texts were padded to the end in training, on the side that their tokenizer says, and are read
# so: their pooling looks there.
PADDED_TO_THE_END = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")
# Texts that every vocabulary tells apart, if only by their letters.
_PROBES = ("the old bank of the river", "Zwei 7 % of it, (x)?")


def open_tokenizer(checkpoint: str, folder: Path, encoder: SentenceEncoder, model_type: str) -> Any:
    """The tokenizer of a folder, as its own pipeline sets it up.

    Args:
        checkpoint: its id, for messages.
        folder: where the tokenizer's files lie.
        encoder: what the checkpoint's sentence-transformers' files say.
        model_type: the family, by transformers' name.

    Raises:
        CheckpointUnreadable: the folder holds no vocabulary, or one that tells texts apart in no way.
    """
    stated = read_if_there(folder / TOKENIZER_CONFIG_FILE)
    bare = stated.get("tokenizer_class") in _WITHOUT_FILES or model_type in _FAMILIES_WITHOUT_FILES
    if not bare and not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise CheckpointUnreadable(
            f"{checkpoint} holds no tokenizer: its texts cannot be read; put the files of its tokenizer "
            "(tokenizer.json, or vocab.txt...) beside its weights"
        )
    # A path that the configuration hands to the tokenizer is never opened: its own files are found without one.
    given = {key: None for key in stated if key.endswith("_file")}
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **LOCAL, **given)
    if model_type not in PADDED_TO_THE_END:
        tokenizer.padding_side = "right"
    if encoder.truncation_side:
        tokenizer.truncation_side = encoder.truncation_side
    if encoder.lower_case and getattr(tokenizer, "backend_tokenizer", None) is not None:
        own = tokenizer.backend_tokenizer.normalizer
        steps = [normalizers.Lowercase(), *([] if own is None else [own])]
        tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(steps)
    if not bare:
        _require_vocabulary(checkpoint, folder, tokenizer)
    return tokenizer


def _require_vocabulary(checkpoint: str, folder: Path, tokenizer: Any) -> None:
    """The library makes a tokenizer of special tokens, or of letters, where a file is missing: that reads nothing."""
    special = set(tokenizer.all_special_ids)
    pieces = [set(tokenizer(text, add_special_tokens=False)["input_ids"]) - special for text in _PROBES]
    if pieces[0] == pieces[1] and len(tokenizer.get_vocab()) <= len(special) + 1:
        raise CheckpointUnreadable(f"{checkpoint}: its tokenizer knows no words but special ones")
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or (folder / "tokenizer.json").is_file():
        return
    model = json.loads(backend.to_str())["model"]
    if model.get("type") == "BPE" and not model.get("merges") and any(len(piece) > 8 for piece in model["vocab"]):
        raise CheckpointUnreadable(f"{checkpoint}: its tokenizer has a vocabulary and no merges (merges.txt)")
