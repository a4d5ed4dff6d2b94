"""Which checkpoints a request means: at hand, on a hub, curated; limits before downloads."""

from __future__ import annotations

from dataclasses import replace

import pytest
import timm

from frontrunner import errors
from frontrunner.hub import (
    Catalogue,
    Constraints,
    HubAccess,
    ReadingCost,
    choose,
    describe_directory,
    with_curated,
    with_named,
)
from frontrunner.hub.fetching.identifiers import repository_of
from frontrunner.hub.finding.curated import curated, offer, within
from frontrunner.ranking.local import reasons
from frontrunner.settings import Settings
from tests.hub.loopback import Hub, Repository, serving


@pytest.fixture
def server(hub, text_hub):
    with serving(
        Hub({"org/mobilenet": Repository.of(hub / "mobilenet"), "org/e": Repository.of(text_hub / "encoder")})
    ) as it:
        yield it


@pytest.fixture
def access(server, tmp_path):
    return HubAccess.of(Settings(home=tmp_path, hub_endpoint=server.address))


@pytest.fixture
def own(hub):
    return Catalogue(checkpoints=(describe_directory(hub / "resnet"),))


def in_mode(access, mode):
    return HubAccess(**{**vars(access), "mode": mode})


def test_named_checkpoints_of_a_hub_join_those_at_hand(server, access, own):
    names = ("hf:org/mobilenet", "local:resnet", "hf:org/e#layer=2", "hf:org/nothing")
    found = choose(names, with_named(own, names, access))
    assert [entry.id for entry in found.checkpoints] == ["hf:org/mobilenet", "local:resnet", "hf:org/e#layer=2"]
    assert [(entry.checkpoint, entry.code) for entry in found.skipped] == [("hf:org/nothing", "checkpoint_not_found")]
    variant = found.checkpoints[-1]
    assert (variant.text_pooling.layer, len(variant.layer_parameters)) == (2, 2)


def test_a_request_that_names_none_asks_no_hub_unless_the_machine_is_set_to(server, access, own):
    for mode in ("offline", "named"):
        assert with_curated(own, "image", Constraints(), in_mode(access, mode)) == own
    assert server.requests == []


def test_the_curated_set_joins_where_none_is_named_and_the_mode_says_so(server, access, own, hub):
    entry = curated("image")[0]
    server.repositories[repository_of(entry.id).name] = Repository.of(hub / "resnet")
    found = with_curated(own, "image", Constraints(), in_mode(access, "curated"))
    assert [c.id for c in found.checkpoints] == ["local:resnet", entry.id]
    assert len(found.skipped) == len(curated("image")) - 1


def test_limits_leave_checkpoints_of_the_curated_set_out_before_the_hub_is_asked(server, access, own):
    with_curated(own, "image", Constraints(max_parameters=4_000_000), in_mode(access, "curated"))
    asked = {path for _, path, _ in server.requests}
    small = [entry for entry in curated("image") if entry.millions <= 4.2]
    assert 0 < len(asked) == len(small) < len(curated("image"))


def test_an_offline_machine_names_what_it_cannot_fetch(server, access, own):
    found = with_named(own, ("hf:org/mobilenet",), in_mode(access, "offline"))
    assert [(entry.checkpoint, entry.code) for entry in found.skipped] == [("hf:org/mobilenet", "hub_offline")]
    assert server.requests == []


def test_an_unknown_name_is_named_with_what_is_known(own):
    with pytest.raises(errors.CheckpointNotFound, match=r"local:nope; known: local:resnet"):
        choose(["local:nope"], own)


def test_the_curated_sets_are_about_forty_and_twenty_five_checkpoints_each_named_once():
    assert (len(curated("image")), len(curated("text")), curated("features")) == (41, 25, ())
    names = [entry.id for modality in ("image", "text") for entry in curated(modality)]
    assert len(set(names)) == len(names)
    for name in names:
        assert repository_of(name).name.count("/") == 1


def test_every_curated_image_checkpoint_is_in_timms_own_list_with_these_sizes():
    import timm
    import torch

    for entry in curated("image"):
        name = entry.id.removeprefix("timm:")
        stated = timm.get_pretrained_cfg(name)
        assert stated.hf_hub_id == repository_of(entry.id).name
        with torch.device("meta"):
            module = timm.create_model(name.partition(".")[0], num_classes=stated.num_classes)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        assert entry.millions == pytest.approx(parameters / 1e6, rel=0.04)


COST = ReadingCost(device="cpu", latency_ms=5.0, memory_mb=300.0)
SLOW = ReadingCost(device="old", latency_ms=50.0, memory_mb=900.0)


@pytest.mark.parametrize(
    ("limits", "changes", "passes"),
    [
        ({"max_parameters": 400_000}, {}, True),
        ({"max_parameters": 10}, {}, False),
        ({"licenses": ("apache-2.0",)}, {"license": "Apache-2.0"}, True),
        ({"licenses": ("Apache 2.0",)}, {"license": "Apache-2.0"}, True),
        ({"licenses": ("mit",)}, {"license": "Apache-2.0"}, False),
        ({"licenses": ("mit",)}, {"license": None}, False),
        ({"max_latency_ms": 6.0}, {"costs": (SLOW, COST)}, True),
        ({"max_latency_ms": 4.0}, {"costs": (SLOW, COST)}, False),
        ({"max_memory_mb": 200.0}, {"costs": (COST,)}, False),
        ({"max_latency_ms": 4.0, "max_memory_mb": 1.0}, {"costs": ()}, True),
    ],
)
def test_limits_let_through_what_keeps_them(own, limits, changes, passes):
    checkpoint = own.checkpoints[0].model_copy(update={"parameters": 400_000} | changes)
    if passes:
        Constraints(**limits).require(checkpoint)
    else:
        with pytest.raises(errors.ConstraintViolated):
            Constraints(**limits).require(checkpoint)


def test_the_offer_counts_what_the_set_holds():
    text = offer("image")
    entries = curated("image")
    assert f"fetches {len(entries)} that read images" in text
    assert f"{sum(entry.millions for entry in entries) * 4e6 / 1e9:.1f} GB" in text
    bound = [name for name in (e.id for e in entries) if "-nc" in timm.get_pretrained_cfg(name[5:]).license]
    assert f"{len(bound)} of them are not for commercial use ({', '.join(bound)})" in text
    assert "--hub DIR" in offer("features")


def test_a_limit_on_the_download_takes_the_smallest(server, access, own):
    limited = replace(in_mode(access, "curated"), curated_bytes=40_000_000)
    with_curated(own, "image", Constraints(), limited)
    asked = {path.partition("/api/models/")[2].partition("/revision")[0] for _, path, _ in server.requests}
    fitting = within(curated("image"), 40_000_000)
    assert asked == {entry.id.replace("timm:", "timm/") for entry in fitting}
    assert sum(entry.millions for entry in fitting) <= 10
    left_out = [entry.millions for entry in curated("image") if entry not in fitting]
    assert max(entry.millions for entry in fitting) <= min(left_out)


def test_a_network_that_is_away_is_one_reason_for_all(tmp_path):
    away = HubAccess.of(Settings(home=tmp_path, hub_endpoint="http://127.0.0.1:1", hub_mode="curated"))
    found = with_curated(Catalogue(), "image", Constraints(), away)
    (reason,) = reasons(found.skipped)
    assert f"and {len(curated('image')) - 1} more: the hub cannot be reached" in reason
