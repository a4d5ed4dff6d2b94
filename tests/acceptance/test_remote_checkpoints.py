"""Checkpoints on a hub through the whole service: described by the API, fetched by the runner, ranked as local ones."""

from __future__ import annotations

import pytest

from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from tests.acceptance.service import serving
from tests.hub.loopback import Hub, Repository
from tests.hub.loopback import serving as serving_hub

pytestmark = pytest.mark.acceptance

NAME = "timm/test_resnet.r160_in1k"
ID = "timm:test_resnet.r160_in1k"


@pytest.fixture
def away(hub):
    with serving_hub(Hub({NAME: Repository.of(hub / "resnet")}, token="let-me-in")) as running:
        yield running


def test_a_named_checkpoint_is_fetched_by_the_runner_and_scores_as_its_folder_does(tmp_path, hub, colours, away):
    settings = {"hub_endpoint": away.address, "hub_token": away.token}
    with serving(tmp_path / "home", hub, **settings) as service:
        job = service.recommend(colours, checkpoints=[ID, "local:resnet"])
        assert service.wait(job)["status"] == "succeeded"
        served = {line["checkpoint"]: line for line in service.ranking(job)["ranking"]}
        asked = [headers.get("user-agent", "") for _, _, headers in away.requests]
    assert served[ID]["scores"]["logme"]["value"] == pytest.approx(served["local:resnet"]["scores"]["logme"]["value"])
    assert served[ID]["reading_cost"]["latency_ms"] > 0
    assert (tmp_path / "home" / "hub" / "snapshots").is_dir()
    assert any("frontrunner" in agent for agent in asked)
    assert away.token.encode() not in (tmp_path / "home" / "frontrunner.db").read_bytes()


def test_the_library_ranks_it_alike_and_a_hub_that_is_away_costs_that_checkpoint_alone(tmp_path, hub, colours, away):
    settings = Settings(home=tmp_path / "home", packages=False, hub_endpoint=away.address, hub_token=away.token)
    request = RankingRequest(checkpoints=(ID, "local:vit"), baselines=False)
    ranking = rank(colours, hub=hub, request=request, settings=settings)
    assert {line.checkpoint for line in ranking.ranking} == {ID, "local:vit"}
    gone = settings.model_copy(update={"home": tmp_path / "other", "hub_endpoint": "http://127.0.0.1:9"})
    ranking = rank(colours, hub=hub, request=request, settings=gone)
    assert [line.checkpoint for line in ranking.ranking] == ["local:vit"]
    assert [(entry.checkpoint, entry.code) for entry in ranking.skipped] == [(ID, "hub_unavailable")]
