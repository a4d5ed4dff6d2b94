"""Pages that look beyond one job: tasks, two of a kind, what past tunings say, and what can be ranked."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy.stats import kendalltau

from api.pages.compare import difference_of
from frontrunner.evidence import PastResult
from frontrunner.hub import Catalogue, CheckpointDescription, SkippedCheckpoint
from frontrunner.ranking.task_distances import ComparedTask, TaskDistanceMatrix
from frontrunner.report.trees import tree_of
from frontrunner.tuning import TuningOutput
from jobs import lifecycle
from jobs.catalogue import store_catalogue
from jobs.history import import_results
from tests.api.asking import claim, finish
from tests.conftest import class_images
from tests.jobs.test_history import start_tuning, tuned
from tests.pages.conftest import features
from tests.pages.test_forms import zipped

DISTANCE = [[0.0, 1.5, 4.0], [2.5, 0.0, 3.0], [4.0, 5.0, 0.0]]


def data_of(answer, name):
    """What a page gives its charts."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', answer.text, re.DOTALL)
    assert found, answer.text[:2000]
    return json.loads(found[1])


def succeed(database, held, output):
    with database.write_transaction() as session:
        assert lifecycle.succeed_step(session, held, output)


@pytest.fixture
def photos(somebody, database):
    """Ids of two datasets of images, which a checkpoint of the catalogue reads."""
    with database.write_transaction() as session:
        store_catalogue(session, catalogue())
    paths = [
        somebody.upload(f"{seed}.zip", zipped(class_images(3, 8, seed=seed))).headers["location"] for seed in (0, 1)
    ]
    return [path.rpartition("/")[2] for path in paths]


@pytest.fixture
def two(somebody):
    """Paths of two datasets of features."""
    return [somebody.upload(f"{seed}.npz", features(seed)).headers["location"] for seed in (0, 1)]


def test_a_comparison_of_tasks_is_asked_for_watched_and_shown(somebody, photos, database):
    ids = photos
    form = somebody.get("/tasks").text
    assert all(f'value="{each}"' in form for each in ids)
    asked = somebody.post("/tasks", at="/tasks", dataset=ids, checkpoint="local:small", max_examples="30")
    assert asked.status_code == 303, asked.text
    page = asked.headers["location"]
    assert re.fullmatch(r"/tasks/\w+", page)
    running = somebody.get(page)
    assert 'data-live="/jobs/' in running.text
    assert "queued" in running.text
    matrix = TaskDistanceMatrix(
        tasks=[
            ComparedTask(name=name, digest=name, examples=30, classes=3, complexity=2.0) for name in ("<i>a", "b", "c")
        ],
        distance=DISTANCE,
        checkpoint="local:small",
        beta=1.0,
        prior_scale=1.0,
        versions={},
    )
    succeed(database, claim(database), matrix.model_dump_json())
    over = somebody.get(page)
    assert "data-live" not in over.text
    assert "<i>a" not in over.text
    data = data_of(over, "distances-data")
    assert data["matrix"]["distance"] == DISTANCE
    assert sorted(data["tree"]["order"]) == [0, 1, 2]
    listed = somebody.get("/tasks").text
    assert listed.count(page) == 1
    assert "0.zip, 1.zip" in listed
    assert somebody.get(page.replace("/tasks/", "/jobs/")).headers["location"] == page


def test_a_comparison_that_cannot_be_made_keeps_what_was_ticked(somebody, photos):
    ids = photos
    one = somebody.post("/tasks", at="/tasks", dataset=ids[:1], checkpoint="local:small")
    assert (one.status_code, "tick two datasets" in one.text) == (422, True)
    unknown = somebody.post("/tasks", at="/tasks", dataset=ids, checkpoint="local:nobody")
    assert (unknown.status_code, "Nothing was queued" in unknown.text) == (422, True)
    assert unknown.text.count(" checked") == 2
    assert 'value="local:nobody"' in unknown.text
    nothing = somebody.post("/tasks", at="/tasks", dataset=ids, checkpoint="local:small", max_examples="1")
    assert (nothing.status_code, 'aria-invalid="true"' in nothing.text) == (422, True)


def test_a_tree_joins_the_nearest_first_by_the_mean_of_both_directions():
    tree = tree_of(DISTANCE)
    # The means are a-b 2, b-c 4, a-c 4: a and b join at 2, c joins them at 4.
    assert sorted({link[0] for link in tree["links"]} | {link[2] for link in tree["links"]}) == [0.0, 2.0, 4.0]
    a, b = tree["order"].index(0), tree["order"].index(1)
    assert abs(a - b) == 1
    assert tree_of([[0.0]]) == {"order": [0], "links": []}
    assert np.isfinite(np.array(tree_of([[0, np.inf, 1], [1, 0, 1], [1, 1, 0]])["links"])).all()


@pytest.fixture
def rankings(somebody, two, database):
    """Two rankings, of the same two checkpoints the other way round."""
    found = []
    for path, values in zip(two, ((0.2, 0.7), (0.9, 0.4)), strict=True):
        found.append(somebody.post(f"{path}/rankings", at=path, fields="1").headers["location"].rpartition("/")[2])
        for value in values:
            finish(database, claim(database), value)
    return found


def test_two_rankings_stand_beside_each_other(somebody, rankings):
    offered = somebody.get("/compare").text
    assert all(f'value="{job}"' in offered for job in rankings)
    older, newer = sorted(rankings)
    assert re.findall(r'value="(\w+)" selected', offered) == [newer, older]
    assert re.findall(r'value="(\w+)" selected', somebody.get(f"/compare?a={older}").text) == [older, newer]
    page = somebody.get(f"/compare?a={rankings[0]}&b={rankings[1]}")
    assert page.status_code == 200
    first, second = (data_of(page, f"{name}-data")["ranking"] for name in ("first", "second"))
    assert [line["checkpoint"] for line in first] == [line["checkpoint"] for line in second][::-1]
    expected = kendalltau([1, 2], [2, 1]).statistic
    assert f"<dd>{expected:.2f}</dd>" in page.text
    assert "2 checkpoints" in page.text


def test_what_is_not_of_a_kind_is_not_compared(somebody, rankings, database):
    held = start_tuning(database, student="local:a", epochs=2)
    page = somebody.get(f"/compare?a={rankings[0]}&b={held.job_id}")
    assert (page.status_code, "choose two rankings" in page.text) == (422, True)
    unfinished = somebody.get(f"/compare?a={held.job_id}&b={held.job_id}")
    assert (unfinished.status_code, "no result yet" in unfinished.text) == (422, True)
    assert somebody.get(f"/compare?a={rankings[0]}&b=nobody").status_code == 404


def test_two_tunings_say_how_far_their_accuracies_are_apart(somebody, database):
    jobs = []
    for seed, accuracy in ((1, 0.5), (2, 0.875)):
        held = start_tuning(database, student="local:a", epochs=2, seed=seed)
        output = json.loads(tuned())
        output["metrics"]["accuracy"]["value"] = accuracy
        output["metrics"]["classes"], output["metrics"]["confusion"] = ["a", "b"], [[3, 1], [0, 4]]
        succeed(database, held, json.dumps(output))
        jobs.append((held.job_id, TuningOutput.model_validate(output)))
    low, value, high = difference_of(jobs[0][1], jobs[1][1])
    assert value == 0.375
    # Two shares of eight examples each: the variances of their means add up.
    assert high - value == pytest.approx(1.96 * np.sqrt(0.5 * 0.5 / 8 + 0.875 * 0.125 / 8))
    page = somebody.get(f"/compare?a={jobs[0][0]}&b={jobs[1][0]}")
    assert page.status_code == 200, page.text
    assert f"37.5 points ({100 * low:.1f} to {100 * high:.1f} at 95%" in page.text
    assert data_of(page, "second-data")["output"]["metrics"]["confusion"] == [[3, 1], [0, 4]]


def test_a_tuning_is_taken_along_as_a_page_once_it_is_over(somebody, database):
    held = start_tuning(database, student="local:a", epochs=2)
    report = f"/tunings/{held.job_id}/report.html"
    assert somebody.get(report).status_code == 404
    succeed(database, held, tuned())
    assert f'href="{report}"' in somebody.get(f"/tunings/{held.job_id}").text
    answer = somebody.get(report)
    assert answer.headers["content-disposition"] == f'attachment; filename="{held.job_id}.html"'
    assert 'data-chart="confusion"' in answer.text
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in answer.text


RESULTS = [
    PastResult(model="hf:one", dataset="pets", accuracy=0.9, protocol="p"),
    PastResult(model="hf:two", dataset="pets", accuracy=0.7, protocol="p"),
    PastResult(model="hf:one", dataset="cars", accuracy=0.5, protocol="p"),
    PastResult(model="hf:two", dataset="cars", accuracy=0.6, protocol="p"),
    PastResult(model="hf:two", dataset="alone", accuracy=0.1, protocol="p"),
    PastResult(model="hf:one", dataset="pets", accuracy=0.3, protocol="other <b>"),
]


def test_history_says_who_is_near_the_best_of_results_made_alike(somebody, database):
    assert "No result yet" in somebody.get("/history").text
    with database.write_transaction() as session:
        import_results(session, RESULTS)
    page = somebody.get("/history")
    data = data_of(page, "history-data")
    assert data == {
        "models": ["hf:one", "hf:two"],
        "datasets": ["alone", "cars", "pets"],
        "accuracy": [[None, 0.5, 0.9], [0.1, 0.6, 0.7]],
    }
    rows = re.findall(r'#results">(hf:\w+)</a></th>((?:<td class="number">[\d.]+</td>)+)', page.text)
    shown = {name: re.findall(r">([\d.]+)<", cells) for name, cells in rows}
    # one: 0 behind on pets and 10 points on cars; two: 20 and 0.
    assert shown == {"hf:one": ["2", "1", "5.0"], "hf:two": ["2", "1", "10.0"]}
    assert "other &lt;b&gt;" in page.text
    other = somebody.get("/history", params={"protocol": "other <b>"})
    assert "nothing can be compared" in other.text


def test_history_is_narrowed_by_its_address(somebody, database):
    with database.write_transaction() as session:
        import_results(session, RESULTS)
    page = somebody.get("/history?dataset=cars")
    listed = page.text.partition('id="results"')[2]
    assert listed.count('<th scope="row">') == 2
    assert "No result is like that" in somebody.get("/history?model=nobody").text


def test_history_is_its_tenants(somebody, another, key_of, database):
    with database.write_transaction() as session:
        import_results(session, RESULTS, "anna")
    for person, tenant, seen in ((somebody, "anna", True), (another, "bert", False)):
        person.sign_in(key_of(tenant)[1])
        assert ("hf:one" in person.get("/history").text) == seen


def catalogue():
    def one(name, **more):
        return CheckpointDescription(
            id=name,
            path="",
            digest=name,
            preprocessing_digest=name,
            bytes=1000,
            library="timm",
            modality="image",
            architecture="resnet18",
            **more,
        )

    return Catalogue(
        checkpoints=(
            one("local:small", parameters=2_000_000, license="mit"),
            one("local:large", parameters=90_000_000, license="apache-2.0"),
        ),
        skipped=(SkippedCheckpoint(checkpoint="local:broken", code="checkpoint_broken", reason="no <weights>"),),
    )


def test_the_hub_is_narrowed_by_its_address(somebody, database):
    assert "No checkpoint is known" in somebody.get("/hub").text
    with database.write_transaction() as session:
        store_catalogue(session, catalogue())

    def shown(**wanted):
        return re.findall(r"local:\w+", somebody.get("/hub", params=wanted).text.partition('id="found"')[2])

    assert shown() == ["local:broken", "local:large", "local:small"]
    assert shown(license="MIT") == ["local:small"]
    assert shown(max_parameters="10.5") == ["local:small"]
    assert shown(search="large") == ["local:large"]
    assert shown(family="resnet", modality="image") == ["local:large", "local:small"]
    assert shown(origin="lists") == []
    assert "no &lt;weights&gt;" in somebody.get("/hub").text
    wrong = somebody.get("/hub?max_parameters=many")
    assert (wrong.status_code, 'aria-invalid="true"' in wrong.text) == (422, True)
