"""Prefect: a flow that ranks a dataset on a service, keeps the table as an artifact, and returns the winner.

    FRONTRUNNER_SERVER=https://frontrunner.example FRONTRUNNER_API_KEY=frk_... \\
        python examples/pipelines/prefect_flow.py flowers.zip

Needs `prefect>=3` and `frontrunner`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact

from frontrunner import AsyncClient, Ranking


@task(retries=2, retry_delay_seconds=10)
async def rank(dataset: Path) -> Ranking:
    """The ranking of a dataset. Tried again, it finds its job where that still runs, and cached features elsewhere."""
    async with AsyncClient() as client:
        job = await client.recommend(dataset)
        get_run_logger().info("the service ranks it as %s", job.id)
        return await job.wait()


@flow
async def choose(dataset: Path) -> str:
    """Rank, show, and name the winner for the flows that fine-tune."""
    ranking = await rank(dataset)
    if ranking.best is None:
        raise ValueError("nothing was ranked")
    await acreate_table_artifact(ranking.rows(), key="ranking", description=ranking.summary)
    await acreate_markdown_artifact(f"```\n{ranking.explain()}\n```", key="ranking-as-text")
    get_run_logger().info("%s", ranking.summary)
    return ranking.best.checkpoint


if __name__ == "__main__":
    print(asyncio.run(choose(Path(sys.argv[1]))))
