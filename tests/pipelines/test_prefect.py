"""The Prefect example: its flow run by Prefect's own engine and server, against a service."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT
from tests.pipelines.environments import run

pytestmark = pytest.mark.pipelines

READ = """
import asyncio, json
from prefect import get_client
async def read():
    async with get_client() as client:
        runs = await client.read_flow_runs()
        artifacts = await client.read_artifacts()
        tasks = await client.read_task_runs()
    print("READ", json.dumps({
        "flows": [run.state_name for run in runs],
        "tasks": [(run.name.rpartition("-")[0], run.state_name) for run in tasks],
        "artifacts": {artifact.key: artifact.data for artifact in artifacts},
    }))
asyncio.run(read())
"""


def test_the_flow_ranks_on_the_service_and_keeps_the_table(service, features, expected, tmp_path):
    variables = {
        "PREFECT_HOME": tmp_path / "home",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": 180,
        "FRONTRUNNER_SERVER": service.url,
    }
    said = run(
        "prefect", ["python", ROOT / "examples" / "pipelines" / "prefect_flow.py", features], tmp_path, **variables
    )
    assert said.split()[-1] == expected[0]
    kept = json.loads(run("prefect", ["python", "-c", READ], tmp_path, **variables).rpartition("READ ")[2])
    assert kept["flows"] == ["Completed"]
    assert ["rank", "Completed"] in kept["tasks"]
    assert [row["checkpoint"] for row in json.loads(kept["artifacts"]["ranking"])] == expected
    assert expected[0] in kept["artifacts"]["ranking-as-text"]
