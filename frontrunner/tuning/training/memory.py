"""How large a piece of a batch may go through at a time under a memory limit.

Memory is counted, not observed: the bytes that the backward pass keeps of a forward pass, which autograd tells, are the
same on every machine and every run. Weights, their gradients, their momentum and the best weights so far come on top.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from frontrunner.errors import MemoryLimitTooLow
from frontrunner.tuning.training.method import Batch, Method

# Batch statistics need two examples.
SMALLEST = 2
# Of activations, where no limit is set: a laptop has it beside all else, and a larger piece is not faster on a CPU.
COMFORTABLE_BYTES = 0.5e9
# Weights, gradients, momentum, best weights.
_COPIES = 4


def micro_batch(method: Method, limit_bytes: float | None, batch_size: int, probe: Callable[[], Batch]) -> int:
    """Examples that may go through at a time: the whole batch, unless a limit asks for less.

    Args:
        method: its module is put back as it was.
        limit_bytes: None for no limit.
        batch_size: of a step.
        probe: makes a batch of `SMALLEST` examples.

    Raises:
        MemoryLimitTooLow: not even two examples fit.
    """
    if limit_bytes is None:
        return batch_size
    trained = sum(weight.numel() * weight.element_size() for weight in method.module.parameters())
    read = sum(weight.numel() * weight.element_size() for part in method.frozen for weight in part.parameters())
    fixed = _COPIES * trained + read
    each = kept_for_backward(method, probe()) / SMALLEST
    examples = int((limit_bytes - fixed) / each)
    if examples < SMALLEST:
        raise MemoryLimitTooLow(
            f"two examples take {(fixed + SMALLEST * each) / 1e6:,.0f} MB and {limit_bytes / 1e6:,.0f} MB are allowed: "
            "raise the limit, or lower the image size"
        )
    return min(batch_size, examples)


def comfortable_batch(method: Method, batch_size: int, probe: Callable[[], Batch]) -> int:
    """Examples that go through at a time where nobody set a limit: as many as keep `COMFORTABLE_BYTES`, two at least.

    Args:
        method, batch_size, probe: as for `micro_batch`.
    """
    each = kept_for_backward(method, probe()) / SMALLEST
    return min(batch_size, max(SMALLEST, int(COMFORTABLE_BYTES / max(each, 1))))


def kept_for_backward(method: Method, batch: Batch) -> int:
    """Bytes of activations that the loss of `batch` keeps until its backward pass."""
    before = {name: value.clone() for name, value in method.module.state_dict().items()}
    own = {
        weight.untyped_storage().data_ptr() for part in (method.module, *method.frozen) for weight in part.parameters()
    }
    kept: dict[int, tuple[Tensor, int]] = {}  # holding the tensor keeps its address from being used again

    def remember(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (tensor, storage.nbytes())
        return tensor

    method.module.train()
    with torch.random.fork_rng(), torch.autograd.graph.saved_tensors_hooks(remember, lambda tensor: tensor):
        sum(method.loss(batch).parts.values())
    method.module.load_state_dict(before)
    return sum(size for _, size in kept.values())
