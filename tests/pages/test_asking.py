"""From fields to a request, and from a request to what people copy."""

from __future__ import annotations

import itertools
import json
import shlex

import pytest
from pydantic import ValidationError
from starlette.datastructures import FormData
from typer.testing import CliRunner

from api.pages.advice import findings_of
from api.pages.asking import problems_of, ranking_request
from api.pages.forecast import _within
from api.pages.lines import LINES_A_PAGE, home_page_of, table_of
from api.pages.snippets import ranking_snippets
from frontrunner.cli import build_app
from frontrunner.data import check_dataset, open_dataset
from frontrunner.hub import Constraints
from frontrunner.ranking import RankingRequest
from frontrunner.ranking.budget import Budget
from frontrunner.ranking.result import Provenance, RankedCheckpoint, RankedDataset, Ranking
from frontrunner.scores import ScoreValue
from frontrunner.status import Status
from tests.conftest import class_images, encode, write_zip


def form(**fields):
    """What a browser sends of these fields."""
    many = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
    return FormData([(name, one) for name, values in many.items() for one in values])


def test_what_is_filled_in_is_asked_for():
    asked = ranking_request(
        form(
            fields="1",
            adaptation="lora",
            budget="20000 images",
            max_parameters="2.5",
            max_latency_ms="12",
            max_memory_mb="",
            licenses="MIT; Apache-2.0",
            checkpoints="timm:a, hf:b/c",
            scores=["logme", "knn"],
            max_examples="500",
            verify="2",
            seed="9",
        )
    )
    assert asked == RankingRequest(
        adaptation="lora",
        budget="20000 images",
        constraints=Constraints(max_parameters=2_500_000, max_latency_ms=12, licenses=("MIT", "Apache-2.0")),
        checkpoints=("timm:a", "hf:b/c"),
        scores=("logme", "knn"),
        max_examples=500,
        verify=2,
        seed=9,
        baselines=False,
    )


def test_an_empty_form_asks_for_the_defaults():
    assert ranking_request(form(fields="1", baselines="1", budget="", max_parameters="")) == RankingRequest()
    assert ranking_request(form()) == RankingRequest()


def test_what_is_wrong_is_told_by_its_field():
    with pytest.raises(ValidationError) as caught:
        ranking_request(form(max_latency_ms="-1", seed="x", max_parameters="0"))
    assert set(problems_of(caught.value)) == {"max_latency_ms", "seed", "max_parameters"}


def ranking(lines=3, **terms):
    return Ranking(
        id="job_1",
        status=Status.SUCCEEDED,
        dataset=RankedDataset(
            id="ds_1", name="my photos.zip", digest="d", modality="image", task="classification", classes=3,
            train_examples=100, unreadable=0,
        ),
        ranking=[
            RankedCheckpoint(
                rank=place + 1,
                checkpoint=f"local:{'even' if place % 2 else 'odd'}-{place:04}",
                scores={"logme": ScoreValue(value=-float(place), low=-place - 0.5, high=-place + 0.5)},
                parameters=(place * 7919) % 1000 * 1_000_000,
                seconds=1.0, architecture="a", feature_dimension=8, examples=100, forward_examples=100,
                pareto_optimal=False, license=None,
            )
            for place in range(lines)
        ],
        skipped=[],
        summary="Use it.",
        provenance=Provenance(
            frontrunner="0", extractor=1, scores=("logme",), score_versions={"logme": 1}, ordered_by="logme",
            split="train", sampling="stratified", seed=0, max_examples=100, libraries={},
        ),
    )  # fmt: skip


REQUEST = RankingRequest(
    checkpoints=("local:a b", "timm:x"),
    constraints=Constraints(max_parameters=5_000_000, licenses=("mit",)),
    scores=("logme", "knn"),
    budget="30%",
    seed=4,
    baselines=False,
)


def test_what_is_copied_asks_for_the_same():
    found = ranking_snippets("http://here:8000", ranking(), REQUEST, has_keys=True)
    url, *rest = shlex.split(found.curl.replace("\\\n", ""))[1:]
    assert url == "http://here:8000/v1/rankings"
    body = json.loads(rest[rest.index("-d") + 1])
    assert body.pop("dataset") == "ds_1"
    assert RankingRequest.model_validate(body) == REQUEST
    called = {}

    class Client:
        def __init__(self, address):
            called["url"] = address

        def rank(self, dataset, **terms):
            called.update(dataset=dataset, terms=terms)
            return self

        def wait(self):
            return ranking()

    script = found.python.replace("from frontrunner.client import Client", "").replace("print(", "str(")
    exec(compile(script, "snippet", "exec"), {"Client": Client})  # noqa: S102 - ours
    assert (called["url"], called["dataset"]) == ("http://here:8000", "ds_1")
    assert RankingRequest.model_validate(called["terms"]) == REQUEST


def test_the_command_is_one_that_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = ranking_snippets("http://127.0.0.1:1", ranking(), REQUEST, has_keys=False)
    program, *words = shlex.split(found.command.replace("\\\n", ""))
    assert program == "frontrunner"
    answer = CliRunner().invoke(build_app(words), words)
    assert answer.exit_code == 1, answer.output  # nothing answers at that address; usage errors are 2
    assert "no service answers at http://127.0.0.1:1" in answer.output
    asked = dict(itertools.pairwise(words))
    assert (asked["rank"], asked["--budget"], asked["--seed"]) == ("ds_1", "30%", "4")
    assert words.count("--checkpoint") == words.count("--score") == 2


def test_lines_are_sorted_searched_and_paged_by_the_address():
    many = ranking(250)
    first = table_of(many)
    assert (len(first.lines), first.pages, first.lines[0].rank) == (LINES_A_PAGE, 3, 1)
    assert [line.rank for line in table_of(many, page=3).lines] == list(range(201, 251))
    assert table_of(many, page=99).page == 3
    sizes = [line.parameters for line in table_of(many, sort="parameters").lines]
    assert sizes == sorted(line.parameters for line in many.ranking)[:LINES_A_PAGE]
    odd = table_of(many, wanted="ODD")
    assert odd.total == 125
    assert all("odd" in line.checkpoint for line in odd.lines)
    assert table_of(many, sort="nonsense").sort == "rank"
    assert table_of(many, wanted="nobody").lines == []


@pytest.mark.parametrize(
    ("checkpoint", "page"),
    [
        ("hf:org/name@abc#layer=3", "https://huggingface.co/org/name"),
        ("timm:resnet18.a1_in1k", "https://huggingface.co/timm/resnet18.a1_in1k"),
        ("local:mine", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_checkpoints_of_a_public_hub_lead_to_their_page(checkpoint, page):
    assert home_page_of(checkpoint) == page


@pytest.mark.parametrize(
    ("budget", "seconds"), [(None, 200.0), ("30s", 30.0), ("10m", 200.0), ("25%", 50.0), ("500 images", 100.0)]
)
def test_a_forecast_keeps_to_the_budget(budget, seconds):
    found = _within(None if budget is None else Budget.parse(budget), 200.0, 1000)
    assert found == pytest.approx(seconds)


def test_every_warning_of_a_check_comes_with_what_to_do(tmp_path):
    files = class_images(2, 8) | {"train/Class-0/x.png": encode_noise(1), "train/class-1/bad.png": b"\x89PNG nothing"}
    files["train/class-0/copy.png"] = files["train/class-0/0001.png"]
    files["test/class-0/t.png"] = files["train/class-0/0002.png"]
    report = check_dataset(open_dataset(write_zip(tmp_path / "d.zip", files)))
    found = {finding.said: finding for finding in findings_of(report)}
    assert len(found) == len(report.warnings) >= 6
    told = " ".join(f"{said} -> {finding.advice}" for said, finding in found.items())
    for words in (
        "unreadable inputs are left out -> They are listed",
        "lie in both splits: test figures would flatter -> Remove the copies",
        "have one training example -> Add examples, or merge",
        "differ only by case or blanks -> Give both one name",
        "expect wide intervals -> Add examples if you can",
    ):
        assert words in told, told


def encode_noise(seed):
    import numpy as np

    return encode(np.random.default_rng(seed).uniform(0, 255, (16, 16, 3)))
