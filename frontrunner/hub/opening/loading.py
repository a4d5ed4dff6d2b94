"""Weights straight from a file into a module, so that opening holds them once and not twice. Imports torch.

A module is first built without memory for its parameters; buffers are built as they are, since many of them are
computed by the architecture and stored in no file. Then every tensor is read, brought to float32 and put into place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from frontrunner.errors import CheckpointUnreadable

# Small beside any checkpoint for which memory matters.
_LENT_BYTES = 16 * 1024**2
# A buffer that older checkpoints lack and that evaluation does not read.
_COUNTER = "num_batches_tracked"


@contextmanager
def unallocated() -> Iterator[None]:
    """Modules built inside, by this thread, have parameters of the right shape and without values."""
    builder = threading.get_ident()

    def without_values(_module: nn.Module, _name: str, parameter: Tensor | None) -> nn.Parameter | None:
        if parameter is None or threading.get_ident() != builder:
            return None
        return nn.Parameter(parameter.to("meta"), parameter.requires_grad)

    # torch's stub calls a hook that returns a parameter one that returns nothing
    hook = register_module_parameter_registration_hook(without_values)  # type: ignore[arg-type]
    try:
        yield
    finally:
        hook.remove()


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


def assign_weights(module: nn.Module, path: Path) -> None:
    """Give `module` the tensors of a safetensors file.

    Raises:
        CheckpointUnreadable: a tensor is missing or of another shape.
    """
    places = module.state_dict(keep_vars=True)
    missing = {name for name in places if not name.endswith(_COUNTER)}
    for name, value in stored_weights([path]):
        _put(module, name, places[name], value)
        missing.discard(name)
    if missing:
        raise CheckpointUnreadable(f"its weights lack {', '.join(sorted(missing)[:3])}")


def _put(module: nn.Module, name: str, place: Tensor, value: Tensor) -> None:
    if value.shape != place.shape:
        raise CheckpointUnreadable(f"{name} has shape {tuple(value.shape)}, and {tuple(place.shape)} is expected")
    owner_name, _, attribute = name.rpartition(".")
    owner = module.get_submodule(owner_name)
    if attribute in owner._parameters:
        owner._parameters[attribute] = nn.Parameter(value, requires_grad=place.requires_grad)
    else:
        owner._buffers[attribute] = value
