"""The DVC example: its stages run once, and again only when what they depend on has changed."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT
from tests.pipelines.environments import run

pytestmark = pytest.mark.pipelines


def test_the_stages_run_when_something_changed_and_tell_the_choice_as_metrics(features, expected, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "pipelines" / "dvc", project)
    shutil.copy(features, project / "features.npz")
    params = yaml.safe_load((project / "params.yaml").read_text()) | {"dataset": "features.npz", "hub": ""}
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    subprocess.run(["git", "init", "--quiet"], cwd=project, check=True)

    def dvc(*arguments: str) -> str:
        home = {"FRONTRUNNER_HOME": tmp_path / "home", "FRONTRUNNER_PACKAGES": "false", "DVC_NO_ANALYTICS": "1"}
        return run("dvc", ["dvc", *arguments], project, HOME=tmp_path, **home)

    dvc("init", "--quiet")
    assert "Running stage 'rank'" in dvc("repro")
    (chosen,) = json.loads(dvc("metrics", "show", "--json"))[""]["data"].values()
    assert chosen["data"]["checkpoint"] == expected[0]
    assert chosen["data"]["rank"] == 1
    assert "Running stage" not in dvc("repro")
    (project / "params.yaml").write_text(yaml.safe_dump(params | {"points": 100.0}))
    again = dvc("repro")
    assert "Running stage 'choose'" in again
    assert "Running stage 'rank'" not in again
    (chosen,) = json.loads(dvc("metrics", "show", "--json"))[""]["data"].values()
    assert chosen["data"]["candidates"] == 3
