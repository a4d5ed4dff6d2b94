"""The MLflow example against a real tracking server: what was logged is read back, and the model answers as tuned."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image

from benchmarks.service.servers import free_port
from tests.conftest import ROOT, class_images, write_timm_checkpoint, write_zip
from tests.pipelines.processes import PROGRAMS, answering, environment

pytestmark = pytest.mark.acceptance

EXAMPLE = ROOT / "examples" / "pipelines" / "mlflow_ranking.py"
CLASSES = ["class-0", "class-1", "class-2"]
# Its job runner needs a package that is no part of the small MLflow; nothing here is one of its jobs.
SERVER = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}


class Logged:
    """What the example said that it had made, and the test images of its dataset."""

    def __init__(self, said: dict, images: dict[str, bytes]) -> None:
        self.said = said
        self.images = images
        self.run = mlflow.get_run(said["run"])

    def artifact(self, name: str) -> dict:
        return mlflow.artifacts.load_dict(f"{self.run.info.artifact_uri}/{name}")

    @property
    def model(self) -> str:
        return f"models:/{self.said['model']}/{self.said['version']}"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    for seed, name in enumerate(("resnet", "convnext")):
        write_timm_checkpoint(folder / "hub" / name, f"test_{name}", seed=seed, side=64)
    files = class_images(3, 20, side=64, splits=("train", "test"))
    dataset = write_zip(folder / "colours.zip", files)
    images = {name: data for name, data in files.items() if name.startswith("test/")}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(MLFLOW_TRACKING_URI=url, FRONTRUNNER_HOME=folder / "home", FRONTRUNNER_PACKAGES="false", **SERVER)
    server = [PROGRAMS / "mlflow", "server", "--port", str(port), "--workers", "1"]
    server += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", folder / "files"]
    with answering(server, f"{url}/health", folder / "server.log", env):
        command = [sys.executable, EXAMPLE, dataset, "--hub", folder / "hub", "--model", "colours", "--epochs", "8"]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(url)
        yield Logged(json.loads(done.stdout.splitlines()[-1]), images)
        mlflow.set_tracking_uri(before)


def frame(images: dict[str, bytes]) -> pd.DataFrame:
    return pd.DataFrame({"image": list(images.values())})


def test_the_run_holds_the_ranking(logged):
    ranking = logged.artifact("ranking.json")
    first = ranking["ranking"][0]
    assert {line["checkpoint"] for line in ranking["ranking"]} == {"local:resnet", "local:convnext"}
    assert logged.run.info.status == "FINISHED"
    assert logged.run.data.params["best"] == first["checkpoint"] == logged.said["best"]
    assert logged.run.data.metrics["best/logme"] == pytest.approx(first["scores"]["logme"]["value"])
    assert logged.run.data.metrics["ranked"] == 2
    info = logged.run.info
    table = mlflow.MlflowClient().load_table(info.experiment_id, "ranking_table.json", run_ids=[info.run_id])
    assert table["checkpoint"].tolist() == [line["checkpoint"] for line in ranking["ranking"]]
    assert table["logme"].tolist() == [pytest.approx(line["scores"]["logme"]["value"]) for line in ranking["ranking"]]


def test_the_run_holds_the_tuning_and_its_curve(logged):
    tuning = logged.artifact("tuning.json")
    assert logged.run.data.metrics["test/accuracy"] == pytest.approx(tuning["metrics"]["accuracy"]["value"])
    curve = mlflow.MlflowClient().get_metric_history(logged.run.info.run_id, "train/curve_accuracy")
    assert len(curve) == tuning["epochs"]


def test_the_registered_model_states_what_it_takes_and_gives(logged):
    signature = mlflow.models.get_model_info(logged.model).signature
    assert [(column.name, column.type.name) for column in signature.inputs] == [("image", "binary")]
    assert [column.name for column in signature.outputs] == ["label", *(f"probability {name}" for name in CLASSES)]


def test_the_loaded_model_answers_as_the_tuned_one(logged):
    """As timm reads the tuned folder by itself, and as the tuning's own report says of the test images."""
    tuning = logged.artifact("tuning.json")
    answer = mlflow.pyfunc.load_model(logged.model).predict(frame(logged.images))
    folder = Path(tuning["folder"]) / tuning["models"][0]["folder"]
    network = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    view = timm.data.create_transform(**timm.data.resolve_data_config(model=network))
    pixels = torch.stack([view(Image.open(io.BytesIO(data)).convert("RGB")) for data in logged.images.values()])
    with torch.no_grad():
        expected = network(pixels).softmax(dim=1).numpy()
    given = answer[[f"probability {name}" for name in CLASSES]].to_numpy()
    np.testing.assert_allclose(given, expected, atol=1e-4)
    true = [CLASSES.index(name.split("/")[1]) for name in logged.images]
    confusion = np.zeros((3, 3), dtype=int)
    np.add.at(confusion, (true, [CLASSES.index(name) for name in answer["label"]]), 1)
    assert confusion.tolist() == tuning["metrics"]["confusion"]
    assert len(set(answer["label"])) > 1, "a model that says one thing of everything would agree with many"


def test_the_served_model_answers_as_the_loaded_one(logged, tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = environment(
        MLFLOW_TRACKING_URI=mlflow.get_tracking_uri(), FRONTRUNNER_HOME=tmp_path, PYTHONPATH=ROOT, **SERVER
    )
    serve = [PROGRAMS / "mlflow", "models", "serve", "--model-uri", logged.model]
    serve += ["--env-manager", "local", "--port", str(port)]
    rows = [{"image": base64.b64encode(data).decode()} for data in logged.images.values()]
    with answering(serve, f"{url}/ping", tmp_path / "serve.log", env):
        answer = httpx.post(f"{url}/invocations", json={"dataframe_records": rows}, timeout=60)
    assert answer.status_code == 200, answer.text
    loaded = mlflow.pyfunc.load_model(logged.model).predict(frame(logged.images))
    served = pd.DataFrame(answer.json()["predictions"])
    assert served["label"].tolist() == loaded["label"].tolist()
    np.testing.assert_allclose(served.iloc[:, 1:].to_numpy(float), loaded.iloc[:, 1:].to_numpy(float), atol=1e-5)
