"""Rankings from memory by keywords, and as notebooks and data frames see them."""

from __future__ import annotations

import zipfile
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

import frontrunner
from frontrunner import errors
from frontrunner.ranking import RankingRequest
from frontrunner.scores import registry
from frontrunner.settings import Settings

matplotlib.use("Agg")
LABELS = np.repeat(["a", "b"], 60)
GENERATOR = np.random.default_rng(0)
FEATURES = GENERATOR.normal(size=(120, 5)) + (LABELS == "b")[:, None]
COLUMNS = GENERATOR.normal(size=(120, 2))


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


@pytest.fixture
def ranking(tmp_path, settings):
    np.savez(tmp_path / "sets.npz", labels=LABELS, good=FEATURES, **{"<b>noise": COLUMNS})
    return frontrunner.rank(tmp_path / "sets.npz", scores=["logme", "knn"], settings=settings)


def test_keywords_are_the_fields_of_a_request(settings):
    ranking = frontrunner.rank((FEATURES, LABELS), scores=["gbc"], max_examples=50, seed=3, settings=settings)
    assert (ranking.provenance.ordered_by, ranking.provenance.max_examples, ranking.provenance.seed) == ("gbc", 50, 3)
    request = RankingRequest(scores=("gbc",), seed=3)
    again = frontrunner.rank((FEATURES, LABELS), request=request, max_examples=50, settings=settings)
    assert again.id == ranking.id


@pytest.mark.parametrize("terms", [{"max_examples": 1}, {"max_exmaples": 100}])
def test_a_term_that_is_wrong_is_named(terms, settings):
    with pytest.raises(ValidationError, match=next(iter(terms))):
        frontrunner.rank((FEATURES, LABELS), settings=settings, **terms)


def test_images_in_memory_are_ranked_as_their_files_are(colours, hub, settings, tmp_path):
    pictures, names = [], []
    with zipfile.ZipFile(colours) as packed:
        for name in sorted(name for name in packed.namelist() if "train" in name):
            with packed.open(name) as file:
                pictures.append(Image.open(file).convert("RGB"))
            names.append(name.split("/")[-2])
    held = frontrunner.rank((pictures, names), hub=hub, scores=["logme"], settings=settings)
    filed = frontrunner.rank(colours, hub=hub, scores=["logme"], settings=settings)
    values = {line.checkpoint: line.scores["logme"].value for line in filed.ranking}
    # The order of the examples differs, and the sums with it.
    assert {line.checkpoint: line.scores["logme"].value for line in held.ranking} == pytest.approx(values, abs=1e-5)
    again = frontrunner.rank((pictures, names), hub=hub, settings=settings)
    assert [line.forward_examples for line in again.ranking] == [0, 0, 0]


def test_a_function_ranks_beside_the_scores_and_is_never_kept(settings):
    factor = 1.0

    def spread(features, labels):
        return factor * features.std()

    try:
        first = frontrunner.rank((FEATURES, LABELS), scores=[spread, "logme"], settings=settings).ranking[0]
        factor = 2.0
        second = frontrunner.rank((FEATURES, LABELS), scores=[spread, "logme"], settings=settings).ranking[0]
    finally:
        registry._SCORES.pop("spread")
    assert first.scores["spread"].value == pytest.approx(FEATURES.std())
    assert second.scores["spread"].value == pytest.approx(2 * FEATURES.std())
    assert first.scores["logme"] == second.scores["logme"]


def test_the_best_is_the_first_line(ranking):
    assert ranking.best.checkpoint == "features:good"
    assert ranking.model_copy(update={"ranking": []}).best is None


def test_a_data_frame_has_a_row_a_checkpoint(ranking):
    frame = ranking.to_pandas()
    assert frame["checkpoint"].tolist() == ["features:good", "features:<b>noise"]
    line = ranking.ranking[1].scores["logme"]
    assert frame.loc[1, ["logme", "logme_low", "logme_high"]].tolist() == [line.value, line.low, line.high]
    assert frame["feature_dimension"].tolist() == [5, 2]


def test_explain_is_what_the_terminal_shows(ranking):
    text = ranking.explain()
    assert "features:good" in text
    assert ranking.summary in text
    assert "\x1b" not in text


class Shown(HTMLParser):
    """The tags and the texts of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_a_notebook_shows_names_as_they_are_and_runs_none(ranking):
    shown = Shown(ranking._repr_html_())
    assert "features:<b>noise" in shown.texts
    assert shown.texts[0] == ranking.summary
    assert shown.tags <= {"p", "strong", "small", "table", "thead", "tbody", "tr", "th", "td", "iframe"}


def test_a_plot_has_a_point_and_an_interval_a_line(ranking):
    axes = ranking.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["features:good", "features:<b>noise"]
    points = [list(line.get_xdata()) for line in axes.lines]
    score = ranking.ranking[0].scores["logme"]
    assert points[0] == [score.low, score.high]
    assert points[1] == [score.value]
    assert axes.get_xlabel() == "LogME, 95% intervals"


def test_public_names_and_nothing_else():
    assert set(dir(frontrunner)) == {*frontrunner.__all__, "__version__"}
    for name in dir(frontrunner):
        assert getattr(frontrunner, name) is not None
    with pytest.raises(AttributeError):
        _ = frontrunner.nothing


def test_an_unreadable_kind_of_data_is_refused(settings):
    with pytest.raises(errors.UnreadableDataset, match="object"):
        frontrunner.rank(object(), settings=settings)


def test_every_two_lines_are_compared_and_the_matrix_is_a_data_frame(tmp_path, settings):
    rng = np.random.default_rng(1)
    sets = {f"set{k}": FEATURES[:, : k + 1] + 0.5 * rng.normal(size=(120, k + 1)) for k in range(4)}
    np.savez(tmp_path / "many.npz", labels=LABELS, **sets)
    found = frontrunner.rank(tmp_path / "many.npz", scores=["logme"], settings=settings)
    assert found.paired.checkpoints == [line.checkpoint for line in found.ranking]
    matrix = found.paired.to_pandas()
    assert list(matrix.columns) == list(matrix.index) == found.paired.checkpoints
    values = matrix.to_numpy()
    assert np.isnan(np.diag(values)).all()
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose((values + values.T)[off], 1, atol=2e-4)
    neighbours = [line.beats_next for line in found.ranking[:-1]]
    np.testing.assert_allclose(np.diag(values, 1), neighbours, atol=1e-4)
    again = frontrunner.ranking.Ranking.model_validate_json(found.model_dump_json())
    assert again.paired == found.paired
    assert (values[np.triu_indices(4, 1)] >= 0.5).all()


def test_one_line_has_nothing_to_be_compared_with(settings):
    found = frontrunner.rank((FEATURES, LABELS), scores=["logme"], settings=settings)
    assert found.paired is None
    assert "paired" not in found.model_dump()
