"""What is known of families of text models by their `model_type` alone, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Families of text decoders, by the beginning of `model_type`: their last token has seen the whole text, no other has.
# A test compares them with the library's own register of causal language models.
_DECODERS = (
    "afmoe", "apertus", "arcee", "aria_text", "axk", "bailing", "bamba", "beam", "biogpt", "bitnet", "bloom", "blt",
    "codegen", "cohere", "cpmant", "ctrl", "cwm", "dbrx", "deepseek", "diffllama", "doge", "dots", "emu3", "ernie4",
    "exaone", "falcon", "flex_olmo", "flint", "fuyu", "gemma", "git", "glm", "got_ocr", "gpt", "granite", "helium",
    "hrm_text", "hunyuan", "hy_v", "hyperclovax", "inkling", "internlm", "iquestcoder", "jais", "jamba", "jetmoe",
    "kimi", "kolibri", "laguna", "lfm", "llama", "longcat", "mamba", "mellum", "mimo", "minicpm", "minimax",
    "ministral", "mistral", "mixtral", "mllama", "modernbert-decoder", "moshi", "mpt", "nanochat", "nemotron", "olmo",
    "openai-gpt", "opt", "persimmon", "phi", "qwen", "recurrent_gemma", "rwkv", "seed_oss", "smollm", "solar_open",
    "stablelm", "starcoder", "vaultgemma", "xglm", "xlstm", "youtu", "zamba", "zaya",
)  # fmt: skip
# Pairs of an image encoder and a text encoder that were trained to agree: either of them can be read by itself.
DUAL_ENCODERS = frozenset(
    {
        "align", "altclip", "blip", "chinese_clip", "clip", "clipseg", "flava", "groupvit", "metaclip_2", "owlv2",
        "owlvit", "siglip", "siglip2", "xclip",
    }
)  # fmt: skip
# A table of token embeddings, which sentence-transformers keeps without a configuration.
STATIC = "static-embedding"
STATIC_CONFIG: dict[str, Any] = {"model_type": STATIC}
# The text encoder of such a pair, saved by itself: it gives a pooled output of its own.
_TEXT_TOWER = "_text_model"
# How configurations call the number of layers of what reads a text: an encoder's before a decoder's.
LAYER_NAMES = ("encoder_layers", "num_encoder_layers", "num_hidden_layers", "n_layer", "n_layers", "num_layers")


def is_decoder(config: Mapping[str, Any]) -> bool:
    """Whether every token of a text sees only those before it, so that the last one stands for the text.

    The family decides, and not the head that a checkpoint was saved with.

    Example:
        >>> is_decoder({"model_type": "qwen3"}), is_decoder({"model_type": "bert"})
        (True, False)
        >>> is_decoder({"model_type": "bert", "is_decoder": True})
        True
    """
    if config.get("is_encoder_decoder"):
        return False
    if config.get("use_bidirectional_attention") is True or config.get("is_causal") is False:
        return False
    causal = config.get("is_decoder") is True or config.get("causal") is True
    return causal or str(config.get("model_type", "")).startswith(_DECODERS)


def is_text_tower(config: Mapping[str, Any]) -> bool:
    """Whether it is the text encoder of a pair, by itself."""
    return str(config.get("model_type", "")).endswith(_TEXT_TOWER)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a configuration that describes what reads texts: all of it, where it has no parts."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def layer_count(config: Mapping[str, Any]) -> int:
    """Layers of the stack that reads a text; 0 where the configuration does not say.

    Example:
        >>> layer_count({"model_type": "bart", "encoder_layers": 6, "decoder_layers": 12})
        6
    """
    stated = text_config(config)
    return next((count for name in LAYER_NAMES if isinstance(count := stated.get(name), int) and count > 0), 0)
