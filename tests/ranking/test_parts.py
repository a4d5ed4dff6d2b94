"""What a step that reads a part, and the one that scores, say of how far they are: every example is counted once."""

from __future__ import annotations

import numpy as np

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.hub import FeatureSets, catalogue_of
from frontrunner.progress import Silent, Stage
from frontrunner.ranking import RankingRequest, ranking_payload, run_step
from frontrunner.ranking.local import open_checked
from frontrunner.settings import Settings
from frontrunner.store import open_store


class Heard(Silent):
    """Keeps what was said of reading."""

    def __init__(self):
        self.reads = []

    def advance(self, stage, done, total, *, of=""):
        if stage == Stage.READ:
            self.reads.append((done, total))


def test_a_part_counts_its_own_examples_and_the_scoring_step_none(tmp_path):
    settings = Settings(home=tmp_path / "home", packages=False)
    labels = np.arange(700) % 2
    features = np.random.default_rng(0).normal(size=(700, 4)) + labels[:, None]
    np.savez(tmp_path / "sets.npz", labels=labels, given=features)
    opened, report = open_checked(tmp_path / "sets.npz", DatasetOptions(), settings)
    (checkpoint,) = catalogue_of([FeatureSets(report)]).checkpoints
    reference = DatasetReference.of(tmp_path / "sets.npz", report, DatasetOptions())
    request = RankingRequest(scores=("logme",), baselines=False)
    parts = ((0, 512), (512, 700))
    payload = ranking_payload(request, reference, checkpoint, None, 700, parts)
    store = open_store(settings)
    for rows in parts:
        heard = Heard()
        run_step(payload.model_copy(update={"rows": rows}), heard, dataset=opened, store=store)
        size = rows[1] - rows[0]
        assert heard.reads[-1] == (size, size)
        assert all(0 <= done <= size and total == size for done, total in heard.reads)
    heard = Heard()
    found = run_step(payload, heard, dataset=opened, store=store)
    assert (found.examples, found.forward_examples) == (700, 0)
    assert set(heard.reads) <= {(0, 0)}
