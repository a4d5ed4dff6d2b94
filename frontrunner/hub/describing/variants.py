"""Variants: one checkpoint read in other ways, each an entry of its own in a ranking.

`ID#layer=3` reads the output of the first three layers alone, `ID#layer=mean` the mean over all layers, and
`ID#pooling=cls` the first token; `ID#layer=2,pooling=last` both. `ID#layer=each` stands for one variant a layer:
ranking them answers which layer is best, and of `ID#layer=best` a ranking keeps the best alone. Image encoders have the
same variants but `pooling=last`; where an architecture works in stages, its layers are the stages. Of datasets of
words, `ID#words=mean` reads the mean over the tokens of each word, and `ID#words=first`, the default, the first.
"""

from __future__ import annotations

import hashlib
import re

from pydantic import ValidationError

from frontrunner.errors import UnknownVariant
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.hub.describing.reading import ImagePooling, TextPooling
from frontrunner.hub.describing.text_families import STATIC

# As a checkpoint is read without a choice.
_LAST = "layer=last"
_EACH = "layer=each"
# An entry a layer as well, of which a ranking keeps the one that scores highest.
BEST = "layer=best"
_PART = r"(layer=(\d+|last|mean|each|best)|pooling=(mean|cls|last)|words=(first|mean))"
_CHOICE = re.compile(rf"{_PART}(,{_PART})*")
_POOLINGS = ("mean", "cls", "last")


def split_variant(name: str) -> tuple[str, str]:
    """The checkpoint's own id, and the choice after `#`: empty where there is none."""
    base, _, choice = name.partition("#")
    return base, choice


def require_choice(choice: str) -> None:
    """Refuse what is no choice for any checkpoint.

    Raises:
        UnknownVariant: it is none.

    Example:
        >>> require_choice("layer=best,words=mean")
    """
    if not _CHOICE.fullmatch(choice):
        raise UnknownVariant(
            f"'{choice}' names no variant; expected layer=NUMBER, last, mean, each or best, pooling=mean, cls or last, "
            "words=first or mean, or several of them with commas between"
        )
    _require_each_once(choice)


def _require_each_once(choice: str) -> None:
    names = [part.partition("=")[0] for part in choice.split(",")]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UnknownVariant(f"'{choice}' says twice which {twice}; expected {twice}= once")


def variants(checkpoint: CheckpointDescription, choice: str) -> tuple[CheckpointDescription, ...]:
    """The checkpoint read as `choice` says: one description, or one a layer.

    Raises:
        UnknownVariant: it has no such layer or pooling.
    """
    _require_each_once(choice)
    parts = [part for part in choice.split(",") if part != _LAST]
    if not parts:
        return (checkpoint,)
    choice = ",".join(parts)
    if not {_EACH, BEST}.intersection(parts):
        return (_variant(checkpoint, choice),)
    layers = max(checkpoint.layers, checkpoint.reading("text").layers)
    if not layers:
        raise UnknownVariant(f"{checkpoint.id}: it is not known how many layers it has; name them as #layer=1")
    others = [part for part in parts if part not in (_EACH, BEST)]
    return tuple(_variant(checkpoint, ",".join([f"layer={layer}", *others])) for layer in range(1, layers + 1))


def _variant(checkpoint: CheckpointDescription, choice: str) -> CheckpointDescription:
    """The variant of images, of texts, or of both: a pair of encoders is read by the one that a dataset needs."""
    texts = checkpoint.reading("text")
    if checkpoint.modality != "image":
        return _text_variant(checkpoint, choice)
    if texts is checkpoint:
        return _image_variant(checkpoint, choice)
    try:
        image = _image_variant(checkpoint, choice)
    except UnknownVariant:
        return _text_variant(texts, choice)
    try:
        return image.model_copy(update={"text_tower": _text_variant(texts, choice)})
    except UnknownVariant:
        return image.model_copy(update={"text_tower": None})


def _image_variant(checkpoint: CheckpointDescription, choice: str) -> CheckpointDescription:
    name = f"{checkpoint.id}#{choice}"
    try:
        how = ImagePooling.model_validate(dict(part.split("=") for part in choice.split(",")))
    except (ValueError, ValidationError):
        raise UnknownVariant(f"{name}: expected layer=NUMBER, layer=mean or layer=each, pooling=mean or cls") from None
    if how.layer is not None and not checkpoint.layers:
        raise UnknownVariant(f"{name}: its layers cannot be counted")
    changes = {"id": name, "image_pooling": how, "digest": _digest(checkpoint, how)}
    if not isinstance(how.layer, int):
        return checkpoint.model_copy(update=changes)
    if not 1 <= how.layer <= checkpoint.layers:
        raise UnknownVariant(f"{name}: its layers are 1 to {checkpoint.layers}")
    left_out = sum(checkpoint.layer_parameters[how.layer :])
    return checkpoint.model_copy(update=changes | {"parameters": checkpoint.parameters - left_out})


def _text_variant(checkpoint: CheckpointDescription, choice: str) -> CheckpointDescription:
    name = f"{checkpoint.id}#{choice}"
    if checkpoint.text_pooling is None:
        raise UnknownVariant(f"{name}: only checkpoints that read texts or images have variants")
    try:
        chosen = dict(part.split("=") for part in choice.split(","))
        if not chosen.keys() <= {"layer", "pooling", "words"} or chosen.get("pooling", "mean") not in _POOLINGS:
            raise ValueError(choice)
        pooling = TextPooling.model_validate(checkpoint.text_pooling.model_dump() | chosen)
    except (ValueError, ValidationError):
        raise UnknownVariant(
            f"{name}: expected layer=NUMBER, layer=mean or layer=each, pooling=mean, cls or last, words=first or mean"
        ) from None
    if pooling.layer == "mean" and pooling.pooling == "pooler":  # a pooler sees the last layer alone
        pooling = pooling.model_copy(update={"pooling": "mean"})
    if pooling.layer is not None and checkpoint.architecture == STATIC:
        raise UnknownVariant(f"{name}: a table of token embeddings has no layers")
    if not isinstance(pooling.layer, int):
        return _read_so(checkpoint, name, pooling)
    if pooling.layer < 1 or (checkpoint.layers and pooling.layer > checkpoint.layers):
        raise UnknownVariant(f"{name}: its layers are 1 to {checkpoint.layers or '(unknown)'}")
    stack = checkpoint.layer_parameters
    cut = {
        "parameters": checkpoint.parameters - sum(stack[pooling.layer :]),
        "layers": pooling.layer,
        "layer_parameters": stack[: pooling.layer],
    }
    return _read_so(checkpoint, name, pooling).model_copy(update=cut)


def _read_so(checkpoint: CheckpointDescription, name: str, pooling: TextPooling) -> CheckpointDescription:
    changes = {"id": name, "text_pooling": pooling, "digest": _digest(checkpoint, pooling)}
    return checkpoint.model_copy(update=changes)


def _digest(checkpoint: CheckpointDescription, how: TextPooling | ImagePooling) -> str:
    return hashlib.sha256(f"{checkpoint.digest}\n{how.model_dump_json()}".encode()).hexdigest()
