"""API and workers that share a database, a broker and a store, and no folder: each has a home of its own."""

from __future__ import annotations

import hashlib
import json

import httpx
import pytest

import frontrunner
from benchmarks.service.fleet import SETS, fleet
from frontrunner.ranking import RankingRequest
from frontrunner.settings import Settings
from frontrunner.tuning.artifacts import ARTIFACTS
from tests.acceptance.rankings import is_right
from tests.conftest import class_images, write_zip
from tests.tuning.builders import measured_checkpoint

pytestmark = pytest.mark.acceptance
# Runners load torch, and a busy machine takes its time over that.
PATIENCE_S = 240.0


@pytest.fixture
def service(postgres, redis, s3, tmp_path, hub):
    """Processes that find the store by its address and the usual variables of its client."""
    url = f"{s3.new_bucket(tmp_path.name.replace('_', '-')[:60])}/prefix"
    with fleet(postgres, redis, tmp_path / "api", hub, store_url=url) as running:
        running.environment |= s3.environment
        yield running


def recommend(service, path, **options):
    with path.open("rb") as file:
        form = {"files": {"file": (path.name, file)}, "data": {"options": json.dumps(options)}}
        answer = service.post("/v1/recommendations", **form)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def files(home, below):
    """What is below, without what belongs to a runner that waits for work: that goes with it."""
    found = [path for path in (home / below).rglob("*") if path.is_file()]
    return [path for path in found if not path.relative_to(home / below).parts[0].startswith("runner-")]


def test_two_workers_with_separate_homes_finish_one_recommendation(service, features, expected, tmp_path):
    service.start_api()
    homes = [tmp_path / "worker-one", tmp_path / "worker-two"]
    for home in homes:
        service.start_worker(home=home)
    job = recommend(service, features)
    service.wait(job, timeout_s=PATIENCE_S)
    is_right(service, job, expected)
    for home in homes:
        assert len(files(home, "copies/blobs")) == 1, "each brought the upload to itself, and so did a part of the work"
        assert files(home, "blobs") == files(home, "cache") == []
    shards = [path for home in homes for path in files(home, "copies/cache") if path.name == "00000-60.npy"]
    assert len(shards) == SETS


def test_what_one_worker_read_another_one_scores(service, colours, hub, tmp_path):
    request = RankingRequest(checkpoints=("local:resnet", "local:mobilenet"), baselines=False)
    local = frontrunner.rank(colours, hub=hub, request=request, settings=Settings(home=tmp_path / "local"))
    asked = {"checkpoints": request.checkpoints, "baselines": False}
    service.start_api()
    first = service.start_worker(home=tmp_path / "worker-one")
    job = recommend(service, colours, **asked)
    service.wait(job, timeout_s=PATIENCE_S)
    is_right(service, job, {line.checkpoint: line.scores["logme"].value for line in local.ranking})
    first.terminate()
    first.wait(90)
    service.start_worker(home=tmp_path / "worker-two")
    again = recommend(service, colours, **asked, scores=["h_score"], rank_by="h_score")
    service.wait(again, timeout_s=PATIENCE_S)
    outputs = [json.loads(step.output) for step in service.steps(again)]
    assert [(output["examples"], output["forward_examples"]) for output in outputs] == [(80, 0), (80, 0)]


def test_two_workers_read_parts_of_one_checkpoint(service, hub, tmp_path):
    data = write_zip(tmp_path / "many.zip", class_images(4, 480, side=8))  # 8 shards
    request = RankingRequest(checkpoints=("local:resnet",), baselines=False, max_examples=2000)
    local = frontrunner.rank(data, hub=hub, request=request, settings=Settings(home=tmp_path / "local"))
    service.environment["FRONTRUNNER_EXAMPLES_A_STEP"] = "256"
    service.start_api()
    homes = [tmp_path / "worker-one", tmp_path / "worker-two"]
    for home in homes:
        service.start_worker(home=home)
    asked = {"checkpoints": request.checkpoints, "baselines": False, "max_examples": 2000}
    job = recommend(service, data, **asked)
    service.wait(job, timeout_s=PATIENCE_S)
    ranking = json.loads(service.job(job).result)["ranking"]
    scores, expected = ranking[0]["scores"], local.ranking[0].scores
    assert scores["logme"]["value"] == pytest.approx(expected["logme"].value, rel=1e-6)
    *parts, scoring = sorted(service.steps(job), key=lambda step: step.ordinal)
    assert [json.loads(step.output)["forward_examples"] for step in (*parts, scoring)] == [256] * 7 + [128, 0]
    assert all(files(home, "hub/pixels") for home in homes), "each decoded, and so read, a part"


def test_a_tuned_model_is_fetched_from_an_api_that_never_saw_its_folder(service, colours, tmp_path):
    measured_checkpoint(tmp_path / "hub" / "one", "test_resnet", seed=1)
    service.environment["FRONTRUNNER_HUB"] = str(tmp_path / "hub")
    worker = tmp_path / "worker"
    api = service.start_api()
    service.start_worker(home=worker)
    asked = {
        "dataset": service.upload(colours), "student": "local:one", "epochs": 1, "learning_rate": 0.001,
        "image_size": 32, "onnx": False, "hold_statistics": False,
    }  # fmt: skip
    first = service.post("/v1/tunings", json=asked).json()["id"]
    service.wait(first, timeout_s=PATIENCE_S)
    tuning = service.get(f"/v1/tunings/{first}").json()
    assert tuning["status"] == "succeeded", tuning
    named = {file["name"]: file for file in tuning["output"]["files"]}
    assert {"README.md", "payload.json", "tuned.safetensors", "model/config.json", "model/model.safetensors"} <= set(
        named
    )
    for name, file in named.items():
        answer = service.get(f"/v1/tunings/{first}/files/{name}")
        assert (answer.status_code, len(answer.content)) == (200, file["bytes"])
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
    assert service.get(f"/v1/tunings/{first}/files/state.pt").status_code == 404
    assert str(worker) not in json.dumps(tuning)
    assert files(worker, "work") == files(worker, ARTIFACTS) == files(service.home, ARTIFACTS) == []
    api.terminate()
    api.wait(90)
    service.environment["FRONTRUNNER_STORE_LINKS_S"] = "60"
    service.start_api()
    answer = service.get(f"/v1/tunings/{first}/files/tuned.safetensors")
    assert (answer.status_code, answer.content) == (307, b"")
    content = httpx.get(answer.headers["location"]).content  # without a key, from the bucket
    assert hashlib.sha256(content).hexdigest() == named["tuned.safetensors"]["sha256"]
    second = service.post("/v1/tunings", json=asked).json()["id"]
    service.wait(second, timeout_s=PATIENCE_S)
    again = service.get(f"/v1/tunings/{second}").json()["output"]
    assert again == tuning["output"], "the same tuning is not done twice, down to its seconds"
