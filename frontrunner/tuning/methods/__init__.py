"""The methods, one a file. Imports torch."""

from __future__ import annotations

from collections.abc import Callable

from frontrunner.tuning.context import TuningContext
from frontrunner.tuning.methods.b_tuning import b_tuning
from frontrunner.tuning.methods.bss import bss
from frontrunner.tuning.methods.dan import dan
from frontrunner.tuning.methods.dann import dann
from frontrunner.tuning.methods.delta import delta
from frontrunner.tuning.methods.discriminative import discriminative
from frontrunner.tuning.methods.distill import distill
from frontrunner.tuning.methods.ensemble import ensemble
from frontrunner.tuning.methods.ewc import ewc
from frontrunner.tuning.methods.finetune import finetune
from frontrunner.tuning.methods.hub_pathway import hub_pathway
from frontrunner.tuning.methods.l2_sp import l2_sp
from frontrunner.tuning.methods.linear_probe import linear_probe
from frontrunner.tuning.methods.lwf import lwf
from frontrunner.tuning.methods.mdd import mdd
from frontrunner.tuning.methods.zoo_tuning import lite_zoo_tuning, zoo_tuning
from frontrunner.tuning.randomness import WEIGHTS, seeded
from frontrunner.tuning.training.method import Method

# Heads are drawn at the places from zero on; what else a method makes is drawn here.
_MODULES = 1 << 16

# By the name in `frontrunner.tuning.options`.
METHODS: dict[str, Callable[[TuningContext], Method]] = {
    "finetune": finetune,
    "linear_probe": linear_probe,
    "l2_sp": l2_sp,
    "ewc": ewc,
    "delta": delta,
    "lwf": lwf,
    "bss": bss,
    "discriminative": discriminative,
    "ensemble": ensemble,
    "distill": distill,
    "b_tuning": b_tuning,
    "zoo_tuning": zoo_tuning,
    "lite_zoo_tuning": lite_zoo_tuning,
    "hub_pathway": hub_pathway,
    "dan": dan,
    "dann": dann,
    "mdd": mdd,
}


def build(context: TuningContext) -> Method:
    """The method that the context's options name; its new weights are drawn by the context's seed.

    Raises:
        FrontrunnerError: a checkpoint cannot be used by it.
    """
    with seeded(context.seed, WEIGHTS, _MODULES):
        return METHODS[context.options.name](context)


__all__ = ["METHODS", "build"]
