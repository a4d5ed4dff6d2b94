"""What pages answer with: nothing inline, nothing unescaped, files that may be kept, refusals as pages."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from html.parser import HTMLParser

import pyarrow.parquet
import pytest

from api import access
from api.pages.rendering import JOB_PATHS
from frontrunner.report import assets
from jobs.kinds import KINDS
from tests.api.asking import claim, finish
from tests.pages.conftest import PAGE, features

HOSTILE = "<img src=x onerror=alert(1)>\"'&{{7*7}}"


@pytest.fixture
def places(somebody, database):
    """Pages with something on them, whose names are markup."""
    dataset = somebody.upload(f"{HOSTILE}.npz".replace("/", ""), features()).headers["location"]
    ranking = somebody.post(f"{dataset}/rankings", at=dataset, fields="1").headers["location"]
    finish(database, claim(database), 1.5)
    finish(database, claim(database), 0.5)
    said = HOSTILE.replace('"', '""')
    texts = "text,label\n" + "".join(f'"{said} {i}",<b>{i % 2}</b>\n' for i in range(8))
    table = somebody.upload("t.csv", texts.encode()).headers["location"]
    return ["/", "/datasets", dataset, ranking, table, "/jobs", "/admin", "/admin/audit", "/nowhere", f"{ranking}/live"]


class Inline(HTMLParser):
    """Collects what a strict policy refuses, and tags that only hostile names would bring."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        said = dict(attrs)
        if tag == "style" or (tag == "script" and "src" not in said and said.get("type") != "application/json"):
            self.found.append(tag)
        self.found += [name for name in said if name == "style" or name.startswith("on")]
        self.found += [value for value in said.values() if (value or "").startswith("javascript:")]
        if tag in ("b", "iframe", "object") or (tag == "img" and said.get("src") == "x"):
            self.found.append(tag)


def test_nothing_on_any_page_is_inline_or_unescaped(somebody, places):
    for place in places:
        answer = somebody.get(place)
        parser = Inline()
        parser.feed(answer.text)
        assert parser.found == [], place
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "49" not in re.findall(r"onerror=alert\(1\)&gt;[^<]*", answer.text)  # no template in a name is run
        assert answer.headers["cache-control"] == "no-store"


def test_jobs_of_every_kind_have_a_page(somebody, places):
    assert set(JOB_PATHS) == set(KINDS)
    assert somebody.get(places[3].replace("/rankings/", "/jobs/")).headers["location"] == places[3]


def test_files_may_be_kept_for_ever_under_an_address_of_their_content(somebody):
    home = somebody.get("/").text
    addresses = re.findall(r'(?:href|src)="(/assets/[^"]+)"', home)
    assert len(addresses) == 5
    for address in addresses:
        packed = somebody.get(address, headers={"accept-encoding": "gzip"})
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.headers["content-encoding"] == "gzip"
        plain = somebody.get(address, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == packed.content
        assert packed.headers["x-content-type-options"] == "nosniff"
        stale = re.sub(r"/[0-9a-f]{12,}/", "/0123456789ab/", address)
        assert somebody.get(stale).status_code == 404
    assert somebody.get(f"/assets/{assets.version()}/%2e%2e/app.py").status_code == 404
    assert somebody.get(f"/assets/{assets.version()}/nothing.js").status_code == 404


def test_all_that_the_first_page_loads_is_under_250_kb(somebody):
    """Scripts import others: all that may be imported counts, the charts' library too, which it does not load."""
    home = len(gzip.compress(somebody.get("/").content))
    own = sum(
        int(somebody.client.get(address, headers={"accept-encoding": "gzip"}).headers["content-length"])
        for address in re.findall(r'(?:href|src)="(/assets/pages/[^"]+)"', somebody.get("/").text)
    )
    shared = sum(
        len(gzip.compress(assets.read(name).content, 9)) for name in assets.names() if name.endswith((".js", ".css"))
    )
    assert home + own + shared < 250_000


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "not_found"),
        ("/rankings/job_none", 404, "there is no job"),
        ("/datasets/ds_none", 404, "there is no dataset"),
        ("/rankings/job_none/files/ranking.exe", 422, "request_invalid"),
        ("/jobs?cursor=" + "x" * 300, 422, "request_invalid"),
        ("/jobs/%00", 400, "request_malformed"),
    ],
)
def test_refusals_are_pages_for_browsers_and_problems_for_programs(somebody, path, status, said):
    page = somebody.get(path)
    assert page.status_code == status
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>" in page.text
    assert said in page.text
    problem = somebody.client.get(path, headers={"accept": "*/*"})
    assert problem.status_code == status
    assert problem.headers["content-type"] == "application/problem+json"


def test_a_defect_of_ours_is_a_page_too(somebody, monkeypatch):
    from api.pages import home

    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(home, "list_datasets", broken)
    answer = somebody.get("/")
    assert answer.status_code == 500
    assert "Nothing that you sent is at fault" in answer.text
    assert "ZeroDivisionError" not in answer.text


def test_the_interface_for_programs_never_answers_with_a_page(somebody):
    answer = somebody.client.get("/v1/jobs/none", headers=PAGE)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(somebody, places, key_of, monkeypatch):
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0.0)  # that there were no keys is remembered no longer than a key
    key_of("default")
    live = places[-1]
    asked = {"hx-request": "true", "hx-current-url": f"http://127.0.0.1:8000{live.removesuffix('/live')}"}
    answer = somebody.get(live, headers=asked)
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == f"/sign-in?next={live.removesuffix('/live')}"
    assert answer.content == b""


def test_a_ranking_is_taken_along_in_every_form(somebody, places):
    ranking = places[3]

    def file(form):
        answer = somebody.get(f"{ranking}/files/ranking.{form}")
        assert "attachment" in answer.headers["content-disposition"]
        return answer.content

    told = json.loads(file("json"))
    assert told == somebody.client.get(f"/v1{ranking}").json()
    names = [line["checkpoint"] for line in told["ranking"]]
    rows = list(csv.DictReader(io.StringIO(file("csv").decode())))
    assert [row["checkpoint"] for row in rows] == names
    assert [float(row["logme"]) for row in rows] == [1.5, 0.5]
    assert pyarrow.parquet.read_table(io.BytesIO(file("parquet")))["checkpoint"].to_pylist() == names
    assert file("html").startswith(b"<!doctype html>") or b"<!doctype html>" in file("html")[:400]


def test_who_watches_goes_on_from_what_the_page_shows(somebody, places):
    ranking = places[3]
    events = ranking.replace("/rankings/", "/jobs/") + "/events"
    with somebody.client.stream("GET", f"{events}?after=0") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        every = answer.read().decode()
    assert every.count("event: step.succeeded") == 2
    last = max(int(number) for number in re.findall(r"^id: (\d+)$", every, re.M))
    with somebody.client.stream("GET", f"{events}?after={last - 1}") as answer:
        assert re.findall(r"^id: (\d+)$", answer.read().decode(), re.M) == [str(last)]
    with somebody.client.stream("GET", f"{events}?after=0", headers={"last-event-id": str(last)}) as answer:
        assert "id:" not in answer.read().decode()
