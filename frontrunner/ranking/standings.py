"""From what the steps measured to places: ranks, ties, probabilities, the Pareto front, and a sentence of why. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from frontrunner.hub import CheckpointDescription
from frontrunner.ranking.criteria import DISCREPANCY, describe
from frontrunner.ranking.prediction import PREDICTED_ACCURACY, AccuracyModel, facts_of
from frontrunner.ranking.request import RankingRequest, StepOutput
from frontrunner.ranking.result import RankedCheckpoint
from frontrunner.ranking.stages.report import BudgetReport
from frontrunner.scores import probability_best, probability_first_beats_second, tied_with_best

Finished: TypeAlias = tuple[CheckpointDescription, StepOutput]


def standings(finished: Sequence[Finished], request: RankingRequest) -> list[RankedCheckpoint]:
    """The lines of a ranking, best first.

    Checkpoints with equal values share no rank and stand in order of their size, then of their name. One that lacks a
    score stands last under it; one that lacks the score that orders the ranking is left out. Those who read more
    examples stand before those who left a race earlier, and only those who read as many are compared.
    """
    by = request.ordered_by
    entries = [entry for entry in finished if by in entry[1].scores]
    places = {name: _places(entries, name) for name in dict.fromkeys((*request.asked, DISCREPANCY))}
    order = sorted(entries, key=lambda entry: places[by][entry[0].id])
    values = [outcome.scores[by] for _, outcome in order]
    read = [outcome.examples for _, outcome in order]
    comparable = values[: read.count(read[0])] if values else []
    ties = tied_with_best(comparable) if comparable else []
    first = probability_best(comparable)
    lines = []
    fewest = None
    for index, (description, outcome) in enumerate(order):
        optimal = fewest is None or description.parameters < fewest
        fewest = description.parameters if optimal else fewest
        lines.append(
            RankedCheckpoint(
                rank=index + 1,
                checkpoint=description.id,
                scores={name: score.without_replicates() for name, score in outcome.scores.items()},
                not_applicable=outcome.not_applicable,
                ranks={name: place[description.id] for name, place in places.items()},
                tied_with_best=0 < index < len(comparable) and ties[index],
                beats_next=probability_first_beats_second(*pair)
                if len(pair := values[index : index + 2]) == 2 and read[index] == read[index + 1]
                else None,
                probability_best=first[index] if first is not None and index < len(comparable) else None,
                discrepancy=outcome.discrepancy,
                intrinsic_dimension=outcome.intrinsic_dimension,
                parameters=description.parameters,
                reading_cost=outcome.reading_cost or next(iter(description.costs), None),
                reading=outcome.reading,
                seconds=round(outcome.seconds, 3),
                architecture=description.architecture,
                feature_dimension=outcome.feature_dimension,
                examples=outcome.examples,
                forward_examples=outcome.forward_examples,
                pareto_optimal=optimal,
                license=description.license,
            )
        )
    return lines


def with_predictions(lines: Sequence[RankedCheckpoint], model: AccuracyModel, examples: int) -> list[RankedCheckpoint]:
    """The lines with what each checkpoint is predicted to reach; as they are where one lacks a score for it.

    Those who left a race earlier read fewer examples, from which more modest accuracies would be predicted: they have
    no prediction.

    Args:
        lines: of a ranking.
        model: that predicts.
        examples: training examples of the dataset.
    """
    if not lines or any(name not in line.scores for line in lines for name in model.scores):
        return list(lines)
    comparable = [line for line in lines if line.examples == lines[0].examples]
    found = model.predict(
        [
            {name: line.scores[name].value for name in model.scores}
            | facts_of(line.parameters, line.feature_dimension, examples)
            for line in comparable
        ]
    )
    predicted = [
        line.model_copy(update={"prediction": prediction, "probability_best": prediction.probability_best})
        for line, prediction in zip(comparable, found, strict=True)
    ]
    return [*predicted, *lines[len(comparable) :]]


def summary(
    lines: Sequence[RankedCheckpoint],
    ordered_by: str,
    *,
    planned: int,
    failed: int,
    spent: BudgetReport | None = None,
) -> str:
    """The answer in a sentence or two."""
    left = planned - failed - len(lines) if spent is None else len(spent.waiting)
    if not lines:
        return f"No checkpoint is ranked yet; {left} of {planned} to go." if left else "No checkpoint could be ranked."
    best = lines[0]
    value = best.scores[ordered_by].value
    said = [f"{best.checkpoint} leads {len(lines)} checkpoints by {_by(best, ordered_by, value)}"]
    if spent is not None and spent.pick is not None:
        said.append(f"without a budget it would be the first with probability {spent.probability_best:.2f}")
    elif rivals := sum(line.tied_with_best for line in lines):
        others = f"{rivals} others" if rivals > 1 else "one other"
        said.append(f"the examples cannot tell it apart from {others}")
    elif best.beats_next is not None and len(lines) > 1:
        said.append(f"it beats {lines[1].checkpoint} with probability {best.beats_next:.2f}")
    if len(lines) > 1 and best.parameters > max(line.parameters for line in lines[1:]):
        said.append("it is the largest too: an order by size, without the data, begins the same")
    smaller = [line for line in lines[1:] if line.pareto_optimal]
    if smaller:
        share = smaller[0].parameters / max(best.parameters, 1)
        said.append(
            f"{smaller[0].checkpoint} is the best with fewer parameters ({share:.0%} of them), rank {smaller[0].rank}"
        )
    if left:
        said.append(f"{left} of {planned} are still to {'come' if spent is None else 'read more'}")
    return "; ".join(said) + "."


def _by(best: RankedCheckpoint, ordered_by: str, value: float) -> str:
    found = best.prediction
    if ordered_by != PREDICTED_ACCURACY or found is None:
        return f"{describe(ordered_by).title} ({value:.4f})"
    beyond = ", beyond the evidence" if found.unlike_evidence else ""
    points = f"{100 * found.accuracy:.0f} points, {100 * found.low:.0f} to {100 * found.high:.0f}{beyond}"
    return f"predicted accuracy ({points}), the best of all with probability {found.probability_best:.2f}"


def _places(entries: Sequence[Finished], name: str) -> dict[str, int]:
    """Place by checkpoint id under one score."""

    def key(entry: Finished) -> tuple[int, float, int, str]:
        description, outcome = entry
        value = outcome.scores[name].value if name in outcome.scores else float("-inf")
        return -outcome.examples, -value, description.parameters, description.id

    return {description.id: place for place, (description, _) in enumerate(sorted(entries, key=key), start=1)}
