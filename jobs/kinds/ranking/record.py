"""What an accepted step of a ranking leaves in the database beside its output."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.ranking import RankingPayload, StepOutput
from jobs.catalogue import store_cost
from models import FeatureRow, database_now
from models.upsert import upsert


def record_step(session: Session, payload: RankingPayload, output: StepOutput) -> None:
    """Note the features as used now, and what reading the checkpoint took."""
    row = {
        "key": output.feature_key,
        "checkpoint_digest": payload.checkpoint.digest,
        "dataset_digest": payload.dataset.digest,
        "examples": output.examples,
        "dimension": output.feature_dimension,
        "bytes": output.feature_bytes,
        "last_used_at": session.scalar(select(database_now())),
    }
    upsert(session, FeatureRow, [row])
    if output.reading_cost is not None:
        store_cost(session, payload.checkpoint.digest, output.reading_cost)
