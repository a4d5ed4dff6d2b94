"""Labels of words over HTTP: counted in the report, and read word by word in every step of a ranking."""

from __future__ import annotations

import pytest

from frontrunner.ranking import RankingPayload
from tests.api.asking import claim, is_problem

SENTENCES = "".join(f"Ada\tB-PER\nlost\tO\n{number}\tNUM\n\n" for number in range(60)).encode()


@pytest.fixture(scope="module")
def hub(text_hub):
    return text_hub


def upload(client, text, name="train.conll"):
    return client.post("/v1/datasets", files={"file": (name, text)})


def test_a_conll_upload_is_counted_in_words_and_sentences(client):
    report = upload(client, SENTENCES).json()["report"]
    assert (report["modality"], report["task"], report["class_count"]) == ("text", "classification", 3)
    assert (report["train_examples"], report["train_sentences"]) == (180, 60)


def test_a_line_without_a_label_is_a_problem_that_names_it(client):
    answer = upload(client, SENTENCES + b"alone\nnot O\n\n")
    assert "line 241" in is_problem(answer, 422, "dataset_unreadable")["detail"]


def test_steps_read_words_as_the_request_says(client, database):
    dataset = upload(client, SENTENCES).json()["id"]
    asked = {"dataset": dataset, "variant": "layer=mean,words=mean"}
    answer = client.post("/v1/rankings", json=asked)
    assert answer.status_code == 202, answer.text
    checkpoint = RankingPayload.model_validate_json(claim(database).payload).checkpoint
    assert checkpoint.id.endswith("#layer=mean,words=mean")
    assert checkpoint.text_pooling.words == "mean"
    assert client.get(answer.headers["location"]).json()["provenance"]["variant"] == "layer=mean,words=mean"


def test_a_variant_that_none_has_is_refused(client):
    dataset = upload(client, SENTENCES).json()["id"]
    answer = client.post("/v1/rankings", json={"dataset": dataset, "variant": "layer=first"})
    is_problem(answer, answer.status_code, "checkpoint_variant_unknown")
    assert 400 <= answer.status_code < 500


def test_words_are_not_tuned_on(client):
    dataset = upload(client, SENTENCES).json()["id"]
    answer = client.post("/v1/tunings", json={"dataset": dataset, "student": "local:encoder"})
    assert "words of sentences" in is_problem(answer, answer.status_code, "dataset_invalid")["detail"]
    assert 400 <= answer.status_code < 500
