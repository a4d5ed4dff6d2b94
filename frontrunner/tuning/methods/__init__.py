"""The methods, one a file: the method NAME is the function NAME of the module NAME here. Imports torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.options import MethodOptions
from frontrunner.tuning.randomness import WEIGHTS, seeded
from frontrunner.tuning.training.method import Method

# Heads are drawn at the places from zero on; what else a method makes is drawn here.
_MODULES = 1 << 16


def build(context: TuningContext[MethodOptions]) -> Method:
    """The method that the context's options name; its new weights are drawn by the context's seed.

    Raises:
        FrontrunnerError: a checkpoint cannot be used by it.
    """
    name = context.options.name
    builder: Callable[[TuningContext[MethodOptions]], Method] = getattr(import_module(f"{__name__}.{name}"), name)
    with seeded(context.seed, WEIGHTS, _MODULES):
        return builder(context)


__all__ = ["build"]
