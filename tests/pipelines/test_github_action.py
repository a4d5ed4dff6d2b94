"""The GitHub Action: fits its schema, and its step run by bash as a runner would, against a service and without one."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

import frontrunner
from frontrunner.settings import Settings
from tests.acceptance.test_containers import beside_python
from tests.conftest import ROOT
from tests.pipelines.processes import environment

pytestmark = pytest.mark.acceptance

FOLDER = ROOT / "deploy" / "github-action"
ACTION = yaml.safe_load((FOLDER / "action.yml").read_text())
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


def filled(text: str, inputs: dict[str, str]) -> str:
    """The one kind of expression that the action's variables use."""
    return re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], text)


@pytest.fixture
def ranked(tmp_path):
    """Runs the step with these inputs: the finished process, the summary, the outputs."""

    def run(**given: str):
        inputs = {name: declared.get("default", "") for name, declared in ACTION["inputs"].items()}
        inputs |= {name.replace("_", "-"): value for name, value in given.items()}
        step = STEPS["Rank"]
        variables = {name: filled(text, inputs) for name, text in step["env"].items()}
        files = {name: tmp_path / name for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        runner = {"GITHUB_ACTION_PATH": FOLDER, "RUNNER_TEMP": tmp_path, "FRONTRUNNER_HOME": tmp_path / "home"}
        env = environment(**variables, **files, **runner, FRONTRUNNER_PACKAGES="false", PYTHONPATH=ROOT)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        written = [path.read_text() if path.exists() else "" for path in files.values()]
        return done, written[0], dict(line.split("=", 1) for line in written[1].splitlines())

    return run


def test_it_fits_the_schema_of_actions():
    command = [beside_python("check-jsonschema"), "--builtin-schema", "vendor.github-actions", FOLDER / "action.yml"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_input_is_pasted_into_a_script():
    assert [name for name, step in STEPS.items() if "${{" in step["run"]] == []


def test_it_has_a_service_rank_and_writes_summary_and_outputs(ranked, service, features, expected):
    done, summary, outputs = ranked(dataset=str(features), url=service.url, top="2")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in summary.splitlines() if re.match(r"\| \d", line)]
    assert [row[1].replace("\\", "") for row in rows] == expected[:2]
    assert outputs["checkpoint"] == expected[0]
    whole = json.loads(Path(outputs["ranking"]).read_text())
    assert [line["checkpoint"] for line in whole["ranking"]] == expected
    assert set(outputs) == set(ACTION["outputs"])


def test_it_ranks_on_the_runner_where_no_service_is_named(ranked, features, expected):
    done, _, outputs = ranked(dataset=str(features))
    assert (done.returncode, outputs["checkpoint"]) == (0, expected[0]), done.stderr


def test_a_bar_that_is_not_reached_fails_the_job_and_keeps_the_summary(ranked, features):
    done, summary, _ = ranked(dataset=str(features), least_accuracy="1.01")
    assert done.returncode == 1
    assert "::error::features:set" in done.stdout
    assert summary.startswith("## Checkpoints for")


def test_a_dataset_that_cannot_be_ranked_fails_with_its_code(ranked, tmp_path):
    done, summary, _ = ranked(dataset=str(tmp_path / "nothing.zip"))
    assert done.returncode == 1
    assert "::error::dataset_not_found" in done.stdout
    assert summary == ""


def test_a_score_that_was_not_computed_leaves_its_cell_empty(features, tmp_path):
    ranking = frontrunner.rank(features, scores=["knn"], settings=Settings(home=tmp_path, packages=False))
    without = [
        line.model_copy(update={"scores": {"knn": line.scores["knn"]}, "checkpoint": f"c{line.rank}"})
        for line in ranking.ranking
    ]
    said = runpy.run_path(str(FOLDER / "rank.py"))["summary"](ranking.model_copy(update={"ranking": without}), top=1)
    assert [line for line in said.splitlines() if line.startswith("| 1 |")] == ["| 1 | c1 |  |  | 0.0 M |"]


def test_a_name_cannot_become_markup_or_end_its_cell():
    cell = runpy.run_path(str(FOLDER / "rank.py"))["cell"]
    assert cell("a|b\n<img src=x>[c](d)") == r"a\|b \<img src=x\>\[c\]\(d\)"
