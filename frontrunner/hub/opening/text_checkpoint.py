"""Opening text encoders and decoders in transformers' form, and sentence encoders made of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable
from frontrunner.hub.describing.configuration import sentence_encoder_in
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.reading import ReadingProvenance, TextPooling
from frontrunner.hub.describing.sentence_encoder import SentenceEncoder
from frontrunner.hub.describing.text_families import DUAL_ENCODERS, STATIC
from frontrunner.hub.opening.checkpoint import Checkpoint, ForwardOutput
from frontrunner.hub.opening.text_batching import choose_batching
from frontrunner.hub.opening.text_head import read_head
from frontrunner.hub.opening.text_length import max_tokens
from frontrunner.hub.opening.text_module import forget_earlier_texts, keep_layers, load_text_module
from frontrunner.hub.opening.text_pooling import open_steps, pool
from frontrunner.hub.opening.text_tokenizer import PADDED_TO_THE_END, open_tokenizer
from frontrunner.hub.opening.texts import TextPreparation
from frontrunner.hub.opening.transformers_loading import LOCAL, transformers_errors
from frontrunner.hub.opening.words import WordBatch, WordPreparation, word_dimension

_POOLER = "pooler"
_PROBE = ("a word", "a few more words of a text")


def open_text_directory(description: CheckpointDescription, folder: Path) -> Checkpoint:
    """Open a folder in transformers' or sentence-transformers' form with its own tokenizer; no code of its own.

    Of an encoder-decoder the encoder is read, of a pair of encoders the one of texts; of a variant that reads the
    first k layers only these are kept, with the stack's closing normalisation after them where there is one.

    Raises:
        CheckpointUnreadable: transformers cannot open it, it has no tokenizer, or weights that it needs are missing.
    """
    encoder = sentence_encoder_in(folder)
    if description.architecture == STATIC:
        from frontrunner.hub.opening.static_embedding import open_static_embedding

        return open_static_embedding(description, folder, encoder)
    inner = folder / encoder.folder
    with transformers_errors(description.id):
        config = transformers.AutoConfig.from_pretrained(inner, **LOCAL)
        tokenizer = open_tokenizer(description.id, inner, encoder, config.model_type)
        module = load_text_module(description.id, inner, config)
        return _checkpoint(description, folder, encoder, config, tokenizer, module)


def _checkpoint(
    description: CheckpointDescription, folder: Path, encoder: SentenceEncoder, config: Any, tokenizer: Any, module: Any
) -> Checkpoint:
    pooling = description.text_pooling
    assert pooling is not None  # noqa: S101 - descriptions of text checkpoints have one
    if isinstance(pooling.layer, int):
        keep_layers(description.id, module, config, pooling.layer)
    for stated in (config, getattr(config, "text_config", config), getattr(module, "config", config)):
        stated.use_cache = False  # keys and values of a text that nobody continues
    preparation = (WordPreparation if pooling.words else TextPreparation)(
        tokenizer,
        max_tokens(folder / encoder.folder, config, tokenizer, module, encoder),
        prompt=encoder.prompt,
        lower_case=encoder.lower_case and getattr(tokenizer, "backend_tokenizer", None) is None,
        to_the_end=config.model_type in PADDED_TO_THE_END,
    )
    forward = TextForward(module, config, pooling, open_steps(description.id, folder, encoder))
    forward.takes_mask = not preparation.to_the_end or "attention_mask" in tokenizer.model_input_names
    forward.skipped = 0 if encoder.pools_prompt else preparation.prompt_tokens
    notes = _settle_pooling(description.id, forward, preparation)
    dimension = int(forward(preparation.together(_PROBE, None)).features.shape[1])
    forward.head = read_head(folder, dimension)
    notes += choose_batching(forward, preparation, config)
    reading: Callable[[Any], ForwardOutput] = forward
    if isinstance(preparation, WordPreparation):
        preparation.read_by = pooling.words or preparation.read_by
        reading, dimension = forward.words, word_dimension(forward.words, preparation)
    return Checkpoint(
        description=description,
        module=module,
        preparation=preparation,
        forward=reading,
        feature_dimension=dimension,
        provenance=ReadingProvenance(notes=notes),
    )


@torch.inference_mode()
def _settle_pooling(checkpoint: str, forward: TextForward, preparation: TextPreparation) -> tuple[str, ...]:
    """Fall back to the first token where the weights of the checkpoint's own pooler are missing; what to note of it.

    Raises:
        CheckpointUnreadable: it gives no number all the same, or does not say what its layers give.
    """
    tokens = preparation.together(_PROBE, None)
    notes: tuple[str, ...] = ()
    if forward.pooling == _POOLER and not torch.isfinite(forward(tokens).features).all():
        forward.pooling = "cls"
        notes = ("its folder holds no weights of its pooler: the hidden state of the first token is read",)
    if not torch.isfinite(forward(tokens).features).all():
        raise CheckpointUnreadable(f"{checkpoint} gives features that are NaN or infinite")
    return notes


class TextForward:
    """One pass over a batch of tokens, the pooling of its hidden states (b, t, D) to (b, D), and its head's answer.

    Attributes:
        pooling: how hidden states become one row; see `TextPooling`.
        skipped: tokens at the beginning that do not count in pooling.
        takes_mask: whether the module is told which tokens are padding.
        head: a classifier on the features, where the checkpoint has one.
    """

    def __init__(self, module: Any, config: Any, pooling: TextPooling, steps: nn.Sequential) -> None:
        self._module = module
        self._dual = config.model_type in DUAL_ENCODERS
        self._layer = pooling.layer
        self._steps = steps
        self._normalised = pooling.normalised
        self.pooling = pooling.pooling
        self.skipped = 0
        self.takes_mask = True
        self.head: nn.Linear | None = None
        entry = module.text_model.forward if self._dual else module.forward
        self._accepted = set(inspect.signature(entry).parameters)

    def __call__(self, tokens: Mapping[str, Tensor]) -> ForwardOutput:
        """Features and, where it has a head, logits."""
        forget_earlier_texts(self._module)
        features = self._pooled(tokens)
        features = self._steps.to(features.device)(features)
        if self._normalised:
            features = nn.functional.normalize(features)
        return ForwardOutput(features, None if self.head is None else self.head.to(features.device)(features))

    def words(self, batch: WordBatch) -> ForwardOutput:
        """Hidden states of words; what the checkpoint's pipeline does with pooled texts is not done with them."""
        forget_earlier_texts(self._module)
        return ForwardOutput(batch.rows(self._hidden(self._output(batch.tokens))), None)

    def _pooled(self, tokens: Mapping[str, Tensor]) -> Tensor:
        output = self._output(tokens)
        if self.pooling == _POOLER:
            return torch.as_tensor(output.pooler_output if hasattr(output, "pooler_output") else output)
        hidden = self._hidden(output)
        mask = tokens["attention_mask"]
        if mask.shape[1] != hidden.shape[1]:  # it reads through places of its own, which are fewer than the tokens
            mask = torch.ones(hidden.shape[:2], dtype=mask.dtype, device=mask.device)
        return pool(hidden, mask, self.pooling, self.skipped)

    def _output(self, tokens: Mapping[str, Tensor]) -> Any:
        read = self._module.get_text_features if self._dual else self._module
        return read(**self._given(tokens), **({"output_hidden_states": True} if self._layer is not None else {}))

    def _hidden(self, output: Any) -> Tensor:
        """(b, t, D) of the layer that is read."""
        hidden: Tensor = output.last_hidden_state
        if self._layer is not None:
            states = output.hidden_states
            if states is None or (isinstance(self._layer, int) and len(states) != self._layer + 1):
                raise CheckpointUnreadable("it does not say what its layers give: it can be read by the last alone")
            if self._layer == "mean":
                # The first hidden state is the embedding's, before any layer. Some layers fill texts up to blocks.
                hidden = torch.stack([state[:, : hidden.shape[1]] for state in states[1:]]).mean(dim=0)
        return hidden

    def _given(self, tokens: Mapping[str, Tensor]) -> dict[str, Tensor]:
        names = self._accepted - (set() if self.takes_mask else {"attention_mask"})
        given = {name: value for name, value in tokens.items() if name in names}
        if "inputs" in names and "input_ids" not in given:
            given["inputs"] = tokens["input_ids"]
        return given
