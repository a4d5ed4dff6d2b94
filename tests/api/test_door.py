"""What strangers' pages, foreign names and strange requests are answered, whatever lies behind."""

from __future__ import annotations

import sqlite3

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.exc import DatabaseError, DataError

from api import door
from api.datasets import endpoints as datasets
from tests.api.asking import is_problem

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """No checkpoint: none is needed here."""
    return tmp_path_factory.mktemp("no-hub")


def counted(client, *labels):
    families = text_string_to_metric_families(client.get("/metrics").text)
    for family in families:
        for sample in family.samples:
            found = tuple(sample.labels.get(name) for name in ("method", "route", "status"))
            if sample.name == "frontrunner_http_seconds_count" and found == labels:
                return sample.value
    return 0


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "a[b", ""])
def test_a_name_that_is_not_ours_is_refused(client, host):
    is_problem(client.get("/v1/jobs", headers={"host": host}), 421, "host_not_allowed")
    # A page of the stranger knows no key, and learns nothing of a probe.
    is_problem(client.get("/v1/jobs", headers={"host": host, "authorization": "Bearer x"}), 401, "key_invalid")
    assert client.get("/livez", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST.", "192.168.1.7:8000"])
def test_this_machines_own_names_are_ours(client, host):
    assert client.get("/v1/jobs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8000"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "null"},
    ],
)
def test_pages_of_other_sites_change_nothing(client, headers):
    is_problem(client.post("/v1/jobs/job_x/cancel", headers=headers), 403, "cross_site_request")
    form = client.post("/v1/datasets", files={"file": ("a.csv", b"text,label\n")}, headers=headers)
    is_problem(form, 403, "cross_site_request")
    assert client.get("/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": "http://127.0.0.1:8000"}]
)
def test_our_own_pages_and_programs_may_change_things(client, headers):
    is_problem(client.post("/v1/jobs/job_x/cancel", headers=headers), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/v1/jobs/a%00b", "/v1/jobs?cursor=%00", "/v1/checkpoints?search=a%00", "/v1/checkpoints/a%00", "/nowhere%00"],
)
def test_a_nul_in_an_address_is_refused(client, path):
    is_problem(client.get(path), 400, "request_malformed")


@pytest.mark.parametrize(
    "query", ["max_parameters=9223372036854775808", "min_parameters=9223372036854775808", "max_flops=1" + "0" * 30]
)
def test_numbers_that_no_column_holds_are_refused(client, query):
    is_problem(client.get(f"/v1/checkpoints?{query}"), 422, "request_invalid")
    assert client.get("/v1/checkpoints?max_parameters=9223372036854775807").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/rankings", '{"dataset": "\\ud800"}'),
        ("/v1/rankings", '{"dataset": "ds_x", "checkpoints": ["\\ud800"]}'),
        ("/v1/rankings", '{"dataset": "ds_x", "checkpoints": ["a\\u0000"]}'),
        ("/v1/rankings", '{"dataset": "ds_x", "scores": ["\\udfff"]}'),
        ("/v1/rankings", '{"dataset": "ds_x", "constraints": {"max_latency_ms": Infinity}}'),
        ("/v1/tunings", '{"dataset": "ds_x", "student": "\\ud800"}'),
        ("/v1/tunings", '{"dataset": "ds_x", "teachers": ["\\ud800"]}'),
        ("/v1/task-distances", '{"datasets": ["\\ud800", "b"], "checkpoint": "c"}'),
        ("/v1/task-distances", '{"datasets": ["a", "b"], "checkpoint": "c", "beta": Infinity}'),
        ("/v1/webhooks", '{"url": "http://\\ud800.example"}'),
    ],
)
def test_words_that_are_no_text_and_numbers_without_end_are_refused(client, path, body):
    is_problem(client.post(path, content=body, headers=JSON), 422, "request_invalid")


def test_every_name_and_number_of_a_request_is_bounded(client):
    """Whatever reaches a column, a file's name or a log has a length; fields of forms are bounded as they stream."""
    document = client.get("/openapi.json").json()
    schemas, seen, unbounded = document["components"]["schemas"], set(), []

    def walk(schema, at):
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name not in seen:
                seen.add(name)
                walk(schemas[name], name)
            return
        for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("prefixItems", ())):
            walk(part, at)
        bounds = {
            "string": {"maxLength", "enum", "const", "format"},
            "integer": {"maximum", "exclusiveMaximum", "enum", "const"},
            "array": {"maxItems"},
        }.get(schema.get("type"), schema.keys() | {"any"})
        if not bounds & schema.keys() and not bounds & {"any"}:
            unbounded.append(at)
        for name, part in schema.get("properties", {}).items():
            walk(part, f"{at}.{name}")
        if isinstance(schema.get("items"), dict):
            walk(schema["items"], f"{at}[]")

    for operations in document["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "path":
                    walk(parameter["schema"], f"{operation['operationId']}:{parameter['name']}")
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                if kind == "application/json":
                    walk(content["schema"], operation["operationId"])
    assert seen
    assert unbounded == []


def test_a_method_that_is_not_there_is_told_which_are(client):
    answer = client.delete("/v1/jobs")
    is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_probes_may_ask_for_the_head_alone(client):
    assert client.head("/livez").status_code == 200


def test_invented_methods_make_no_series(client):
    for number in range(5):
        client.request(f"INVENTED{number}", "/v1/jobs")
    assert counted(client, "other", "/v1/jobs", "405") == 5
    assert "INVENTED" not in client.get("/metrics").text


def test_pages_that_load_scripts_of_others_are_not_there(client):
    is_problem(client.get("/redoc"), 404, "not_found")
    assert "//" not in client.get("/docs").text, "it names no other host"
    assert client.get("/openapi.json").status_code == 200


def test_a_defect_is_named_counted_and_logged(client, monkeypatch, caplog):
    def fail(*_arguments):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(datasets, "get_dataset", fail)
    answer = client.get("/v1/datasets/ds_x", headers={"x-request-id": "the-one"})
    is_problem(answer, 500, "internal_error")
    assert answer.headers["x-request-id"] == "the-one"
    assert "nobody foresaw" not in answer.text
    assert counted(client, "GET", "/v1/datasets/{dataset_id}", "500") == 1
    (logged,) = (record.msg for record in caplog.records if "request_failed" in str(record.msg))
    assert (logged["request_id"], logged["path"]) == ("the-one", "/v1/datasets/ds_x")
    assert "nobody foresaw this" in logged["exception"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DatabaseError("SELECT", {}, sqlite3.DatabaseError("malformed")), 503, "database_unavailable"),
        (DataError("SELECT", {}, ValueError("NUL")), 422, "request_invalid"),
    ],
)
def test_what_the_database_refuses_is_told_apart(client, monkeypatch, error, status, code):
    def fail(*_arguments):
        raise error

    monkeypatch.setattr(datasets, "get_dataset", fail)
    is_problem(client.get("/v1/datasets/ds_x"), status, code)


def test_a_json_body_is_bounded(client):
    body = b'{"dataset": "' + b"x" * door.MAX_JSON_BYTES + b'"}'
    is_problem(client.post("/v1/rankings", content=body, headers=JSON), 413, "request_too_large")


def test_a_body_nested_without_end_is_refused(client):
    answer = client.post("/v1/rankings", content=b'{"a":' * 200_000, headers=JSON)
    assert answer.status_code in (400, 422)


def test_a_form_of_many_parts_is_refused_early(client):
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x"}
    found = client.post("/v1/datasets", content=part * 50_000 + b"--x--\r\n", headers=headers)
    assert "32 fields" in is_problem(found, 400, "request_malformed")["detail"]
    long = b"--x\r\nContent-Disposition: form-data; name=" + b"a" * 100_000
    assert (
        "header"
        in is_problem(client.post("/v1/datasets", content=long, headers=headers), 400, "request_malformed")["detail"]
    )


def test_a_files_name_keeps_what_can_be_shown(client):
    rows = "text,label\n" + "".join(f"words {i},{i % 2}\n" for i in range(40))
    answer = client.post("/v1/datasets?name=up/%1B[31mred%07.csv", content=rows)
    assert answer.json()["name"] == "[31mred.csv"
