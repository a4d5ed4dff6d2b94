"""What runners do, by the kind of step: an order comes in as JSON, an output goes out as JSON.

Each kind is imported when its first order arrives, so a runner loads what its work needs and no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from pydantic import BaseModel

if TYPE_CHECKING:
    from frontrunner.tuning import CurvePoint


class Telling(Protocol):
    """Where work says how it goes."""

    def __call__(self, done: int, total: int) -> None:
        """So many examples of so many are done; to be called after every batch and every shard."""
        ...

    def tell(self, type_: str, **data: Any) -> None:
        """Something that those who watch the job should hear of; `data` is JSON."""
        ...


Work: TypeAlias = Callable[[dict[str, Any], Telling], BaseModel]


# How often those who watch a job hear of a download.
_FETCH_PERIOD_S = 2.0


def _rank_checkpoint(order: dict[str, Any], on_progress: Telling) -> BaseModel:
    from frontrunner.ranking import RankingPayload, run_step

    said_at = 0.0

    def on_fetch(done: int, total: int) -> None:
        nonlocal said_at
        if done == total or time.monotonic() - said_at > _FETCH_PERIOD_S:
            said_at = time.monotonic()
            on_progress.tell("fetch", bytes_done=done, bytes_total=total)

    return run_step(RankingPayload.model_validate(order), on_progress, on_fetch=on_fetch)


def _compare_tasks(order: dict[str, Any], on_progress: Telling) -> BaseModel:
    from frontrunner.ranking import TaskDistancePayload, compare_tasks

    return compare_tasks(TaskDistancePayload.model_validate(order), on_progress)


def _tune(order: dict[str, Any], on_progress: Telling) -> BaseModel:
    from frontrunner.tuning import TuningPayload
    from frontrunner.tuning.run import run_tuning

    def on_event(point: CurvePoint) -> None:
        on_progress.tell("curve", point=point.model_dump(mode="json"))

    return run_tuning(TuningPayload.model_validate(order), on_progress, on_event=on_event)


WORK: dict[str, Work] = {"ranking": _rank_checkpoint, "task_distances": _compare_tasks, "tuning": _tune}
