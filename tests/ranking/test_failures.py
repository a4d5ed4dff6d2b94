"""Whatever one checkpoint's step raises is that checkpoint's line, and the others are ranked."""

from __future__ import annotations

import json
import logging
import shutil

import pytest
import torch

from frontrunner import errors
from frontrunner.hub.describing import description
from frontrunner.progress import Silent
from frontrunner.ranking import RankingRequest, local, rank
from frontrunner.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home", packages=False)


def rank_all(colours, hub, settings, **more):
    return rank(colours, hub=hub, settings=settings, request=RankingRequest(max_examples=40, baselines=False), **more)


@pytest.fixture
def failing(monkeypatch):
    """Makes the step of one checkpoint raise."""

    def make(error):
        step = local.run_step

        def run(payload, *arguments, **keywords):
            if payload.checkpoint.id == "local:vit":
                raise error
            return step(payload, *arguments, **keywords)

        monkeypatch.setattr(local, "run_step", run)

    return make


class PanicException(BaseException):
    """Named as what libraries written in Rust raise."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyError("weights"), "internal_error"),
        (AssertionError(), "internal_error"),
        (SystemExit(3), "internal_error"),
        (PanicException("index out of bounds"), "internal_error"),
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out_of_memory"),
        (OSError(28, "No space left on device"), "disk_full"),
        (OSError(5, "Input/output error"), "file_refused"),
        (errors.HubOffline("not at hand"), "hub_offline"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
def test_one_failing_step_is_a_skip_with_its_code(colours, hub, settings, failing, error, code):
    failing(error)
    ranking = rank_all(colours, hub, settings)
    assert {line.checkpoint for line in ranking.ranking} == {"local:resnet", "local:mobilenet"}
    assert [(entry.checkpoint, entry.code) for entry in ranking.skipped] == [("local:vit", code)]


def test_an_unexpected_failure_is_logged_with_its_trace_and_called_our_fault(colours, hub, settings, failing, caplog):
    failing(ZeroDivisionError("a defect"))
    with caplog.at_level(logging.ERROR):
        (skipped,) = rank_all(colours, hub, settings).skipped
    assert "defect of Frontrunner" in skipped.reason
    assert "ZeroDivisionError: a defect" in skipped.reason
    (record,) = [record for record in caplog.records if record.name.startswith("frontrunner")]
    assert record.exc_info[0] is ZeroDivisionError
    assert "local:vit" in record.getMessage()


def test_a_lack_of_memory_is_told_apart_where_an_opener_wrapped_it(colours, hub, settings, failing):
    wrapped = errors.CheckpointUnreadable("it cannot be opened")
    wrapped.__cause__ = MemoryError()
    failing(wrapped)
    (skipped,) = rank_all(colours, hub, settings).skipped
    assert skipped.code == "out_of_memory"
    assert "max_parameters" in skipped.reason


@pytest.mark.parametrize(
    ("error", "cause", "code"),
    [
        (errors.CheckpointUnreadable("config.json cannot be read"), PermissionError(13, "denied"), "file_refused"),
        (errors.CheckpointUnreadable("it cannot be rewritten"), OSError(28, "No space left"), "disk_full"),
        (errors.CheckpointUnreadable("it lacks config.json"), FileNotFoundError(2, "gone"), "checkpoint_unreadable"),
        (errors.StoreUnavailable("it answers 502"), OSError(5, "Input/output error"), "store_unavailable"),
        (errors.HubError("it cannot be reached"), PermissionError(1, "not permitted"), "hub_unavailable"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_file_that_may_not_be_read_is_not_the_checkpoints_fault(colours, hub, settings, failing, error, cause, code):
    error.__cause__ = cause
    failing(error)
    (skipped,) = rank_all(colours, hub, settings).skipped
    assert skipped.code == code


@pytest.mark.parametrize("wish", [KeyboardInterrupt(), GeneratorExit()], ids=["interrupt", "exit"])
def test_a_wish_to_stop_ends_the_ranking(colours, hub, settings, failing, wish):
    failing(wish)
    with pytest.raises(type(wish)):
        rank_all(colours, hub, settings)


def test_what_a_listener_raises_ends_the_ranking(colours, hub, settings):
    class Stops(Silent):
        def safe_point(self):
            raise TimeoutError("enough")

    with pytest.raises(TimeoutError, match="enough"):
        rank_all(colours, hub, settings, progress=Stops())


def test_a_folder_that_leads_describing_astray_is_a_skip(colours, hub, settings, tmp_path, monkeypatch):
    mixed = shutil.copytree(hub, tmp_path / "mixed")
    shutil.copytree(hub / "vit", mixed / "odd")
    describe = description.describe

    def astray(checkpoint_id, *arguments, **keywords):
        if checkpoint_id == "local:odd":
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return describe(checkpoint_id, *arguments, **keywords)

    monkeypatch.setattr(description, "describe", astray)
    ranking = rank_all(colours, mixed, settings)
    assert len(ranking.ranking) == 3
    assert {entry.checkpoint: entry.code for entry in ranking.skipped} == {"local:odd": "internal_error"}


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": ["bert"]},
        {"model_type": "bert", "architectures": {"a": 1}},
        {"model_type": "x", "num_hidden_layers": -3, "vocab_size": "many"},
    ],
)
def test_configurations_of_the_wrong_kinds_cost_their_own_line(colours, hub, settings, tmp_path, config):
    mixed = shutil.copytree(hub, tmp_path / "mixed")
    (mixed / "mobilenet" / "config.json").write_text(json.dumps(config))
    ranking = rank_all(colours, mixed, settings)
    assert {line.checkpoint for line in ranking.ranking} == {"local:resnet", "local:vit"}
    assert [entry.checkpoint for entry in ranking.skipped] == ["local:mobilenet"]
