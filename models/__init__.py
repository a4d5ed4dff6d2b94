"""The database: tables, one a file, and the session. No behaviour."""

from models.audit import AuditRow
from models.base import Base, database_now, new_id
from models.checkpoint import CheckpointRow
from models.checkpoint_cost import CostRow
from models.compute_use import ComputeUseRow
from models.counter import CounterRow
from models.database import Database
from models.dataset import DatasetRow
from models.delivery import DeliveryRow
from models.event import EventRow
from models.feature import FeatureRow
from models.history import HistoryRow
from models.idempotency import IdempotencyRow
from models.job import JobRow
from models.key import KeyRow
from models.quota import QuotaRow
from models.role import RoleRow
from models.step import StepRow
from models.tenant import DEFAULT_TENANT, TenantOwned
from models.upload import UploadPartRow, UploadRow
from models.webhook import WebhookRow
from models.worker import WorkerRow

__all__ = [
    "DEFAULT_TENANT",
    "AuditRow",
    "Base",
    "CheckpointRow",
    "ComputeUseRow",
    "CostRow",
    "CounterRow",
    "Database",
    "DatasetRow",
    "DeliveryRow",
    "EventRow",
    "FeatureRow",
    "HistoryRow",
    "IdempotencyRow",
    "JobRow",
    "KeyRow",
    "QuotaRow",
    "RoleRow",
    "StepRow",
    "TenantOwned",
    "UploadPartRow",
    "UploadRow",
    "WebhookRow",
    "WorkerRow",
    "database_now",
    "new_id",
]
