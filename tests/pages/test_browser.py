"""The pages in a real browser, with a real server, worker and runners behind them."""

from __future__ import annotations

import shlex

import pytest
from playwright.sync_api import Page, expect
from typer.testing import CliRunner

from benchmarks.service.setting import embedded
from frontrunner.cli import build_app
from jobs.keys import Scope, create_key
from tests.acceptance.service import Service, serving
from tests.browser import chromium, complaints_of
from tests.conftest import class_images, write_timm_checkpoint, write_zip
from tests.pages.browsing import TIMEOUT_MS, barriers_of, overflow_of, wait_for_status

pytestmark = pytest.mark.acceptance

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """Three tiny checkpoints, two of one architecture."""
    root = tmp_path_factory.mktemp("hub")
    for seed, name in enumerate(("anton", "berta"), 1):
        write_timm_checkpoint(root / name, "test_resnet", seed=seed)
    write_timm_checkpoint(root / "clara", "test_convnext", seed=3)
    return root


@pytest.fixture(scope="module")
def service(tmp_path_factory, hub):
    with serving(tmp_path_factory.mktemp("pages") / "home", hub) as service:
        yield service


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser, service):
    with browser.new_context(base_url=service.url, viewport={"width": 1200, "height": 900}) as context:
        context.set_default_timeout(TIMEOUT_MS)
        yield context.new_page()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    files = class_images(3, 30, side=24) | class_images(3, 8, side=24, seed=9, splits=("test",))
    return write_zip(tmp_path_factory.mktemp("data") / "photos.zip", files)


@pytest.fixture(scope="module")
def done(browser, service: Service, photos) -> dict[str, str]:
    """A dataset, a ranking and a tuning that are over: addresses of their pages."""
    ranking = service.recommend(photos)
    service.wait(ranking)
    dataset = service.job(ranking)["dataset"]
    body = {
        "dataset": dataset,
        "teachers": {"ranking": ranking, "top": 2},
        "method": "b_tuning",
        "epochs": 2,
        "onnx": False,
        "learning_rate": 0.001,
    }
    tuning = service.http.post("/v1/tunings", json=body).raise_for_status().json()["id"]
    assert service.wait(tuning)["status"] == "succeeded"
    body = {"datasets": [dataset, dataset], "checkpoint": "local:anton"}
    distances = service.http.post("/v1/task-distances", json=body).raise_for_status().json()["id"]
    assert service.wait(distances)["status"] == "succeeded"
    return {
        "dataset": f"/datasets/{dataset}",
        "ranking": f"/rankings/{ranking}",
        "tuning": f"/tunings/{tuning}",
        "distances": f"/tasks/{distances}",
        "compare": f"/compare?a={ranking}&b={ranking}",
        "compare-tunings": f"/compare?a={tuning}&b={tuning}",
    }


def test_from_an_upload_to_a_ranking_to_a_tuning_without_reloading_anything(page: Page, photos, tmp_path):
    complaints = complaints_of(page)
    page.goto("/")
    page.set_input_files("#file", photos)
    page.get_by_role("button", name="Check the data").click()
    page.wait_for_url("**/datasets/ds_*")
    expect(page.get_by_role("heading", level=1)).to_have_text("photos.zip")
    expect(page.locator(".samples img").first).to_be_visible()
    expect(page.locator("#forecast dd").first).to_have_text("3")
    page.get_by_label("Budget").fill("nonsense")
    expect(page.locator("#forecast")).to_contain_text("write it as 10m")
    page.get_by_label("Budget").fill("")
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Seed of the sample").fill("3")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.wait_for_url("**/rankings/job_*")
    page.evaluate("window.isTheSame = true")
    wait_for_status(page, "succeeded")
    expect(page.locator(".lines tbody tr")).to_have_count(3)
    expect(page.locator(".answer")).to_contain_text("Use local:")
    expect(page.locator("#acts")).to_be_hidden()  # there is nothing to cancel any more
    expect(page.locator("#after")).to_contain_text("Delete…")
    page.locator("figure[data-chart=scores][data-drawn]").wait_for()
    page.get_by_label("Method").select_option("b_tuning")
    page.get_by_label("The best so many").fill("2")
    page.get_by_label("Epochs at most").fill("3")
    assert page.evaluate("window.isTheSame")
    page.get_by_role("button", name="Tune", exact=True).click()
    page.wait_for_url("**/tunings/job_*")
    page.evaluate("window.isTheSame = true")
    wait_for_status(page, "succeeded")
    expect(page.locator(".answer")).to_contain_text("24 test examples right")
    expect(page.get_by_role("link", name="model/model.safetensors")).to_be_visible()
    assert int(page.locator("figure[data-chart=curves]").get_attribute("data-drawn") or 0) >= 1
    assert page.evaluate("window.isTheSame")
    page.go_back()
    page.wait_for_url("**/rankings/job_*")
    expect(page.locator(".lines tbody tr")).to_have_count(3)
    page.go_forward()
    page.wait_for_url("**/tunings/job_*")
    expect(page.locator(".answer")).to_contain_text("right")
    assert complaints == []


def test_what_is_copied_from_a_ranking_asks_for_the_same_as_it_is_pasted(page: Page, service: Service, done, capsys):
    page.goto(done["ranking"])
    answer = page.locator(".answer").inner_text()
    python, curl, command = (page.locator(f"#{name}").inner_text() for name in ("python", "curl", "command"))
    exec(compile(python, "copied", "exec"), {})  # noqa: S102 - ours
    assert capsys.readouterr().out.strip() == answer
    program, *words = shlex.split(command.replace("\\\n", ""))
    called = CliRunner().invoke(build_app(words), words)
    assert (program, called.exit_code) == ("frontrunner", 0), called.output
    assert answer in " ".join(called.output.split())
    _, url, *options = shlex.split(curl.replace("\\\n", ""))
    said = dict(zip(options[::2], options[1::2], strict=True))
    sent = service.http.post(url, content=said["-d"], headers=dict([said["-H"].split(": ")])).raise_for_status()
    service.wait(sent.json()["id"])
    assert service.ranking(sent.json()["id"])["summary"] == answer


def test_data_that_is_refused_is_said_where_it_was_given_and_other_data_then_goes_through(page: Page, tmp_path, photos):
    one_class = write_zip(tmp_path / "one.zip", class_images(1, 5))
    page.goto("/")
    page.set_input_files("#file", one_class)
    page.get_by_role("button", name="Check the data").click()
    expect(page.get_by_role("alert")).to_contain_text("only one class")
    page.set_input_files("#file", photos)
    page.get_by_role("button", name="Check the data").click()
    page.wait_for_url("**/datasets/ds_*")


def test_a_folder_is_packed_in_the_browser_and_is_the_same_dataset_each_time(page: Page, tmp_path):
    folder = tmp_path / "leaves"
    for name, data in class_images(2, 6, seed=5).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    addresses = []
    for _ in range(2):
        page.goto("/")
        page.set_input_files("#folder", folder)
        page.wait_for_url("**/datasets/ds_*")
        addresses.append(page.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("leaves.zip")
    expect(page.locator(".facts").first).to_contain_text("12")
    assert addresses[0] == addresses[1]


def test_a_killed_worker_shows_and_its_steps_are_done_again(page: Page, service: Service, tmp_path):
    complaints = complaints_of(page)
    many = write_zip(tmp_path / "many.zip", class_images(4, 150, side=24, seed=8))
    job = service.recommend(many)
    page.goto(f"/rankings/{job}")
    page.locator("[data-step]").first.wait_for()
    service.kill("worker")
    expect(page.locator(".in-hand")).to_contain_text("try ", timeout=TIMEOUT_MS)
    wait_for_status(page, "succeeded")
    expect(page.locator(".lines tbody tr")).to_have_count(3)
    assert complaints == []


def test_filters_of_jobs_stand_in_the_address_and_come_back_with_it(page: Page, done):
    page.goto("/jobs")
    page.get_by_label("Kind").select_option("tuning")
    page.wait_for_url("**kind=tuning**")
    expect(page.locator("#jobs tbody tr a[href^='/rankings/']")).to_have_count(0)
    page.get_by_label("State").select_option("failed")
    expect(page.locator("#jobs")).to_contain_text("No job is like that")
    page.go_back()
    page.wait_for_url("**status=&kind=tuning**")
    expect(page.locator("#jobs tbody tr").first).to_be_visible()
    page.reload()
    expect(page.get_by_label("Kind")).to_have_value("tuning")


def test_without_scripts_everything_can_be_asked_for_and_read(browser, service, done, tmp_path):
    data = write_zip(tmp_path / "plain.zip", class_images(2, 8, seed=4))
    with browser.new_context(base_url=service.url, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/")
        page.set_input_files("#file", data)
        page.get_by_role("button", name="Check the data").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("plain.zip")
        page.get_by_role("button", name="Rank", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("Ranking of")
        page.goto(done["ranking"])
        expect(page.locator(".lines tbody tr")).to_have_count(3)
        page.get_by_role("link", name="Parameters").click()
        expect(page.locator("th[aria-sort]")).to_contain_text("Parameters")
        page.goto(done["tuning"])
        expect(page.locator(".answer")).to_contain_text("right")


def test_the_keyboard_alone_reaches_the_content_and_sends_the_form(page: Page, done):
    page.goto(done["dataset"])
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("id", "main")
    page.get_by_label("Budget").focus()
    page.keyboard.type("10m")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rankings/job_*")


PLACES = (
    *("/", "/datasets", "dataset", "ranking", "tuning", "/jobs", "/jobs?status=failed", "/admin", "/admin/audit"),
    *("/hub", "/hub?search=nobody", "/tasks", "distances", "/compare", "compare", "compare-tunings", "/history"),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out_or_complains_or_is_wider_than_its_window(browser, service, done, scheme):
    with browser.new_context(
        base_url=service.url, color_scheme=scheme, viewport={"width": 400, "height": 800}
    ) as context:
        page = context.new_page()
        complaints = complaints_of(page)
        for place in PLACES:
            page.goto(done.get(place, place))
            if page.locator("figure[data-chart]").count():
                page.locator("figure[data-drawn]").first.wait_for()
            assert overflow_of(page) <= 0, place
            assert barriers_of(page) == [], (place, scheme)
        assert complaints == []
        page.goto("/nowhere")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert barriers_of(page) == []


def test_the_first_page_is_small(page: Page):
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(request.sizes()["responseBodySize"]))
    page.goto("/", wait_until="networkidle")
    assert 3 < len(sizes) < 15
    assert sum(sizes) < 250_000


def test_with_keys_one_signs_in_looks_around_and_signs_out(browser):
    with embedded() as service:
        secret = "a secret of this test, and of no other"
        with service.database.write_transaction() as session:
            _, key = create_key(session, secret.encode(), name="reader", tenant="anna", scopes=(Scope.READ,))
        service.environment["FRONTRUNNER_SECRET_KEY"] = secret
        service.start_api()
        with browser.new_context(base_url=f"http://127.0.0.1:{service.port}") as context:
            page = context.new_page()
            page.goto("/jobs?kind=ranking")
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
            assert barriers_of(page) == []
            page.get_by_label("API key").fill("frk_wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_contain_text("unknown")
            page.get_by_label("API key").fill(key)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/jobs?kind=ranking")
            page.goto("/")
            expect(page.locator("main")).to_contain_text("can read, and not upload")
            page.goto("/admin")
            expect(page.locator("main")).to_contain_text("scope_missing")
            assert barriers_of(page) == []
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
