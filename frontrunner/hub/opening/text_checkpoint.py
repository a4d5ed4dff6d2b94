"""Opening text encoders and decoders in transformers' form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import SENTENCE_FILE, TOKENIZER_CONFIG_FILE, read_if_there
from frontrunner.hub.describing.description import CheckpointDescription, TextPooling
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.text_head import read_head
from frontrunner.hub.opening.texts import TextPreparation
from frontrunner.hub.opening.transformers_loading import LOCAL, load_model, transformers_errors

# Where neither the tokenizer nor the configuration sets a limit: relative positions read on, memory does not.
DEFAULT_MAX_TOKENS = 512
# Families whose first two positions are taken.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "data2vec-text")


def open_text_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder in transformers' form with its own tokenizer; safetensors only, no code of its own.

    Of an encoder-decoder the encoder is read; of a variant that reads the first k layers only these are built, with
    the stack's closing normalisation after them where the architecture has one.

    Raises:
        CheckpointUnreadable: transformers cannot open it, or it has no tokenizer.
    """
    pooling = description.text_pooling
    assert pooling is not None  # noqa: S101 - descriptions of text checkpoints have one
    with transformers_errors(description.id):
        config = transformers.AutoConfig.from_pretrained(folder, **LOCAL)
        tokenizer = _tokenizer(folder)
        if isinstance(pooling.layer, int):
            _keep_layers(config, pooling.layer)
        module = load_model(description.id, transformers.AutoModel, folder, config)
        if config.is_encoder_decoder:
            module = module.get_encoder()
        config.use_cache = False  # keys and values of a text that nobody continues
        return Checkpoint(
            description=description,
            module=module,
            preparation=TextPreparation(tokenizer, _max_tokens(folder, config, tokenizer)),
            forward=_Forward(module, pooling, read_head(folder, int(config.hidden_size))),
            feature_dimension=int(config.hidden_size),
        )


class _Forward:
    """One pass over a batch of tokens, the pooling of its hidden states (b, t, D) to (b, D), and its head's answer."""

    def __init__(self, module: Any, pooling: TextPooling, head: nn.Linear | None) -> None:
        self._module = module
        self._pooling = pooling
        self._head = head

    def __call__(self, tokens: Any) -> ForwardOutput:
        every = self._pooling.layer == "mean"
        output = self._module(**tokens, output_hidden_states=every)
        # The first hidden state is the embedding's, before any layer.
        hidden = torch.stack(output.hidden_states[1:]).mean(dim=0) if every else output.last_hidden_state
        features = _pool(hidden, tokens["attention_mask"], self._pooling.pooling)
        features = functional.normalize(features) if self._pooling.normalised else features
        return ForwardOutput(features, None if self._head is None else self._head.to(features.device)(features))


def _pool(hidden: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """(b, D) from hidden states (b, t, D) of texts padded on the right; `mask` (b, t) is 1 on tokens."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        # By shape and not by `len`, which an exporter takes for a constant.
        return hidden[torch.arange(hidden.shape[0], device=hidden.device), mask.sum(dim=1) - 1]
    weights = mask.to(hidden.dtype).unsqueeze(-1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def _tokenizer(folder: Path) -> Any:
    # A path that the configuration hands to the tokenizer is never opened: its own files are found without one.
    given = {key: None for key in read_if_there(folder / TOKENIZER_CONFIG_FILE) if key.endswith("_file")}
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **LOCAL, **given)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    if tokenizer.pad_token is None:  # decoders were trained without one; the mask hides it
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _keep_layers(config: Any, layers: int) -> None:
    if layers > config.num_hidden_layers:
        raise CheckpointUnreadable(f"there is no layer {layers}, only {config.num_hidden_layers}")
    for name in ("layer_types", "mlp_layer_types"):
        if getattr(config, name, None):
            setattr(config, name, getattr(config, name)[:layers])
    config.num_hidden_layers = layers


def _max_tokens(folder: Path, config: Any, tokenizer: Any) -> int:
    """The shortest limit that anything states."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions and config.model_type in _OFFSET_POSITIONS:
        positions -= 2
    stated = (
        tokenizer.model_max_length,
        positions,
        getattr(config, "max_seq_length", None),
        read_if_there(folder / SENTENCE_FILE).get("max_seq_length"),
    )
    limits = [limit for limit in stated if isinstance(limit, int) and 0 < limit < 1_000_000]
    return min(limits, default=DEFAULT_MAX_TOKENS)
