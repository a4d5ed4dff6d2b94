"""Variants: one text checkpoint read in other ways, each an entry of its own in a ranking.

`ID#layer=3` reads the output of the first three layers alone, `ID#layer=mean` the mean over all layers, and
`ID#pooling=cls` the first token; `ID#layer=2,pooling=last` both. `ID#layer=each` stands for one variant a layer:
ranking them answers which layer is best.
"""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from frontrunner.errors import UnknownVariant
from frontrunner.hub.describing.description import CheckpointDescription, TextPooling

_EACH = "layer=each"


def split_variant(name: str) -> tuple[str, str]:
    """The checkpoint's own id, and the choice after `#`: empty where there is none."""
    base, _, choice = name.partition("#")
    return base, choice


def variants(checkpoint: CheckpointDescription, choice: str) -> tuple[CheckpointDescription, ...]:
    """The checkpoint read as `choice` says: one description, or one a layer.

    Raises:
        UnknownVariant: it reads no text, or has no such layer or pooling.
    """
    if choice != _EACH:
        return (_variant(checkpoint, choice),)
    layers = len(checkpoint.layer_parameters)
    if not layers:
        raise UnknownVariant(f"{checkpoint.id}: it is not known how many layers it has; name them as #layer=1")
    return tuple(_variant(checkpoint, f"layer={layer}") for layer in range(1, layers + 1))


def _variant(checkpoint: CheckpointDescription, choice: str) -> CheckpointDescription:
    name = f"{checkpoint.id}#{choice}"
    if checkpoint.text_pooling is None:
        raise UnknownVariant(f"{name}: only checkpoints that read texts have variants")
    try:
        chosen = dict(part.split("=") for part in choice.split(","))
        pooling = TextPooling.model_validate(checkpoint.text_pooling.model_dump() | chosen)
    except (ValueError, ValidationError):
        raise UnknownVariant(
            f"{name}: expected layer=NUMBER, layer=mean or layer=each, pooling=mean, cls or last"
        ) from None
    stack = checkpoint.layer_parameters
    first = pooling.layer if isinstance(pooling.layer, int) else len(stack)
    if first < 1 or (stack and first > len(stack)):
        raise UnknownVariant(f"{name}: its layers are 1 to {len(stack) or '(unknown)'}")
    return checkpoint.model_copy(
        update={
            "id": name,
            "text_pooling": pooling,
            "digest": hashlib.sha256(f"{checkpoint.digest}\n{pooling.model_dump_json()}".encode()).hexdigest(),
            "parameters": checkpoint.parameters - sum(stack[first:]),
            "layer_parameters": stack[:first],
        }
    )
