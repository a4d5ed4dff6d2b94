"""A hostile checkpoint can do no more than fail its own step, with a named reason."""

from __future__ import annotations

import json
import pickle
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from frontrunner import errors
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings


@pytest.fixture
def allowing(tmp_path):
    """An administrator who lets pickles be read."""
    return HubAccess.of(Settings(home=tmp_path / "home", hub_pickles=True))


@pytest.fixture
def copied(hub, text_hub, tmp_path):
    """Copies a checkpoint folder to be spoilt."""

    def make(name, as_name="spoilt"):
        source = hub / name if (hub / name).is_dir() else text_hub / name
        return shutil.copytree(source, tmp_path / "spoilt-hub" / as_name)

    return make


def rewritten(folder, name, **entries):
    path = folder / name
    config = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(config | entries))
    return folder


class Bomb:
    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


def test_a_pickle_bomb_never_goes_off(copied, tmp_path, allowing):
    trace = tmp_path / "trace"
    folder = copied("mobilenet")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Bomb(trace)}))
    with pytest.raises(errors.UnsafeCheckpoint, match="FRONTRUNNER_HUB_PICKLES"):
        describe_directory(folder)
    described = describe_directory(folder, pickles_allowed=True)
    with pytest.raises(errors.UnsafeCheckpoint, match="more than weights"):
        open_checkpoint(described, allowing)
    with pytest.raises(errors.UnsafeCheckpoint):
        open_checkpoint(described, HubAccess.of(Settings(home=tmp_path / "strict")))
    assert not trace.exists()


@pytest.mark.parametrize("name", ["mobilenet", "resnet", "encoder"])
def test_honest_pickles_are_read_where_an_administrator_allows_them(copied, allowing, name):
    folder = copied(name)
    before = open_checkpoint(describe_directory(folder)).module.state_dict()
    before = {tensor: value.clone() for tensor, value in before.items()}
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    opened = open_checkpoint(describe_directory(folder, pickles_allowed=True), allowing)
    for tensor, value in opened.module.state_dict().items():
        assert torch.equal(value, before[tensor])


@pytest.mark.parametrize("length", [1 << 62, 200 * 1024**2])
def test_a_giant_header_is_refused_without_being_read(copied, length):
    folder = copied("resnet")
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", length) + b"{}")
    with pytest.raises(errors.CheckpointUnreadable, match="header"):
        describe_directory(folder)


@pytest.mark.parametrize("name", ["resnet", "mobilenet", "encoder"])
def test_weights_of_the_wrong_shape_are_refused(copied, name):
    folder = copied(name)
    weights = load_file(folder / "model.safetensors")
    largest = max(weights, key=lambda tensor: weights[tensor].numel())
    weights[largest] = torch.zeros(3, 5)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(errors.CheckpointUnreadable):
        open_checkpoint(describe_directory(folder))


@pytest.mark.parametrize(
    ("name", "file", "entries"),
    [
        ("mobilenet", "config.json", {"auto_map": {"AutoModel": "evil.Model"}}),
        ("mobilenet", "preprocessor_config.json", {"auto_map": {"AutoImageProcessor": "evil.Processor"}}),
        ("mobilenet", "config.json", {"backbone_config": {"use_pretrained_backbone": True}}),
        ("encoder", "config.json", {"attn_implementation": "someone/kernels"}),
        ("encoder", "config.json", {"text_config": [{"_attn_implementation": "someone/kernels"}]}),
        ("encoder", "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}),
        ("encoder", "tokenizer_config.json", {"init_inputs": ["/etc/passwd"]}),
        ("encoder", "tokenizer_config.json", {"fast_tokenizer_files": ["../../tokenizer.4.json"]}),
        ("resnet", "config.json", {"model_args": {"checkpoint_path": "/etc/passwd"}}),
        ("resnet", "config.json", {"model_args": {"pretrained_cfg": {"url": "http://127.0.0.1:1/x.pth"}}}),
    ],
)
def test_configurations_that_ask_for_more_than_to_be_read_are_refused(copied, name, file, entries):
    folder = rewritten(copied(name), file, **entries)
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_directory(folder)


def test_a_configuration_that_turned_hostile_after_it_was_described_is_refused(copied):
    folder = copied("mobilenet")
    described = describe_directory(folder)
    rewritten(folder, "config.json", auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(errors.UnsafeCheckpoint):
        open_checkpoint(described)


@pytest.mark.parametrize("source", ["url", "file", "hf_hub_id", "state_dict"])
def test_timms_own_places_for_weights_are_not_followed(copied, tmp_path, source):
    """Whatever the configuration says, the weights beside it are read."""
    folder = copied("resnet")
    config = json.loads((folder / "config.json").read_text())
    elsewhere = {"url": "http://127.0.0.1:1/w.pth", "file": str(tmp_path / "w.pth"), "hf_hub_id": "someone/else"}
    config["pretrained_cfg"] |= {source: elsewhere.get(source, {"x": 1}), "source": source, "custom_load": True}
    (folder / "config.json").write_text(json.dumps(config))
    stored = load_file(folder / "model.safetensors")
    opened = open_checkpoint(describe_directory(folder)).module.state_dict()
    assert all(torch.equal(opened[name], value) for name, value in stored.items())


def test_a_path_in_the_tokenizers_configuration_is_not_opened(copied, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("[PAD]\n[UNK]\nsecret\n")
    folder = rewritten(
        copied("encoder"), "tokenizer_config.json", vocab_file=str(secret), tokenizer_file=str(secret), other_file="x"
    )
    opened = open_checkpoint(describe_directory(folder))
    assert "secret" not in opened.preparation._tokenizer.get_vocab()


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "sub/a.safetensors", "x.bin", ""])
def test_an_index_of_shards_that_leads_elsewhere_is_refused(copied, shard):
    folder = copied("mobilenet")
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": shard}}))
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_directory(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"weight_map": 3}', '{"weight_map": {}}', "{", "[" * 100_000])
def test_an_index_that_is_none_is_refused(copied, content):
    folder = copied("mobilenet")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(errors.CheckpointUnreadable):
        describe_directory(folder)


@pytest.mark.parametrize(
    "card", ["---\n- a\n---", "---\nx: !!python/object/apply:os.system [true]\n---", "---\n\x00\n---"]
)
def test_a_hostile_card_states_nothing(copied, card):
    folder = copied("resnet")
    (folder / "README.md").write_text(f"---\n{card}\n---\n")
    assert describe_directory(folder).license is None


def test_hostile_checkpoints_fail_their_own_steps_and_the_others_are_ranked(copied, colours, tmp_path):
    copied("resnet", "good")
    broken = copied("resnet", "nan")
    weights = load_file(broken / "model.safetensors")
    weights["fc.weight"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors")
    misfit = copied("resnet", "misfit")
    weights["layer1.0.conv1.weight"] = torch.zeros(1)
    save_file(weights, misfit / "model.safetensors")
    bomb = copied("resnet", "bomb")
    (bomb / "model.safetensors").rename(bomb / "pytorch_model.bin")
    rewritten(copied("mobilenet", "coded"), "config.json", auto_map={"AutoModel": "evil.Model"})
    ranking = rank(
        colours,
        hub=tmp_path / "spoilt-hub",
        settings=Settings(home=tmp_path / "home", packages=False),
        request=RankingRequest(max_examples=40, baselines=False),
    )
    assert [line.checkpoint for line in ranking.ranking] == ["local:good"]
    assert {entry.checkpoint: entry.code for entry in ranking.skipped} == {
        "local:nan": "checkpoint_unreadable",
        "local:misfit": "checkpoint_unreadable",
        "local:bomb": "checkpoint_unsafe",
        "local:coded": "checkpoint_unsafe",
    }
