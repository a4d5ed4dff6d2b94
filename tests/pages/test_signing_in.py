"""Who may see a page: sessions, what ends them, and what each scope opens."""

from __future__ import annotations

import re
import time

import pytest
from fastapi.testclient import TestClient

from api import access
from api.pages import sessions
from jobs.keys import Scope, revoke_key
from tests.api.conftest import HERE
from tests.pages.conftest import PAGE, Person, features, page_routes

COOKIE = sessions.SESSION_COOKIE


def leads_to_sign_in(answer):
    return answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")


def test_a_service_without_keys_asks_nobody_to_sign_in(somebody):
    assert somebody.get("/").status_code == 200
    assert somebody.get("/sign-in").headers["location"] == "/"


def test_from_the_first_key_on_every_page_leads_to_the_sign_in(somebody, key_of):
    key_of("default")
    for method, path in page_routes():
        if not path.startswith("/sign-"):
            address = path.replace("{form}", "csv")
            answer = somebody.client.request(method, address, headers=PAGE, follow_redirects=False)
            assert leads_to_sign_in(answer), (method, path, answer.status_code)


def test_who_is_not_signed_in_is_offered_no_page(somebody, key_of):
    key_of("default")
    shown = somebody.get("/sign-in").text
    assert re.findall(r'<a [^>]*href="([^"]+)"', shown) == ["#main", "/"]


def test_programs_get_a_problem_and_no_page(somebody, key_of):
    key_of("default")
    answer = somebody.client.get("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")


def test_a_key_that_is_shown_once_signs_the_browser_in(somebody, key_of):
    _, key = key_of("anna")
    answer = somebody.sign_in(key, next="/jobs?kind=ranking")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?kind=ranking")
    set_cookie = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(COOKIE))
    assert "HttpOnly" in set_cookie
    assert "SameSite=lax" in set_cookie
    assert "Max-Age=43200" in set_cookie
    assert "Secure" not in set_cookie  # this test speaks http
    assert key not in set_cookie
    assert key.rpartition("_")[2] not in set_cookie
    shown = somebody.get("/jobs")
    assert shown.status_code == 200
    assert "Sign out" in shown.text
    assert "anna" in shown.text


def test_over_https_the_cookies_are_for_https_alone(app, somebody, key_of):
    _, key = key_of("anna")
    person = Person(TestClient(app, base_url=HERE.replace("http:", "https:"), raise_server_exceptions=False))
    answer = person.sign_in(key)
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    assert all("Secure" in line for line in cookies)


@pytest.mark.parametrize("wrong", ["", "hunter2", "frk_0123456789abcdef_" + "a" * 49])
def test_what_is_no_key_signs_nobody_in(somebody, key_of, wrong):
    key_of("anna")
    answer = somebody.sign_in(wrong)
    assert answer.status_code in (401, 422)
    assert COOKIE not in answer.headers.get("set-cookie", "")
    assert "Sign in" in answer.text


@pytest.mark.parametrize("elsewhere", ["https://example.org/", "//example.org/", "/\\example.org", "javascript:1", ""])
def test_nobody_is_sent_elsewhere_after_signing_in(somebody, key_of, elsewhere):
    _, key = key_of("anna")
    assert somebody.sign_in(key, next=elsewhere).headers["location"] == "/"


def test_a_cookie_that_we_did_not_sign_opens_nothing(somebody, key_of):
    key_id, key = key_of("anna")
    somebody.sign_in(key)
    good = somebody.client.cookies[COOKIE]
    other_id, _ = key_of("bert")
    told = good.split(".")
    forged = (
        good[:-1] + ("A" if good[-1] != "A" else "B"),
        ".".join([other_id, *told[1:]]),
        ".".join([told[0], str(int(told[1]) + 1), told[2]]),
        ".".join(told[:2]),
        "x",
        "..",
        f"{key_id}.{'9' * 30}.{told[2]}",
        f"{key_id}.²³.{told[2]}",
    )
    for value in forged:
        answer = somebody.client.get(
            "/jobs", headers=PAGE | {"cookie": f"{COOKIE}={value}".encode()}, follow_redirects=False
        )
        assert leads_to_sign_in(answer), value


def test_a_session_is_over_when_its_time_is(somebody, key_of, monkeypatch):
    _, key = key_of("anna")
    somebody.sign_in(key)
    now = time.time()
    monkeypatch.setattr(sessions.time, "time", lambda: now + 12 * 3600 - 60)
    assert somebody.get("/jobs").status_code == 200
    monkeypatch.setattr(sessions.time, "time", lambda: now + 12 * 3600 + 60)
    assert leads_to_sign_in(somebody.get("/jobs"))


def test_revoking_the_key_ends_its_sessions(somebody, key_of, database, monkeypatch):
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0.0)
    key_id, key = key_of("anna")
    somebody.sign_in(key)
    assert somebody.get("/jobs").status_code == 200
    with database.write_transaction() as session:
        revoke_key(session, key_id)
    assert leads_to_sign_in(somebody.get("/jobs"))


def test_signing_out_ends_the_session_of_this_browser(somebody, another, key_of):
    _, key = key_of("anna")
    somebody.sign_in(key)
    another.sign_in(key)
    answer = somebody.post("/sign-out", at="/jobs")
    assert answer.headers["location"] == "/sign-in"
    assert leads_to_sign_in(somebody.get("/jobs"))
    assert another.get("/jobs").status_code == 200


def test_what_a_key_may_not_do_is_neither_offered_nor_done(somebody, key_of, colours):
    somebody.sign_in(key_of("anna")[1])
    dataset = somebody.upload("mine.npz", features()).headers["location"]
    _, key = key_of("anna", Scope.READ)
    somebody.sign_in(key)
    assert "can read, and not ask for a ranking" in somebody.get(dataset).text
    home = somebody.get("/")
    assert 'type="file"' not in home.text
    assert "/admin" not in home.text
    refused = somebody.upload("colours.zip", colours.read_bytes())
    assert refused.status_code == 403
    assert "has not the scope &#39;write&#39;" in refused.text
    assert somebody.get("/admin").status_code == 403


def test_a_request_that_is_refused_is_in_the_audit_log(somebody, key_of, database):
    key_id, key = key_of("anna", Scope.READ)
    somebody.sign_in(key)
    somebody.get("/admin")
    _, other = key_of("anna", Scope.ADMIN, Scope.READ)
    somebody.post("/sign-out", at="/jobs")
    somebody.sign_in(other)
    log = somebody.get("/admin/audit").text
    assert f"key:{key_id}" in log
    assert "scope_missing" in log


@pytest.mark.parametrize(
    ("referer", "back"), [(f"{HERE}/jobs?kind=ranking", "/jobs"), ("http://[", "/"), ("no address", "no%20address")]
)
def test_a_form_of_nobody_leads_to_signing_in_whatever_it_says_it_came_from(somebody, key_of, referer, back):
    key_of("anna")
    answer = somebody.client.post(
        "/jobs/x/cancel", data={"csrf": "x"}, headers=PAGE | {"referer": referer}, follow_redirects=False
    )
    assert (answer.status_code, answer.headers.get("location")) == (303, f"/sign-in?next={back}")
