"""Uploads, source statistics and artifacts of tunings: what they do when the store's disk fails."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import numpy as np
import pytest

from frontrunner import FeatureStatistics
from frontrunner.data import DatasetOptions, DatasetReference, check_dataset, open_dataset
from frontrunner.errors import StoredFileDamaged, StoredFileMissing
from frontrunner.ranking import SourceStore
from frontrunner.store import Blobs, uploads
from frontrunner.tuning import Artifacts, TuningRequest, tuned_once, tuning_payload
from frontrunner.tuning.result import Interval, Metrics, TuningOutput
from tests.jobs.rows import description
from tests.store.test_store import flip, names, overwrite


def test_a_dataset_in_the_store_opens_anywhere_until_it_is_damaged_or_gone(store, elsewhere, colours):
    with uploads(store).receive(10**9) as writer:
        writer.write(colours.read_bytes())
        blob = writer.keep()
    report = check_dataset(open_dataset(colours))
    reference = DatasetReference.model_validate_json(
        DatasetReference.of(blob, report, DatasetOptions()).model_dump_json()
    )
    assert len(reference.open(elsewhere).train) == 80
    name = uploads(store).name(blob)
    overwrite(store, name, flip(500))
    with pytest.raises(StoredFileDamaged):
        reference.open(store)
    store.remove(name)
    with pytest.raises(StoredFileMissing):
        reference.open(store)


def test_a_dataset_lies_in_one_place():
    for places in ({}, {"path": Path("/data"), "blob": "aa"}):
        with pytest.raises(ValueError, match="either at a path or in the store"):
            DatasetReference(name="d", digest="d", **places)


def test_source_statistics_are_found_by_every_machine_and_compared_with_their_digest(store, elsewhere):
    generator = np.random.default_rng(0)
    statistics = FeatureStatistics().update(generator.normal(size=(20, 3)), np.arange(20) % 2)
    kept = SourceStore(store).keep("c0ffee", statistics, "pets")
    found = SourceStore(elsewhere)
    assert found.find_all(["unknown", "c0ffee"]) == {"c0ffee": kept}
    assert found.find("unknown") is None
    np.testing.assert_array_equal(found.load(kept).mean, statistics.mean)
    (name,) = (name for name in names(store, "sources") if not name.endswith(".json"))
    overwrite(store, name, flip(-100))
    with pytest.raises(StoredFileDamaged):
        SourceStore(store).load(kept)


def tuned(folder):
    """The answer of a tuning whose files are written, with state beside them that is nobody's download."""
    for name in ("README.md", "model/config.json", "state.pt", "train-32.npy", "extracted-1.npz", "output.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return TuningOutput(
        method="finetune",
        folder=str(folder),
        weights="tuned.safetensors",
        models=[],
        ended="completed",
        ended_because="all epochs were trained",
        best_epoch=1,
        epochs=1,
        learning_rate=0.1,
        train_examples=1,
        validation_examples=0,
        micro_batch=1,
        parameters=1,
        held_norms=0,
        metrics=Metrics(
            split="test",
            examples=1,
            accuracy=Interval(value=1.0, low=0.2, high=1.0),
            log_loss=0.0,
            calibration_error=0.0,
            classes=("a", "b"),
            confusion=[[1, 0], [0, 0]],
        ),
        generalisation=None,
        curve=[],
        seconds=1.0,
    )


def test_a_tuning_is_done_once_for_all_machines_and_again_when_its_files_are_damaged(store, elsewhere, tmp_path):
    from tests.jobs.rows import REPORT

    dataset = DatasetReference.of("d" * 64, REPORT, DatasetOptions())
    payload = tuning_payload(TuningRequest(student="local:a"), dataset, {"local:a": description("a")})
    here = payload.model_copy(update={"folder": tmp_path / "work"})
    done = []

    def tune(work):
        done.append(work.work_dir)
        return tuned(work.work_dir)

    output = tuned_once(here, tune, store)
    assert (output.folder, [file.name for file in output.files]) == ("", ["README.md", "model/config.json"])
    assert not here.work_dir.exists()
    for file in output.files:
        data = Artifacts(elsewhere, payload.name).path(file).read_bytes()
        assert data == file.name.encode()
        assert hashlib.sha256(data).hexdigest() == file.sha256
    assert tuned_once(here, tune, elsewhere) == output
    assert len(done) == 1
    (damaged,) = (name for name in names(store, "artifacts") if name.endswith(output.files[0].sha256))
    overwrite(store, damaged, flip(0))
    with pytest.raises(StoredFileDamaged):
        Artifacts(store, payload.name).path(output.files[0])
    assert tuned_once(here, tune, store) == output
    assert len(done) == 2
    assert Artifacts(store, payload.name).path(output.files[0]).read_bytes() == b"README.md"


def test_a_bucket_gives_an_address_that_needs_no_key_and_a_folder_none(store, place, tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    blobs = Blobs(store, "artifacts/one")
    digest = blobs.put_file(file)
    address = blobs.link(digest, 60)
    if not place.store_url:
        assert address is None
        return
    assert httpx.get(address).content == b"weights"
    unsigned = httpx.URL(address).copy_with(query=None)
    assert str(unsigned).endswith(f"artifacts/one/{digest[:2]}/{digest}")
    assert "Expires=" in address
    with pytest.raises(StoredFileMissing):
        blobs.link("0" * 64, 60)
