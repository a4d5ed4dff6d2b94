"""The Dagster example: its assets materialised by Dagster's own command, and read back from its instance."""

from __future__ import annotations

import json

import pytest

from tests.conftest import ROOT
from tests.pipelines.environments import run

pytestmark = pytest.mark.pipelines

READ = """
import json
import dagster as dg
instance = dg.DagsterInstance.get()
event = instance.get_latest_materialization_event(dg.AssetKey("ranking"))
metadata = event.asset_materialization.metadata
checks = instance.get_records_for_run(event.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
print("READ", json.dumps({
    "best": metadata["best"].value,
    "table": [record.data["checkpoint"] for record in metadata["ranking"].value.records],
    "checks": [record.event_log_entry.dagster_event.event_specific_data.passed for record in checks],
}))
"""


def test_the_assets_are_made_and_their_check_says_whether_anything_beats_chance(service, features, expected, tmp_path):
    variables = {
        "DAGSTER_HOME": tmp_path,
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "FRONTRUNNER_SERVER": service.url,
        "FRONTRUNNER_API_KEY": "",
        "DATASET": features,
    }
    file = ROOT / "examples" / "pipelines" / "dagster_assets.py"
    run("dagster", ["dagster", "asset", "materialize", "-f", file, "--select", "*"], tmp_path, **variables)
    read = json.loads(run("dagster", ["python", "-c", READ], tmp_path, **variables).rpartition("READ ")[2])
    assert read["best"] == expected[0]
    assert read["table"] == expected
    assert len(read["checks"]) == 1
    assert (tmp_path / "storage" / "winner").is_file()
