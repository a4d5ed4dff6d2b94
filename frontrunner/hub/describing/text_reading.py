"""How a checkpoint reads texts, and what of it, as far as its files tell before it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from frontrunner.hub.describing.reading import TextPooling
from frontrunner.hub.describing.sentence_encoder import SentenceEncoder
from frontrunner.hub.describing.text_families import is_decoder, is_text_tower, layer_count, text_config
from frontrunner.hub.describing.weights import Shapes, layer_parameters, parameters_of, read_of_texts


def as_text(
    config: Mapping[str, Any], encoder: SentenceEncoder, shapes: Shapes, size: int, *, tower: bool
) -> dict[str, Any]:
    """What a description says of how texts are read, and of what is read."""
    read = read_of_texts(shapes, config, tower=tower)
    layers = layer_count(config)
    return {
        "parameters": parameters_of(read, size),
        "layers": layers,
        "layer_parameters": layer_parameters(read, layers),
        "text_pooling": _text_pooling(config, encoder, tower=tower),
    }


def _text_pooling(config: Mapping[str, Any], encoder: SentenceEncoder, *, tower: bool) -> TextPooling:
    """What the checkpoint's own files say; else its pooler, the last token of a decoder, or the mean over tokens."""
    if tower or is_text_tower(config):
        default = "pooler"
    else:
        default = "last" if is_decoder(text_config(config)) or is_decoder(config) else "mean"
    return TextPooling(
        pooling="+".join(encoder.poolings) or default,
        normalised=encoder.normalised,
        projected=bool(encoder.weighted_steps) or encoder.dimensions is not None,
        prompt=encoder.prompt,
    )
