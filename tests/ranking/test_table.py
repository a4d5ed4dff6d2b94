"""The table of a ranking that the command line prints."""

from __future__ import annotations

import io

from rich.console import Console

from frontrunner.display import show_ranking
from frontrunner.ranking import RankingRequest
from frontrunner.ranking.result import Provenance, RankedDataset, Ranking
from frontrunner.ranking.standings import standings
from frontrunner.scores import ScoreValue
from frontrunner.status import Status
from tests.ranking.test_standings import described, output, scored


def printed(nce: ScoreValue) -> str:
    """The table of two checkpoints, of which one has this NCE."""
    finished = [(described("first"), output(nce=nce)), (described("second"), output(nce=scored(-0.8)))]
    ranking = Ranking(
        id="r",
        status=Status.SUCCEEDED,
        dataset=RankedDataset(
            id="d", name="d", digest="d", modality="image", task="classification", classes=5, train_examples=200,
            unreadable=0,
        ),
        ranking=standings(finished, RankingRequest(scores=("nce",))),
        skipped=[],
        summary="",
        provenance=Provenance(
            frontrunner="0", extractor=1, scores=("nce",), score_versions={"nce": 2}, ordered_by="nce", split="train",
            sampling="stratified", seed=0, max_examples=200, libraries={},
        ),
    )  # fmt: skip
    console = Console(file=io.StringIO(), width=160)
    show_ranking(ranking, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_an_unreliable_score_is_marked_and_the_mark_explained() -> None:
    table = printed(ScoreValue(value=-0.065, low=-0.09, high=-0.04, unreliable=True))
    assert "-0.0650 ±0.0250 !" in table
    assert "-0.8000 ±0.1000 " in table
    assert table.count("!") == 2
    assert "nce_cross_fitted" in table


def test_a_table_of_reliable_scores_explains_no_mark() -> None:
    assert "!" not in printed(scored(-0.5))
