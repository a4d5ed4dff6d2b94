"""The receiver of webhooks: a real service sends it messages; forged and repeated ones change nothing."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import httpx
import pytest
from standardwebhooks import Webhook

from benchmarks.service.servers import free_port, wait_until
from tests.acceptance.service import serving
from tests.conftest import ROOT
from tests.pipelines.processes import answering, environment

pytestmark = pytest.mark.acceptance


def test_it_notes_the_winner_once_and_believes_only_what_is_signed(features, expected, tmp_path):
    (tmp_path / "hub").mkdir()
    winners = tmp_path / "winners.jsonl"
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with serving(tmp_path / "home", tmp_path / "hub", webhook_allow_private=True, poll_period_s=0.3) as service:
        made = service.http.post("/v1/webhooks", json={"url": f"{url}/frontrunner"}).raise_for_status().json()
        env = environment(FRONTRUNNER_WEBHOOK_SECRET=made["secret"], FRONTRUNNER_SERVER=service.url, WINNERS=winners)
        command = [sys.executable, "-m", "uvicorn", "--app-dir", ROOT / "examples" / "pipelines"]
        command += ["webhook_receiver:app", "--port", str(port)]
        with answering(command, f"{url}/openapi.json", tmp_path / "receiver.log", env):
            job = service.recommend(features, scores=["logme", "knn"])
            wait_until(winners.exists, 180, "the winner's note")
            line = {"ranking": job, "dataset": "features.npz", "winner": expected[0]}
            assert [json.loads(text) for text in winners.read_text().splitlines()] == [line]

            event = json.dumps({"type": "frontrunner.job.succeeded", "data": {"job": job, "kind": "ranking"}})
            now = datetime.now(UTC)
            stamp = {"webhook-id": "msg_2", "webhook-timestamp": str(int(now.timestamp()))}
            right = {"webhook-signature": Webhook(made["secret"]).sign("msg_2", now, event)}
            other = {"webhook-signature": Webhook("whsec_" + "A" * 32).sign("msg_2", now, event)}
            for signature, status in ((other, 401), (right, 202), (right, 202)):
                answer = httpx.post(f"{url}/frontrunner", content=event, headers=stamp | signature)
                assert answer.status_code == status
            wait_until(lambda: len(winners.read_text().splitlines()) > 1, 120, "the second note")
            assert len(winners.read_text().splitlines()) == 2, "sent twice, heard once; the forged one never"
