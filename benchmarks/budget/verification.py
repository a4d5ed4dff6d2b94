"""Whether verifying helps: python -m benchmarks.budget.verification [--measure] [--write docs/budgets.md]

For every image set of the pack the three checkpoints of the highest predicted accuracy, predicted by a model of the
other sets, are verified as a ranking would: with seeds that the ground truth has not used, on held-out training
examples, at the truth's image size. `--measure` makes the runs that the table `benchmarks/budget/verified.csv` lacks; a
command that was ended goes on from there. Without it nothing is trained: what the rule picks from the table is set
against the unverified pick, by what the ground truth says of both.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel
from scipy.special import expit, logit

from benchmarks.ranking_quality.predictor import CHOSEN, evidence
from benchmarks.ranking_quality.scores import TABLE as SCORES
from benchmarks.ranking_quality.tables import read_tables, whole_datasets
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.ranking_quality.truth import checkpoints_of_pack, datasets_of_pack
from benchmarks.tuning.table import write_between_marks
from frontrunner.evidence.prediction import Observation, fit_accuracy_model
from frontrunner.evidence.quality import Truth
from frontrunner.evidence.runs import Protocol
from frontrunner.evidence.tables import Table
from frontrunner.ranking.prediction import AccuracyModel
from frontrunner.ranking.stages import Leader, Trial, VerificationTerms, verify
from frontrunner.ranking.stages.belief import OWN_SHARE, measured_logit
from frontrunner.ranking.stages.verification import MOST
from frontrunner.tuning.options import FinetuneOptions
from frontrunner.tuning.result import Interval
from frontrunner.tuning.verification import EPOCHS, VerificationOutput, run_verification, verification_payload

RUNS = Path(__file__).with_name("verified.csv")
# None of the ground truth's. The rule was chosen with the verifications of the first one in view, the second is fresh.
SEEDS = (2, 7)
_FIRST = 2
_SIMULATED = 2000


class VerifiedRun(BaseModel):
    """One checkpoint verified on one dataset.

    Attributes:
        first_accuracy, accuracy: on the held-out examples, after the first epochs and the last one.
        processor_s: of training, sweep and measuring, one thread.
    """

    dataset: str
    checkpoint: str
    seed: int
    first_accuracy: float
    accuracy: float
    held_out: int
    train_examples: int
    learning_rate: float
    processor_s: float

    @property
    def key(self) -> tuple[str, str, int]:
        """Its name in the table."""
        return self.dataset, self.checkpoint, self.seed

    def output(self, epochs: int) -> VerificationOutput:
        """What its step said."""
        share = self.accuracy if epochs == EPOCHS else self.first_accuracy
        return VerificationOutput(
            accuracy=Interval(value=share, low=0.0, high=1.0),
            log_loss=0.0,
            held_out=self.held_out,
            train_examples=self.train_examples,
            classes=2,
            epochs=epochs,
            learning_rate=self.learning_rate,
            ended="completed" if epochs == EPOCHS else None,
            seconds=0.0,
        )


class Predicted(NamedTuple):
    """A dataset as a ranking sees it: a model that has not seen it, checkpoints, their predicted accuracies."""

    model: AccuracyModel
    checkpoints: list[str]
    accuracy: np.ndarray
    probability_best: np.ndarray


def predicted(found: list[Observation], dataset: str) -> Predicted:
    """What is predicted of the checkpoints on a dataset from runs on the others."""
    model = fit_accuracy_model([each for each in found if each.dataset != dataset], CHOSEN)
    own = [e for e in found if e.dataset == dataset and e.measured["examples"] <= Protocol().examples]
    lines = model.predict([each.measured for each in own])
    return Predicted(
        model,
        [each.checkpoint for each in own],
        np.array([line.accuracy for line in lines]),
        np.array([line.probability_best for line in lines]),
    )


def measure(wanted: list[tuple[str, str]], table: Table[VerifiedRun]) -> Iterator[VerifiedRun]:
    """Make the runs that a table lacks."""
    datasets, checkpoints = datasets_of_pack("image"), checkpoints_of_pack("image")
    folder = Path(tempfile.gettempdir()) / "frontrunner-verification"
    for seed, (dataset, name) in product(SEEDS, wanted):
        if any(run.key == (dataset, name, seed) for run in table):
            continue
        began = time.process_time()
        outputs = [
            run_verification(
                verification_payload(
                    FinetuneOptions(), datasets[dataset], checkpoints[name], epochs, seed=seed,
                    image_size=Protocol().image_size,
                ).below(folder)
            )
            for epochs in (_FIRST, EPOCHS)
        ]  # fmt: skip
        run = VerifiedRun(
            dataset=dataset,
            checkpoint=name,
            seed=seed,
            first_accuracy=outputs[0].accuracy.value,
            accuracy=outputs[1].accuracy.value,
            held_out=outputs[1].held_out,
            train_examples=outputs[1].train_examples,
            learning_rate=outputs[1].learning_rate,
            processor_s=round(time.process_time() - began, 1),
        )
        table.add(run)
        yield run


def picks(known: Predicted, runs: dict[str, VerifiedRun], most: int) -> tuple[str, str | None]:
    """The pick without and with verification; None where not all of those were verified whom it asks for."""
    leaders = [
        Leader(name, float(best), float(logit(accuracy)))
        for name, accuracy, best in zip(known.checkpoints, known.accuracy, known.probability_best, strict=True)
    ]
    unverified = max(leaders, key=lambda each: each.expected or 0.0).checkpoint
    terms = VerificationTerms(
        most, FinetuneOptions(), "image", 2 * 320, known.model.within, frozenset(known.checkpoints), enough=np.inf
    )
    results = {Trial(name, epochs): run.output(epochs) for name, run in runs.items() for epochs in (_FIRST, EPOCHS)}
    return unverified, verify(terms, leaders, results).report.pick


def table_of(
    known: dict[str, Predicted], runs: list[VerifiedRun], truth: Truth, test_examples: Mapping[str, int]
) -> str:
    """Markdown: points lost by the picks, on datasets where everybody was verified whom the rule asks for."""
    said = " | ".join(f"verified, seed {seed}" for seed in SEEDS)
    lines = [f"| dataset | without | {said} | points lost | {said} |", "|---" * (3 + 2 * len(SEEDS)) + "|"]
    lost, off = [], []
    for dataset, seen in known.items():
        found = [of(runs, dataset, seed) for seed in SEEDS]
        without = picks(seen, {}, MOST)[0]
        names = [without, *(verified for own in found if (verified := picks(seen, own, MOST)[1]) is not None)]
        if len(names) <= len(SEEDS):
            continue
        reached = truth.mean(dataset)
        best = max(reached.values())
        lost.append([100 * (best - reached[name]) for name in names])
        off += [_off(own, reached) for own in found]
        shown = [name.removeprefix("local:") for name in names]
        lines.append(f"| {dataset} | {' | '.join(shown)} | {' | '.join(f'{points:.1f}' for points in lost[-1])} |")
    table = np.array(lost)
    means = " | ".join(f"**{mean:.2f}**" for mean in table.mean(axis=0))
    lines += [
        f"| **mean of {len(table)}** | {'| ' * (1 + len(SEEDS))}{means} |",
        "",
        f"Gained, in points: {_gained(table[:, :1] - table[:, 1:])}.",
        "",
        (
            f"Differences within three are off by {np.sqrt(np.mean(np.concatenate(off))):.2f} in the logit, root mean "
            "square."
        ),
        "",
        limits(known, truth),
        "",
        simulated(known, truth, test_examples),
    ]
    return "\n".join(lines)


def _gained(points: np.ndarray) -> str:
    """Of (sets, seeds) points: the mean over sets by seed, and over both, with standard errors over sets."""

    def said(each: np.ndarray) -> str:
        return f"{each.mean():.2f} ± {each.std(ddof=1) / np.sqrt(len(each)):.2f}"

    by_seed = [f"{said(each)} with seed {seed}" for each, seed in zip(points.T, SEEDS, strict=True)]
    return f"{', '.join(by_seed)}, {said(points.mean(axis=1))} in the mean"


def of(runs: Iterable[VerifiedRun], dataset: str, seed: int) -> dict[str, VerifiedRun]:
    """Of one dataset by one seed, by checkpoint."""
    return {run.checkpoint: run for run in runs if (run.dataset, run.seed) == (dataset, seed)}


def _off(runs: dict[str, VerifiedRun], reached: dict[str, float]) -> np.ndarray:
    """Squares of what differences of the measured are off by, as if from their own mean over all checkpoints."""
    first, last = (
        np.array([measured_logit(run.output(epochs))[0] for run in runs.values()]) for epochs in (_FIRST, EPOCHS)
    )
    off = (first + last) / 2 - logit([reached[name] for name in runs])
    return np.asarray((off - off.mean()) ** 2 * len(off) / (len(off) - 1))


def limits(known: dict[str, Predicted], truth: Truth) -> str:
    """What verifications that are as good as the truth's own runs would reach: each seed of it judged by the other."""
    unverified, verified, best_of_three, best_of_all = [], [], [], []
    for dataset, seen in known.items():
        names, both = truth.accuracies[dataset]
        three = [seen.checkpoints[place] for place in np.argsort(-seen.probability_best)[:MOST]]
        for run, judge in (both.T[[0, 1]], both.T[[1, 0]]):
            said, reached = dict(zip(names, run, strict=True)), dict(zip(names, judge, strict=True))
            best = max(reached.values())
            unverified.append(best - reached[seen.checkpoints[int(np.argmax(seen.accuracy))]])
            verified.append(best - reached[max(three, key=lambda name: said[name])])
            best_of_three.append(best - max(reached[name] for name in three))
            best_of_all.append(best - reached[max(said, key=lambda name: said[name])])
    lost = [f"{100 * np.mean(each):.2f}" for each in (verified, unverified, best_of_all, best_of_three)]
    return (
        f"Had a run of the ground truth been the verification, judged by the one with the other seed: {lost[0]} points "
        f"lost, where the unverified pick loses {lost[1]}, the best of all 13 by one run {lost[2]}, and whoever knew "
        f"the best of the three {lost[3]}."
    )


def simulated(known: dict[str, Predicted], truth: Truth, test_examples: Mapping[str, int]) -> str:
    """What three lose that are verified by runs like the truth's, with as many examples and seeds as one may want.

    The truth's two seeds tell how much runs scatter, the number of test images how much their choice does, and what is
    left how much the three really differ. What they are beyond these images and runs is drawn from what the truth says
    of it, and verifications about that; they are judged by the truth as above.

    Args:
        known, truth: by dataset.
        test_examples: that the truth was measured on, by dataset.
    """
    three = {
        dataset: [seen.checkpoints[place] for place in np.argsort(-seen.probability_best)[:MOST]]
        for dataset, seen in known.items()
    }
    runs = {dataset: logit(_of_both(truth, dataset, names)) for dataset, names in three.items()}
    # Of three a third of the variance goes into their mean.
    apart = [both[:, 0] - both[:, 1] - (both[:, 0] - both[:, 1]).mean() for both in runs.values()]
    scatter = 1.5 * np.mean(np.square(apart)) / 2
    middles = {dataset: both.mean(axis=1) for dataset, both in runs.items()}
    off = {dataset: scatter / 2 + _own(middles[dataset], test_examples[dataset]) for dataset in three}
    observed = 1.5 * np.mean([(middle - middle.mean()) ** 2 for middle in middles.values()])
    between = max(observed - float(np.mean(list(off.values()))), 1e-6)
    generator, said = np.random.default_rng(0), []
    for seeds, held_out in ((1, 320), (1, 640), (3, 640), (1, np.inf), (np.inf, np.inf)):
        lost = []
        for dataset, names in three.items():
            reached, middle = truth.mean(dataset), middles[dataset]
            share = between / (between + off[dataset])
            mean = middle.mean() + share * (middle - middle.mean())
            true = generator.normal(mean, np.sqrt(share * off[dataset]), (_SIMULATED, len(names)))
            noise = scatter / seeds + _own(middle, held_out)
            picks = (true + generator.normal(size=true.shape) * np.sqrt(noise)).argmax(axis=1)
            lost.append(np.mean([max(reached.values()) - reached[names[pick]] for pick in picks]))
        words = ["many" if np.isinf(number) else f"{number}" for number in (seeds, held_out)]
        said.append(f"{100 * np.mean(lost):.2f} with seeds: {words[0]}, held-out examples: {words[1]}")
    return f"Points lost by simulated verifications of the three, judged as in the table: {'; '.join(said)}."


def _own(logits: np.ndarray, examples: float) -> float:
    """Variance of a logit by the choice of the examples that it was measured on, as far as it is a checkpoint's own."""
    share = float(expit(logits).mean())
    return OWN_SHARE / (examples * share * (1 - share))


def _of_both(truth: Truth, dataset: str, names: list[str]) -> np.ndarray:
    """(checkpoints, 2) accuracies by the two seeds."""
    every, both = truth.accuracies[dataset]
    return np.asarray(both[[list(every).index(name) for name in names]])


def main() -> None:
    """Reads the tables, measures if asked to, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget.verification", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="Make the runs that are missing.")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    arguments = parser.parse_args()
    rows, _ = read_tables(TRUTH, SCORES, "image")
    truth, found = whole_datasets(rows, "full"), evidence()["full"]
    known = {dataset: predicted(found, dataset) for dataset in sorted(truth.accuracies)}
    table = Table(arguments.runs, VerifiedRun)
    if arguments.measure:
        wanted = [
            (dataset, seen.checkpoints[place])
            for dataset, seen in known.items()
            for place in np.argsort(-seen.probability_best)[:MOST]
        ]
        for run in measure(wanted, table):
            print(run, flush=True)
    test_examples = {row.dataset: row.test_examples for row in rows if row.test_examples is not None}
    text = table_of(known, list(table), truth, test_examples)
    all_of_them = sum(row.seconds or 0.0 for row in rows if (row.adaptation, row.seed) == ("full", 0))
    took = sum(run.processor_s for run in table if run.dataset in known) / len(SEEDS)
    text += f"\n\nVerifying took {took / all_of_them:.0%} of what fine-tuning all 13 took, once each."
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "verification")


if __name__ == "__main__":
    main()
