"""A ranking in the light of past results: what history expects, corrected by what was measured."""

from __future__ import annotations

import numpy as np

from frontrunner.evidence.combination import default_reading, learn_reading
from frontrunner.evidence.errors import HistoryTooSmall, NothingToOrder
from frontrunner.evidence.facts import public_facts
from frontrunner.evidence.history import CheckpointFacts, DatasetFacts, History
from frontrunner.evidence.prior import believe
from frontrunner.hub.describing.listing import family_of
from frontrunner.ranking.result import ExpectedPlace, Outlook, RankedCheckpoint, Ranking
from frontrunner.scores.intervals import share_of_firsts

_DRAWS = 10_000


def outlook(ranking: Ranking, history: History, *, seed: int = 0) -> Outlook:
    """Combine a finished ranking with past results.

    Ids of the history are those of the ranking, with or without what stands before their colon.

    Args:
        ranking: of classification.
        history: past results; the scores in it teach how far the ranking's scores are to be trusted.
        seed: of the draws behind `probability_best`.

    Raises:
        NothingToOrder: the ranking holds fewer than two checkpoints.
    """
    lines = ranking.ranking
    if len(lines) < 2:
        raise NothingToOrder(f"history can order two checkpoints or more, the ranking has {len(lines)}")
    names = [_name_in(history, line.checkpoint) for line in lines]
    public = public_facts([line.checkpoint for line in lines])
    facts = [_facts(line, public.get(line.checkpoint, {})) for line in lines]
    dataset = DatasetFacts(size=ranking.dataset.train_examples, classes=ranking.dataset.classes)
    belief = believe(names, facts, dataset, history)
    order = ranking.provenance.ordered_by
    asked = tuple(dict.fromkeys((order, *ranking.provenance.scores)))
    try:
        reading = learn_reading(history, asked)
    except HistoryTooSmall:
        reading = default_reading([order])
    measured = {
        name: np.array([line.scores[name].value if name in line.scores else np.nan for line in lines])
        for name in reading.scores
    }
    after = reading.update(belief, measured)
    draws = np.random.default_rng(seed).normal(after.mean, after.deviation, size=(_DRAWS, len(lines)))
    best = share_of_firsts(draws)
    tried = dict(zip(history.models, np.isfinite(history.accuracy).sum(axis=1).tolist(), strict=True))
    places = [
        ExpectedPlace(
            checkpoint=lines[i].checkpoint,
            expected=float(after.mean[i]),
            deviation=float(after.deviation[i]),
            probability_best=float(best[i]),
            past_results=tried.get(names[i], 0),
        )
        for i in np.argsort(-after.mean, kind="stable")
    ]
    return Outlook(
        places=places,
        scores=reading.scores,
        learned_from=reading.datasets,
        summary=_summary(places, lines[0].checkpoint, len(history.datasets)),
    )


def _summary(places: list[ExpectedPlace], leader: str, datasets: int) -> str:
    first = places[0]
    said = f"With {datasets} past datasets {first.checkpoint} is the best of all with probability "
    said += f"{first.probability_best:.2f}"
    if first.checkpoint != leader:
        second = next(place for place in places if place.checkpoint == leader)
        said += f"; {leader}, which leads by score alone, with {second.probability_best:.2f}"
    unknown = sum(not place.past_results for place in places)
    return said + (f"; {unknown} of {len(places)} were never tried before." if unknown else ".")


def _name_in(history: History, checkpoint: str) -> str:
    """The id under which the history knows a checkpoint; its own where it does not."""
    short = checkpoint.partition(":")[2]
    return short if checkpoint not in history.models and short in history.models else checkpoint


def _facts(line: RankedCheckpoint, public: dict[str, float]) -> CheckpointFacts:
    return CheckpointFacts(family=family_of(line.architecture), parameters=line.parameters or None, public=public)
