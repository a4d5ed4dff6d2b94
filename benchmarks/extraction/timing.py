"""Ways to do one thing, timed in turn: what else the machine does meets all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

from pydantic import BaseModel

Clock: TypeAlias = Literal["wall", "processor"]
_CLOCKS: Mapping[Clock, Callable[[], float]] = {"wall": time.perf_counter, "processor": time.process_time}


class Timed(BaseModel):
    """Seconds that one way took, round by round."""

    seconds: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    def rate(self, examples: int) -> str:
        """Examples a second, and those of the slowest and the fastest round."""
        slowest, fastest = (examples / end(self.seconds) for end in (max, min))
        return f"{examples / self.median:,.0f} ({slowest:,.0f} to {fastest:,.0f})"


def in_turn(ways: Mapping[str, Callable[[], object]], rounds: int, clock: Clock) -> dict[str, Timed]:
    """Every way `rounds` times, one after the other in each round, after one round that is not counted."""
    now = _CLOCKS[clock]
    found: dict[str, Timed] = {name: Timed(seconds=[]) for name in ways}
    for round_ in range(rounds + 1):
        for name, run in ways.items():
            started = now()
            run()
            if round_:
                found[name].seconds.append(now() - started)
    return found


def once(run: Callable[[], object], clock: Clock) -> float:
    """Seconds of one run."""
    started = _CLOCKS[clock]()
    run()
    return _CLOCKS[clock]() - started
