"""`frontrunner history` as people and scripts use it."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from frontrunner.cli import build_app
from frontrunner.settings import get_settings
from tests.evidence.results import made_results


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command of `history` with a home of its own, 80 columns wide."""
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FRONTRUNNER_DATABASE_URL", raising=False)
    get_settings.cache_clear()

    def command(*arguments):
        arguments = ["history", *map(str, arguments)]
        return CliRunner(env={"COLUMNS": "80"}).invoke(build_app(arguments), arguments)

    yield command
    get_settings.cache_clear()


@pytest.fixture
def table(tmp_path):
    """Results of twelve checkpoints on five datasets, with a score, in percent."""
    path = tmp_path / "past.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "dataset", "accuracy", "logme", "parameters", "family"])
        for row in made_results(12, 5):
            writer.writerow(
                [row.model, row.dataset, 100 * row.accuracy, row.scores["logme"], row.parameters, row.family]
            )
    return path


def test_evaluate_prints_every_way_to_order_within_80_columns(run, table):
    done = run("evaluate", table)
    assert done.exit_code == 0, done.output
    assert "60 results of 12 checkpoints on 5 datasets, given in percent" in done.stdout
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    for name in ("static mean rank", "prior", "logme", "prior + scores"):
        assert any(line.startswith(f"{name} ") for line in lines), name
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_results_are_imported_as_a_tenants(run, table):
    assert "60 results added" in run("import", table, "--tenant", "anna").stdout
    assert "60 results added" in run("import", table).stdout
    assert "60 were there already" in run("import", table, "--tenant", "anna").stdout
    assert len(json.loads(run("list", "--tenant", "anna", "--limit", "100", "--json").stdout)["results"]) == 60
    assert run("import", table, "--tenant", "No such").exit_code == 5


def test_evaluate_prints_json_and_nothing_else(run, table):
    found = json.loads(run("evaluate", table, "--json").stdout)
    assert (found["results"], found["checkpoints"], found["datasets"]) == (60, 12, 5)
    names = [verdict["name"] for verdict in found["with_scores"]["verdicts"]]
    assert names == ["static mean rank", "prior", "logme", "prior + scores"]
    assert len(found["with_scores"]["verdicts"][0]["datasets"]) == 5


def test_refusals_have_an_exit_code_and_say_what_was_wrong(run, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("model,dataset,accuracy\na,x,oops\n")
    done = run("evaluate", bad)
    assert (done.exit_code, "history_invalid" in done.stderr, "line 2" in done.stderr) == (5, True, True)
    bad.write_text("model,dataset,accuracy\na,x,0.5\n")
    assert "history_too_small" in run("evaluate", bad).stderr
    bad.write_text("model,dataset,accuracy,protocol\na,x,0.5,lora\n")
    assert run("evaluate", bad, "--protocol", "full").exit_code == 2


def test_a_file_is_imported_once_and_listed(run, table):
    assert run("import", table).stdout == "60 results added, 0 were there already\n"
    assert run("import", table).stdout == "0 results added, 60 were there already\n"
    found = json.loads(run("list", "--dataset", "d1", "--limit", 5, "--json").stdout)
    assert (len(found["results"]), found["more"]) == (5, True)
    assert {row["dataset"] for row in found["results"]} == {"d1"}
    assert "m00" in run("list", "--model", "m00").stdout
