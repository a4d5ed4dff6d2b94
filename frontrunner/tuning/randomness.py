"""Where chance comes from while tuning: every draw belongs to a seed and a place, so no generator is ever saved.

A run that goes on from a saved state draws at step 17 what an unbroken run draws at step 17: order, crops, dropout and
gate noise alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# What is drawn at one place; each has a stream of its own.
ORDER, CROPS, NOISE, WEIGHTS, UNLABELLED = range(5)


def seed_at(seed: int, what: int, place: int) -> int:
    """A seed for one kind of draw at one place, an epoch or a step."""
    return int(np.random.SeedSequence([seed, what, place]).generate_state(1, np.uint64)[0] >> 1)


def generator_at(seed: int, what: int, place: int) -> torch.Generator:
    """torch's generator for one kind of draw at one place, on the CPU."""
    return torch.Generator().manual_seed(seed_at(seed, what, place))


@contextmanager
def seeded(seed: int, what: int, place: int) -> Iterator[None]:
    """torch's own generators, which modules draw from, seeded inside the block and put back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed_at(seed, what, place))
        yield


def epoch_order(examples: int, seed: int, epoch: int, what: int = ORDER) -> torch.Tensor:
    """(examples,) a permutation for one epoch."""
    return torch.randperm(examples, generator=generator_at(seed, what, epoch))
