"""What an accepted step of a ranking leaves in the database beside its output."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.ranking import RankingPayload, StepOutput
from frontrunner.tuning.verification import VerificationOutput, VerificationPayload
from jobs.catalogue import store_cost
from jobs.history import Reached, record_adapted
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


def record_verification(
    session: Session, job_id: str, payload: VerificationPayload, output: VerificationOutput
) -> None:
    """What a checkpoint reached that was adapted to the end, as a row of the history; fewer epochs say less."""
    if output.ended is not None:
        reached = Reached(
            accuracy=output.accuracy.value,
            examples=output.train_examples + output.held_out,
            classes=output.classes,
            learning_rate=output.learning_rate,
            split="validation",
            diverged=output.ended == "diverged",
        )
        record_adapted(session, job_id, payload.tuning, reached)
