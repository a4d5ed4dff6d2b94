"""What a budget buys on the pack: python -m benchmarks.budget [--modality text] [--write docs/budgets.md --mark NAME]

Uses what `python -m benchmarks.budget.samples` has kept, reads and trains nothing. Three tables: by how many standard
errors differences really move from a sample to all examples; whether races keep the winner; and how often they do
where they say how probable it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from benchmarks.budget.race import Outcome, run
from benchmarks.budget.samples import FOLDER, SCORES, Samples, candidates_of
from benchmarks.ranking_quality.scores import TABLE
from benchmarks.ranking_quality.tables import read_tables, whole_datasets
from benchmarks.ranking_quality.truth import TABLE as TRUTH
from benchmarks.ranking_quality.truth import datasets_of_pack
from benchmarks.tuning.table import write_between_marks
from frontrunner.data import open_dataset
from frontrunner.evidence.runs import MeasuredScore
from frontrunner.evidence.tables import Table
from frontrunner.ranking.criteria import describe
from frontrunner.ranking.prediction import FACTS, PREDICTED_ACCURACY, model_for
from frontrunner.scores.intervals import probability_best, standard_error

BUDGETS = ("15%", "30%", "50%", "100%")
PER_CLASS = (0, 1.5, 3.5, 7, 14, 30, 60, np.inf)
STATED = (0, 0.25, 0.5, 0.75, 0.95, 1.0001)
# Of a sample's leaders: only their order matters to a race.
_LEADERS = 6


def facts_of_pack() -> dict[str, dict[str, float]]:
    """What predictions rest on beside scores, by checkpoint id."""
    found: dict[str, dict[str, float]] = {}
    for row in Table(TABLE, MeasuredScore):
        if row.score in FACTS:
            found.setdefault(row.checkpoint, {})[row.score] = row.value
    return found


def movements(samples: Samples, score: str, seed: int, names: list[str], classes: int) -> Iterator[tuple[float, float]]:
    """Examples per class, and by how many standard errors the difference of two leaders moved until all were read."""
    *sizes, whole = samples.sizes
    found = samples.found
    last = {name: found[score, seed, name, whole].value for name in names}
    for size in sizes:
        at = {name: found[score, seed, name, size] for name in names if (score, seed, name, size) in found}
        leaders = sorted(at, key=lambda name: -at[name].value)[:_LEADERS]
        for one, other in combinations(leaders, 2):
            error = standard_error(np.array(at[one].replicates) - np.array(at[other].replicates))
            error *= np.sqrt(1 - size / whole)
            moved = (last[one] - last[other]) - (at[one].value - at[other].value)
            if error > 0:
                yield size / classes, abs(moved) / error


def again(samples: Samples, score: str, seed: int, names: list[str]) -> tuple[float, float]:
    """How probably another full ranking, of as many examples of the same kind, has this one's first again first.

    Returns:
        That probability, and that of its first two to hold the other's first.
    """
    whole = samples.sizes[-1]
    first = probability_best([samples.found[score, seed, name, whole] for name in names]) or [0.0]
    ordered = sorted(first, reverse=True)
    return ordered[0], sum(ordered[:2])


def again_sentences(repeated: dict[str, list[tuple[float, float]]]) -> str:
    """What limits any race: how sure the full rankings are of their own first places."""
    found = {score: np.sum(chances, axis=0) for score, chances in repeated.items()}
    said = [
        f"{describe(score).title}: {first:.0f} of {len(repeated[score])}, and {two:.0f} within its first two"
        for score, (first, two) in found.items()
    ]
    return f"A full ranking of other, as many examples would have the same first place in so many: {'; '.join(said)}."


def movement_table(moved: dict[str, list[tuple[float, float]]]) -> str:
    """Markdown: the 68th percentile, which of a normal distribution is one standard error."""
    spans = list(pairwise(PER_CLASS))
    titles = [f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}" for low, high in spans]
    lines = [f"| examples a class | {' | '.join(titles)} |", "|---" * (len(spans) + 1) + "|"]
    for score, pairs in moved.items():
        per_class, errors = np.array(pairs).T
        inside = [errors[(per_class >= low) & (per_class < high)] for low, high in spans]
        lines.append(f"| {describe(score).title} | {' | '.join(_percentile(group) for group in inside)} |")
    return "\n".join(lines)


def race_table(outcomes: dict[tuple[str, str], list[Outcome]]) -> str:
    """Markdown, a line for each score and budget."""
    lines = [
        "| score | budget | first kept | within the first two | stated | cost spent | passes saved | points lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (score, budget), found in outcomes.items():
        races = len(found)
        lines.append(
            f"| {describe(score).title} | {budget} | {sum(each.place == 0 for each in found)} of {races} "
            f"| {sum(each.place < 2 for each in found)} of {races} | {np.mean([each.stated for each in found]):.2f} "
            f"| {np.mean([each.spent for each in found]):.0%} | {1 - np.mean([each.passes for each in found]):.0%} "
            f"| {_points([each.lost for each in found if each.lost is not None])} |"
        )
    return "\n".join(lines)


def calibration_table(outcomes: dict[tuple[str, str], list[Outcome]]) -> str:
    """Markdown: of races that stated a probability in a range, how many picked the first."""
    spans = list(pairwise(STATED))
    titles = [f"{low:g} to {min(high, 1):g}" for low, high in spans]
    lines = [f"| stated | {' | '.join(titles)} |", "|---" * (len(spans) + 1) + "|"]
    for score in dict.fromkeys(score for score, _ in outcomes):
        found = [each for (name, _), races in outcomes.items() if name == score for each in races]
        groups = [[each for each in found if low <= each.stated < high] for low, high in spans]
        lines.append(f"| {describe(score).title} | {' | '.join(_frequency(group) for group in groups)} |")
    return "\n".join(lines)


def _points(lost: list[float]) -> str:
    return f"{np.mean(lost):.1f}" if lost else "-"


def _percentile(errors: np.ndarray) -> str:
    return f"{np.quantile(errors, 0.68):.1f}" if errors.size else "-"


def _frequency(group: list[Outcome]) -> str:
    if not group:
        return "-"
    kept = sum(each.place == 0 for each in group)
    return f"{np.mean([each.stated for each in group]):.2f}: {kept} of {len(group)} ({kept / len(group):.2f})"


def main() -> None:
    """Reads the arguments and what was kept, prints, and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.budget", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--budgets", default=",".join(BUDGETS))
    parser.add_argument("--modality", choices=("image", "text"), default="image")
    parser.add_argument("--scores", help="with commas; by default all that images have, and LogME and kNN of texts")
    parser.add_argument("--write", type=Path, help="A document whose tables, between their marks, are replaced.")
    parser.add_argument("--mark", help="name of the marks; by default results, and texts of texts")
    arguments = parser.parse_args()
    modality, budgets = arguments.modality, arguments.budgets.split(",")
    by_default = (PREDICTED_ACCURACY, *SCORES) if modality == "image" else ("logme", "knn")
    names = arguments.scores.split(",") if arguments.scores else list(by_default)
    candidates = candidates_of(modality)
    ids = [found.id for found in candidates]
    moved: dict[str, list[tuple[float, float]]] = {score: [] for score in names}
    repeated: dict[str, list[tuple[float, float]]] = {score: [] for score in names}
    outcomes: dict[tuple[str, str], list[Outcome]] = {(score, budget): [] for score in names for budget in budgets}
    model = model_for(modality, "classification", "full")
    facts = facts_of_pack()
    runs, _ = read_tables(TRUTH, TABLE, "image")
    truth = whole_datasets(runs, "full")
    sets = []
    for dataset, reference in datasets_of_pack(modality).items():
        opened, samples = open_dataset(reference.path), Samples(dataset, arguments.folder)
        if model is not None:
            samples.predict(model, {name: {**facts[name], "examples": len(opened.train)} for name in ids})
        labels = opened.train.labels
        classes = 0 if labels is None else len(set(labels.tolist()))
        for score in names:
            for seed in samples.seeds(score, ids):
                sets.append(dataset)
                moved[score] += movements(samples, score, seed, ids, classes)
                repeated[score].append(again(samples, score, seed, ids))
                for budget in budgets:
                    outcome = run(samples, score, seed, budget, candidates, classes)
                    if dataset in truth.accuracies:
                        reached = truth.mean(dataset)
                        outcome = replace(outcome, lost=100 * (reached[outcome.first] - reached[outcome.pick]))
                    outcomes[score, budget].append(outcome)
    text = "\n\n".join(
        (
            f"{len(set(sets))} datasets, {len(ids)} checkpoints; every race is run for several orders of the examples.",
            race_table(outcomes),
            again_sentences(repeated),
            "Stated probability, and how often the pick was the first, over all budgets:",
            calibration_table(outcomes),
            "Moved from a sample to all examples, in standard errors (68th percentile over pairs of leaders):",
            movement_table(moved),
        )
    )
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, arguments.mark or ("results" if modality == "image" else "texts"))


if __name__ == "__main__":
    main()
