"""Traces by OpenTelemetry: one trace from a request through its job's steps into their runners.

They are made where `OTEL_EXPORTER_OTLP_ENDPOINT` says where they go, and nowhere else: without it nothing is imported,
counted or sent. Who makes spans takes a `Traces`; a place in a trace is carried as W3C's `traceparent`, so that it can
lie in a job's row and cross processes. The other variables of OpenTelemetry (`OTEL_SERVICE_NAME`,
`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`...) hold as its own documentation says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from frontrunner.errors import ExtraMissing

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context

Attributes: TypeAlias = Mapping[str, str | int | float | bool]
Kind: TypeAlias = Literal["internal", "server", "producer", "consumer"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HEADER = "traceparent"


class Span(Protocol):
    """A piece of work under way.

    Attributes:
        traceparent: its place in its trace, as W3C writes it; empty where there are no traces.
    """

    traceparent: str

    def rename(self, name: str) -> None:
        """Call it by what became known later."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Say more about it."""
        ...

    def fail(self, reason: str) -> None:
        """It did not come to what it was for."""
        ...


class Traces(Protocol):
    """Makes spans."""

    def span(
        self, name: str, *, kind: Kind = "internal", parent: str | None = None, attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        """A span for as long as the block lasts, and the one that others in the block belong to.

        Args:
            name: what is done; few different ones.
            kind: `server` answers a request, `producer` makes work for later, `consumer` does it.
            parent: the `traceparent` of what it belongs to; by default that is the block around. An empty or malformed
                one begins a trace. A server must say one: a connection's next request may be begun by its last.
            attributes: what else is known.
        """
        ...

    def record(self, name: str, began_ns: int, ended_ns: int, *, parent: str) -> None:
        """Note work that is over, as part of `parent`. Times are nanoseconds since 1970."""
        ...

    def close(self) -> None:
        """Send what is still here."""
        ...


class _NoSpan:
    traceparent = ""

    def rename(self, name: str) -> None:
        """Nothing."""

    def set(self, attributes: Attributes) -> None:
        """Nothing."""

    def fail(self, reason: str) -> None:
        """Nothing."""


class _NoTraces:
    @contextmanager
    def span(
        self, name: str, *, kind: Kind = "internal", parent: str | None = None, attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """A span that nobody hears of."""
        yield NO_SPAN

    def record(self, name: str, began_ns: int, ended_ns: int, *, parent: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


NO_TRACES: Traces = _NoTraces()
NO_SPAN: Span = _NoSpan()


def trace_of(traceparent: str) -> dict[str, str]:
    """What a log line says of its trace: nothing where there is none.

    Example:
        >>> trace_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        {'trace_id': '0af7651916cd43dd8448eb211c80319c'}
    """
    return {"trace_id": traceparent.split("-")[1]} if traceparent else {}


def open_traces(role: str) -> Traces:
    """Traces of this process, as the environment says: `NO_TRACES` where it names no endpoint.

    Args:
        role: `api` or `worker`; the service is called `frontrunner-ROLE` unless `OTEL_SERVICE_NAME` says otherwise.

    Raises:
        ExtraMissing: an endpoint is named, and OpenTelemetry is not installed.

    Example:
        >>> open_traces("api") is NO_TRACES
        True
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return NO_TRACES
    try:
        return _OpenTelemetry(role)
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"{error.name} is not installed, and {_ENDPOINTS[0]} asks for traces: pip install 'frontrunner[telemetry]'"
        ) from error


class _OpenTelemetrySpan:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span)

    def rename(self, name: str) -> None:
        """See `Span`."""
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        """See `Span`."""
        self._span.set_attributes(dict(attributes))

    def fail(self, reason: str) -> None:
        """See `Span`."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, reason))


class _OpenTelemetry:
    def __init__(self, role: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from frontrunner import __version__

        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"frontrunner-{role}"}
        self._provider = TracerProvider(resource=Resource.create({"service.version": __version__, **named}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("frontrunner", __version__)

    @contextmanager
    def span(
        self, name: str, *, kind: Kind = "internal", parent: str | None = None, attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """See `Traces`."""
        from opentelemetry.trace import SpanKind

        with self._tracer.start_as_current_span(
            name, context=_context(parent), kind=SpanKind[kind.upper()], attributes=dict(attributes or {})
        ) as span:
            yield _OpenTelemetrySpan(span)

    def record(self, name: str, began_ns: int, ended_ns: int, *, parent: str) -> None:
        """See `Traces`."""
        self._tracer.start_span(name, context=_context(parent), start_time=began_ns).end(end_time=ended_ns)

    def close(self) -> None:
        """See `Traces`."""
        self._provider.shutdown()


def _context(traceparent: str | None) -> Context | None:
    if traceparent is None:
        return None
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({_HEADER: traceparent}, Context())


def _traceparent(span: trace.Span) -> str:
    about = span.get_span_context()
    return f"00-{about.trace_id:032x}-{about.span_id:016x}-{about.trace_flags:02x}"
