"""The Airflow example: a run of its DAG, with the deferral, against a service."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.conftest import ROOT
from tests.pipelines.conftest import jobs_of
from tests.pipelines.environments import run

pytestmark = pytest.mark.pipelines

# Airflow's own way to run a DAG in one process: tasks through its task runner, triggers where a task was deferred.
RUN = """
import json, sys
from airflow.models import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
dag = bag.dags["rank_before_tuning"]
ended = dag.test(run_conf={"dataset": sys.argv[2]})
tasks = {task.task_id: task.state for task in ended.get_task_instances()}
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
with create_session() as session:
    found = XComModel.get_many(run_id=ended.run_id, dag_ids=[dag.dag_id])
    rows = [row for row in session.scalars(found) if row.key == "return_value"]
    kept = {row.task_id: XComModel.deserialize_value(row) for row in rows}
print("ENDED", json.dumps({"state": ended.state, "tasks": tasks, "kept": kept}))
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, service):
    home = tmp_path_factory.mktemp("airflow")
    for folder, file in (("dags", "airflow_dag.py"), ("plugins", "airflow_frontrunner.py")):
        (home / folder).mkdir()
        shutil.copy(ROOT / "examples" / "pipelines" / file, home / folder)
    connection = json.dumps({"conn_type": "http", "host": service.url})
    variables = {
        "AIRFLOW_HOME": home,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": home / "dags",
        "AIRFLOW_CONN_FRONTRUNNER_DEFAULT": connection,
    }
    run("airflow", ["airflow", "db", "migrate"], home, **variables)
    return home, variables


def run_dag(airflow, dataset) -> tuple[dict, str]:
    home, variables = airflow
    said = run("airflow", ["python", "-c", RUN, home / "dags", dataset], home, **variables)
    return json.loads(said.rpartition("ENDED ")[2].splitlines()[0]), said


def test_the_dag_ranks_on_the_service_and_hands_the_winner_on(airflow, service, features, expected):
    ended, said = run_dag(airflow, features)
    assert ended["tasks"] == {"rank": "success", "winner": "success"}
    assert [line["checkpoint"] for line in ended["kept"]["rank"]["ranking"]] == expected
    assert ended["kept"]["winner"] == expected[0]
    assert [job["status"] for job in jobs_of(service)] == ["succeeded"]
    assert "running trigger in line" in said, "the task was deferred"
