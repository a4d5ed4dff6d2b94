"""A few examples of a dataset, small enough to lie in its report: what was read as what is seen at a glance."""

from __future__ import annotations

import base64
import io
import itertools

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data.dataset import Dataset, FeatureInputs, ImageInputs, Key, Split, WordInputs
from frontrunner.data.images import decode_image

# What a check keeps.
MAX_PREVIEWS = 12
# Pixels of a thumbnail's longer side, and how it is packed: about 3 KB each.
_SIDE = 112
_QUALITY = 75
_CHARACTERS = 300
# Of a sentence, on both sides of the word that is meant.
_WORDS_AROUND = 12
# Labels beyond these are counted.
_LABELS = 5


class Preview(BaseModel):
    """One example: an image or a text, and what is to be predicted of it."""

    model_config = ConfigDict(frozen=True)

    key: Key
    label: str = Field(description="Its class, its labels, or its targets.")
    image: str = Field(default="", description="Of an image: a small JPEG in base 64.")
    text: str = Field(default="", description="Of a text: how it begins.")


def previews_of(dataset: Dataset, limit: int = MAX_PREVIEWS) -> list[Preview]:
    """The first training examples, of every class in turn; none of precomputed features.

    Args:
        dataset: whose training examples can all be read.
        limit: at most this many.
    """
    if isinstance(dataset.inputs, FeatureInputs):
        return []
    return [preview_of(dataset, dataset.train, index) for index in itertools.islice(_in_turn(dataset), limit)]


def preview_of(dataset: Dataset, split: Split, index: int) -> Preview:
    """One example of a split, of images, texts or words."""
    key, label = split.keys[index], _label(dataset, split, index)[:_CHARACTERS]
    if isinstance(dataset.inputs, ImageInputs):
        return Preview(key=key, label=label, image=_thumbnail(dataset.inputs.read(key), str(key)))
    text = _in_its_sentence(dataset.inputs, int(key)) if isinstance(dataset.inputs, WordInputs) else ""
    text = text or dataset.inputs.read(key).decode()
    return Preview(key=key, label=label, text=text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…")


def _in_its_sentence(inputs: WordInputs, number: int) -> str:
    """The sentence of a word, which is marked in it."""
    sentence, place = inputs.place(number)
    words = list(inputs.sentence(sentence))
    words[place] = f"«{words[place]}»"
    first = max(place - _WORDS_AROUND, 0)
    return " ".join(words[first : place + _WORDS_AROUND + 1])


def _in_turn(dataset: Dataset) -> list[int]:
    """Positions of training examples: the first of each class, then the second of each, and so on."""
    labels = dataset.train.labels
    if labels is None:
        return list(range(len(dataset.train)))
    order = np.argsort(labels, kind="stable")
    sorted_labels = labels[order]
    place = np.arange(len(order)) - np.searchsorted(sorted_labels, sorted_labels)
    return [int(index) for index in order[np.lexsort((sorted_labels, place))]]


def _label(dataset: Dataset, split: Split, index: int) -> str:
    if split.labels is not None:
        return dataset.classes[int(split.labels[index])]
    if split.targets is None:
        return ""
    row = split.targets[index]
    if dataset.task == "multi-label":
        said = [name for name, holds in zip(dataset.classes, row, strict=True) if holds]
    else:
        said = [f"{name} = {value:.4g}" for name, value in zip(dataset.classes, row, strict=True)]
    more = f" and {len(said) - _LABELS} more" if len(said) > _LABELS else ""
    return (", ".join(said[:_LABELS]) or "none") + more


def _thumbnail(data: bytes, name: str) -> str:
    image = decode_image(data, name, thumbnail=_SIDE)
    image.thumbnail((_SIDE, _SIDE))
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=_QUALITY)
    return base64.b64encode(packed.getvalue()).decode()
