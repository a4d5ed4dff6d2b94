"""What runners do, by the kind of step: an order comes in as JSON, an output goes out as JSON.

Each kind is imported when its first order arrives, so a runner loads what its work needs and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pydantic import BaseModel

# Hears (examples done, examples in all) after every batch and every shard.
OnProgress: TypeAlias = Callable[[int, int], None]
Work: TypeAlias = Callable[[dict[str, Any], OnProgress], BaseModel]


def _rank_checkpoint(order: dict[str, Any], on_progress: OnProgress) -> BaseModel:
    from frontrunner.ranking import StepOrder, run_step

    return run_step(StepOrder.model_validate(order), on_progress)


def _compare_tasks(order: dict[str, Any], on_progress: OnProgress) -> BaseModel:
    from frontrunner.ranking import TaskDistanceOrder, compare_tasks

    return compare_tasks(TaskDistanceOrder.model_validate(order), on_progress)


WORK: dict[str, Work] = {"ranking": _rank_checkpoint, "task_distances": _compare_tasks}
