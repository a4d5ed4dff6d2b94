"""Lists become entries of the catalogue: timm's own without a network, a hub's through its client."""

from __future__ import annotations

import json
import shutil

import pytest
import timm
from typer.testing import CliRunner

from frontrunner import errors
from frontrunner.cli import build_app
from frontrunner.hub import HubAccess, ListedCheckpoint, describe_directory, hubs_of
from frontrunner.hub.describing.listing import family_of, label_names
from frontrunner.hub.fetching.lists import listed_by_timm
from frontrunner.hub.finding.sync import BATCH, batches, lists_of
from frontrunner.settings import Settings, get_settings
from tests.hub.loopback import Hub, Repository, serving


def run(*command):
    return CliRunner().invoke(build_app(command), list(command))


def listed(tags, **more):
    return Repository({}, "0" * 40, listing={"tags": ["safetensors", *tags], **more})


@pytest.fixture
def server():
    repositories = {
        "timm/resnet18.a1_in1k": listed(
            ["image"], pipeline_tag="image-classification", library_name="timm", downloads=9
        ),
        "org/bert": listed(
            ["license:mit", "sentences"],
            pipeline_tag="sentence-similarity",
            library_name="sentence-transformers",
            downloads=7,
            config={"model_type": "bert"},
            safetensors={"parameters": {"F32": 123}, "total": 123},
            cardData={"license": "mit", "base_model": "org/parent"},
        ),
        "org/diffuser": listed([], pipeline_tag="image-classification", library_name="diffusers"),
    }
    with serving(Hub(repositories)) as it:
        yield it


def lists(tmp_path, address="http://127.0.0.1:1", only=None, **settings):
    hubs = hubs_of(HubAccess.of(Settings(home=tmp_path, hub_endpoint=address, **settings)))
    return list(lists_of(hubs, only, pattern="resnet18.a1_in1k", limit=10))


def test_timms_list_comes_with_sizes_and_needs_no_network(tmp_path):
    ((found,),) = lists(tmp_path, only="timm", hub_mode="offline")
    parameters = sum(p.numel() for p in timm.create_model("resnet18").parameters())
    assert (found.id, found.family) == ("timm:resnet18.a1_in1k", "resnet")
    assert found.parameters == pytest.approx(parameters, abs=5000)  # published to ten thousand
    # 1.8 billion multiplications with addition, as published, counted as two each.
    assert found.flops == pytest.approx(3.63e9, rel=0.01)
    assert (found.license, found.input_size, found.tags) == ("apache-2.0", 224, ("a1", "in1k"))


def test_sizes_that_are_published_build_no_model_and_others_are_counted(monkeypatch):
    built = []
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, **more: built.append(name) or create(name, **more))
    found = {entry.id: entry.parameters for entry in listed_by_timm("resnet18*")}
    assert len(found) > 5
    assert built == []
    (other,) = listed_by_timm("vit_small_patch16_224.dino")
    assert built == ["vit_small_patch16_224"]
    assert other.parameters == sum(p.numel() for p in create("vit_small_patch16_224", num_classes=0).parameters())


def test_a_list_that_breaks_off_has_left_what_came_before():
    def broken():
        yield from (ListedCheckpoint(id=f"x:{number}") for number in range(BATCH + 50))
        raise errors.HubRateLimited("later")

    batched = batches(broken())
    assert len(next(batched)) == BATCH
    with pytest.raises(errors.HubRateLimited):
        next(batched)


def test_the_list_of_the_hub_is_read_for_each_modality(server, tmp_path):
    ((image, text),) = lists(tmp_path, server.address, only="hf")
    assert (image.id, image.modality) == ("timm:resnet18.a1_in1k", "image")
    assert text == ListedCheckpoint(
        id="hf:org/bert",
        library="transformers",
        modality="text",
        architecture="bert",
        family="bert",
        parameters=123,
        license="mit",
        base_model="org/parent",
        popularity=7,
        tags=("safetensors", "sentences"),
    )


def test_an_offline_machine_reads_no_list(server, tmp_path):
    with pytest.raises(errors.HubOffline):
        lists(tmp_path, server.address, only="hf", hub_mode="offline")
    assert server.requests == []


def test_a_list_that_nobody_keeps_is_named_with_those_that_are_kept(tmp_path):
    with pytest.raises(errors.CheckpointNotFound, match="'hub' keeps a list; these do: timm, hf"):
        lists(tmp_path, only="hub")


def test_the_command_line_fills_the_catalogue_and_searches_it(server, tmp_path, monkeypatch):
    monkeypatch.setenv("FRONTRUNNER_HOME", str(tmp_path))
    monkeypatch.setenv("FRONTRUNNER_HUB_ENDPOINT", server.address)
    monkeypatch.setenv("FRONTRUNNER_PACKAGES", "false")
    get_settings.cache_clear()
    try:
        filled = run("checkpoints", "sync", "--pattern", "resnet18.a?_in1k", "--limit", "5")
        # Three of timm's recipes, one of which the hub lists too, and a sentence encoder.
        assert filled.output == "the catalogue knows 5 checkpoints of these lists\n"
        answer = run("checkpoints", "search", "resnet18", "a1", "--json")
        found = [entry["id"] for entry in json.loads(answer.output)["checkpoints"]]
        assert found == ["timm:resnet18.a1_in1k"]
        assert "hf:org/bert" in run("checkpoints", "search", "--license", "mit").output
        assert run("checkpoints", "search", "nothing-like-it").exit_code == 0
        named = run("checkpoints", "search", "resnet18.a2_in1k", "--json").output
        assert json.loads(named)["checkpoints"][0]["id"] == "timm:resnet18.a2_in1k"
    finally:
        get_settings.cache_clear()


def test_the_listing_stays_where_it_was(hub):
    for command in (["checkpoints", "--hub", str(hub)], ["checkpoints", "list", "--hub", str(hub)]):
        answer = run(*command, "--json")
        assert answer.exit_code == 0
        assert "local:resnet" in answer.output


def test_label_names_are_read_from_either_form(hub, tmp_path):
    assert label_names(describe_directory(hub / "mobilenet")) == ()
    for name, entries in {
        "timm": {"label_names": ["cat", "dog"]},
        "transformers": {"id2label": {"1": "dog", "0": "cat"}},
    }.items():
        folder = shutil.copytree(hub / ("resnet" if name == "timm" else "mobilenet"), tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | entries))
        assert label_names(describe_directory(folder)) == ("cat", "dog")


@pytest.mark.parametrize(
    ("architecture", "family"),
    [
        ("convnextv2_nano", "convnextv2"),
        ("swin_tiny_patch4_window7_224", "swin"),
        ("gpt2", "gpt"),
        ("xlm-roberta", "xlm"),
    ],
)
def test_architectures_that_differ_in_size_share_a_family(architecture, family):
    assert family_of(architecture) == family


def test_the_listing_can_be_narrowed(hub):
    def listed(*options):
        answer = run("checkpoints", "list", "--hub", str(hub), "--json", *options)
        return [entry["id"] for entry in json.loads(answer.output)["checkpoints"]]

    assert listed("--name", "RES") == ["local:resnet"]
    assert listed("--modality", "text") == []
    sizes = {entry.id: entry.parameters for entry in (describe_directory(path) for path in hub.iterdir())}
    least = min(sizes, key=sizes.get)
    assert listed("--max-parameters", str(sizes[least])) == [least]
