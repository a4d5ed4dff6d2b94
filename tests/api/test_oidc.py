"""Tokens of a real issuer on this machine: only those that it made for us, now, let anybody in."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from api import access, oidc
from api.access_errors import KeysRequired, OIDCMisconfigured
from api.oidc import TokenIssuer
from jobs.keys import Scope
from models import AuditRow
from tests.api.asking import is_problem
from tests.api.issuer import loopback_issuer
from tests.api.test_access import features, hub, new_key

__all__ = ["hub"]


@pytest.fixture
def issuer(monkeypatch):
    monkeypatch.setattr(oidc, "MIN_REFRESH_S", 0.0)
    monkeypatch.setattr(access, "KNOWN_FOR_S", 0.0)
    with loopback_issuer() as issuer:
        issuer.new_key("first")
        yield issuer


@pytest.fixture
def settings(settings, issuer):
    return settings.model_copy(update={"oidc_issuer": issuer.url, "oidc_audience": "frontrunner"})


def bearer(token):
    return {"authorization": f"Bearer {token}"}


def test_a_token_lets_its_tenant_in_with_its_scopes(client, database, issuer, tmp_path):
    headers = bearer(issuer.token("first"))
    made = client.post("/v1/datasets?name=f.npz", content=features(tmp_path), headers=headers)
    assert made.status_code == 201
    assert client.get("/v1/quota", headers=headers).json()["tenant"] == "anna"
    is_problem(client.get("/metrics", headers=headers), 403, "scope_missing")
    other = bearer(issuer.token("first", tenant="bert", scope=["read", "admin", "everything"]))
    assert client.get("/v1/datasets", headers=other).json()["items"] == []
    is_problem(client.delete("/v1/jobs/x", headers=other), 403, "scope_missing")
    with database.read_transaction() as session:
        assert {row.actor for row in session.query(AuditRow)} == {"oidc:anna@example"}
    is_problem(client.get("/v1/jobs"), 401, "key_missing")


def test_keys_of_our_own_are_good_beside_tokens(client, database, settings):
    _, headers = new_key(database, settings, "anna")
    assert client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "said",
    [
        {"exp": 1},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"aud": "somebody-else"},
        {"aud": None},
        {"iss": "http://127.0.0.1:1/realm"},
        {"iss": None},
        {"sub": None},
        {"tenant": None},
        {"tenant": "../anna"},
        {"tenant": ["anna"]},
    ],
    ids=str,
)
def test_a_token_that_is_over_or_for_others_or_names_no_tenant_is_none(client, issuer, said):
    is_problem(client.get("/v1/jobs", headers=bearer(issuer.token("first", **said))), 401, "key_invalid")


def forged(issuer, header, signature=b""):
    """A token put together by hand."""
    good = issuer.token("first").split(".")
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return f"{head}.{good[1]}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def hmac_by_public_key(issuer):
    """The classic: signed as HS256, with the public key as the secret that both sides know."""
    import hashlib
    import hmac

    unsigned = forged(issuer, {"alg": "HS256", "typ": "JWT", "kid": "first"}).rstrip(".")
    signature = hmac.new(issuer.public_pem("first"), unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "make",
    [
        lambda issuer: forged(issuer, {"alg": "none", "kid": "first"}),
        lambda issuer: forged(issuer, {"alg": "NONE", "kid": "first"}),
        lambda issuer: forged(issuer, {"alg": "RS256", "kid": "first"}),
        lambda issuer: forged(issuer, {"alg": "RS256", "kid": "first"}, b"x" * 256),
        hmac_by_public_key,
        lambda issuer: issuer.token("first", key=rsa.generate_private_key(65_537, 2048)),
        lambda issuer: issuer.token("first", "RS512"),  # not among those that the settings accept
        lambda issuer: issuer.token("first")[:-6] + "AAAAAA",
        lambda issuer: issuer.token("first").replace(".", ".A", 1),
        lambda issuer: jwt.encode({"sub": "x"}, issuer.keys["first"], "RS256"),
        lambda issuer: forged(issuer, {"alg": "RS256", "kid": {"a": 1}}),
        lambda issuer: "a.b.c",
        lambda issuer: "." * 50,
        lambda issuer: "x" * 7000,
    ],
)
def test_a_forged_token_is_none(client, issuer, make):
    assert client.get("/v1/jobs", headers=bearer(issuer.token("first"))).status_code == 200
    is_problem(client.get("/v1/jobs", headers=bearer(make(issuer))), 401, "key_invalid")


def test_clocks_may_differ_by_the_leeway(client, issuer):
    for said, status in (({"exp": time.time() - 20}, 200), ({"exp": time.time() - 45}, 401)):
        said = {name: int(value) for name, value in said.items()}
        assert client.get("/v1/jobs", headers=bearer(issuer.token("first", **said))).status_code == status


def test_keys_that_the_issuer_rotates_are_picked_up_and_withdrawn_ones_are_forgotten(client, issuer, monkeypatch):
    old = issuer.token("first")
    assert client.get("/v1/jobs", headers=bearer(old)).status_code == 200
    issuer.new_key("second", "EC")
    del issuer.keys["first"]
    new = issuer.token("second", "ES256")
    assert client.get("/v1/jobs", headers=bearer(new)).status_code == 200
    is_problem(client.get("/v1/jobs", headers=bearer(old)), 401, "key_invalid")
    issuer.new_key("third")
    del issuer.keys["second"]
    monkeypatch.setattr(oidc, "KEYS_KEPT_S", 0.0)
    is_problem(client.get("/v1/jobs", headers=bearer(new)), 401, "key_invalid")


def test_invented_keys_do_not_make_us_ask_the_issuer_each_time(client, issuer, monkeypatch):
    monkeypatch.setattr(oidc, "MIN_REFRESH_S", 60.0)
    assert client.get("/v1/jobs", headers=bearer(issuer.token("first"))).status_code == 200
    asked = len(issuer.asked)
    for number in range(20):
        issuer.keys[f"invented-{number}"] = issuer.keys["first"]
        token = issuer.token(f"invented-{number}")
        is_problem(client.get("/v1/jobs", headers=bearer(token)), 401, "key_invalid")
    assert len(issuer.asked) == asked == 2


def test_an_issuer_that_is_away_is_said_and_known_keys_stay_good(client, issuer, monkeypatch):
    issuer.answers = False
    answer = client.get("/v1/jobs", headers=bearer(issuer.token("first")))
    is_problem(answer, 503, "issuer_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    issuer.answers = True
    assert client.get("/v1/jobs", headers=bearer(issuer.token("first"))).status_code == 200
    issuer.answers = False
    monkeypatch.setattr(oidc, "KEYS_KEPT_S", 0.0)
    assert client.get("/v1/jobs", headers=bearer(issuer.token("first"))).status_code == 200
    monkeypatch.setattr(oidc, "KEYS_USABLE_S", 0.0)
    is_problem(client.get("/v1/jobs", headers=bearer(issuer.token("first"))), 503, "issuer_unavailable")


@pytest.mark.parametrize(
    "says", [{"issuer": "https://other.example"}, {"jwks_uri": "http://10.0.0.1/keys"}, {"jwks_uri": 3}]
)
def test_a_discovery_document_of_somebody_else_is_not_believed(client, issuer, says):
    issuer.says = says
    is_problem(client.get("/v1/jobs", headers=bearer(issuer.token("first"))), 503, "issuer_unavailable")


@pytest.mark.parametrize(
    "wrong",
    [
        {"oidc_audience": ""},
        {"oidc_issuer": "http://login.example"},
        {"oidc_issuer": "file:///etc/passwd"},
        {"oidc_algorithms": ("HS256",)},
        {"oidc_algorithms": ("RS256", "none")},
        {"oidc_algorithms": ()},
    ],
    ids=str,
)
def test_settings_that_would_believe_anybody_are_refused(settings, wrong):
    with pytest.raises(OIDCMisconfigured):
        TokenIssuer(settings.model_copy(update=wrong))


def test_claims_may_be_called_otherwise(issuer, settings):
    named = settings.model_copy(
        update={"oidc_tenant_claim": "org", "oidc_scope_claim": "roles", "oidc_scope_prefix": "frontrunner:"}
    )
    token = issuer.token("first", org="bert", roles=["frontrunner:tune", "admin", 3])
    found = TokenIssuer(named).principal(token)
    assert (found.tenant, found.scopes, found.name) == ("bert", {Scope.TUNE}, "oidc:anna@example")


def test_with_an_issuer_a_service_may_listen_to_others_without_a_key(client, database, settings):
    open_to_all = settings.model_copy(update={"host": "0.0.0.0"})  # noqa: S104 - nothing listens
    with database.read_transaction() as session:
        access.refuse_without_keys(session, open_to_all)
        with pytest.raises(KeysRequired):
            access.refuse_without_keys(session, open_to_all.model_copy(update={"oidc_issuer": ""}))
