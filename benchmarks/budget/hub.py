"""A simulated hub of ten thousand checkpoints: python -m benchmarks.budget.hub [--plot docs/budgets.svg]

Checkpoints are drawn from TransferGraph's records of fine-tuned image models, with what their LogME and their accuracy
on the target was, each moved a little; a forward pass takes what timm's public table says of a model of that size on
one GPU. What is believed of them before is learnt from the other datasets of the records. Scores of a sample scatter
around those of all 5,000 examples as they do on the pack. Ways to spend a budget: a race, the first of a static list,
full readings of checkpoints at random or in the order of what is believed, and (at 100%) the full ranking.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.budget.race import output
from benchmarks.discrepancy.pack import pack
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence import History, read_history
from frontrunner.evidence.facts import FILE as FACTS
from frontrunner.evidence.history import normal_scores
from frontrunner.evidence.prior import fit_prior
from frontrunner.hub import CheckpointDescription, ReadingCost
from frontrunner.ranking import Budget, Expectation, Race, Reading, StepOutput
from frontrunner.scores import ScoreValue
from frontrunner.statistics import Floats

WHOLE = 5000
CLASSES = 10
GROUPS = 32
SHARES = (0.001, 0.003, 0.01, 0.1, 1.0)
# Of a score of one example, in deviations of the score over checkpoints: at 64 examples LogME on the pack correlates
# with the final one by about 0.9.
_NOISE = 3.6
# Examples between which scores walk.
_STEPS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
# By which drawn checkpoints differ from the one they are copies of: a share of the spread over all.
_MOVED = 0.2


@dataclass(frozen=True)
class Hub:
    """A target dataset and (m) checkpoints.

    Attributes:
        accuracy: (m,) once fine-tuned, percent.
        score: (m,) of everything but chance, as normal scores.
        expected, deviation: (m,) what is believed before any pass.
        ms: (m,) a forward pass.
    """

    accuracy: Floats
    score: Floats
    expected: Floats
    deviation: Floats
    ms: Floats

    @property
    def hours(self) -> float:
        """Of the full ranking."""
        return float(self.ms.sum()) * WHOLE / 3.6e6


class Readings:
    """Scores of growing, nested samples: the same examples say the same to whoever reads them.

    Each group of a checkpoint's examples walks at random, by the same steps whoever asks.
    """

    def __init__(self, hub: Hub, seed: int) -> None:
        self._hub = hub
        self._seed = seed

    def read(self, checkpoint: int, examples: int) -> ScoreValue:
        """The score of a checkpoint's first so many examples."""
        generator = np.random.default_rng([self._seed, checkpoint])
        steps = np.diff([0, *(step for step in _STEPS if step < examples), examples])
        drawn = generator.normal(size=(len(steps), GROUPS))
        sums = (drawn * _NOISE * np.sqrt(steps[:, None] / GROUPS)).sum(axis=0)
        total, base = sums.sum(), self._hub.score[checkpoint]
        without = base + (total - sums) / (examples * (1 - 1 / GROUPS))
        return ScoreValue.model_construct(value=float(base + total / examples), replicates=tuple(without.tolist()))


def hub_of(history: History, target: str, checkpoints: int, seed: int) -> Hub:
    """A hub for one dataset of the records, whose own results nothing is learnt from."""
    column = history.datasets.index(target)
    accuracy, score = history.accuracy[:, column], history.scores["logme"][:, column]
    known = np.flatnonzero(np.isfinite(accuracy) & np.isfinite(score))
    others = replace(history, accuracy=np.where(np.arange(len(history.datasets)) == column, np.nan, history.accuracy))
    belief = fit_prior(others).predict(history.models, history.checkpoints, history.sets[column])
    generator = np.random.default_rng(seed)
    drawn = generator.choice(known, checkpoints)
    spread = _MOVED * accuracy[known].std()
    moved = np.minimum(accuracy[drawn] + generator.normal(scale=spread, size=checkpoints), 1.0)
    scores = dict(zip(known.tolist(), normal_scores(score[known]), strict=True))
    return Hub(
        accuracy=100 * moved,
        score=np.array([scores[i] for i in drawn]) + generator.normal(scale=_MOVED, size=checkpoints),
        expected=belief.mean[drawn],
        deviation=np.sqrt(belief.deviation[drawn] ** 2 + _MOVED**2),
        ms=_milliseconds([history.checkpoints[i].parameters or 2.5e7 for i in drawn]),
    )


def race(hub: Hub, share: float, seed: int) -> int:
    """The pick of a race."""
    names = [f"m{i:05d}" for i in range(len(hub.ms))]
    candidates = tuple(
        CheckpointDescription.model_construct(
            id=name, modality="image", parameters=1, input_size=224,
            costs=(ReadingCost(device="gpu", latency_ms=ms, memory_mb=0.0),),
        )
        for name, ms in zip(names, hub.ms.tolist(), strict=True)
    )  # fmt: skip
    believed = {
        name: Expectation(mean=mean, deviation=deviation)
        for name, mean, deviation in zip(names, hub.expected.tolist(), hub.deviation.tolist(), strict=True)
    }
    readings, results = Readings(hub, seed), dict[Reading, StepOutput]()
    of = Race(Budget("share", share), candidates, believed, WHOLE, CLASSES, "logme")
    while (standing := of.standing(results)).next:
        for reading in standing.next:
            results[reading] = output("logme", readings.read(int(reading.checkpoint[1:]), reading.examples), reading)
    assert standing.report.pick is not None
    return int(standing.report.pick[1:])


def in_order(hub: Hub, order: Floats, share: float, seed: int) -> int:
    """The pick where checkpoints are read to the end in this order, as long as the budget lasts."""
    paid = np.cumsum(hub.ms[order.astype(np.int64)]) <= share * hub.ms.sum() * (1 + 1e-9)
    read = order.astype(np.int64)[: max(1, int(paid.sum()))]
    readings = Readings(hub, seed)
    return int(max(read.tolist(), key=lambda i: readings.read(i, WHOLE).value))


def _milliseconds(parameters: list[float]) -> Floats:
    """Of models of these sizes: of the next one in size in timm's table, on a GPU."""
    import gzip

    lines = gzip.decompress(FACTS.read_bytes()).decode().partition("\n")[2].splitlines()
    rows = [row for row in csv.DictReader(lines) if row["gpu_images_per_s"] and row["image_size"] == "224"]
    sizes = np.log([float(row["parameters_m"]) * 1e6 for row in rows])
    ms = np.array([1000 / float(row["gpu_images_per_s"]) for row in rows])
    wanted = np.log(parameters)
    return np.asarray(ms[np.abs(sizes[None, :] - wanted[:, None]).argmin(axis=1)])


def plot(regrets: dict[str, Floats], hours: float, file: Path) -> None:
    """Points lost against hours, one line for each way."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.5, 4))
    for name, lost in regrets.items():
        axes.plot(hours * np.array(SHARES), lost, marker="o", label=name)
    axes.axhline(regrets["at random"][-1], color="grey", label="full ranking")
    axes.set_xscale("log")
    axes.set_xlabel("hours of reading on one GPU")
    axes.set_ylabel("points of accuracy lost")
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Reads the arguments, simulates, prints, plots and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.hub", description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=10_000)
    parser.add_argument("--targets", default="flowers,pets", help="of the records, with commas")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    history = History.of(read_history(pack() / "records" / "transfergraph_images.csv").rows)
    ways = ("race", "static list", "what is believed, in order", "at random")
    lost: dict[str, list[list[float]]] = {way: [] for way in ways}
    hours = []
    for seed, target in enumerate(arguments.targets.split(",")):
        hub = hub_of(history, target, arguments.checkpoints, seed)
        hours.append(hub.hours)
        believed, shuffled = np.argsort(-hub.expected), np.random.default_rng(seed).permutation(len(hub.ms))
        best = hub.accuracy.max()
        full = in_order(hub, shuffled, 1.0, seed)
        static = int(believed[0])  # the first of the list, read or not
        rows = {
            "race": [race(hub, share, seed) for share in SHARES],
            "static list": [static] * len(SHARES),
            "what is believed, in order": [*(in_order(hub, believed, share, seed) for share in SHARES[:-1]), full],
            "at random": [*(in_order(hub, shuffled, share, seed) for share in SHARES[:-1]), full],
        }
        for name, picks in rows.items():
            lost[name].append([float(best - hub.accuracy[pick]) for pick in picks])
        print(target, {name: [round(value, 1) for value in values[-1]] for name, values in lost.items()}, flush=True)
    regrets = {name: np.mean(values, axis=0) for name, values in lost.items()}
    lines = [
        f"{arguments.checkpoints:,} checkpoints, {len(hours)} targets; all of it takes {np.mean(hours):.1f} hours.",
        "",
        f"| budget | {' | '.join(f'{share:.1%}' for share in SHARES)} |",
        "|---" * (len(SHARES) + 1) + "|",
        f"| hours | {' | '.join(f'{share * np.mean(hours):.2f}' for share in SHARES)} |",
        *(f"| {name} | {' | '.join(f'{value:.1f}' for value in values)} |" for name, values in regrets.items()),
    ]
    print("\n".join(lines))
    if arguments.plot is not None:
        plot(regrets, float(np.mean(hours)), arguments.plot)
    if arguments.write is not None:
        write_between_marks(arguments.write, "\n".join(lines), "hub")


if __name__ == "__main__":
    main()
