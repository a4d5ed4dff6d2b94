"""Static embeddings: the mean of a text's token embeddings, and no transformer. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import transformers
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.sentence_encoder import STEP_WEIGHTS, SentenceEncoder
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.text_head import read_head
from frontrunner.hub.opening.text_pooling import open_steps, pool
from frontrunner.hub.opening.texts import TextPreparation
from frontrunner.hub.opening.words import WordBatch, WordPreparation, word_dimension

_TOKENIZER_FILE = "tokenizer.json"
# Longer texts are cut: each token costs an addition, but a batch holds them all.
_MAX_TOKENS = 8192


class _Static(nn.Module):
    """A table of token embeddings, and the steps that follow their mean."""

    def __init__(self, table: Tensor, steps: nn.Sequential) -> None:
        super().__init__()
        self.embedding = nn.Embedding(table.shape[0], table.shape[1], _weight=table)
        self.steps = steps
        self.head: nn.Linear | None = None

    def forward(self, tokens: Mapping[str, Tensor], pooling: str) -> Tensor:
        rows: Tensor = self.steps(pool(self.embedding(tokens["input_ids"]), tokens["attention_mask"], pooling))
        return rows


def open_static_embedding(description: CheckpointDescription, folder: Path, encoder: SentenceEncoder) -> Checkpoint:
    """Open a static embedding in sentence-transformers' form.

    Raises:
        CheckpointUnreadable: its table or its tokenizer is missing or damaged.
    """
    inner = folder / encoder.folder
    pooling = description.text_pooling
    assert pooling is not None  # noqa: S101 - descriptions of text checkpoints have one
    if not (inner / _TOKENIZER_FILE).is_file():
        raise CheckpointUnreadable(f"{description.id} holds no {_TOKENIZER_FILE}: its texts cannot be read")
    try:
        table = _table(load_file(inner / STEP_WEIGHTS))
        tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(inner / _TOKENIZER_FILE))
    except (OSError, KeyError, IndexError, RuntimeError, ValueError, SafetensorError) as error:
        raise CheckpointUnreadable(f"{description.id} holds no static embedding: {error}") from error
    module = _Static(table, open_steps(description.id, folder, encoder)).eval()

    def forward(tokens: Mapping[str, Tensor]) -> ForwardOutput:
        features = module(tokens, pooling.pooling)
        features = nn.functional.normalize(features) if pooling.normalised else features
        return ForwardOutput(features, None if module.head is None else module.head(features))

    def words(batch: WordBatch) -> ForwardOutput:
        return ForwardOutput(batch.rows(module.embedding(batch.tokens["input_ids"])), None)

    made = WordPreparation if pooling.words else TextPreparation
    preparation = made(tokenizer, _MAX_TOKENS, prompt=encoder.prompt, special_tokens=False)
    with torch.inference_mode():
        dimension = int(forward(preparation.together(["a word"], None)).features.shape[1])
    module.head = read_head(folder, dimension)
    if isinstance(preparation, WordPreparation):
        preparation.read_by = pooling.words or preparation.read_by
        return Checkpoint(description, module, preparation, words, word_dimension(words, preparation))
    return Checkpoint(description, module, preparation, forward, dimension)


def _table(stored: dict[str, Tensor]) -> Tensor:
    """(V, D) one row a token; model2vec keeps rows, which row is whose, and weights apart."""
    if "embedding.weight" in stored:
        return stored["embedding.weight"].float()
    table = stored["embeddings"].float()
    if "mapping" in stored:
        table = table[stored["mapping"].long()]
    return table * stored["weights"].float()[:, None] if "weights" in stored else table
