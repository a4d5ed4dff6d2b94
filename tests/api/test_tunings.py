"""`/v1/tunings`: what is accepted and refused at the door, and a ranking that goes on into a tuning, end to end."""

from __future__ import annotations

import pytest

from frontrunner.client import Client
from frontrunner.hub import describe_directory
from tests.acceptance.service import serving
from tests.api.asking import is_problem, upload, upload_features
from tests.api.conftest import serving_here
from tests.conftest import write_text_checkpoint
from tests.tuning.builders import measured_checkpoint

# Random weights have no statistics that are worth holding.
SHORT = {"epochs": 1, "learning_rate": 0.001, "image_size": 32, "onnx": False, "hold_statistics": False}


def ask(client, dataset, **fields):
    return client.post("/v1/tunings", json={"dataset": dataset, **fields})


def test_a_tuning_is_one_job(client, colours):
    dataset = upload(client, colours).json()["id"]
    answer = ask(client, dataset, student="local:resnet", epochs=3)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["result"]) == ("tuning", f"/v1/tunings/{job['id']}")
    tuning = client.get(job["result"]).json()
    assert (tuning["method"]["name"], tuning["student"], tuning["output"]) == ("finetune", "local:resnet", None)
    is_problem(client.get(f"/v1/tunings/{job['id']}/files/README.md"), 404, "not_found")


def test_tunings_that_cannot_be_done_are_refused_at_once(client, colours, tmp_path):
    dataset = upload(client, colours).json()["id"]
    features = upload_features(client, tmp_path)
    mixed = {"method": "zoo_tuning", "teachers": ["local:resnet", "local:vit"]}
    is_problem(ask(client, dataset), 422, "student_unsupported")
    is_problem(ask(client, dataset, student="local:nope"), 422, "checkpoint_not_found")
    is_problem(ask(client, dataset, method="delta", student="local:mobilenet"), 422, "method_unsuited")
    is_problem(ask(client, dataset, **mixed), 422, "architectures_differ")
    is_problem(ask(client, dataset, method="b_tuning", student="local:resnet"), 422, "teachers_missing")
    is_problem(ask(client, dataset, method="dann", student="local:resnet"), 422, "source_unfit")
    is_problem(ask(client, dataset, method="magic", student="local:resnet"), 422, "request_invalid")
    is_problem(ask(client, features, student="local:resnet"), 422, "modality_mismatch")
    is_problem(ask(client, "ds_nope", student="local:resnet"), 404, "dataset_not_found")
    is_problem(ask(client, dataset, teachers={"ranking": "job_nope"}), 404, "not_found")


def test_what_cannot_be_tuned_on_is_refused_in_words_about_tuning(client, colours, tmp_path):
    """As a target, as a source, and of a ranking that a tuning is to follow."""
    path = tmp_path / "prices.csv"
    path.write_text("text,label\n" + "".join(f"some words {i},{i / 7:.3f}\n" for i in range(40)))
    prices, images = (upload(client, data).json()["id"] for data in (path, colours))
    features = upload_features(client, tmp_path)
    for answer in (
        ask(client, prices, student="local:resnet"),
        ask(client, images, method="dann", student="local:resnet", source=prices),
        client.post("/v1/rankings", json={"dataset": prices, "then": {}}),
    ):
        is_problem(answer, 422, "dataset_invalid")
        assert "prices.csv is a regression dataset; tuning is for classification" in answer.json()["detail"]
    is_problem(client.post("/v1/rankings", json={"dataset": features, "then": {}}), 422, "modality_mismatch")


@pytest.fixture
def text_client(settings, tmp_path):
    write_text_checkpoint(tmp_path / "texts" / "bert", "bert", 1)
    with serving_here(settings.model_copy(update={"hub": (*settings.hub, tmp_path / "texts")})) as client:
        yield client


def test_texts_are_tuned_by_methods_that_suit_them(text_client, colours, tmp_path):
    client = text_client
    path = tmp_path / "words.csv"
    path.write_text("text,label\n" + "".join(f"lost my card {i},{'ab'[i % 2]}\n" for i in range(20)))
    texts, images = (upload(client, data).json()["id"] for data in (path, colours))
    answer = ask(client, texts, method="b_tuning", student="local:bert", teachers=["local:bert#layer=2"])
    assert answer.status_code == 202, answer.text
    answer = ask(client, texts, method={"name": "lora", "rank": 4}, student="local:bert")
    assert answer.status_code == 202, answer.text
    is_problem(ask(client, texts, method="delta", student="local:bert"), 422, "method_unsuited")
    is_problem(ask(client, texts, student="local:resnet"), 422, "modality_mismatch")
    is_problem(ask(client, images, student="local:bert"), 422, "modality_mismatch")
    limits = {"max_parameters": 10}
    is_problem(ask(client, texts, student="local:bert", constraints=limits), 422, "constraint_violated")


def test_a_ranking_may_name_what_follows_and_what_cannot_follow_is_refused(client, colours):
    dataset = upload(client, colours).json()["id"]

    def rank(**then):
        return client.post("/v1/rankings", json={"dataset": dataset, "then": then})

    plain = client.post("/v1/rankings", json={"dataset": dataset}).json()["id"]
    answer = rank(method="b_tuning", top=2)
    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] != plain  # the same ranking, but not the same work
    is_problem(rank(method="dann"), 422, "source_unfit")
    is_problem(rank(method="b_tuning", teachers=["local:resnet"]), 422, "tuning_impossible")


@pytest.mark.acceptance
def test_a_ranking_goes_on_into_a_tuning_whose_model_can_be_ranked(tmp_path, hub, colours):
    for seed, name in enumerate(("one", "two")):
        measured_checkpoint(tmp_path / "hub" / name, "test_resnet", seed)
    with serving(tmp_path / "home", tmp_path / "hub") as service, Client(service.url) as client:
        ranking = service.recommend(colours, then={"method": "b_tuning", "top": 2, **SHORT})
        assert service.wait(ranking)["status"] == "succeeded"
        following = service.job(ranking)["next"]
        done = service.wait(following)
        assert done["status"] == "succeeded", done["failure"]
        tuning = service.http.get(f"/v1/tunings/{following}").json()
        first = service.ranking(ranking)["ranking"][0]["checkpoint"]
        assert tuning["student"] == first
        assert set(tuning["teachers"]) == {"local:one", "local:two"}
        assert tuning["output"]["metrics"]["examples"] == 20
        model = tmp_path / "tuned" / "model"
        model.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            answer = service.http.get(f"/v1/tunings/{following}/files/model/{name}")
            assert answer.status_code == 200
            (model / name).write_bytes(answer.content)
        assert service.http.get(f"/v1/tunings/{following}/files/../../frontrunner.db").status_code == 404
        assert service.http.get(f"/v1/tunings/{following}/files/state.pt").status_code == 404
        events = list(client.events(following))
    assert describe_directory(model).architecture == "test_resnet"
    assert {"train", "validation"} == {e.data["curve"]["split"] for e in events if e.type == "step.curve"}
