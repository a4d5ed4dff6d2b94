"""Charts in a real browser, under the service's content security policy: what is drawn is what the data say."""

from __future__ import annotations

import re

import pytest

from frontrunner.report import ranking_data
from frontrunner.report.layout import chart_height
from tests.browser import complaints_of
from tests.report.rankings import ranking_of

RANKING_CHARTS = ["scores", "chances", "cost", "agreement", "discrepancy", "features", "confused"]
CURVE = [
    {
        "stage": "training",
        "epoch": epoch,
        "step": epoch,
        "split": split,
        "loss": {"task": 1 / epoch, "pull": 0.1},
        "accuracy": 1 - 0.5 / epoch,
        "examples": 10,
        "learning_rate": 0.01,
    }
    for epoch in range(1, 6)
    for split in ("train", "validation")
]
TUNING = {
    "dataset": "d",
    "output": {
        "curve": CURVE,
        "best_epoch": 3,
        "teacher_weights": {"local:a": 0.75, "local:b": 0.25},
        "metrics": {
            "accuracy": {"value": 0.8},
            "examples": 20,
            "calibration_error": 0.1,
            "classes": ["cat", "dog"],
            "confusion": [[9, 1], [3, 7]],
            "reliability": [
                {"confidence": 0.5, "accuracy": 0.25, "examples": 4},
                {"confidence": 0.9, "accuracy": 1.0, "examples": 16},
                {"confidence": 0.1, "accuracy": 0.0, "examples": 0},
            ],
        },
    },
}
DISTANCES = {
    "matrix": {"tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}], "distance": [[0, 1, 4], [2, 0, 3], [4, 4, 0]]},
    "tree": {"order": [2, 0, 1], "links": [[0, 1.5, 1.5, 1.5], [1.5, 1.5, 1.5, 2.5], [1.5, 2.5, 0, 2.5]]},
}


def opened(browser, address, names, *, width=1200, scheme="light"):
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints = complaints_of(page)
    page.goto(address)
    page.locator("figure[data-drawn]").nth(len(names) - 1).wait_for()
    return page, complaints


def show_table(page):
    """Open the first chart's table; its rows are made once it is open."""
    page.get_by_text("As a table").click()
    page.locator("tbody tr").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_all_charts_are_drawn_without_a_complaint(browser, served, width, scheme):
    for names, value, other in (
        (RANKING_CHARTS, ranking_data(ranking_of(12)), None),
        (["curves", "teachers", "confusion", "reliability"], TUNING, None),
        (["distances"], DISTANCES, None),
        (["compare"], ranking_data(ranking_of(5)), ranking_data(ranking_of(7))),
    ):
        page, complaints = opened(browser, served(names, value, other=other), names, width=width, scheme=scheme)
        assert page.locator("figure svg.plot").count() >= len(names)
        assert page.locator(".chart-empty").count() == 0
        assert complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_a_ranking_has_a_value_and_an_interval_a_checkpoint_where_they_belong(browser, served):
    ranking = ranking_of(12)
    page, _ = opened(browser, served(["scores"], ranking_data(ranking), items=12), ["scores"])
    values = [float(dot.get_attribute("cx")) for dot in page.locator(".value circle").all()]
    ends = []
    for path in page.locator(".interval path").all():
        found = re.fullmatch(r"M([\d.]+),[\d.]+L([\d.]+),[\d.]+", path.get_attribute("d"))
        ends.append((float(found[1]), float(found[2])))
    assert len(values) == len(ends) == 12
    # One scale for all: pixels are a linear function of the number, fixed by the first and the last value.
    numbers = [line.prediction.accuracy for line in ranking.ranking]
    a_pixel = (numbers[0] - numbers[-1]) / (values[0] - values[-1])
    for line, value, (low, high) in zip(ranking.ranking, values, ends, strict=True):
        spread = line.prediction
        for number, pixel in ((spread.accuracy, value), (spread.low, low), (spread.high, high)):
            assert numbers[0] + a_pixel * (pixel - values[0]) == pytest.approx(number, abs=1e-4)
    page.close()


@pytest.mark.parametrize(("name", "items"), [("scores", 60), ("chances", 12), ("agreement", 4), ("cost", None)])
def test_the_room_that_is_kept_is_the_room_that_is_taken(browser, served, name, items):
    data = ranking_data(ranking_of(60 if name == "scores" else 12))
    page, _ = opened(browser, served([name], data, items=items), [name])
    for drawing, width in ((1, 1200), (2, 400)):
        page.set_viewport_size({"width": width, "height": 900})
        page.locator(f"figure[data-drawn='{drawing}']").wait_for()
        heights = [float(svg.get_attribute("height")) for svg in page.locator("figure svg.plot").all()]
        assert sum(heights) == chart_height(name, items, narrow=width == 400)
    page.close()


@pytest.mark.parametrize(
    ("value", "text"), [(1230.0, "1230"), (1000.0, "1000"), (12.5, "12.5"), (0.0, "0"), (12.00049, "12")]
)
def test_a_score_is_written_with_four_digits_whatever_its_size(browser, served, value, text):
    data = ranking_data(ranking_of(3))
    data["ranking"][0]["scores"]["discrepancy"] = {"value": value}
    page, _ = opened(browser, served(["scores"], data), ["scores"])
    page.get_by_label("Score").select_option("discrepancy")
    show_table(page)
    assert page.locator("tbody tr").first.locator("td").nth(1).inner_text() == text
    page.close()


def test_the_front_holds_whatever_nothing_cheaper_matches(browser, served):
    ranking = ranking_of(40)
    page, _ = opened(browser, served(["cost"], ranking_data(ranking)), ["cost"])
    show_table(page)
    on_it = {
        row.locator("th").inner_text()
        for row in page.locator("tbody tr").all()
        if row.locator("td").last.inner_text() == "on the front"
    }
    lines = ranking.ranking
    assert on_it == {
        line.checkpoint
        for line in lines
        if not any(
            other.parameters <= line.parameters and other.prediction.accuracy > line.prediction.accuracy
            for other in lines
        )
    }
    page.close()


def test_agreement_is_spearmans_rank_correlation(browser, served):
    from scipy.stats import spearmanr

    ranking = ranking_of(25)
    page, _ = opened(browser, served(["agreement"], ranking_data(ranking)), ["agreement"])
    show_table(page)
    names = ["predicted_accuracy", "logme", "knn", "discrepancy"]
    titles = page.locator("tbody th").all_inner_texts()
    assert titles[0] == "Predicted accuracy"
    values = [[line.scores[name].value for name in names] for line in ranking.ranking]
    expected = spearmanr(values).statistic
    shown = [row.locator("td").all_inner_texts() for row in page.locator("tbody tr").all()]
    order = [titles.index(title) for title in ("Predicted accuracy", "LogME", "kNN accuracy", "Discrepancy")]
    for i, row in enumerate(order):
        for j, column in enumerate(order):
            assert float(shown[row][column].replace("\N{MINUS SIGN}", "-")) == pytest.approx(expected[i, j], abs=0.0051)
    page.close()


def test_agreement_with_a_score_that_is_the_same_for_all_is_not_known(browser, served):
    data = ranking_data(ranking_of(5))
    for line in data["ranking"]:
        line["scores"]["knn"] = {"value": 1.0}
    page, _ = opened(browser, served(["agreement"], data), ["agreement"])
    assert "kNN accuracy not known" in page.locator(".chart-canvas").get_attribute("aria-label")
    page.close()


def test_scores_that_differ_in_the_seventh_digit_are_not_alike(browser, served):
    ranking = ranking_of(4)
    exact = [-6.24996984, -6.24996794, -6.938, -7.851]
    for line, value in zip(ranking.ranking, exact, strict=True):
        line.scores["discrepancy"] = line.scores["discrepancy"].model_copy(update={"value": value})
    page, _ = opened(browser, served(["agreement"], ranking_data(ranking)), ["agreement"])
    # Of ranks 4, 3, 2, 1 by the prediction and 3, 4, 2, 1 by the discrepancy: 1 - 6 * 2 / (4 * 15).
    assert "Discrepancy 0.80" in page.locator(".chart-canvas").get_attribute("aria-label")
    page.close()


def test_losses_of_both_splits_are_of_the_task_alone(browser, served):
    page, _ = opened(browser, served(["curves"], TUNING), ["curves"])
    page.get_by_label("Show").select_option("loss")
    show_table(page)
    losses = [row.locator("td").nth(2).inner_text() for row in page.locator("tbody tr").all()]
    assert losses[:4] == ["1.000", "1.000", "0.5000", "0.5000"]
    page.close()


def test_one_chart_that_cannot_be_drawn_leaves_the_others(browser, served):
    broken = ranking_data(ranking_of(5))
    del broken["ranking"][0]["checkpoint"]
    page, complaints = opened(browser, served(["scores", "discrepancy"], broken), ["scores"])
    page.locator("[data-chart=discrepancy] svg.plot").wait_for()
    assert "cannot be drawn" in page.locator("[data-chart=scores]").inner_text()
    assert complaints
    page.close()


def test_charts_of_a_tuning_and_of_distances_hold_every_number(browser, served):
    page, _ = opened(browser, served(["confusion", "reliability", "curves"], TUNING), ["confusion"] * 3)
    assert page.locator("[data-chart=confusion] .cell rect").count() == 4
    assert page.locator("[data-chart=reliability] .bin circle").count() == 2  # a bin without examples has no accuracy
    assert page.locator("[data-chart=curves] .curve path").count() == 2
    page.close()
    page, _ = opened(browser, served(["distances"], DISTANCES), ["distances"])
    assert page.locator(".cell rect").count() == 9
    assert page.locator(".tree path").count() == 3
    page.close()


def test_a_picture_has_a_point_an_example_in_the_colour_of_its_class(browser, served):
    ranking = ranking_of(3)
    page, _ = opened(browser, served(["features", "confused"], ranking_data(ranking)), ["features"] * 2)
    picture = ranking.ranking[0].picture
    dots = page.locator("[data-chart=features] .value circle")
    assert dots.count() == 90
    fills = [dot.get_attribute("fill") for dot in dots.all()]
    for label in range(3):
        colours = {fill for fill, of in zip(fills, picture.labels, strict=True) if of == label}
        assert colours == {f"var(--c{label})"}
    assert page.locator("[data-chart=features] .chart-key li").all_inner_texts() == ["daisy", "</script>", "rose"]
    widths = [float(bar.get_attribute("width")) for bar in page.locator("[data-chart=confused] .confusion rect").all()]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.01)  # 8 of 40 and 2 of 40
    page.close()


def test_a_picture_of_examples_with_several_labels_each_has_their_points(browser, served):
    data = ranking_data(ranking_of(1))
    data["ranking"][0]["picture"] |= {"classes": None, "labels": None, "targets": None, "confused": []}
    page, complaints = opened(browser, served(["features"], data), ["features"])
    assert page.locator(".value circle").count() == 90
    show_table(page)
    assert page.locator("tbody tr").count() == 90
    assert not complaints
    page.close()
