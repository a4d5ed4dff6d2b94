"""How often the intervals hold what they should, and how often equal checkpoints are called different.

    python -m benchmarks.scores.coverage [--runs 160] [--score NAME]... [--write docs/scores.md]

For each score, situation and draw (`simulated`): the share of 95% intervals that hold the score's expectation at this
number of examples, which is the mean over all runs; the share of pairs of equal merit of which one is called better
with 90% confidence (both sides, so 10% is right); and the share of runs in which any of four checkpoints of equal merit
is not tied with the best. `before` is the same of groups dealt class by class and overlapping intervals
(`coverage_before.json`, 400 runs). Scores that fit slowly have a third of the runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scores.simulated import SITUATIONS, Situation, datasets, draws_of
from frontrunner import scores
from frontrunner.scores import Draw, probability_first_beats_second, tied_with_best

CHECKPOINTS = 4
SLOW = ("linear_probe", "n_leep")
BEFORE = Path(__file__).parent / "coverage_before.json"
_CALLED = 0.95
_BEGIN, _END = "<!-- coverage: written by benchmarks.scores.coverage -->", "<!-- end of coverage -->"


@dataclass(frozen=True)
class Coverage:
    """Shares, 0 to 1.

    Attributes:
        covered: intervals that hold the expectation.
        called: pairs of equal merit of which one is called better.
        untied: runs in which any checkpoint of equal merit is not tied with the best.
    """

    covered: float
    called: float
    untied: float

    def __str__(self) -> str:
        return f"{self.covered:.2f} / {self.called:.2f} / {self.untied:.2f}"


def coverage_of(name: str, situation: Situation, draw: Draw, runs: int, intervals: Draw | None = None) -> Coverage:
    """Of the score `name` over `runs` simulated datasets; its intervals are over `intervals`, or else over `draw`."""
    values, low, high, called, untied = [], [], [], [], []
    for shards in datasets(situation, draw, CHECKPOINTS, runs):
        found = [scores.evaluate([name], shard.statistics(), [shard], intervals or draw)[name] for shard in shards]
        values.append([score.value for score in found])
        low.append([score.value if score.low is None else score.low for score in found])
        high.append([score.value if score.high is None else score.high for score in found])
        ahead = [probability_first_beats_second(*pair) for pair in zip(found[::2], found[1::2], strict=True)]
        called += [p is not None and max(p, 1 - p) > _CALLED for p in ahead]
        untied.append(not all(tied_with_best(found)))
    expectation = float(np.mean(values))
    # H-scores with D > n are constant but for rounding.
    rounding = 1e-9 * abs(expectation)
    covered = (np.array(low) <= expectation + rounding) & (np.array(high) >= expectation - rounding)
    return Coverage(float(covered.mean()), float(np.mean(called)), float(np.mean(untied)))


def table(names: Sequence[str], runs: int) -> str:
    """The table in Markdown, before and after; prints each line as it is known."""
    before = {key: Coverage(*shares) for key, shares in json.loads(BEFORE.read_text()).items()}
    lines = ["| score | situation | draw | before | now |", "|---|---|---|---|---|"]
    for name in names:
        for situation in SITUATIONS:
            if not situation.shares and "regression" not in scores.describe(name).tasks:
                continue
            for draw in draws_of(situation):
                found = coverage_of(name, situation, draw, max(runs // 3, 1) if name in SLOW else runs)
                earlier = before.get(f"{name}|{situation.name}|{draw}", "-")
                lines.append(f"| {name} | {situation.name} | `{draw}` | {earlier} | {found} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def main() -> None:
    """Reads the arguments, prints the table and, if asked, writes it between the markers of a document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scores.coverage", description=__doc__)
    parser.add_argument("--runs", type=int, default=160)
    parser.add_argument("--score", action="append", help="again for more; all by default")
    parser.add_argument("--write", type=Path, help="a document with the markers of the table")
    arguments = parser.parse_args()
    found = table(arguments.score or scores.names(), arguments.runs)
    if arguments.write:
        text = arguments.write.read_text()
        head, tail = text[: text.index(_BEGIN)], text[text.index(_END) :]
        arguments.write.write_text(f"{head}{_BEGIN}\n{found}\n{tail}")


if __name__ == "__main__":
    main()
