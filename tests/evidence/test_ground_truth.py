"""Ground truth is measured once, resumed after a kill, and refused runs are kept out of the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from frontrunner.data import DatasetReference, open_dataset
from frontrunner.evidence.ground_truth import RefusedRun, best_of_rates, measure_missing, wanted_runs
from frontrunner.evidence.runs import MeasuredRun, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.hub import CheckpointDescription, describe_directory
from tests.conftest import class_images, write_text_checkpoint, write_timm_checkpoint, write_zip

PROTOCOL = Protocol(image_size=32, examples=24, epochs=1, batch_size=8)


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, DatasetReference], dict[str, CheckpointDescription]]:
    root = tmp_path_factory.mktemp("truth")
    path = write_zip(root / "colours.zip", class_images(2, 12, splits=("train", "test")))
    reference = DatasetReference(path=path, name="colours", digest=open_dataset(path).digest)
    folders = [
        write_timm_checkpoint(root / "vit", "test_vit", seed=1),
        write_text_checkpoint(root / "text", "bert", seed=1),
    ]
    return {"colours": reference}, {found.id: found for found in map(describe_directory, folders)}


def test_runs_are_measured_once_and_take_the_first_seeds_rate(pair, tmp_path: Path) -> None:
    datasets, checkpoints = pair
    table = Table(tmp_path / "truth.csv", MeasuredRun)
    wanted = wanted_runs(["full"], datasets, checkpoints, [0, 1])
    found = list(measure_missing(wanted, PROTOCOL, table, datasets, checkpoints, tmp_path / "work"))
    runs = [run for run in found if isinstance(run, MeasuredRun)]
    assert [(run.checkpoint, run.seed, run.status) for run in runs] == [
        ("local:vit", 0, "completed"),
        ("local:vit", 1, "completed"),
    ]
    assert [(run.key.checkpoint, run.code) for run in found if isinstance(run, RefusedRun)] == [
        ("local:text", "modality_mismatch")
    ] * 2
    assert runs[0].learning_rate == runs[1].learning_rate
    assert runs[0].test_examples == 24
    assert runs[0].train_examples == 22  # one of each class is held out
    assert not list((tmp_path / "work").iterdir())
    assert list(table) == runs
    again = list(measure_missing(wanted, PROTOCOL, table, datasets, checkpoints, tmp_path / "work"))
    assert all(isinstance(run, RefusedRun) for run in again)
    # Another protocol is another run.
    longer = PROTOCOL.model_copy(update={"epochs": 2})
    more = list(measure_missing(wanted[:1], longer, table, datasets, checkpoints, tmp_path / "work"))
    assert isinstance(more[0], MeasuredRun)
    assert more[0].protocol == longer
    # One of fewer examples too, which looks for no learning rate of its own.
    rare = runs[0].model_copy(update={"learning_rate": 0.00042, "finished": runs[0].finished})
    other = Table(tmp_path / "other.csv", MeasuredRun)
    other.add(rare)
    fewer = PROTOCOL.model_copy(update={"examples": 16})
    less = list(measure_missing(wanted[:1], fewer, other, datasets, checkpoints, tmp_path / "work"))
    assert isinstance(less[0], MeasuredRun)
    assert (less[0].learning_rate, less[0].train_examples) == (0.00042, 14)


def test_what_was_found_by_hand_is_what_the_table_holds(pair, tmp_path: Path) -> None:
    """The accuracy is that of the weights that `fit` gives back, counted here."""
    import torch

    from frontrunner.evidence.ground_truth import measure_run, payload_of
    from frontrunner.tuning.run import fit

    datasets, checkpoints = pair
    key = wanted_runs(["probe"], datasets, ["local:vit"], [3])[0]
    of = (datasets["colours"], checkpoints["local:vit"])
    run = measure_run(key, PROTOCOL, *of, tmp_path / "a", learning_rate=0.001)
    fitted = fit(payload_of(key, PROTOCOL, *of, tmp_path / "b", 0.001))
    report = fitted.data.report
    module = fitted.method.module.eval()
    with torch.inference_mode():
        predicted = module(report.plain(torch.arange(len(report)))).argmax(dim=1)
    assert run.accuracy == pytest.approx(float((predicted == report.labels).float().mean()), abs=1e-6)
    assert run.learning_rate == 0.001


@pytest.mark.parametrize(
    ("losses", "tried"),
    [
        ((0.4, 0.5, 0.6, 0.7), [2, 1, 0]),
        ((0.5, 0.4, 0.6, 0.7), [2, 1, 0]),
        ((0.7, 0.6, 0.5, 0.4), [2, 1, 3]),
        ((0.7, 0.6, 0.4, 0.5), [2, 1, 3]),
        ((None, 0.3, None, None), [2, 1, 0]),
        ((None, None, None, None), [2, 1, 3]),
    ],
)
def test_rates_are_searched_downwards_first_and_no_further_than_the_loss_falls(losses, tried):
    rates, order = (0.1, 0.2, 0.3, 0.4), []

    def train(rate: float) -> MeasuredRun:
        order.append(rates.index(rate))
        return MeasuredRun.model_construct(
            status="completed", learning_rate=rate, validation_loss=losses[rates.index(rate)], seconds=1.0
        )

    found = best_of_rates(train, rates)
    assert order == tried
    assert found.seconds == len(tried)
    known = [loss for loss in losses if loss is not None]
    if known:
        assert found.validation_loss == min(known)


def test_a_rate_that_diverged_never_wins():
    def train(rate: float) -> MeasuredRun:
        status = "diverged" if rate == 0.1 else "completed"
        loss = {0.1: 0.1, 0.2: 0.5, 0.3: 0.6}[rate]
        return MeasuredRun.model_construct(status=status, learning_rate=rate, validation_loss=loss, seconds=1.0)

    assert best_of_rates(train, (0.1, 0.2, 0.3)).learning_rate == 0.2
