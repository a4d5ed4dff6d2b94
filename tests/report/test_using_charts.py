"""Using charts in a real browser: choices, tips by keyboard, and what changes while somebody looks."""

from __future__ import annotations

import pytest

from frontrunner.report import ranking_data
from tests.report.rankings import ranking_of
from tests.report.test_charts import TUNING, opened, show_table

TELL = "data => document.dispatchEvent(new CustomEvent('frontrunner:data', {detail: {id: 'd', data}}))"


def test_a_new_ranking_is_drawn_in_place(browser, served):
    page, complaints = opened(browser, served(["scores"], ranking_data(ranking_of(12)), items=12), ["scores"])
    below = page.locator("#below").bounding_box()
    figure = page.locator("figure").element_handle()
    one_less = ranking_data(ranking_of(12))
    one_less["ranking"][3]["scores"] = {}
    page.evaluate(TELL, one_less)
    page.locator("figure[data-drawn='2']").wait_for()
    assert page.locator(".value circle").count() == 11
    page.evaluate(  # the element itself is replaced, as htmx does
        """data => {
            const script = document.createElement("script");
            [script.type, script.id, script.textContent] = ["application/json", "d", JSON.stringify(data)];
            document.getElementById("d").replaceWith(script);
        }""",
        ranking_data(ranking_of(12)),
    )
    page.locator("figure[data-drawn='3']").wait_for()
    assert page.locator(".value circle").count() == 12
    assert figure.evaluate("figure => figure.isConnected")
    assert page.locator("#below").bounding_box() == below
    assert complaints == []
    page.close()


def test_a_reader_chooses_the_score_and_reads_the_table(browser, served):
    page, _ = opened(browser, served(["scores"], ranking_data(ranking_of(3))), ["scores"])
    page.get_by_label("Score").select_option("logme")
    show_table(page)
    rows = [row.all_inner_texts() for row in (each.locator("th, td") for each in page.locator("tbody tr").all())]
    assert rows[0] == ["local:checkpoint_0000", "1", "\N{MINUS SIGN}0.1", "\N{MINUS SIGN}0.2", "0"]
    assert len(rows) == 3
    assert page.locator(".chart-canvas").get_attribute("role") == "img"
    said = "LogME of 3 checkpoints; the first of the ranking, local:checkpoint_0000, has \N{MINUS SIGN}0.1"
    assert page.locator(".chart-canvas").get_attribute("aria-label") == said
    page.close()


@pytest.mark.parametrize("name", ["scores", "confusion", "chances"])
def test_the_keyboard_reaches_the_tip_of_every_mark(browser, served, name):
    value = TUNING if name == "confusion" else ranking_data(ranking_of(3))
    page, complaints = opened(browser, served([name], value), [name])
    canvas, told = page.locator(".chart-canvas"), page.locator("figure [role=status]")
    for _ in range(9):  # what stands before it in the order of focus
        if not canvas.evaluate("canvas => canvas === document.activeElement"):
            page.keyboard.press("Tab")
    assert page.get_by_text("Arrow keys show the numbers").is_visible()
    said = []
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End"):
        page.keyboard.press(key)
        said.append(told.inner_text())
    expected = {
        "scores": ["1. local:checkpoint_0000", "2. local:checkpoint_0001"],
        "chances": ["local:checkpoint_0000", "local:checkpoint_0001"],
        "confusion": ["cat, taken for cat, 9 of 10", "dog, taken for cat, 3 of 10", "dog, taken for dog, 7 of 10"],
    }[name]
    for line, begins in zip(said, expected, strict=False):
        assert line.startswith(begins), said
    assert said[-1] == ("dog, taken for dog, 7 of 10" if name == "confusion" else said[-1])
    page.keyboard.press("Escape")
    assert told.inner_text() == ""
    assert page.locator("[aria-label=tip] tspan").count() == 0
    assert complaints == []
    page.close()


def test_a_choice_that_nobody_made_follows_who_leads(browser, served):
    data = ranking_data(ranking_of(3))
    data["ranking"][1]["picture"] = data["ranking"][0]["picture"]
    page, _ = opened(browser, served(["features"], dict(data, ranking=data["ranking"][1:])), ["features"])
    canvas, choice = page.locator(".chart-canvas"), page.locator(".chart-controls select")
    assert "by local:checkpoint_0001 in" in canvas.get_attribute("aria-label")
    page.evaluate(TELL, data)
    page.locator("figure[data-drawn='2']").wait_for()
    assert choice.input_value() == "local:checkpoint_0000"
    assert "by local:checkpoint_0000 in" in canvas.get_attribute("aria-label")
    choice.select_option("local:checkpoint_0001")
    page.evaluate(TELL, dict(data, ranking=data["ranking"][:2]))
    page.locator("[aria-label*='by local:checkpoint_0001 in']").wait_for()
    assert choice.input_value() == "local:checkpoint_0001"
    page.close()


def test_what_is_out_of_sight_is_drawn_too_when_nothing_changes_any_more(browser, served):
    page, _ = opened(browser, served(["scores"] * 12, ranking_data(ranking_of(12)), items=12), ["scores"] * 12)
    data = ranking_data(ranking_of(5))
    page.evaluate(TELL, data)
    page.locator("figure").last.locator(".chart-canvas[aria-label*=' 5 checkpoints']").wait_for()
    assert page.evaluate("scrollY") == 0
    page.close()
