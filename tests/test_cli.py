"""The command line as people and scripts use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import Done, run_command
from tests.conftest import class_images, write_zip
from tests.tuning.builders import coloured_zip, measured_checkpoint


@pytest.fixture
def environment(tmp_path):
    """A home of its own and no hub configured."""
    return {"FRONTRUNNER_HOME": str(tmp_path / "home"), "FRONTRUNNER_PACKAGES": "false", "COLUMNS": "120"}


@pytest.fixture
def start(environment):
    """Runs the command as a process, as a user does."""

    def command(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "frontrunner.cli", *map(str, arguments)],
            env=os.environ | environment | more,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


@pytest.fixture
def run(environment):
    """Runs the command in this process."""

    def command(*arguments: object, **more: str) -> Done:
        return run_command(*arguments, **environment | more)

    return command


def test_rank_prints_a_table_with_the_best_first(start, colours, hub):
    done = start("rank", colours, "--hub", hub)
    assert done.returncode == 0, done.stderr
    for expected in ("rank", "checkpoint", "LogME", "params", "Use local:"):
        assert expected in done.stdout


def test_json_is_the_ranking_and_nothing_else(start, colours, hub):
    done = start("rank", colours, "--hub", hub, "--json", "--top", 2)
    ranking = json.loads(done.stdout)
    assert [line["rank"] for line in ranking["ranking"]] == [1, 2]
    assert {"id", "status", "dataset", "ranking", "skipped", "provenance"} <= ranking.keys()
    line = ranking["ranking"][0]
    assert {"rank", "checkpoint", "scores", "parameters", "seconds"} <= line.keys()
    assert {"value", "low", "high"} <= line["scores"]["logme"].keys()
    assert (ranking["provenance"]["max_examples"], ranking["provenance"]["sampling"]) == (5000, "stratified")


def test_a_budget_tells_its_stages_and_a_checkpoint_joins_later_at_its_own_price(run, colours, hub, tmp_path):
    two = ("--checkpoint", "local:resnet", "--checkpoint", "local:vit")
    done = run("rank", colours, "--hub", hub, "--budget", "80%", *two)
    assert done.returncode == 0, done.stderr
    for expected in ("examples each", "budget 80%, spent", "Without a budget it would be the first"):
        assert expected in done.stdout
    full = run("rank", colours, "--hub", hub, "--json", *two)
    (tmp_path / "full.json").write_text(full.stdout)
    more = ("--hub", hub, "--extend", tmp_path / "full.json", "--checkpoint", "local:mobilenet", "--json")
    joined = json.loads(run("rank", colours, *more).stdout)
    read = {line["checkpoint"]: line["forward_examples"] for line in joined["ranking"]}
    assert read == {"local:resnet": 0, "local:vit": 0, "local:mobilenet": 80}
    other = tmp_path / "other.zip"
    write_zip(other, class_images(2, 20, seed=9))
    assert "ranking_unfit" in run("rank", other, *more).stderr


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
        (["rank", "{colours}", "--hub", "{hub}", "--budget", "ten"], 5, "budget_invalid"),
        (["rank", "{colours}", "--hub", "{hub}", "--extend", "{tmp}/text.zip"], 5, "ranking_unfit"),
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


def test_a_hub_without_checkpoints_says_what_to_do(run, tmp_path):
    (tmp_path / "empty").mkdir()
    done = run("checkpoints", "--hub", tmp_path / "empty")
    assert (done.returncode, "--hub names a folder of checkpoints" in done.stdout) == (0, True), done.stderr


def test_datasets_checks_one(run, colours):
    done = run("datasets", colours)
    assert "80 training and 20 test examples" in done.stdout


def test_help_loads_no_heavy_library(start):
    heavy = {"torch", "scipy", "sklearn", "pyarrow", "fastapi", "celery"}
    code = f"import sys; from frontrunner.cli import build_app; build_app([]); assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert "Rank checkpoints for DATASET" in start("--help").stdout


def write_package(folder: Path, name: str, group: str, entries: dict[str, str], code: str) -> Path:
    """An installed package as Python sees it: a module, and metadata that declare its entry points."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    declared = "".join(f"{entry} = {target}\n" for entry, target in entries.items())
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{declared}")
    return folder


GREETINGS = """
import typer

def greet(name: str) -> None:
    'Greet somebody.'
    typer.echo(f"hello {name}")
"""


def test_an_installed_package_adds_commands_and_replaces_none_of_ours(start, tmp_path):
    ours = ("rank", "checkpoints list", "jobs show")
    entries = dict.fromkeys(("greet", "checkpoints greet", "nowhere greet", *ours), "greetings:greet")
    site = write_package(tmp_path / "site", "greetings", "frontrunner.commands", entries, GREETINGS)
    assert start("greet", "you", PYTHONPATH=str(site)).stdout == "hello you\n"
    assert start("checkpoints", "greet", "you", PYTHONPATH=str(site)).stdout == "hello you\n"
    shown = start("--help", PYTHONPATH=str(site)).stdout
    assert "Greet somebody." in shown
    assert "Rank checkpoints for DATASET" in shown
    for command in ours:
        assert "Greet somebody." not in start(*command.split(), "--help", PYTHONPATH=str(site)).stdout
    assert "there is no group 'nowhere'" in start("--help", PYTHONPATH=str(site)).stderr


def test_a_command_of_a_package_that_is_broken_is_left_out_and_named(start, tmp_path):
    site = write_package(tmp_path / "site", "broken", "frontrunner.commands", {"oops": "broken:missing"}, "")
    done = start("--help", PYTHONPATH=str(site))
    assert done.returncode == 0
    assert "the command 'oops' of broken cannot be loaded" in done.stderr
    assert start("scores", PYTHONPATH=str(site)).stderr == ""


@pytest.mark.pack
def test_a_second_run_over_the_pack_needs_seconds_and_no_forward_pass(start, pack):
    arguments = (
        "rank",
        pack / "datasets/flowers5/flowers5.zip",
        "--hub",
        pack / "hub",
        "--json",
        "--max-examples",
        "20",
    )
    first, second = json.loads(start(*arguments).stdout), json.loads(start(*arguments).stdout)
    assert len(first["ranking"]) == len(second["ranking"]) == 13
    assert {line["forward_examples"] for line in second["ranking"]} == {0}
    assert [line["scores"] for line in first["ranking"]] == [line["scores"] for line in second["ranking"]]


def test_admin_migrate_makes_the_schema(run, tmp_path):
    assert run("admin", "migrate").returncode == 0
    assert (Path(tmp_path) / "home" / "frontrunner.db").exists()


def test_source_statistics_are_kept_and_change_what_the_discrepancy_is_measured_from(run, colours, hub):
    def references() -> dict[str, str]:
        ranked = json.loads(run("rank", colours, "--hub", hub, "--json", "--no-baselines").stdout)
        return {line["checkpoint"]: line["discrepancy"]["reference"] for line in ranked["ranking"]}

    assert set(references().values()) == {"prior"}
    done = run("checkpoints", "source", "local:resnet", colours, "--hub", hub)
    assert done.returncode == 0, done.stderr
    assert "its next ranking uses them" in done.stdout
    assert references()["local:resnet"] == "source"


def test_the_scores_are_listed(run):
    listed = json.loads(run("scores", "--json").stdout)["items"]
    assert [each["name"] for each in listed[:2]] == ["predicted_accuracy", "logme"]
    assert "discrepancy" in run("scores").stdout


def test_a_ranking_by_the_discrepancy_and_by_a_risk_bound(run, colours, hub):
    for name in ("discrepancy", "risk_bound"):
        done = run("rank", colours, "--hub", hub, "--json", "--score", name, "--no-baselines")
        raw = [line["scores"][name]["raw"] for line in json.loads(done.stdout)["ranking"]]
        assert raw == sorted(raw)


def test_distances_between_datasets_are_printed_and_one_dataset_is_refused(run, colours, hub):
    done = run("tasks", "distance", colours, colours, "--checkpoint", "local:resnet", "--hub", hub)
    assert done.returncode == 0, done.stderr
    assert "from row to column" in done.stdout
    assert run("tasks", "distance", colours, "--checkpoint", "local:resnet", "--hub", hub).returncode == 2


def test_a_tuned_model_can_be_ranked(run, tmp_path):
    for seed, name in enumerate(("one", "two")):
        measured_checkpoint(tmp_path / "hub" / name, "test_resnet", seed)
    task = coloured_zip(tmp_path / "task.zip", 30, 12)
    tuned = tmp_path / "hub" / "tuned"
    arguments = ("tune", task, "--hub", tmp_path / "hub", "--method", "b_tuning", "--option", "strength=1", "--top", 2)
    numbers = ("--epochs", 2, "--learning-rate", 0.01, "--image-size", 32, "--no-onnx")
    done = run(*arguments, *numbers, "--out", tuned)
    assert done.returncode == 0, done.stderr
    assert "test accuracy" in done.stdout
    ranked = json.loads(run("rank", task, "--hub", tmp_path / "hub", "--json").stdout)["ranking"]
    assert {line["checkpoint"] for line in ranked} == {"local:one", "local:two", "local:tuned"}


@pytest.mark.parametrize(
    ("command", "option", "said"),
    [
        (("rank", "--max-examples", 2_000_000), "--max-examples", "1000000, not 2000000"),
        (("rank", "--seed", 2**40), "--seed", "less than or equal to"),
        (("tune", "--learning-rate", 20), "--learning-rate", "less than or equal to 10, not 20.0"),
        (("tune", "--method", "magic"), "--method", "'magic' is none of finetune, linear_probe"),
        (("tune", "--method", "l2_sp", "--option", "strength=much"), "--option", "strength"),
    ],
)
def test_what_is_out_of_range_is_named_by_its_option(run, colours, hub, command, option, said):
    name, *rest = command
    done = run(name, colours, "--hub", hub, *rest)
    shown = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 2
    assert f"Invalid value for {option}:" in shown
    assert said in shown
    assert "Traceback" not in shown


def test_tuning_options_that_make_no_sense_end_with_usage(run, colours, hub):
    for wrong in (("--method", "magic"), ("--option", "strength"), ("--option", "strength=much")):
        assert run("tune", colours, "--hub", hub, "--student", "local:resnet", *wrong).returncode == 2
