"""Weights straight from a file into a module, so that opening holds them once and not twice. Imports torch.

A module is first built without memory for its parameters; buffers are built as they are, since many of them are
computed by the architecture and stored in no file. Then every tensor is read, brought to float32 and put into place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from frontrunner.errors import CheckpointUnreadable

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


def assign_weights(module: nn.Module, path: Path) -> None:
    """Give `module` the tensors of a safetensors file, floating ones as float32.

    Raises:
        CheckpointUnreadable: a tensor is missing, unknown or of another shape.
    """
    places = module.state_dict(keep_vars=True)
    with safe_open(path, framework="pt") as stored:
        names = set(stored.keys())
        missing = sorted(name for name in places.keys() - names if not name.endswith(_COUNTER))
        if missing or names - places.keys():
            what, wrong = ("lack", missing) if missing else ("have unknown", sorted(names - places.keys()))
            raise CheckpointUnreadable(f"its weights {what} {', '.join(wrong[:3])}")
        for name in names:
            _put(module, name, places[name], stored.get_tensor(name))


def _put(module: nn.Module, name: str, place: Tensor, value: Tensor) -> None:
    if value.shape != place.shape:
        raise CheckpointUnreadable(f"{name} has shape {tuple(value.shape)}, and {tuple(place.shape)} is expected")
    owner_name, _, attribute = name.rpartition(".")
    owner = module.get_submodule(owner_name)
    value = value.float() if value.is_floating_point() else value
    if attribute in owner._parameters:
        owner._parameters[attribute] = nn.Parameter(value, requires_grad=place.requires_grad)
    else:
        owner._buffers[attribute] = value
