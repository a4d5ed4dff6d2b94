"""What an accepted step of a ranking leaves in the database beside its output."""

from __future__ import annotations

import re

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from frontrunner.extraction import FeatureKey
from frontrunner.ranking import RankingPayload, StepOutput
from frontrunner.tuning.verification import VerificationOutput, VerificationPayload
from jobs.catalogue import store_cost
from jobs.history import Reached, record_adapted
from models import FeatureRow, database_now
from models.upsert import upsert

_KEY = re.compile("[0-9a-f]{64}")
_log = structlog.get_logger(__name__)


def record_step(session: Session, payload: RankingPayload, output: StepOutput) -> None:
    """Note the features as used now, and what reading the checkpoint took.

    The row decides what is removed from the store one day: a key that is not of the step's own features is no such row.
    """
    if output.reading_cost is not None:
        store_cost(session, payload.checkpoint.digest, output.reading_cost)
    own = FeatureKey.readings(payload.checkpoint, payload.dataset.owner)
    if _KEY.fullmatch(output.feature_key) is None or FeatureKey.parse(output.feature_key).reading not in own:
        _log.warning("features_not_noted", key=output.feature_key[:100])
        return
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
