"""The command line against a running service with keys: the same tables, figures and exit codes as without one."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import frontrunner
from benchmarks.service.servers import free_port, wait_until
from frontrunner.client import Client
from frontrunner.progress import Silent, Stage
from frontrunner.ranking.stages import StageReport
from frontrunner.settings import get_settings
from tests.acceptance.service import serving
from tests.commands import Done, run_command
from tests.conftest import class_images, write_zip

pytestmark = pytest.mark.acceptance


class Shell:
    """Runs commands with a home and a configuration folder of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        left_out = ("FRONTRUNNER_SERVER", "FRONTRUNNER_API_KEY", "FRONTRUNNER_HUB")
        self.environment = dict.fromkeys(left_out) | {
            "FRONTRUNNER_HOME": str(folder / "home"),
            "FRONTRUNNER_PACKAGES": "false",
            "XDG_CONFIG_HOME": str(folder / "configuration"),
            "COLUMNS": "120",
            **environment,
        }

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "frontrunner.cli", *map(str, arguments)]

    def __call__(self, *arguments: object) -> Done:
        """Run a command in this process, whose libraries are loaded already."""
        return run_command(*arguments, **self.environment)

    def json(self, *arguments: object):
        done = self(*arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def service(hub, tmp_path_factory):
    with serving(tmp_path_factory.mktemp("service") / "home", hub, webhook_allow_private=True) as running:
        yield running


@pytest.fixture(scope="module")
def key(service, tmp_path_factory) -> Path:
    """A file with a key of the service, which from then on answers nobody without one."""
    shell = Shell(tmp_path_factory.mktemp("administrator"), FRONTRUNNER_HOME=str(service.log.parent / "home"))
    scopes = [f"--scope={scope}" for scope in ("read", "write", "tune", "admin")]
    made = shell("keys", "create", "a person", *scopes)
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(made.stdout)
    return path


@pytest.fixture(scope="module")
def shell(service, key, tmp_path_factory) -> Shell:
    """Somebody who has logged in, under the name `work`."""
    shell = Shell(tmp_path_factory.mktemp("person"))
    done = shell("login", service.url, "--profile", "work", "--api-key-file", key)
    assert done.returncode == 0, done.stderr
    return shell


@pytest.fixture
def client(service, key):
    with Client(service.url, key=key.read_text().strip()) as client:
        yield client


def figures(ranking) -> dict[str, float]:
    return {line["checkpoint"]: line["scores"]["logme"]["value"] for line in ranking["ranking"]}


def without_times(table: str) -> list[str]:
    """The lines of a printed ranking but for what depends on the machine's speed."""
    return [re.sub(r"\s+", " ", line) for line in table.splitlines() if " s" not in line]


def test_logging_in_keeps_the_key_for_nobody_else_and_shows_it_to_nobody(service, shell, key):
    secret = key.read_text().strip()
    path = Path(shell.environment["XDG_CONFIG_HOME"]) / "frontrunner" / "profiles.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret in path.read_text()
    listed = shell.json("profiles", "--json")
    assert listed == [{"name": "work", "url": service.url, "has_key": True, "default": True}]
    again = shell("login", service.url, "--profile", "work", "--api-key-file", key)
    assert secret not in again.stdout + again.stderr
    path.chmod(0o644)
    refused = shell("quota")
    path.chmod(0o600)
    assert (refused.returncode, "chmod 600" in refused.stderr) == (5, True)


def test_a_wrong_key_is_not_kept(service, shell, tmp_path):
    (tmp_path / "wrong").write_text("frk_wrong")
    done = shell("login", service.url, "--profile", "other", "--api-key-file", tmp_path / "wrong")
    assert (done.returncode, "key_invalid" in done.stderr) == (5, True)
    assert [entry["name"] for entry in shell.json("profiles", "--json")] == ["work"]


def test_a_profiles_key_goes_to_its_own_address_alone(service, shell):
    with Client(service.url, key="x") as client:
        other = client.url.replace("127.0.0.1", "localhost")
    done = shell("quota", "--server", other)
    assert (done.returncode, "key_missing" in done.stderr) == (5, True)


def test_rank_prints_the_same_as_without_a_service(shell, colours, hub):
    asked = ("rank", colours, "--score", "logme", "--score", "h_score", "--columns", "logme,h_score,parameters")
    here, there = shell(*asked, "--hub", hub), shell(*asked, "--server", "work")
    assert there.returncode == 0, there.stderr
    assert without_times(there.stdout) == without_times(here.stdout)
    there, here = shell.json(*asked, "--server", "work", "--json"), shell.json(*asked, "--hub", hub, "--json")
    assert figures(there) == pytest.approx(figures(here))
    assert there.keys() == here.keys()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["rank", "{tmp}/nowhere"], 3, "dataset_not_found"),
        (["rank", "{tmp}/one.zip"], 3, "dataset_one_class"),
        (["rank", "{texts}"], 4, "nothing_ranked"),
        (["rank", "{colours}", "--score", "nope"], 5, "unknown_score"),
        (["rank", "{colours}", "--budget", "ten"], 5, "budget_invalid"),
        (["rank", "{colours}", "--checkpoint", "local:nothing"], 5, "checkpoint_not_found"),
        (["rank", "{colours}", "--hub", "{tmp}"], 2, "--hub"),
        (["rank", "{colours}", "--server", "nobody"], 5, "profile_unknown"),
        (["rank", "{colours}", "--server", "http://127.0.0.1:9"], 1, "no service answers at http://127.0.0.1:9"),
        (["jobs", "wait", "job_none"], 5, "not_found"),
    ],
)
def test_refusals_have_the_exit_codes_of_work_without_a_service(
    shell, colours, tmp_path, zip_of, arguments, status, says
):
    zip_of(class_images(1, 4), "one.zip")
    texts = tmp_path / "texts.csv"
    texts.write_text("text,label\n" + "".join(f"hello {i},{i % 2}\n" for i in range(60)))
    given = [argument.format(tmp=tmp_path, colours=colours, texts=texts) for argument in arguments]
    done = shell(*given, *([] if "--server" in given else ["--server", "work"]))
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_can_be_left_alone_and_looked_at_later(shell, colours):
    asked = ("rank", colours, "--score", "logme", "--seed", 5, "--server", "work")
    job = shell.json(*asked, "--detach", "--json")
    assert (job["kind"], job["id"].startswith("job_")) == ("ranking", True)
    waited = shell.json("jobs", "wait", job["id"], "--json")
    assert len(waited["ranking"]) == 3
    said = shell("jobs", "wait", job["id"]).stdout
    assert said == shell("rankings", "show", job["id"]).stdout
    assert "Use local:" in said
    said = shell("rank", colours, "--score", "logme", "--seed", 6, "--server", "work", "--detach").stdout
    assert re.search(r"The job (job_\w+) goes on: 'frontrunner jobs wait \1 --server work'", said)
    stopping = re.search(r"'frontrunner (jobs cancel job_\w+ --server work)' stops it", said)
    assert shell(*stopping[1].split()).returncode == 0


def test_interrupting_leaves_the_job_alone_and_says_how_to_go_on(shell, service, client, tmp_path):
    data = write_zip(tmp_path / "many.zip", class_images(4, 200, side=64))
    command = shell.command("rank", data, "--score", "logme", "--server", "work")
    before = {job["id"] for job in client.jobs()}
    environment = os.environ | {name: value for name, value in shell.environment.items() if value is not None}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: {job["id"] for job in client.jobs()} - before, 180, "the job")
        (job,) = {job["id"] for job in client.jobs()} - before
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=180)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert f"frontrunner jobs wait {job} --server work" in said
    assert client.wait(job)["status"] == "succeeded"


def test_whoever_waits_hears_of_stages_and_of_what_is_read(client, colours):
    heard = []

    class Listener(Silent):
        def advance(self, stage, done, total, *, of=""):
            heard.append((stage, done, total, of))

        def event(self, event):
            heard.append(event)

    job = client.recommend(colours, budget="80%", seed=3)
    ranking = job.wait(progress=Listener())
    stages = [event for event in heard if isinstance(event, StageReport)]
    assert [stage.model_dump() for stage in stages] == [stage.model_dump() for stage in ranking.budget.stages]
    steps = [entry[1:3] for entry in heard if isinstance(entry, tuple) and entry[0] == Stage.RANK]
    assert steps[-1][0] == steps[-1][1] > 0
    assert {entry[0] for entry in heard if isinstance(entry, tuple)} >= {Stage.RANK, Stage.READ}


def test_a_recommendation_without_a_service_is_that_of_one(client, colours, hub, monkeypatch, tmp_path):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path))
    get_settings.cache_clear()
    here = frontrunner.recommend(colours, hub=hub, scores=["logme"], top=2)
    get_settings.cache_clear()
    there = client.recommend(colours, scores=["logme"], top=2).wait()
    assert type(here) is type(there)
    assert figures(there.model_dump()) == pytest.approx(figures(here.model_dump()))
    assert len(here.ranking) == len(there.ranking) == 2


def test_the_doctor_of_a_service(shell, service, tmp_path):
    told = shell.json("doctor", "--server", "work", "--json")
    assert {finding["name"]: finding["verdict"] for finding in told["findings"]} == dict.fromkeys(
        ("service", "clock", "versions", "database", "broker", "workers", "storage", "key"), "ok"
    )
    (tmp_path / "wrong").write_text("frk_wrong")
    done = shell("doctor", "--server", service.url, "--api-key-file", tmp_path / "wrong")
    assert (done.returncode, "log in again" in done.stdout) == (1, True)


def test_datasets_of_the_service(shell, tmp_path):
    labels = np.repeat(["a", "b"], 30)
    np.savez(tmp_path / "mine.npz", mine=np.random.default_rng(1).normal(size=(60, 4)), labels=labels)
    identifier = shell("datasets", "upload", tmp_path / "mine.npz").stdout.strip()
    assert identifier in [entry["id"] for entry in shell.json("datasets", "list", "--json")]
    assert "mine.npz" in shell("datasets", "list").stdout
    assert shell.json("datasets", "show", identifier)["report"]["train_examples"] == 60
    ranked = shell.json("rank", identifier, "--server", "work", "--json")
    assert [line["checkpoint"] for line in ranked["ranking"]] == ["features:mine"]
    assert shell("datasets", tmp_path / "mine.npz", "--server", "work").stdout == (
        shell("datasets", tmp_path / "mine.npz").stdout
    )
    assert shell("datasets", "delete", identifier).returncode == 0
    assert shell("datasets", "show", identifier).returncode == 3


def test_checkpoints_of_the_service(shell):
    found = shell.json("checkpoints", "list", "--server", "work", "--name", "vit", "--json")
    assert [entry["id"] for entry in found["checkpoints"]] == ["local:vit"]
    assert "resnet" in shell("checkpoints", "--server", "work").stdout
    assert shell.json("checkpoints", "show", "local:vit")["architecture"] == "test_vit"


def test_a_search_asks_the_service(shell):
    assert "local:vit" not in shell("checkpoints", "search", "vit").stdout, "this machine's own catalogue is empty"
    found = shell.json("checkpoints", "search", "vit", "--server", "work", "--json")
    assert [entry["id"] for entry in found["checkpoints"]] == ["local:vit"]
    assert found["more"] is False
    found = shell.json("checkpoints", "search", "--server", "work", "--modality", "image", "--limit", "1", "--json")
    assert (len(found["checkpoints"]), found["more"]) == (1, True)
    assert "local:vit" in shell("checkpoints", "search", "vit", "--server", "work").stdout


def test_a_tuned_model_is_fetched(shell, colours, tmp_path):
    out = tmp_path / "tuned"
    asked = ("tune", colours, "--method", "linear_probe", "--epochs", 1, "--learning-rate", 0.01, "--no-onnx")
    output = shell.json(*asked, "--top", 1, "--out", out, "--server", "work", "--json")
    assert output["method"] == "linear_probe"
    assert {"config.json", "model.safetensors"} <= {path.name for path in out.iterdir()}
    (job,) = shell.json("jobs", "list", "--kind", "tuning", "--json")
    assert shell.json("tunings", "show", job["id"], "--json")["output"] == output
    fetched = shell("tunings", "download", job["id"], "README.md", "--out", tmp_path / "card").stdout.strip()
    assert Path(fetched).read_text().startswith("---")


def test_distances_between_tasks(shell, colours, hub, tmp_path):
    other = write_zip(tmp_path / "other.zip", class_images(6, 15, seed=3))
    asked = ("tasks", "distance", colours, other, "--checkpoint", "local:resnet", "--json")
    here, there = shell.json(*asked, "--hub", hub), shell.json(*asked, "--server", "work")
    np.testing.assert_allclose(there["distance"], here["distance"], rtol=1e-6)
    assert [task["name"] for task in there["tasks"]] == ["colours.zip", "other.zip"]


def test_webhooks_and_quota(shell):
    made = shell.json("webhooks", "create", f"http://127.0.0.1:{free_port()}/hook", "--server", "work")
    assert made["secret"].startswith("whsec_")
    assert shell.json("webhooks", "disable", made["id"])["enabled"] is False
    assert shell.json("webhooks", "enable", made["id"])["enabled"] is True
    assert [entry["id"] for entry in shell.json("webhooks", "list", "--json")] == [made["id"]]
    assert "secret" not in shell.json("webhooks", "show", made["id"])
    assert shell.json("webhooks", "deliveries", made["id"]) == []
    assert shell("webhooks", "delete", made["id"]).returncode == 0
    quota = shell.json("quota", "--json")
    assert (quota["tenant"], quota["datasets"]["used"] > 0) == ("default", True)
    assert "datasets" in shell("quota").stdout


def test_forgetting_a_service(shell, service, key):
    shell("login", service.url, "--profile", "gone", "--api-key-file", key)
    assert shell("logout", "gone").returncode == 0
    assert [entry["name"] for entry in shell.json("profiles", "--json")] == ["work"]
    assert shell("logout", "gone").returncode == 5
