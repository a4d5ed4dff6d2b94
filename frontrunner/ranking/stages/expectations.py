"""What is known of candidates before any pass: past results where there are any, else what is published of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from frontrunner.data import DatasetReport
from frontrunner.hub import CheckpointDescription
from frontrunner.hub.describing.listing import family_of
from frontrunner.ranking.stages.race import Expectation

if TYPE_CHECKING:
    from frontrunner.evidence import History


def expectations_of(
    candidates: Sequence[CheckpointDescription], report: DatasetReport, history: History | None = None
) -> dict[str, Expectation]:
    """What is believed of candidates on a dataset, by id; empty where nothing tells one from another.

    Args:
        candidates: their ids are those of the history, with or without what stands before their colon.
        report: of the dataset.
        history: past results.
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
    return {one.id: each for one, each in zip(candidates, found, strict=True)} if len(set(found)) > 1 else {}
