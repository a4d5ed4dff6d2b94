"""How many tokens of a text a checkpoint reads. Imports torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from frontrunner.hub.describing.sentence_encoder import SentenceEncoder

# Where nothing sets a limit: relative positions read on, memory does not.
DEFAULT_MAX_TOKENS = 512
# What configurations call the longest text, in the order in which they count.
_LIMITS = (
    "max_position_embeddings", "max_encoder_position_embeddings", "max_source_positions", "n_positions", "n_ctx",
    "max_seq_len", "max_seq_length", "context_length", "max_sequence_length",
)  # fmt: skip
# What tables of learned positions are called.
_TABLES = ("position_embeddings", "embed_positions", "position_embedding", "positions_embed", "wpe")
# Tokenizers without a limit state a number of this size.
_NO_LIMIT = 1_000_000


def max_tokens(folder: Path, config: Any, tokenizer: Any, module: nn.Module, encoder: SentenceEncoder) -> int:
    """The shortest limit that anything states: the tokenizer, the architecture, and its table of positions.

    What a sentence encoder's own files say takes the place of what its tokenizer says.
    """
    stated = getattr(config, "text_config", config)
    own = encoder.max_tokens or tokenizer.model_max_length
    named = [getattr(stated, name, None) for name in _LIMITS]
    limits = [own, *named, *_table_limits(module)]
    usable = [int(limit) for limit in limits if isinstance(limit, (int, float)) and 0 < limit < _NO_LIMIT]
    return min(usable, default=DEFAULT_MAX_TOKENS)


def _table_limits(module: nn.Module) -> list[int]:
    """Rows of each table of learned positions that a text can use.

    Some families leave rows out at the beginning: those up to the padding's, or a stated number.
    """
    limits = []
    for name, part in module.named_modules():
        table = getattr(part, "weight", None)
        if name.rpartition(".")[2] in _TABLES and isinstance(table, Tensor) and table.ndim == 2:
            padding = getattr(part, "padding_idx", None)
            taken = getattr(part, "offset", None) or (0 if padding is None else padding + 1)
            limits.append(len(table) - taken)
    return limits
