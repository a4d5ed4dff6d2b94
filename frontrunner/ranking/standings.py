"""From what the steps measured to places: ranks, ties, probabilities, the Pareto front. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeAlias

from frontrunner.hub import CheckpointDescription, SkippedCheckpoint
from frontrunner.hub.describing.variants import split_variant
from frontrunner.ranking.criteria import DISCREPANCY
from frontrunner.ranking.prediction import AccuracyModel, facts_of
from frontrunner.ranking.request import RankingRequest, StepOutput
from frontrunner.ranking.result import PairedComparisons, RankedCheckpoint
from frontrunner.scores import (
    paired_probabilities,
    probability_best,
    probability_first_beats_second,
    tied_with_best,
)

# Lines that keep a picture of their features.
PICTURED = 5
# Lines that are compared two by two: some 20 kB of an answer.
_PAIRED = 50
_LAYER = re.compile(r"layer=\d")

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
                picture=outcome.picture if index < PICTURED else None,
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


def best_layers(
    finished: Sequence[Finished], by: str, chosen: Callable[[str], bool], kept: Collection[str] = ()
) -> list[Finished]:
    """Of the layers of a checkpoint, read as one variant each, that of the highest score; others stay as they are.

    The best of many is a little better by chance: a layer that is named beforehand has no such advantage.

    Args:
        finished: what was measured.
        by: the score.
        chosen: whether of the checkpoint with this id only the best layer is kept.
        kept: ids of layers that were found to be the best by more than the score.
    """

    def standing(entry: Finished) -> tuple[bool, int, float]:
        score = entry[1].scores.get(by)
        return entry[0].id in kept, entry[1].examples, float("-inf") if score is None else score.value

    best: dict[str, Finished] = {}
    for entry in finished:
        name, choice = split_variant(entry[0].id)
        key = name if _LAYER.match(choice) and chosen(entry[0].id) else entry[0].id
        if key not in best or standing(entry) > standing(best[key]):
            best[key] = entry
    return list(best.values())


def paired(
    lines: Sequence[RankedCheckpoint], outcomes: Mapping[str, StepOutput | SkippedCheckpoint], by: str
) -> PairedComparisons | None:
    """The first lines compared two by two; None where fewer than two read as many examples as the first.

    Args:
        lines: of a ranking, best first.
        outcomes: of its steps, by checkpoint id.
        by: the score that orders the ranking.
    """
    read = {line.checkpoint: outcomes[line.checkpoint] for line in lines if line.examples == lines[0].examples}
    scores = {name: found.scores[by] for name, found in read.items() if isinstance(found, StepOutput)}
    names = list(scores)[:_PAIRED]
    if len(names) < 2:
        return None
    rounded = [
        [None if value is None else round(value, 4) for value in row]
        for row in paired_probabilities([scores[name] for name in names])
    ]
    return PairedComparisons(score=by, checkpoints=names, probability=rounded)


def with_predictions(lines: Sequence[RankedCheckpoint], model: AccuracyModel, examples: int) -> list[RankedCheckpoint]:
    """The lines with what each checkpoint is predicted to reach, and how far behind the first one it stays.

    They stay as they are where one lacks a score for it.

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
    measured = [
        {name: line.scores[name].value for name in model.scores}
        | facts_of(line.parameters, line.feature_dimension, examples)
        for line in comparable
    ]
    predicted = [
        line.model_copy(
            update={"prediction": prediction, "probability_best": prediction.probability_best, "behind": behind}
        )
        for line, prediction, behind in zip(
            comparable, model.predict(measured), [None, *model.behind_first(measured)], strict=True
        )
    ]
    return [*predicted, *lines[len(comparable) :]]


def reordered(lines: Sequence[RankedCheckpoint], order: Sequence[str]) -> list[RankedCheckpoint]:
    """The lines in another order than that of a score, which something better than it has told.

    Places under each score stay what they are. What lines say of the next one is about scores, and goes; the one that
    was first may still be the best.

    Args:
        lines: the best first by a score.
        order: their ids.
    """
    by_id = {line.checkpoint: line for line in lines}
    if list(order) == list(by_id):
        return list(lines)
    return [
        line.model_copy(
            update={
                "rank": place,
                "beats_next": None,
                "behind": None,
                "tied_with_best": place > 1 and (line.tied_with_best or line.rank == 1),
            }
        )
        for place, line in enumerate((by_id[name] for name in order), start=1)
    ]


def _places(entries: Sequence[Finished], name: str) -> dict[str, int]:
    """Place by checkpoint id under one score."""

    def key(entry: Finished) -> tuple[int, float, int, str]:
        description, outcome = entry
        value = outcome.scores[name].value if name in outcome.scores else float("-inf")
        return -outcome.examples, -value, description.parameters, description.id

    return {description.id: place for place, (description, _) in enumerate(sorted(entries, key=key), start=1)}
