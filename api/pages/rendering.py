"""From a template to an answer: what every page has in common, and headers that let browsers run our files alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from api.jobs.resource import JobResource
from api.pages import files
from api.pages.sessions import CSRF_FIELD, keep_visitor
from api.pages.visits import Visit
from frontrunner import __version__
from frontrunner.report import assets
from frontrunner.report.templates import environment as shared_environment
from frontrunner.status import ACTIVE, Status
from jobs.keys import Scope

# Charts put one constant style into each drawing; nothing else may be inline.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        f"style-src 'self' {assets.STYLE_HASH}",
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# A name up to and with what divides it from the next part; names longer than this are broken there.
_PARTS = re.compile(r"[^:/._-]*[:/._-]|[^:/._-]+")
_UNBROKEN = 20
# How a status is coloured; the word stands beside it.
_TONES = {
    Status.SUCCEEDED: "good",
    Status.FAILED: "bad",
    Status.LOST: "bad",
    Status.RUNNING: "info",
    Status.CANCELLING: "warn",
    Status.CANCELLED: "warn",
    Status.QUEUED: "",
}
# Where the jobs of each kind have their page.
JOB_PATHS = {"ranking": "rankings", "task_distances": "tasks", "tuning": "tunings"}


@dataclass(frozen=True)
class Entry:
    """A place that the navigation leads to."""

    name: str
    title: str
    path: str
    scope: Scope = Scope.READ


NAVIGATION = (
    Entry("new", "New", "/"),
    Entry("jobs", "Jobs", "/jobs"),
    Entry("datasets", "Datasets", "/datasets"),
    Entry("hub", "Hub", "/hub"),
    Entry("compare", "Compare", "/compare"),
    Entry("tasks", "Tasks", "/tasks"),
    Entry("history", "History", "/history"),
    Entry("admin", "Admin", "/admin", Scope.ADMIN),
)


@functools.cache
def environment() -> Environment:
    """The templates of pages, beside those that reports share with them."""
    made = shared_environment(PackageLoader("api.pages"))
    made.filters |= {
        "breakable": _breakable,
        "instant": _instant,
        "job_path": job_path,
        "plural": _plural,
        "tone": _tone,
    }
    made.globals |= {
        "version": __version__,
        "asset": lambda name: f"/assets/{assets.version()}/{name}",
        "page_asset": lambda name: f"/assets/pages/{files.version()}/{name}",
        "csrf_field": CSRF_FIELD,
        "active": ACTIVE,
    }
    return made


def page(visit: Visit, name: str, /, *, status: int = 200, **said: Any) -> HTMLResponse:
    """A page, or a part of one, as the answer to a visit.

    Args:
        visit: whose.
        name: of the template.
        status: of the answer.
        said: what the template is told besides.
    """
    text = environment().get_template(name).render(visit=visit, entries=_entries(visit), **said)
    answer = HTMLResponse(text, status, {"Content-Security-Policy": _POLICY, "Vary": "Cookie"})
    if not visit.is_known:
        keep_visitor(visit.request, answer, visit.visitor)
    return answer


def go(path: str) -> Response:
    """The answer to a form that changed something: look here for what came of it."""
    return RedirectResponse(path, 303)


def job_path(job: JobResource) -> str:
    """Where people look at a job."""
    return f"/{JOB_PATHS[job.kind]}/{job.id}"


def _entries(visit: Visit) -> Sequence[Entry]:
    return [entry for entry in NAVIGATION if visit.may(entry.scope)]


def _breakable(text: str) -> Markup:
    """A name, or a sentence with names, escaped: long ones may be broken after what divides their parts.

    Example:
        >>> _breakable("Use timm:resnet18.a1_in1k<b>")
        Markup('Use timm:<wbr>resnet18.<wbr>a1_<wbr>in1k&lt;b&gt;')
    """
    return Markup(" ").join(
        Markup("<wbr>").join(_PARTS.findall(word)) if len(word) > _UNBROKEN else word for word in text.split(" ")
    )


def _instant(at: datetime | float | None) -> str:
    """A point in time as `<time datetime>` takes it."""
    if at is None:
        return ""
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _tone(status: str) -> str:
    return _TONES.get(Status(status), "")


def _plural(count: int, one: str, many: str = "") -> str:
    """A count with its noun.

    Example:
        >>> _plural(1, "class", "classes"), _plural(1200, "example")
        ('1 class', '1,200 examples')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
