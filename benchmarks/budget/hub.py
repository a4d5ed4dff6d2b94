"""A simulated hub of ten thousand checkpoints: python -m benchmarks.budget.hub [--plot docs/budgets.svg]

Checkpoints are drawn from TransferGraph's records of fine-tuned image models, with what their LogME and their accuracy
on the target was, each moved a little; a forward pass takes what timm's public table says of a model of that size on
one GPU. What is believed of them before, and how LogME reads results, is learnt from the other datasets of the records.
Scores of a sample scatter around those of all 5,000 examples as they do on the pack. Ways to spend a budget: a race,
the first of a static list (of mean results on the other datasets), the first of what is believed, full readings of
checkpoints at random or in the order of what is believed, the best LogME of which is taken, and (at 100%) full
rankings, by LogME alone and joined with what is believed. A pick counts by what it reaches in the mean over its own
small move, which nothing tells, and not by the luck of one draw of it.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.stats import norm

from benchmarks.budget.race import output
from benchmarks.discrepancy.pack import pack
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence import History, learn_reading, read_history
from frontrunner.evidence.facts import FILE as FACTS
from frontrunner.evidence.history import normal_scores
from frontrunner.evidence.prior import fit_prior
from frontrunner.hub import CheckpointDescription, ReadingCost
from frontrunner.ranking import Budget, Expectation, Expectations, Race, Reading, ScoreReading, StepOutput
from frontrunner.ranking.stages.chances import Chances
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
        best: the highest accuracy of all, once fine-tuned, percent.
        accuracy: (m,) of each, in the mean over its own move.
        score: (m,) of everything but chance, as normal scores.
        listed: (m,) the mean result on the other datasets, as normal scores.
        expected, deviation: (m,) what is believed before any pass.
        ms: (m,) a forward pass.
        reading: how the score reads results, as far as the other datasets tell.
    """

    best: float
    accuracy: Floats
    score: Floats
    listed: Floats
    expected: Floats
    deviation: Floats
    ms: Floats
    reading: ScoreReading

    @property
    def believed(self) -> Expectations:
        """As a race wants it."""
        pairs = zip(self.expected.tolist(), self.deviation.tolist(), strict=True)
        found = {_name(i): Expectation(mean=mean, deviation=deviation) for i, (mean, deviation) in enumerate(pairs)}
        return Expectations(checkpoints=found, reading=self.reading)

    @property
    def candidates(self) -> tuple[CheckpointDescription, ...]:
        """As a race wants them."""
        return tuple(
            CheckpointDescription.model_construct(
                id=_name(i), modality="image", parameters=1, input_size=224,
                costs=(ReadingCost(device="gpu", latency_ms=ms, memory_mb=0.0),),
            )
            for i, ms in enumerate(self.ms.tolist())
        )  # fmt: skip

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
    reading = learn_reading(others, ["logme"])
    generator = np.random.default_rng(seed)
    drawn = generator.choice(known, checkpoints)
    spread = _MOVED * accuracy[known].std()
    moved = np.minimum(accuracy[drawn] + generator.normal(scale=spread, size=checkpoints), 1.0)
    room = (1 - accuracy[drawn]) / spread  # a move that ends at 1 is cut there: E max(0, z - room) of it is lost
    cut = norm.pdf(room) - room * norm.sf(room)
    scores = dict(zip(known.tolist(), normal_scores(score[known]), strict=True))
    return Hub(
        best=100 * float(moved.max()),
        accuracy=100 * (accuracy[drawn] - spread * cut),
        score=np.array([scores[i] for i in drawn]) + generator.normal(scale=_MOVED, size=checkpoints),
        listed=np.nanmean(others.normal_scores, axis=1)[drawn],
        expected=belief.mean[drawn],
        deviation=np.sqrt(belief.deviation[drawn] ** 2 + _MOVED**2),
        ms=_milliseconds([history.checkpoints[i].parameters or 2.5e7 for i in drawn]),
        reading=ScoreReading(
            rho=float(reading.rho[0]), kappa=float(reading.kappa[0]), noise=float(reading.noise[0, 0])
        ),
    )


def races(hub: Hub, shares: Sequence[float], seed: int) -> list[int]:
    """The picks of races for these budgets."""
    candidates, believed, readings = hub.candidates, hub.believed, Readings(hub, seed)
    picks = []
    for share in shares:
        results: dict[Reading, StepOutput] = {}
        of = Race(Budget("share", share), candidates, believed, WHOLE, CLASSES, "logme")
        while (standing := of.standing(results)).next:
            for step in standing.next:
                results[step] = output("logme", readings.read(_place(step.checkpoint), step.examples), step)
        assert standing.report.pick is not None
        picks.append(_place(standing.report.pick))
    return picks


def joined(hub: Hub, seed: int) -> int:
    """The pick of a full ranking and what is believed."""
    readings = Readings(hub, seed)
    found = [readings.read(i, WHOLE) for i in range(len(hub.ms))]
    known = hub.believed
    chances = Chances.of(
        found, examples=WHOLE, whole=WHOLE, believed=list(known.checkpoints.values()), reading=known.reading
    )
    return int(chances.expected.argmax())


def in_order(hub: Hub, order: Floats, share: float, seed: int) -> int:
    """The pick where checkpoints are read to the end in this order, as long as the budget lasts."""
    paid = np.cumsum(hub.ms[order.astype(np.int64)]) <= share * hub.ms.sum() * (1 + 1e-9)
    read = order.astype(np.int64)[: max(1, int(paid.sum()))]
    readings = Readings(hub, seed)
    return int(max(read.tolist(), key=lambda i: readings.read(i, WHOLE).value))


def _name(place: int) -> str:
    return f"m{place:05d}"


def _place(name: str) -> int:
    return int(name[1:])


def _milliseconds(parameters: list[float]) -> Floats:
    """Of models of these sizes: of the next one in size in timm's table, on a GPU."""
    import gzip

    lines = gzip.decompress(FACTS.read_bytes()).decode().partition("\n")[2].splitlines()
    rows = [row for row in csv.DictReader(lines) if row["gpu_images_per_s"] and row["image_size"] == "224"]
    sizes = np.log([float(row["parameters_m"]) * 1e6 for row in rows])
    ms = np.array([1000 / float(row["gpu_images_per_s"]) for row in rows])
    wanted = np.log(parameters)
    return np.asarray(ms[np.abs(sizes[None, :] - wanted[:, None]).argmin(axis=1)])


def plot(regrets: dict[str, Floats], full: dict[str, float], hours: float, file: Path) -> None:
    """Points lost against hours, a line for each way, and level ones for full rankings."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "budgets"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6.5, 4))
    for name, lost in regrets.items():
        axes.plot(hours * np.array(SHARES[: len(lost)]), lost, marker="o", label=name)
    for (name, lost), style in zip(full.items(), (":", "--"), strict=True):
        axes.axhline(lost, color="grey", linestyle=style, label=name)
    axes.set_xscale("log")
    axes.set_xlabel("hours of reading on one GPU")
    axes.set_ylabel("points of accuracy lost")
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def table_of(regrets: dict[str, Floats], full: dict[str, float], hours: float, title: str) -> str:
    """Markdown: points lost, a line for each way and a column for each budget."""
    unknown = ["-"] * (len(SHARES) - 1)
    rows = {name: [f"{value:.1f}" for value in lost] for name, lost in regrets.items()}
    rows |= {name: [*unknown, f"{value:.1f}"] for name, value in full.items()}
    return "\n".join(
        [
            title,
            "",
            f"| budget | {' | '.join(f'{share:.1%}' for share in SHARES)} |",
            "|---" * (len(SHARES) + 1) + "|",
            f"| hours | {' | '.join(f'{share * hours:.2f}' for share in SHARES)} |",
            *(
                f"| {name} | {' | '.join([*values, *['-'] * (len(SHARES) - len(values))])} |"
                for name, values in rows.items()
            ),
        ]
    )


def against_list(lost: dict[str, list[list[float]]], targets: int) -> str:
    """What a race loses beyond the first of the static list, paired, and its standard error over targets."""
    race, listed = (np.array(lost[name]) for name in ("race", "first of a static list"))
    by_target = (race - listed).reshape(-1, targets, len(SHARES)).mean(axis=0)
    error = by_target.std(axis=0, ddof=1) / np.sqrt(targets) if targets > 1 else np.full(len(SHARES), np.nan)
    found = [
        f"{mean:+.2f} ± {wide:.2f} at {share:.1%}"
        for mean, wide, share in zip(by_target.mean(axis=0), error, SHARES, strict=True)
    ]
    return f"Lost by a race beyond the first of the static list, paired by target: {', '.join(found)}."


def picks_of(hub: Hub, seed: int) -> dict[str, list[int]]:
    """Of each way, for each budget that it knows."""
    order, shuffled = np.argsort(-hub.expected), np.random.default_rng(seed).permutation(len(hub.ms))
    partial = SHARES[:-1]
    return {
        "race": races(hub, SHARES, seed),
        # Read or not.
        "first of a static list": [int(hub.listed.argmax())] * len(SHARES),
        "first of what is believed": [int(order[0])] * len(SHARES),
        "all known but its own move": [int(hub.accuracy.argmax())] * len(SHARES),
        "in the order of what is believed": [in_order(hub, order, share, seed) for share in partial],
        "at random": [in_order(hub, shuffled, share, seed) for share in partial],
        "full ranking": [in_order(hub, order, 1.0, seed)],
        "full ranking and what is believed": [joined(hub, seed)],
    }


def main() -> None:
    """Reads the arguments, simulates, prints, plots and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.hub", description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=10_000)
    parser.add_argument("--targets", default="flowers,pets", help="of the records, with commas")
    parser.add_argument("--hubs", type=int, default=1, help="that are drawn for each target")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    history = History.of(read_history(pack() / "records" / "transfergraph_images.csv").rows)
    lost: dict[str, list[list[float]]] = {}
    hours = []
    targets = arguments.targets.split(",")
    for seed in range(len(targets) * arguments.hubs):
        target = targets[seed % len(targets)]
        hub = hub_of(history, target, arguments.checkpoints, seed)
        hours.append(hub.hours)
        for name, picks in picks_of(hub, seed).items():
            lost.setdefault(name, []).append([float(hub.best - hub.accuracy[pick]) for pick in picks])
        print(target, {name: [round(value, 1) for value in values[-1]] for name, values in lost.items()}, flush=True)
    regrets = {name: np.mean(values, axis=0) for name, values in lost.items()}
    full = {name: float(regrets.pop(name)[0]) for name in ("full ranking", "full ranking and what is believed")}
    title = (
        f"{arguments.checkpoints:,} checkpoints, {len(targets)} targets, hubs of each: {arguments.hubs}; all of a hub "
        f"takes {np.mean(hours):.1f} hours."
    )
    text = "\n\n".join((table_of(regrets, full, float(np.mean(hours)), title), against_list(lost, len(targets))))
    print(text)
    if arguments.plot is not None:
        plot(regrets, full, float(np.mean(hours)), arguments.plot)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "hub")


if __name__ == "__main__":
    main()
