"""The dashboard and the alert rules ask for what `/metrics` really has: every name, and every label of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from jobs import lifecycle
from tests.api.asking import claim, finish, upload_features
from tests.api.conftest import *  # noqa: F403 - a service and its database
from tests.conftest import ROOT

FILES = ROOT / "deploy" / "helm" / "frontrunner" / "files"
RULES = [rule for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
# Put there by whoever scrapes.
SCRAPED = {"job", "instance", "namespace"}


def parsed(expression: str) -> promql_parser.Expr:
    """The expression as Prometheus's grammar reads it, with a value for each variable of Grafana's."""
    return promql_parser.parse(expression.replace("$job", ".*"))


def series_of(expression: promql_parser.Expr) -> Iterator[promql_parser.VectorSelector]:
    """Every series that an expression asks for."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector"):
        below = getattr(expression, name, None)
        if below is not None and not isinstance(below, (str, int, float)):
            yield from series_of(below)
    for argument in getattr(expression, "args", None) or ():
        yield from series_of(argument)


def expressions() -> dict[str, str]:
    """Every expression of both files, by what it is for."""
    asked = {rule["alert"]: rule["expr"] for rule in RULES}
    for title, panel in PANELS.items():
        asked |= {f"{title} {target['refId']}": target["expr"] for target in panel["targets"]}
    return asked


@pytest.fixture
def exposed(client, database, tmp_path) -> dict[str, set[str]]:
    """Names of samples and their labels, of a service that has had work of every kind that is counted."""
    dataset = upload_features(client, tmp_path)
    for seed in range(3):
        client.post("/v1/rankings", json={"dataset": dataset, "seed": seed})
    finish(database, claim(database))
    lost = claim(database)
    with database.write_transaction() as session:
        lifecycle.give_up_attempt(session, lost, "runner_crashed", "r")
    claim(database)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_name_and_label_is_one_that_the_service_exposes(exposed):
    for what, expression in expressions().items():
        asked = list(series_of(parsed(expression)))
        assert asked, what
        for series in asked:
            assert series.name in exposed, what
            labels = {matcher.name for matcher in series.matchers.matchers} - SCRAPED
            assert labels <= exposed[series.name], what


def test_what_is_grouped_by_and_shown_is_a_label_of_the_series(exposed):
    for what, expression in expressions().items():
        known = set().union(*(exposed[series.name] for series in series_of(parsed(expression))))
        grouped = {name.strip() for part in re.findall(r"by \(([^)]*)\)", expression) for name in part.split(",")}
        assert grouped <= known, what
    for rule in RULES:
        known = set().union(*(exposed[series.name] for series in series_of(parsed(rule["expr"]))))
        assert set(re.findall(r"\$labels\.(\w+)", json.dumps(rule))) <= known, rule["alert"]
    for title, panel in PANELS.items():
        for target in panel["targets"]:
            known = set().union(*(exposed[series.name] for series in series_of(parsed(target["expr"]))))
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known, title


def test_every_metric_of_ours_is_on_the_dashboard(exposed):
    families = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in exposed if "frontrunner" in name}
    shown = json.dumps(DASHBOARD)
    assert [name for name in sorted(families) if name not in shown] == []


def test_the_autoscaler_asks_for_what_is_exposed(exposed):
    template = (FILES.parent / "templates" / "autoscaling.yaml").read_text()
    assert set(re.findall(r"frontrunner_\w+", template)) <= exposed.keys()
    (query,) = re.findall(r"query: (.*)", template)
    filled = re.sub(r"{{[^}]*}}", "x", query)
    (series,) = series_of(parsed(filled))
    assert {matcher.name for matcher in series.matchers.matchers} - SCRAPED <= exposed[series.name]


def test_panels_do_not_lie_on_each_other_and_have_a_source():
    taken: set[tuple[int, int]] = set()
    for title, panel in PANELS.items():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, title
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
    assert len({panel["id"] for panel in PANELS.values()}) == len(DASHBOARD["panels"])


def test_every_alert_says_what_is_wrong_and_how_much_it_matters():
    for rule in RULES:
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
