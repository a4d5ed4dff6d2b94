"""What browsers are told, and which other sites' pages are let in: none, unless the settings name them."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from frontrunner.settings import Settings
from tests.api.asking import is_problem
from tests.api.conftest import HERE
from tests.api.test_access import hub

__all__ = ["hub"]

FRIEND = "https://notebooks.example"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}


@pytest.mark.parametrize("path", ["/livez", "/v1/scores", "/v1/jobs/none", "/nothing", "/openapi.json"])
def test_every_answer_tells_browsers_to_run_frame_and_guess_nothing(client, path):
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy == dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "server" not in headers


def test_refusals_at_the_door_carry_the_headers_too(client):
    refused = client.get("/v1/jobs", headers={"host": "evil.example"})
    assert refused.status_code == 421
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert refused.headers["x-request-id"]


def test_no_other_site_is_let_in_by_default(client):
    asked = client.options("/v1/webhooks", headers={"origin": FRIEND} | PREFLIGHT)
    read = client.get("/v1/jobs", headers={"origin": FRIEND})
    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    is_problem(client.post("/v1/webhooks", json={}, headers={"origin": FRIEND}), 403, "cross_site_request")


def test_a_site_that_the_settings_name_is_let_in_and_no_other(client, settings):
    named = settings.model_copy(update={"cors_origins": (FRIEND,)})
    with TestClient(create_app(named), base_url=HERE) as open_to:
        asked = open_to.options("/v1/webhooks", headers={"origin": FRIEND} | PREFLIGHT)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == FRIEND
        assert "access-control-allow-credentials" not in asked.headers  # no cookie of ours goes there
        site = {"origin": FRIEND, "sec-fetch-site": "cross-site"}
        answer = open_to.post("/v1/webhooks", json={"url": "ftp://x"}, headers=site)
        is_problem(answer, 422, "webhook_target_forbidden")
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert "RateLimit" in answer.headers["access-control-expose-headers"]
        other = {"origin": "https://notebooks.example.evil", "sec-fetch-site": "cross-site"}
        refused = open_to.post("/v1/webhooks", json={}, headers=other)
        is_problem(refused, 403, "cross_site_request")
        assert "access-control-allow-origin" not in refused.headers


def test_a_browser_asks_for_a_site_under_the_public_name_and_its_page_then_brings_a_key(client, settings):
    """A preflight holds no key, and says nothing that a stranger could read."""
    named = settings.model_copy(update={"cors_origins": (FRIEND,)})
    with TestClient(create_app(named), base_url="http://ranking.example") as public:
        assert public.options("/v1/webhooks", headers={"origin": FRIEND} | PREFLIGHT).status_code == 200
        assert public.options("/v1/webhooks", headers={"origin": "https://x.evil"} | PREFLIGHT).status_code == 421
        is_problem(public.get("/v1/jobs", headers={"origin": FRIEND}), 421, "host_not_allowed")


def test_sites_are_named_with_commas_between_them(monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_CORS_ORIGINS", f"{FRIEND}, https://b.example")
    assert Settings().cors_origins == (FRIEND, "https://b.example")
