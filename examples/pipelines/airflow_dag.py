"""Airflow: a DAG that ranks a dataset and hands the winner's name on. It goes into the folder of DAGs."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task
from airflow_frontrunner import RankOperator


@dag(schedule=None, catchup=False, params={"dataset": Param("/data/flowers.zip", type="string")}, tags=["frontrunner"])
def rank_before_tuning() -> None:
    """Rank, then hand the winner's name on to what fine-tunes."""

    @task
    def winner(ranking: dict[str, Any]) -> str:
        """The first line's checkpoint."""
        return ranking["ranking"][0]["checkpoint"]

    ranked = RankOperator(task_id="rank", dataset="{{ params.dataset }}", terms={"scores": ["logme", "knn"]})
    winner(ranked.output)


rank_before_tuning()
