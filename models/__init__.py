"""The database: tables, transactions, and the life of jobs and steps."""

from models.base import Base, database_now, new_id
from models.checkpoint import CheckpointRow
from models.database import Database
from models.dataset import DatasetRow
from models.feature import FeatureRow
from models.job import JobRow
from models.score import ScoreRow
from models.status import JOB_TRANSITIONS, STEP_TRANSITIONS, Status
from models.step import StepRow
from models.worker import DutyRow, WorkerRow

__all__ = [
    "JOB_TRANSITIONS",
    "STEP_TRANSITIONS",
    "Base",
    "CheckpointRow",
    "Database",
    "DatasetRow",
    "DutyRow",
    "FeatureRow",
    "JobRow",
    "ScoreRow",
    "Status",
    "StepRow",
    "WorkerRow",
    "database_now",
    "new_id",
]
