"""A receiver of webhooks: verifies each message, hears it once, and notes the winner of every ranking that succeeds.

    FRONTRUNNER_WEBHOOK_SECRET=whsec_... FRONTRUNNER_SERVER=https://frontrunner.example FRONTRUNNER_API_KEY=frk_... \\
        uvicorn --app-dir examples/pipelines webhook_receiver:app --port 9000

The secret is the answer of `POST /v1/webhooks`. Winners go to `winners.jsonl`, a line each. Needs `fastapi`, `uvicorn`
and `frontrunner`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request

from frontrunner.client import Client, WebhookForged, verify_webhook

SECRET = os.environ["FRONTRUNNER_WEBHOOK_SECRET"]
WINNERS = Path(os.environ.get("WINNERS", "winners.jsonl"))

app = FastAPI()
# A message comes again until it was answered with 2xx. More than one process of this needs a table instead.
_heard: set[str] = set()


@app.post("/frontrunner", status_code=202)
async def receive(request: Request, later: BackgroundTasks) -> None:
    """Believe nothing that is not signed; answer at once and work afterwards, since the sender waits ten seconds."""
    try:
        event = verify_webhook(SECRET, request.headers, await request.body())
    except WebhookForged as forged:
        raise HTTPException(401, forged.reason) from None
    message = request.headers["webhook-id"]
    if message in _heard:
        return
    _heard.add(message)
    if event["type"] == "frontrunner.job.succeeded" and event["data"]["kind"] == "ranking":
        later.add_task(note_winner, event["data"]["job"])


def note_winner(ranking_id: str) -> None:
    """Read the ranking and write down what won: here a pipeline of yours begins."""
    with Client() as client:
        ranking = client.ranking(ranking_id)
    best = ranking.best
    line = {"ranking": ranking_id, "dataset": ranking.dataset.name, "winner": None if best is None else best.checkpoint}
    with WINNERS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
