"""Weights straight from a file into a module, so that opening holds them once and not twice. Imports torch.

A module is first built as its architecture builds it, with initial weights: many architectures compute buffers that
are stored in no file, from the places and shapes of their weights. Then every tensor of the file is read, brought to
float32 and copied over the initial one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn

from frontrunner.errors import CheckpointUnreadable

# Small beside any checkpoint for which memory matters.
_LENT_BYTES = 16 * 1024**2
# A buffer that older checkpoints lack and that evaluation does not read.
_COUNTER = "num_batches_tracked"


def stored_weights(paths: Iterable[Path]) -> Iterator[tuple[str, Tensor]]:
    """Name and value of every tensor in these safetensors files, floating ones as float32.

    A file lends its pages to what is read from it, and they count as ours until it is closed: so that float16 weights
    are not held beside the float32 ones made of them, it is closed and opened again every so often.
    """
    for path in paths:
        with safe_open(path, framework="pt") as stored:
            names = list(stored.keys())
        while names:
            lent = 0
            with safe_open(path, framework="pt") as stored:
                while names and lent < _LENT_BYTES:
                    name = names.pop()
                    value: Tensor = stored.get_tensor(name)
                    lent += value.nbytes
                    yield name, value.float() if value.is_floating_point() else value
                    del value


def assign_weights(module: nn.Module, path: Path, prefix: str = "") -> None:
    """Give `module` the tensors of a safetensors file, whose names begin with `prefix`.

    Raises:
        CheckpointUnreadable: a tensor is missing, of another shape, or has no place in the module.
    """
    places = module.state_dict()
    given = set()
    for name, value in stored_weights([path]):
        place = places.get(name.removeprefix(prefix))
        if place is None or value.shape != place.shape:
            expected = "no such tensor" if place is None else f"{tuple(place.shape)}"
            raise CheckpointUnreadable(f"{name} has shape {tuple(value.shape)}, and {expected} is expected")
        place.copy_(value)
        # A tensor that several layers share is stored under one of its names.
        given.add(place.data_ptr())
    missing = {name for name, place in places.items() if place.data_ptr() not in given and not name.endswith(_COUNTER)}
    if missing:
        raise CheckpointUnreadable(f"its weights lack {', '.join(sorted(missing)[:3])}")
