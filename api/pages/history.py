"""`/history`: what past tunings say: which checkpoint did how well on what, and who is near the best most often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response

from api.pages.asking import Fields
from api.pages.rendering import page
from api.pages.visits import ReadVisit
from frontrunner.evidence import History
from jobs.history import find_results, past_results

router = APIRouter(prefix="/history", include_in_schema=False)

# Results that are listed, the newest.
_LISTED = 100
# Checkpoints and datasets of the heat map: those with the most results.
_ROWS = 32
_COLUMNS = 24
# Checkpoints of the table of who is near the best.
_NEAR = 50
# Suggestions of a field.
_SUGGESTED = 500
Words = Annotated[str, Query(max_length=255)]


@dataclass(frozen=True)
class Past:
    """What the results of one protocol say of a checkpoint.

    Attributes:
        model: its id.
        datasets: how many it was tried on beside others.
        behind: mean share of examples by which it stayed behind the best of each.
        first: on how many of them it was the best.
    """

    model: str
    datasets: int
    behind: float
    first: int


@router.get("")
def show_history(visit: ReadVisit, model: Words = "", dataset: Words = "", protocol: str = "") -> Response:
    """Results of the tenant; those of one protocol, by default of the most frequent one, are compared."""
    model, dataset = model.strip(), dataset.strip()
    with visit.state.database.read_transaction() as session:
        results = past_results(session)
        rows = find_results(session, model=model or None, dataset=dataset or None, limit=_LISTED)
    protocols = Counter(result.protocol for result in results)
    if protocol not in protocols:
        protocol = next((name for name, _ in protocols.most_common(1)), "")
    compared = [result for result in results if result.protocol == protocol]
    history = History.of(compared) if compared else None
    return page(
        visit,
        "history.html",
        rows=rows[:_LISTED],
        has_more=len(rows) > _LISTED,
        said=Fields({"model": model, "dataset": dataset, "protocol": protocol}),
        is_filtered=bool(model or dataset),
        models=sorted({result.model for result in results})[:_SUGGESTED],
        datasets=sorted({result.dataset for result in results})[:_SUGGESTED],
        protocols=[(name, f"{name or 'not said'} ({count:,})") for name, count in protocols.most_common()],
        past=[] if history is None else past_of(history)[:_NEAR],
        data=None if history is None else _data(history),
    )


def past_of(history: History) -> list[Past]:
    """Checkpoints by how near the best they came; those tried on less than half as many as any come last.

    A dataset on which only one was tried says nothing of it beside others, and is left out.
    """
    known = np.isfinite(history.accuracy)
    accuracy = history.accuracy[:, known.sum(axis=0) > 1]
    if not accuracy.size:
        return []
    behind = np.nanmax(accuracy, axis=0) - accuracy
    found = [
        Past(name, int(np.isfinite(row).sum()), float(np.nanmean(row)), int((row == 0).sum()))
        for name, row in zip(history.models, behind, strict=True)
        if np.isfinite(row).any()
    ]
    most = max((past.datasets for past in found), default=0)
    return sorted(found, key=lambda past: (2 * past.datasets < most, past.behind, past.model))


def _data(history: History) -> dict[str, Any]:
    """What the heat map draws: the checkpoints and datasets with the most results."""
    known = np.isfinite(history.accuracy)
    rows = np.sort(np.argsort(-known.sum(axis=1), kind="stable")[:_ROWS])
    columns = np.sort(np.argsort(-known[rows].sum(axis=0), kind="stable")[:_COLUMNS])
    return {
        "models": [history.models[row] for row in rows],
        "datasets": [history.datasets[column] for column in columns],
        "accuracy": [
            [round(float(value), 5) if np.isfinite(value) else None for value in row]
            for row in history.accuracy[np.ix_(rows, columns)]
        ],
    }
