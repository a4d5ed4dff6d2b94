"""The database: tables, transactions, and the life of jobs and steps."""

from models.base import Base, database_now, new_id
from models.checkpoint import CheckpointRow, CostRow
from models.database import Database
from models.dataset import DatasetRow
from models.event import EventRow
from models.feature import FeatureRow
from models.idempotency import IdempotencyRow
from models.job import JobRow
from models.score import ScoreRow
from models.status import JOB_TRANSITIONS, STEP_TRANSITIONS, Status
from models.step import StepRow
from models.tally import TallyRow
from models.webhook import DeliveryRow, WebhookRow
from models.worker import DutyRow, WorkerRow

__all__ = [
    "JOB_TRANSITIONS",
    "STEP_TRANSITIONS",
    "Base",
    "CheckpointRow",
    "CostRow",
    "Database",
    "DatasetRow",
    "DeliveryRow",
    "DutyRow",
    "EventRow",
    "FeatureRow",
    "IdempotencyRow",
    "JobRow",
    "ScoreRow",
    "Status",
    "StepRow",
    "TallyRow",
    "WebhookRow",
    "WorkerRow",
    "database_now",
    "new_id",
]
