"""Forms: ours change something, others' do not; what is wrong with one is said beside it."""

from __future__ import annotations

import base64
import io
import re
import time
import zipfile

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from frontrunner.data import DatasetReport
from jobs.kinds.ranking import KIND
from models import DatasetRow, JobRow, WorkerRow
from tests.api.asking import claim, finish
from tests.conftest import class_images, encode
from tests.pages.conftest import HERE, PAGE, Person, features, page_routes

FORMS = [path for method, path in page_routes() if method == "POST"]


def dataset_of(person):
    return person.upload("features.npz", features()).headers["location"]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_token_changes_nothing(somebody, path):
    for fields in ({}, {"csrf": ""}, {"csrf": "x" * 43}):
        files = {"file": ("f.npz", features())} if path == "/datasets" else None
        answer = somebody.client.post(path.format_map(Ids()), data=fields, files=files, headers=PAGE)
        assert answer.status_code == 403, answer.text
        assert "form_foreign" in answer.text


class Ids(dict):
    def __missing__(self, name):
        return "x"


def test_the_token_of_another_browser_is_not_accepted(somebody, another, database):
    stolen = another.token("/")
    answer = somebody.client.post(
        "/datasets", data={"csrf": stolen}, files={"file": ("f.npz", features())}, headers=PAGE
    )
    assert answer.status_code == 403
    with database.read_transaction() as session:
        assert session.query(DatasetRow).count() == 0


def test_the_token_from_before_signing_in_is_void_afterwards(somebody, key_of):
    _, key = key_of("anna")
    before = somebody.token("/sign-in")
    somebody.sign_in(key)
    assert somebody.client.post("/sign-out", data={"csrf": before}, headers=PAGE).status_code == 403


def test_the_address_of_a_form_that_was_refused_leads_to_its_page(somebody):
    dataset = dataset_of(somebody)
    assert somebody.post(f"{dataset}/rankings", at=dataset, budget="nonsense").status_code == 422
    again = somebody.get(f"{dataset}/rankings")
    assert (again.status_code, again.headers["location"]) == (303, dataset)
    assert somebody.client.get(f"{dataset}/rankings", headers={"accept": "*/*"}).status_code == 405


@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://example.org"}]
)
def test_a_page_of_another_site_sends_no_form_even_with_a_token(somebody, database, headers):
    answer = somebody.post("/datasets", headers=headers)
    assert answer.status_code == 403
    assert "cross_site_request" in answer.text
    assert "text/html" in answer.headers["content-type"]


def test_an_upload_shows_what_is_in_it_before_anything_is_queued(somebody, database):
    files = class_images(3, 12) | {"train/class-0/copy.png": class_images(3, 12)["train/class-1/0000.png"]}
    answer = somebody.upload("photos.zip", zipped(files))
    assert answer.status_code == 303
    shown = somebody.get(answer.headers["location"]).text
    for said in ("photos.zip", "37", "class-2", "have the same bytes", "Copies count as often"):
        assert said in shown, said
    with database.read_transaction() as session:
        assert session.query(JobRow).count() == 0


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def test_a_preview_is_an_image_of_the_dataset(somebody):
    page = somebody.upload("photos.zip", zipped(class_images(2, 6))).headers["location"]
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', somebody.get(page).text)
    assert len(found) == 12
    for each in found:
        assert Image.open(io.BytesIO(base64.b64decode(each))).format == "JPEG"


def test_data_that_cannot_be_ranked_on_is_refused_on_the_same_page(somebody, database):
    answer = somebody.upload("one.zip", zipped({f"train/only/{i}.png": encode_one(i) for i in range(5)}))
    assert answer.status_code == 422
    assert "only one class" in answer.text
    assert 'id="upload"' in answer.text
    with database.read_transaction() as session:
        assert session.query(DatasetRow).count() == 0


def encode_one(seed):
    import numpy as np

    return encode(np.random.default_rng(seed).uniform(0, 255, (8, 8, 3)))


def test_the_form_asks_for_what_was_filled_in(somebody, database):
    page = dataset_of(somebody)
    answer = somebody.post(
        f"{page}/rankings",
        at=page,
        fields="1",
        adaptation="probe",
        max_parameters="",
        max_examples="40",
        seed="7",
    )
    assert answer.status_code == 303, answer.text
    asked = latest_request(database)
    assert (asked.adaptation, asked.max_examples, asked.seed) == ("probe", 40, 7)
    assert asked.constraints.max_parameters is None


def latest_request(database):
    with database.read_transaction() as session:
        job = session.query(JobRow).order_by(JobRow.id.desc()).first()
        return KIND.request.model_validate_json(job.request).request


def test_a_ranking_is_asked_for_and_its_page_says_how_far_it_is(somebody, database):
    page = dataset_of(somebody)
    answer = somebody.post(f"{page}/rankings", at=page, fields="1", seed="7", max_examples="40", baselines="1")
    ranking = answer.headers["location"]
    assert ranking.startswith("/rankings/")
    asked = latest_request(database)
    assert (asked.seed, asked.max_examples, asked.baselines, asked.budget) == (7, 40, True, None)
    shown = somebody.get(ranking).text
    assert "queued" in shown
    assert "data-live=" in shown
    finish(database, claim(database), value=1.25)
    shown = somebody.get(ranking).text
    assert "1 of 2 steps done" in shown
    assert "1.250" in shown
    finish(database, claim(database), value=2.5)
    live = somebody.get(f"{ranking}/live").text
    assert "data-live=" not in live
    assert "succeeded" in live
    assert live.index("2.500") < live.index("1.250")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("budget", "a lot", "write it as 10m"),
        ("max_examples", "many", "valid integer"),
        ("max_examples", "1", "greater than or equal to 2"),
        ("max_parameters", "huge", "valid integer"),
        ("checkpoints", "local:nowhere", "local:nowhere"),
        ("verify", "99", "less than or equal to 10"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_and_nothing_is_queued(somebody, database, field, value, said):
    page = dataset_of(somebody)
    answer = somebody.post(f"{page}/rankings", at=page, fields="1", baselines="1", **{field: value})
    assert answer.status_code == 422, answer.text
    assert said in answer.text
    assert f'value="{value}"' in answer.text  # what was filled in is still there
    with database.read_transaction() as session:
        assert session.query(JobRow).count() == 0
    forecast = somebody.post(f"{page}/forecast", at=page, fields="1", baselines="1", **{field: value})
    assert (forecast.status_code, said in forecast.text) == (200, True)


@pytest.mark.parametrize(("field", "value", "said"), [("top", "some", "top"), ("epochs", "many", "epochs")])
def test_what_is_wrong_with_a_tuning_is_said_and_nothing_is_queued(somebody, database, field, value, said):
    page = dataset_of(somebody)
    ranking = somebody.post(f"{page}/rankings", at=page, fields="1").headers["location"]
    answer = somebody.post(f"{ranking}/tune", at=page, method="finetune", **{field: value})
    assert answer.status_code == 422, answer.text
    assert f"{said}: Input should be a valid" in answer.text
    with database.read_transaction() as session:
        assert session.query(JobRow).count() == 1


def test_the_same_bytes_are_read_another_way_without_another_upload(somebody, database):
    rows = "".join(f"{i % 7},{i * 3 % 11},{i % 3}\n" for i in range(60))
    page = somebody.upload("numbers.csv", ("x,y,label\n" + rows).encode()).headers["location"]
    answer = somebody.post(f"{page}/read-again", at=page, task="regression", label="label")
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"] != page
    with database.read_transaction() as session:
        found = session.query(DatasetRow).all()
        assert len({row.blob for row in found}) == 1
        assert {DatasetReport.model_validate(row.report).task for row in found} == {"classification", "regression"}
    refused = somebody.post(f"{page}/read-again", at=page, task="regression", label="nowhere")
    assert refused.status_code == 422
    assert "nowhere" in refused.text


def test_a_dataset_is_deleted_after_it_is_asked_for_twice(somebody):
    page = dataset_of(somebody)
    assert "Results" not in somebody.get(page).text
    assert somebody.post(f"{page}/delete", at=page).headers["location"] == "/datasets"
    assert somebody.get(page).status_code == 404


def test_a_job_is_cancelled_tried_again_and_forgotten(somebody, database):
    page = dataset_of(somebody)
    ranking = somebody.post(f"{page}/rankings", at=page, fields="1").headers["location"]
    job = ranking.replace("/rankings/", "/jobs/")
    assert somebody.post(f"{job}/cancel", at=page).headers["location"] == ranking
    ended = somebody.get(ranking).text
    assert "cancelled" in ended
    assert " data-empty " in ended  # by which the style leaves out charts that will never be drawn
    assert "Try again" in ended[: ended.index('class="pictures"')]  # beside its state
    assert somebody.post(f"{job}/retry", at=page).status_code == 303
    again = somebody.get(ranking).text
    assert ("queued" in again, " data-empty " in again) == (True, False)
    assert somebody.post(f"{job}/delete", at=page).status_code == 409
    somebody.post(f"{job}/cancel", at=page)
    assert somebody.post(f"{job}/delete", at=page).headers["location"] == "/jobs"
    assert somebody.get(ranking).status_code == 404


def test_lists_are_narrowed_by_their_address(somebody):
    page = dataset_of(somebody)
    somebody.post(f"{page}/rankings", at=page, fields="1")
    assert "job_" in rows_of(somebody.get("/jobs?status=queued&kind=ranking"))
    assert "No job is like that" in somebody.get("/jobs?status=failed").text
    assert "No job is like that" in somebody.get("/jobs?kind=tuning").text
    assert "job_" in rows_of(somebody.get("/jobs?status=&kind="))
    assert "job_" in rows_of(somebody.get("/jobs?status=nonsense"))


def rows_of(answer):
    assert answer.status_code == 200
    return " ".join(re.findall(r'href="/rankings/(job_\w+)"', answer.text))


def test_whoever_has_no_worker_alive_is_told(somebody, database):
    assert "No worker is alive" in somebody.get("/admin").text
    with database.write_transaction() as session:
        session.add(WorkerRow(id="here:1", seen_at=time.time()))
        session.add(WorkerRow(id="here:2", seen_at=time.time() - 1e6))
    shown = somebody.get("/admin").text
    assert "No worker is alive" not in shown
    assert shown.index("here:1") < shown.index("here:2")


def test_keys_are_made_shown_once_and_revoked(somebody, key_of):
    _, key = key_of("anna")
    somebody.sign_in(key)
    made = somebody.post("/admin/keys", at="/admin", name="ci", scope="read", days="30")
    assert made.status_code == 201
    (shown,) = re.findall(r"frk_\w+", made.text)
    assert shown not in somebody.get("/admin").text
    ask = {"authorization": f"Bearer {shown}"}
    fresh = TestClient(somebody.client.app, base_url=HERE)
    assert fresh.get("/v1/jobs", headers=ask).status_code == 200
    assert fresh.get("/v1/audit", headers=ask).status_code == 403
    key_id = shown.split("_")[1]
    assert somebody.post(f"/admin/keys/{key_id}/revoke", at="/admin").status_code == 303
    assert "revoked" in somebody.get("/admin").text
    assert "createKey" in somebody.get("/admin/audit?action=createKey").text


@pytest.mark.parametrize("fields", [{"name": "", "scope": "read"}, {"name": "x"}, {"name": "x", "scope": "tune"}])
def test_a_key_makes_none_that_may_more_than_itself(somebody, key_of, fields):
    from jobs.keys import Scope

    _, key = key_of("anna", Scope.READ, Scope.ADMIN)
    somebody.sign_in(key)
    answer = somebody.post("/admin/keys", at="/admin", **fields)
    assert answer.status_code == 422
    assert "scope of those that yours has" in answer.text


def test_a_session_is_good_for_the_pages_alone(somebody: Person, key_of):
    _, key = key_of("anna")
    somebody.sign_in(key)
    assert somebody.client.get("/v1/jobs").status_code == 401  # a cookie is no key: no form elsewhere reaches the API
