"""The command line as people and scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import class_images


@pytest.fixture
def run(tmp_path):
    """Runs the command with a home of its own and no hub configured."""

    def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "frontrunner.cli", *map(str, arguments)],
            env=os.environ
            | {"FRONTRUNNER_HOME": str(tmp_path / "home"), "FRONTRUNNER_PACKAGES": "false", "COLUMNS": "120"}
            | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def test_rank_prints_a_table_with_the_best_first(run, colours, hub):
    done = run("rank", colours, "--hub", hub)
    assert done.returncode == 0, done.stderr
    for expected in ("rank", "checkpoint", "LogME", "parameters", "seconds", "local:resnet", "leads 3 checkpoints"):
        assert expected in done.stdout


def test_json_is_the_ranking_and_nothing_else(run, colours, hub):
    done = run("rank", colours, "--hub", hub, "--json", "--top", 2)
    ranking = json.loads(done.stdout)
    assert [line["rank"] for line in ranking["ranking"]] == [1, 2]
    assert {"id", "status", "dataset", "ranking", "skipped", "provenance"} <= ranking.keys()
    line = ranking["ranking"][0]
    assert {"rank", "checkpoint", "scores", "parameters", "seconds"} <= line.keys()
    assert {"value", "low", "high"} <= line["scores"]["logme"].keys()
    assert (ranking["provenance"]["max_examples"], ranking["provenance"]["sampling"]) == (5000, "stratified")


def test_the_hub_may_be_configured(run, colours, hub):
    assert run("rank", colours, FRONTRUNNER_HUB=str(hub)).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["rank", "{tmp}/nowhere"], 3, "dataset_not_found"),
        (["rank", "{tmp}/text.zip", "--hub", "{hub}"], 3, "dataset_unreadable"),
        (["rank", "{tmp}/one.zip", "--hub", "{hub}"], 3, "dataset_one_class"),
        (["rank", "{colours}"], 4, "FRONTRUNNER_HUB"),
        (["rank", "{texts}", "--hub", "{hub}"], 4, "nothing_ranked"),
        (["rank", "{colours}", "--hub", "{hub}", "--score", "nope"], 5, "unknown_score"),
        (["rank", "{colours}", "--hub", "{tmp}/nowhere"], 5, "checkpoint_not_found"),
        (["rank"], 2, "Missing argument"),
        (["rank", "{colours}", "--task", "guess"], 2, "classification"),
    ],
)
def test_refusals_have_an_exit_code_and_say_what_was_wrong(
    run, colours, hub, tmp_path, zip_of, arguments, status, says
):
    (tmp_path / "text.zip").write_bytes(b"PK\x03\x04 no zip")
    zip_of(class_images(1, 4), "one.zip")
    texts = tmp_path / "texts.csv"
    texts.write_text("text,label\n" + "".join(f"hello {i},{i % 2}\n" for i in range(60)))
    places = {"tmp": tmp_path, "hub": hub, "colours": colours, "texts": texts}
    done = run(*(argument.format(**places) for argument in arguments))
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_checkpoints_lists_the_hub(run, hub):
    done = run("checkpoints", "--hub", hub, "--json")
    assert [c["id"] for c in json.loads(done.stdout)["checkpoints"]] == [
        "local:mobilenet",
        "local:resnet",
        "local:vit",
    ]


def test_datasets_checks_one(run, colours):
    done = run("datasets", colours)
    assert "80 training and 20 test examples" in done.stdout


def test_help_loads_no_heavy_library(run):
    code = "import sys, frontrunner.cli; assert not {'torch', 'scipy', 'sklearn', 'pyarrow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "Rank checkpoints for DATASET" in run("--help").stdout


@pytest.mark.pack
def test_a_second_run_over_the_pack_needs_seconds_and_no_forward_pass(run, pack):
    arguments = (
        "rank",
        pack / "datasets/flowers5/flowers5.zip",
        "--hub",
        pack / "hub",
        "--json",
        "--max-examples",
        "20",
    )
    first, second = json.loads(run(*arguments).stdout), json.loads(run(*arguments).stdout)
    assert len(first["ranking"]) == len(second["ranking"]) == 13
    assert {line["forward_examples"] for line in second["ranking"]} == {0}
    assert [line["scores"] for line in first["ranking"]] == [line["scores"] for line in second["ranking"]]


def test_admin_migrate_makes_the_schema(run, tmp_path):
    assert run("admin", "migrate").returncode == 0
    assert (Path(tmp_path) / "home" / "frontrunner.db").exists()
