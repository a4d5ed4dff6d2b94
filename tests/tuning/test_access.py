"""Tuning reaches checkpoints as a ranking does: by the settings that it is given, and telling of downloads."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from frontrunner import errors
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.fetching.remote import describe_remote
from frontrunner.progress import Stage
from frontrunner.settings import Settings
from frontrunner.tuning import TuningRequest
from frontrunner.tuning.local import tune
from frontrunner.tuning.run import run_tuning
from tests.hub.loopback import Hub, Repository, serving
from tests.tuning.builders import Recorded, measured_checkpoint, payload

ID = "timm:test_resnet.r160_in1k"
TOKEN = "hf_secret"


@pytest.fixture
def remote(tmp_path, tmp_path_factory):
    """A checkpoint that a mirror gives away for a token, and how it is reached."""
    folder = tmp_path_factory.mktemp("remote") / "resnet"
    measured_checkpoint(folder, "test_resnet", 1)
    with serving(Hub({"timm/test_resnet.r160_in1k": Repository.of(folder)}, token=TOKEN)) as hub:
        yield HubAccess.of(
            Settings(home=tmp_path / "home", hub_endpoint=hub.address, hub_token=TOKEN, hub_mode="named")
        )


@pytest.mark.parametrize("method", ["finetune", "b_tuning"])
def test_a_checkpoint_on_a_hub_is_fetched_by_the_given_access_and_its_download_is_told(
    tmp_path, colour_task, remote, method
):
    description = describe_remote(ID, remote)
    work = payload(method, colour_task, description, (description,) if method == "b_tuning" else (), tmp_path / "work")
    offline = replace(remote, mode="offline")
    with pytest.raises(errors.HubOffline):
        run_tuning(work, access=offline)
    with pytest.raises(errors.HubUnauthorized):
        run_tuning(work, access=replace(remote, token=None))
    heard = Recorded()
    run_tuning(work, heard, access=remote)
    fetched = heard.counts(Stage.FETCH)
    assert fetched[-1][0] == fetched[-1][1] >= description.bytes
    assert {of for stage, _, _, of in heard.advances if stage == Stage.FETCH} == {ID}
    again = run_tuning(work.model_copy(update={"folder": tmp_path / "again"}), access=offline)
    assert again.ended == "completed"


def test_pickled_weights_are_tuned_where_the_settings_allow_them_and_refused_elsewhere(
    tmp_path, colour_task, monkeypatch
):
    """The environment says the opposite each time."""
    folder = tmp_path / "hub" / "pickled"
    measured_checkpoint(folder, "test_resnet", 1)
    weights = load_file(folder / "model.safetensors")
    torch.save(weights, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    request = TuningRequest(student="local:pickled", epochs=1, learning_rate=0.001, onnx=False)
    monkeypatch.setenv("FRONTRUNNER_HUB_PICKLES", "true")
    with pytest.raises(errors.FrontrunnerError) as caught:
        tune(colour_task, request, hub=tmp_path / "hub", settings=Settings(home=tmp_path / "home", hub_pickles=False))
    assert caught.value.code == "checkpoint_unsafe"
    monkeypatch.setenv("FRONTRUNNER_HUB_PICKLES", "false")
    allowed = Settings(home=tmp_path / "home", hub_pickles=True)
    output = tune(colour_task, request, hub=tmp_path / "hub", settings=allowed)
    assert output.ended == "completed"
    work = payload("finetune", colour_task, describe_directory(folder, pickles_allowed=True), (), tmp_path / "work")
    with pytest.raises(errors.UnsafeCheckpoint):
        run_tuning(work, access=HubAccess.of(Settings(home=tmp_path / "home", hub_pickles=False)))
    assert json.loads((folder / "config.json").read_text())["architecture"] == "test_resnet"
