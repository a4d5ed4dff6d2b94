"""Rankings whose first few are really adapted: on real images, with tiny checkpoints."""

from __future__ import annotations

import contextlib

import pytest

from frontrunner.progress import Silent, Stage
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from frontrunner.tuning import verification
from tests.conftest import class_images, write_zip


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Three classes of 30 images, and no test split."""
    return write_zip(tmp_path_factory.mktemp("pictures") / "pictures.zip", class_images(3, 30))


REQUEST = RankingRequest(verify=2, checkpoints=("local:resnet", "local:mobilenet"))


class Interruption(Exception):
    pass


class Listener(Silent):
    """Remembers what it hears, and interrupts at a step of training."""

    def __init__(self, patience: int | None = None) -> None:
        self.patience, self.told, self.decoded, self.trained = patience, [], 0, 0

    def advance(self, stage, done, total, *, of=""):
        self.decoded += stage == Stage.DECODE
        self.trained += stage == Stage.TRAIN

    def safe_point(self):
        if self.patience is not None and self.trained > self.patience:
            raise Interruption

    def event(self, event):
        self.told.append(event)


def test_the_first_few_are_adapted_and_measured_on_what_was_held_out(pictures, hub, settings):
    listener = Listener()
    ranking = rank(pictures, hub=hub, settings=settings, request=REQUEST, progress=listener)
    report = ranking.verification
    assert report is not None
    first, last = report.stages
    assert [(stage.stage, stage.entered, stage.epochs, stage.examples) for stage in (first, last)] == [
        ("verify", 2, 2, 45), ("verify", 2, 6, 45),
    ]  # fmt: skip
    assert [event for event in listener.told if event.type == "stage"] == [first, last]
    for line in ranking.ranking:
        assert line.verified is not None
        assert (line.verified.train_examples, line.verified.held_out) == (45, 45)
        assert line.verified.low < line.verified.accuracy < line.verified.high
    assert ranking.ranking[0].checkpoint == report.pick
    assert ranking.ranking[0].verified.accuracy >= ranking.ranking[1].verified.accuracy
    assert [line.rank for line in ranking.ranking] == [1, 2]
    assert "of the 45 examples that were held out" in ranking.summary
    # Both train on the same pixels if they read images of one size: 45 and 45 images, once for each size.
    assert listener.decoded <= 2 * 2
    # Nothing that a training needs is left behind, and a second ranking trains nothing.
    assert {path.suffix for path in settings.tunings.rglob("*") if path.is_file()} == {".json"}
    again = Listener()
    same = rank(pictures, hub=hub, settings=settings, request=REQUEST, progress=again)
    assert again.trained == 0
    assert same.verification == report


def test_a_verification_that_was_interrupted_ends_as_if_it_had_not_been(pictures, hub, settings, tmp_path):
    whole = rank(pictures, hub=hub, settings=Settings(home=tmp_path / "other", packages=False), request=REQUEST)
    for patience in (1, 9, 25):
        with contextlib.suppress(Interruption):
            rank(pictures, hub=hub, settings=settings, request=REQUEST, progress=Listener(patience))
    again = rank(pictures, hub=hub, settings=settings, request=REQUEST)
    assert [line.verified for line in again.ranking] == [line.verified for line in whole.ranking]
    assert [line.checkpoint for line in again.ranking] == [line.checkpoint for line in whole.ranking]


def test_a_training_that_pauses_and_goes_on_ends_like_one_that_does_not(pictures, hub, settings, tmp_path):
    from frontrunner.data import DatasetOptions, DatasetReference, open_dataset
    from frontrunner.hub import describe_directory
    from frontrunner.ranking.local import load_report
    from frontrunner.store import open_store
    from frontrunner.tuning.options import FinetuneOptions

    report = load_report(open_dataset(pictures), open_store(settings), Silent())
    reference = DatasetReference.of(pictures, report, DatasetOptions())
    found = describe_directory(hub / "resnet")

    def run(epochs, folder):
        payload = verification.verification_payload(FinetuneOptions(), reference, found, epochs).below(
            tmp_path / folder
        )
        return verification.run_verification(payload)

    early = run(2, "paused")
    late, straight = run(6, "paused"), run(6, "straight")
    assert (early.epochs, early.ended) == (2, None)
    assert (late.epochs, late.ended) == (6, "completed")
    assert late.model_copy(update={"seconds": 0}) == straight.model_copy(update={"seconds": 0})


def test_a_budget_that_reaches_adapts_and_one_that_does_not_says_so(pictures, hub, settings):
    # An epoch is 3 x 45 + 45 passes; at each of three rates as many are tried as are trained, six.
    enough = 2 * 2 * (3 * 6 + 6) * (4 * 45)
    terms = {"checkpoints": REQUEST.checkpoints}
    rich = rank(
        pictures, hub=hub, settings=settings, request=RankingRequest(budget=f"{enough} images", verify=2, **terms)
    )
    poor = rank(pictures, hub=hub, settings=settings, request=RankingRequest(budget="60%", verify=2, **terms))
    assert rich.verification is not None
    assert rich.budget is not None
    assert rich.budget.pick == rich.verification.pick == rich.ranking[0].checkpoint
    # What is left goes to another seed, unless it is clear who is the best.
    again = sum(stage.again > 0 for stage in rich.verification.stages)
    assert rich.budget.spent == 2 * 90 + 2 * (3 * 6 + 6) * (4 * 45) + again * 2 * (3 * 6 + 2) * (4 * 45)
    assert poor.verification is not None
    assert poor.verification.pick is None
    assert "is left" in poor.verification.reason
    assert all(line.verified is None for line in poor.ranking)


def test_the_state_of_those_who_left_is_removed_when_the_others_go_on(pictures, hub, settings, monkeypatch):
    from frontrunner.ranking import local

    kept = []

    def run_verification(payload, *arguments, **named):
        found = verification.run_verification(payload, *arguments, **named)
        states = [path for path in payload.folder.rglob("*") if path.is_file() and path.suffix not in (".json", ".npy")]
        kept.append((payload.epochs, len({path.parent for path in states})))
        return found

    monkeypatch.setattr(local, "run_verification", run_verification)
    names = ("local:resnet", "local:mobilenet", "local:vit")
    rank(pictures, hub=hub, settings=settings, request=RankingRequest(verify=3, checkpoints=names))
    # One trains at a time: the third one's state goes as the second stage begins, each of the others' with its end.
    assert kept == [(2, 1), (2, 2), (2, 3), (6, 1), (6, 0)]
