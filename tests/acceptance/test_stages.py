"""A ranking in stages, and a kill -9 in each of them: rounds of the race, epochs of a verification, another seed.

The shortlist and the answer are worked out between steps, in the transaction that ends one: there is nothing to kill.
"""

from __future__ import annotations

import pytest

from benchmarks.service.servers import wait_until
from tests.acceptance.service import serving
from tests.conftest import class_images, write_zip

pytestmark = [pytest.mark.acceptance, pytest.mark.alone]

# More than both take: three adapted for two epochs, two of them to the end. One further seed is paid for too.
ASKED = {"budget": "58000 images", "verify": 3, "max_examples": 200}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Enough images for two rounds."""
    return write_zip(tmp_path_factory.mktemp("many") / "many.zip", class_images(4, 50))


def stages(ranking: dict) -> list[dict]:
    return [*ranking.get("budget", {}).get("stages", []), *(ranking.get("verification") or {}).get("stages", [])]


def answer(ranking: dict) -> dict:
    """All that does not depend on clocks."""
    unclocked = [
        {k: v for k, v in each.items() if k not in ("seconds", "forward_examples")} for each in stages(ranking)
    ]
    return {
        "stages": unclocked,
        "spent": ranking["budget"]["spent"],
        "pick": (ranking["budget"]["pick"], ranking["verification"]["pick"]),
        "lines": [
            (line["checkpoint"], line["examples"], line["scores"]["logme"]["value"], line.get("verified"))
            for line in ranking["ranking"]
        ],
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, many, hub):
    with serving(tmp_path_factory.mktemp("undisturbed") / "home", hub) as service:
        job = service.recommend(many, **ASKED)
        assert service.wait(job, 400)["status"] == "succeeded"
        return answer(service.ranking(job))


def test_every_stage_is_seen(undisturbed):
    verified = [each for each in undisturbed["stages"] if each["stage"] == "verify"]
    assert [(each["epochs"], each["again"]) for each in verified] in ([(2, 0), (6, 0)], [(2, 0), (6, 0), (2, 1)])
    assert undisturbed["stages"][0]["stage"] == "race"
    assert undisturbed["pick"][0] == undisturbed["pick"][1] == undisturbed["lines"][0][0]


@pytest.mark.parametrize("victim", ["workers.runner", "frontrunner.cli worker"])
def test_a_kill_in_every_stage_changes_nothing(undisturbed, many, hub, tmp_path, victim):
    with serving(tmp_path / "home", hub) as service:
        job = service.recommend(many, **ASKED)
        for seen in range(1, len(undisturbed["stages"]) + 1):

            def under_way(seen: int = seen) -> bool:
                found = stages(service.ranking(job))
                in_hand = len(found) == seen and found[-1]["waiting"] and service.processes("workers.runner")
                assert len(found) <= seen, "a stage went by unseen"
                return bool(in_hand)

            wait_until(under_way, 300, f"stage {seen}")
            service.kill(victim)
        assert service.wait(job, 400)["status"] == "succeeded"
        assert answer(service.ranking(job)) == undisturbed
