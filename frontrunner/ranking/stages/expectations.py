"""What is known of candidates before any pass: past results where there are any, else what is published of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frontrunner.data import DatasetReport
from frontrunner.hub import CheckpointDescription
from frontrunner.hub.describing.listing import family_of
from frontrunner.ranking.stages.chances import Expectation, Expectations, ScoreReading

if TYPE_CHECKING:
    from frontrunner.evidence import History


def expectations_of(
    candidates: Sequence[CheckpointDescription], report: DatasetReport, history: History | None, ordered_by: str
) -> Expectations:
    """What is believed of candidates on a dataset; nothing where nothing tells one from another.

    Args:
        candidates: their ids are those of the history, with or without what stands before their colon.
        report: of the dataset.
        history: past results, if any; the scores in it teach how far a score is to be trusted.
        ordered_by: the score that is going to be measured.
    """
    # Evidence is made of rankings, so it is known only once they are.
    from frontrunner.evidence import CheckpointFacts, DatasetFacts, believe, public_facts

    known = set(history.models) if history is not None else set()
    names = [short if (short := one.id.partition(":")[2]) in known - {one.id} else one.id for one in candidates]
    public = public_facts([candidate.id for candidate in candidates])
    facts = [
        CheckpointFacts(
            family=family_of(candidate.architecture),
            parameters=candidate.parameters or None,
            input_size=candidate.input_size,
            public=public.get(candidate.id, {}),
        )
        for candidate in candidates
    ]
    dataset = DatasetFacts(size=report.train_examples, classes=len(report.classes) or None)
    belief = believe(names, facts, dataset, history)
    found = [
        Expectation(mean=float(mean), deviation=float(deviation))
        for mean, deviation in zip(belief.mean, belief.deviation, strict=True)
    ]
    if len(set(found)) == 1:
        return Expectations()
    by_id = {one.id: each for one, each in zip(candidates, found, strict=True)}
    return Expectations(checkpoints=by_id, reading=_reading(history, ordered_by))


def _reading(history: History | None, score: str) -> ScoreReading:
    """How a score reads results, as a history teaches it; the default where there is none, or no such score in it."""
    from frontrunner.evidence import HistoryTooSmall, learn_reading

    try:
        found = learn_reading(history, [score]) if history is not None else None
    except HistoryTooSmall:
        found = None
    if found is None:
        return ScoreReading()
    return ScoreReading(rho=float(found.rho[0]), kappa=float(found.kappa[0]), noise=float(found.noise[0, 0]))
