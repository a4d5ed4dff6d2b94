"""`/v1/scores`: what a ranking can be asked for."""

from __future__ import annotations

from fastapi import APIRouter

from api.problems import RESPONSES
from api.state import StateDependency
from frontrunner.ranking import ScoreList

router = APIRouter(tags=["scores"], responses=RESPONSES)


@router.get("/v1/scores", operation_id="listScores")
def read_scores(_state: StateDependency) -> ScoreList:
    """List the scores, the default one first: what each says, needs and costs."""
    return ScoreList.of_all()
