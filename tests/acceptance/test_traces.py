"""Traces: a real service tells a collector on this machine, and one trace holds all that a request led to."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.service.servers import wait_until
from tests.acceptance.service import serving

pytestmark = pytest.mark.acceptance


@dataclass
class Seen:
    """A span as the collector was told of it."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    kind: int
    began_ns: int
    ended_ns: int
    failed: bool
    about: dict[str, str] = field(default_factory=dict)


class Collector:
    """Takes traces over OTLP/HTTP, as OpenTelemetry's collector does, and keeps them."""

    def __init__(self) -> None:
        self.spans: list[Seen] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    outer.spans.extend(spans_of(ExportTraceServiceRequest.FromString(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, trace: str) -> list[Seen]:
        return [span for span in self.spans if span.trace == trace]


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    for group in request.resource_spans:
        service = next(item.value.string_value for item in group.resource.attributes if item.key == "service.name")
        for scope in group.scope_spans:
            for span in scope.spans:
                about = {item.key: item.value.string_value for item in span.attributes}
                yield Seen(
                    span.name, service, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind,
                    span.start_time_unix_nano, span.end_time_unix_nano, span.status.code == 2, about,
                )  # fmt: skip


@pytest.fixture(scope="module")
def collector():
    running = Collector()
    yield running
    running.server.shutdown()


@pytest.fixture(scope="module")
def service(tmp_path_factory, hub, collector):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        with serving(tmp_path_factory.mktemp("traces") / "home", hub, poll_period_s=0.3) as running:
            yield running


def submit(service, dataset: str, traceparent: str | None, **terms: object):
    headers = {} if traceparent is None else {"traceparent": traceparent}
    return service.http.post("/v1/rankings", json={"dataset": dataset} | terms, headers=headers)


@pytest.fixture(scope="module")
def dataset(service, colours) -> str:
    with colours.open("rb") as file:
        return service.http.post("/v1/datasets", files={"file": (colours.name, file)}).raise_for_status().json()["id"]


def test_one_trace_leads_from_the_request_through_the_step_into_the_runner(service, collector, dataset):
    trace, caller = secrets.token_hex(16), secrets.token_hex(8)
    answer = submit(service, dataset, f"00-{trace}-{caller}-01", checkpoints=["local:resnet"])
    assert answer.status_code == 202, answer.text
    assert answer.headers["traceparent"].split("-")[1] == trace
    job = answer.json()["id"]
    assert service.wait(job)["status"] == "succeeded"
    wait_until(lambda: "step ranking" in {span.name for span in collector.of(trace)}, 120, "the step's span")

    spans = {span.name: span for span in collector.of(trace)}
    assert len(spans) == len(collector.of(trace))
    request, submitted = spans["POST /v1/rankings"], spans["submit ranking"]
    step, run, read = spans["step ranking"], spans["run"], spans["read"]
    assert request.parent == caller
    assert answer.headers["traceparent"] == f"00-{trace}-{request.id}-01"
    assert [submitted.parent, step.parent, run.parent, read.parent] == [request.id, submitted.id, step.id, run.id]
    assert [span.kind for span in (request, submitted, step, run)] == [
        2,
        4,
        5,
        1,
    ]  # server, producer, consumer, internal
    assert {request.service, submitted.service} == {"frontrunner-api"}
    assert {step.service, run.service, read.service} == {"frontrunner-worker"}
    assert {submitted.about["frontrunner.job"], step.about["frontrunner.job"]} == {job}
    assert request.began_ns <= submitted.began_ns <= step.began_ns <= run.began_ns <= read.began_ns
    assert read.ended_ns <= run.ended_ns <= step.ended_ns
    assert not any(span.failed for span in spans.values())
    assert f'"trace_id": "{trace}"' in service.log.read_text(), "the logs' lines name it"


def test_a_request_without_a_trace_or_with_a_malformed_one_begins_one(service, collector):
    """Several on one connection: the server may begin the next one in the middle of the last."""
    given = [{}, {"traceparent": "00-nonsense"}] * 10
    begun = [service.http.get("/v1/scores", headers=headers) for headers in given]
    traces = {answer.headers["traceparent"].split("-")[1] for answer in begun}
    assert len(traces) == 20
    wait_until(lambda: all(collector.of(trace) for trace in traces), 120, "all spans")
    assert {span.parent for trace in traces for span in collector.of(trace)} == {""}


def test_a_request_that_its_caller_does_not_sample_is_not_sampled(service, collector):
    trace = secrets.token_hex(16)
    answer = service.http.get("/v1/scores", headers={"traceparent": f"00-{trace}-{secrets.token_hex(8)}-00"})
    assert answer.headers["traceparent"].split("-")[1::2] == [trace, "00"]
    later = service.http.get("/v1/scores").headers["traceparent"].split("-")[1]
    wait_until(lambda: collector.of(later), 120, "the later request's span")
    assert collector.of(trace) == []


def test_probes_and_scrapes_make_no_spans(service, collector):
    assert "traceparent" not in service.http.get("/livez").headers
    assert "traceparent" not in service.http.get("/metrics").headers


def test_without_an_endpoint_no_exporter_is_loaded():
    without = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    code = """
import sys
from api.app import create_app
create_app()
import workers.app
assert not [name for name in sys.modules if name.startswith("opentelemetry.exporter")]
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=without)
