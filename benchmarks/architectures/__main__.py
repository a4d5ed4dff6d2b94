"""Builds every architecture tiny, reads it through the product, and prints where its own library says otherwise.

    python -m benchmarks.architectures [timm|vision|text] [--only PATTERN] [--limit 100] [--seed 0] [--out FILE]

Without a part all three are swept. With `--out` each outcome is added to the file as a line of JSON, and a second run
goes on where the first one ended; `--again` tries those once more that did not agree. One process, one architecture
in memory at a time; large ones are left out (`--max-parameters`).
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import random
import warnings
from collections import Counter
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.architectures.sweep import Outcome, Part, keep, kept_outcomes, sweep

PARTS = ("timm", "vision", "text")
# The module that holds each part, imported when it is swept.
_MODULES = {"timm": "timm_models", "vision": "vision", "text": "texts"}


def part_of(name: str) -> Part:
    """The part called `name`."""
    part: Part = import_module(f"benchmarks.architectures.{_MODULES[name]}").PART
    return part


def chosen(part: Part, only: str, limit: int | None, seed: int) -> list[str]:
    """The architectures to sweep: those that match the pattern, or a sample of them."""
    names = [name for name in part.architectures() if fnmatch.fnmatch(name, only)]
    if limit is None or limit >= len(names):
        return names
    return sorted(random.Random(seed).sample(names, limit), key=names.index)


def report(outcomes: list[Outcome]) -> None:
    """Counts, and every architecture that does not agree with its reason."""
    for part in dict.fromkeys(outcome.part for outcome in outcomes):
        counts = Counter(outcome.outcome for outcome in outcomes if outcome.part == part)
        tried = sum(counts.values()) - counts["left out"]
        print(f"\n{part}: {counts['agrees']} of {tried} tried agree; {dict(counts)}")
    for outcome in outcomes:
        if outcome.outcome != "agrees":
            why = f"{outcome.reason} {outcome.difference or ''}"
            print(f"  {outcome.part} {outcome.architecture}: {outcome.outcome}: {why}")


def main() -> None:
    """Reads the arguments, sweeps and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.architectures", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--only", default="*", help="architectures whose name matches, with * for any letters")
    parser.add_argument("--limit", type=int, help="a sample of so many of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-parameters", type=int, default=100_000_000)
    parser.add_argument("--out", type=Path, help="where outcomes are kept, one JSON object a line")
    parser.add_argument("--again", action="store_true", help="try those once more that did not agree")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    earlier = kept_outcomes(arguments.out) if arguments.out else []
    kept = {(o.part, o.architecture): o for o in earlier if o.outcome == "agrees" or not arguments.again}
    outcomes: list[Outcome] = []
    for part in [part_of(name) for name in PARTS if arguments.part in (None, name)]:
        names = chosen(part, arguments.only, arguments.limit, arguments.seed)
        outcomes += [kept[part.name, name] for name in names if (part.name, name) in kept]
        left = [name for name in names if (part.name, name) not in kept]
        for outcome in sweep(part, left, arguments.seed, arguments.max_parameters):
            print(
                f"{outcome.architecture:50s} {outcome.outcome:9s} {outcome.seconds:6.1f} s  {outcome.reason[:110]}",
                flush=True,
            )
            outcomes.append(outcome)
            if arguments.out:
                keep(arguments.out, outcome)
    report(outcomes)


if __name__ == "__main__":
    main()
