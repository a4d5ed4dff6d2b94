"""A client that a kept generator makes of the API's own document, against a running service."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import venv
from io import BytesIO
from pathlib import Path

import pytest

import frontrunner
from api.app import create_app
from api.document import document_text
from frontrunner.settings import Settings
from tests.acceptance.service import serving
from tests.conftest import ROOT

pytestmark = pytest.mark.acceptance

# It asks for an older typer than ours, so it has an environment of its own, which is kept from run to run.
GENERATOR = "openapi-python-client==0.29.1"
# It would run a formatter over what it has written.
CONFIGURATION = "post_hooks: []\n"
NAME = "frontrunner_generated"


@pytest.fixture(scope="module")
def generator() -> Path:
    """The generator's program; where it cannot be installed, the test fails in CI and is skipped elsewhere."""
    folder = ROOT / "build" / GENERATOR
    program = folder / "bin" / "openapi-python-client"
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", GENERATOR]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{GENERATOR} is not to be had: {done.stderr}")
    return program


@pytest.fixture(scope="module")
def generated(generator, tmp_path_factory) -> Path:
    """The folder of the generated package, made of the application's document without a complaint."""
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(document_text())
    (folder / "configuration.yml").write_text(CONFIGURATION)
    command = [
        generator, "generate", "--path", folder / "openapi.json", "--meta", "none", "--fail-on-warning",
        "--config", folder / "configuration.yml", "--output-path", folder / NAME,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / NAME


@pytest.fixture(scope="module")
def api(generated):
    """Calls an operation by its name in the document: the status and the parsed answer."""
    sys.path.insert(0, str(generated.parent))
    modules = {path.stem: f"{NAME}.api.{path.parent.name}.{path.stem}" for path in generated.glob("api/*/*.py")}

    class Api:
        models = importlib.import_module(f"{NAME}.models")
        types = importlib.import_module(f"{NAME}.types")
        client_kind = importlib.import_module(NAME).AuthenticatedClient
        operations = modules.keys() - {"__init__"}

        def __call__(self, operation, *arguments, **fields):
            answer = importlib.import_module(modules[operation]).sync_detailed(*arguments, client=self.client, **fields)
            return int(answer.status_code), answer.parsed

    yield Api()
    sys.path.remove(str(generated.parent))


@pytest.fixture(scope="module")
def service(api, hub, tmp_path_factory):
    """A service with keys; the client has one that may do everything."""
    home = tmp_path_factory.mktemp("generated-home") / "home"
    with serving(home, hub) as running:
        create = [sys.executable, "-m", "frontrunner.cli", "keys", "create", "generated"]
        create += [f"--scope={scope}" for scope in ("read", "write", "tune", "admin")]
        environment = os.environ | {"FRONTRUNNER_HOME": str(home)}
        key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        api.client = api.client_kind(running.url, token=key, timeout=90)
        yield running


def once_over(api, operation, job):
    """The status and the result once its job is over."""
    for _ in range(10):  # a request is held for a minute at most
        status, result = api(operation, job, prefer="wait=60")
        if result.status not in ("queued", "running"):
            break
    return status, result


def as_file(api, path: Path):
    return api.types.File(payload=BytesIO(path.read_bytes()), file_name=path.name)


def test_it_has_every_operation(api):
    named = {
        operation["operationId"] for path in create_app().openapi()["paths"].values() for operation in path.values()
    }
    assert len(named) > 30
    snake = {"".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name) for name in named}
    assert api.operations == snake


def test_it_uploads_ranks_and_tunes(api, service, colours, hub, tmp_path):
    models = api.models
    status, dataset = api("create_dataset", body=models.CreateDatasetBody(file=as_file(api, colours)))
    assert status == 201
    assert (dataset.name, dataset.report.train_examples) == ("colours.zip", 80)

    options = models.RankingOptions(scores=["logme"], max_examples=60)
    body = models.CreateRecommendationBody(file=as_file(api, colours), options=options)
    status, job = api("create_recommendation", body=body, idempotency_key="the first")
    assert status == 202
    status, ranking = once_over(api, "get_ranking", job.id)
    assert (status, ranking.status) == (200, "succeeded")
    here = frontrunner.rank(
        colours, hub=hub, scores=["logme"], max_examples=60, settings=Settings(home=tmp_path / "home", packages=False)
    )
    found = {line.checkpoint: line.scores["logme"].value for line in ranking.ranking}
    assert found == pytest.approx({line.checkpoint: line.scores["logme"].value for line in here.ranking})

    asked = models.TuningSubmission(
        dataset=dataset.id,
        method=models.LinearProbeOptions(),
        student="local:resnet",
        epochs=1,
        learning_rate=0.01,
        onnx=False,
    )
    status, job = api("create_tuning", body=asked)
    assert (status, job.kind) == (202, "tuning")
    status, tuning = once_over(api, "get_tuning", job.id)
    assert (status, tuning.status, tuning.output.models[0].architecture) == (200, "succeeded", "test_resnet")
    status, file = api("get_tuning_file", job.id, "README.md")
    assert status == 200
    assert b"local:resnet" in file.payload.read()
    status, text = api("watch_job", job.id)
    assert (status, text.count("event: job.succeeded")) == (200, 1)


def test_it_reads_every_list(api, service):
    for operation in ("list_datasets", "list_jobs", "list_checkpoints", "list_webhooks", "list_acts"):
        status, page = api(operation)
        assert status == 200, operation
        assert isinstance(page.items, list), operation
    assert "local:vit" in [item.id for item in api("list_checkpoints")[1].items]
    assert api("get_checkpoint", "local:vit")[1].architecture == "test_vit"
    assert "logme" in [score.name for score in api("list_scores")[1].items]
    assert api("get_quota")[1].tenant == "default"
    assert api("get_readiness")[1].database == "ok"
    assert "frontrunner_" in api("get_metrics")[1]


def test_it_reads_a_problem(api, service, tmp_path):
    status, problem = api("get_dataset", "ds_none")
    assert (status, type(problem).__name__) == (404, "Problem")
    assert (problem.code, problem.status) == ("dataset_not_found", 404)
    (tmp_path / "empty.csv").write_text("text,label\n")
    status, problem = api(
        "create_dataset", body=api.models.CreateDatasetBody(file=as_file(api, tmp_path / "empty.csv"))
    )
    assert (status, problem.type_) == (422, f"urn:frontrunner:problem:{problem.code}")
    status, problem = api("create_ranking", body=api.models.RankingSubmission(dataset="ds_1", max_examples=0))
    assert (status, problem.code, problem.errors[0]["at"]) == (422, "request_invalid", "body.max_examples")
