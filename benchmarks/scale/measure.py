"""The figures of the cost model that this machine can measure; processor time of one thread."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy import insert

import migrations
from benchmarks.service.fleet import write_features
from frontrunner import FeatureStatistics
from frontrunner.data import DatasetOptions, DatasetReference, check_dataset, open_dataset
from frontrunner.data.dataset import ImageInputs
from frontrunner.hub import FeatureSets, catalogue_of
from frontrunner.ranking import Plan, RankingRequest
from frontrunner.scores import ScoringInput, describe, evaluate_input
from frontrunner.settings import Settings
from frontrunner.store import FolderStore
from jobs import lifecycle
from jobs.kinds.ranking import ranking_job
from models import Database, DatasetRow

_ROWS = 256
_WIDTH = 1024
_STEPS = (500, 4000)
_IMAGES = 200
_ROUNDS = 5


def measured(photographs: Path) -> dict[str, float]:
    """Every figure by its name in `benchmarks.scale.model.Figures`.

    Args:
        photographs: a zip of images.
    """
    return _decoding(photographs) | _scoring() | _planning()


def _decoding(photographs: Path) -> dict[str, float]:
    dataset = open_dataset(photographs)
    assert isinstance(dataset.inputs, ImageInputs)
    keys = dataset.train.keys[:_IMAGES]
    pixels = sum(np.prod(dataset.inputs.decode(key).size) for key in keys) / 1e6
    seconds = _seconds(lambda: [dataset.inputs.decode(key) for key in keys])
    images = [dataset.inputs.decode(key) for key in keys]
    shaping = _seconds(lambda: [np.asarray(image.resize((256, 256)), dtype=np.float32) / 255 for image in images])
    return {"decoding_s_per_megapixel": seconds / float(pixels), "shaping_s": shaping / len(keys)}


def _scoring() -> dict[str, float]:
    """Sums take time in proportion to rows x D^2, LogME to D^3."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(2 * _WIDTH, _WIDTH)).astype(np.float32)
    labels = np.arange(len(rows)) % 10
    whole = FeatureStatistics()
    seconds = _seconds(lambda: whole.update(rows[:_ROWS], labels[:_ROWS]))
    kept = FeatureStatistics().update(rows, labels)
    logme = _seconds(lambda: evaluate_input([describe("logme")], ScoringInput(kept, ())), rounds=1)
    return {"sums_s_per_row_and_square": seconds / _ROWS / _WIDTH**2, "logme_s_per_cube": logme / _WIDTH**3}


def _planning() -> dict[str, float]:
    """What the end of one step costs in the database, by how many steps the job has."""
    found = {steps: _step_end(steps) for steps in _STEPS}
    few, many = _STEPS
    slope = (found[many] - found[few]) / (many - few)
    return {"step_end_s": max(found[few] - slope * few, 0.0), "step_end_s_per_step": slope}


def _step_end(steps: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = Database(f"sqlite:///{home / 'db'}")
        migrations.upgrade(database)
        data = write_features(home / "data.npz", 1, 300, columns=8, seed=0)
        report = check_dataset(open_dataset(data))
        reference = DatasetReference.of(data, report, DatasetOptions())
        (only,) = catalogue_of([FeatureSets(report)]).checkpoints
        every = tuple(only.model_copy(update={"id": f"{only.id}-{place}"}) for place in range(steps))
        job = ranking_job(RankingRequest(), reference, Plan(every, ()), Settings(home=home), FolderStore(home))
        with database.write_transaction() as session:
            session.execute(
                insert(DatasetRow).values(
                    id=reference.id, digest=report.digest, name="data", blob="b", bytes=1, options={},
                    report=report.model_dump(mode="json"), tenant="default",
                )
            )  # fmt: skip
            lifecycle.submit(session, job, lifecycle.Terms(max_attempts=1))

        def end_one() -> None:
            with database.write_transaction() as session:
                claim = lifecycle.claim_best(session, ["cpu", "io"], 60.0)
            assert claim is not None
            with database.write_transaction() as session:
                lifecycle.fail_step(session, claim, "checkpoint_unreadable", "as a benchmark")

        seconds = _seconds(end_one)
        database.close()
        return seconds


def _seconds(work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """The median of some rounds, after one that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return statistics.median(taken[1:])
