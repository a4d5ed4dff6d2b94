"""Writing down what happens to a job, for those who watch it and those who are to be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.kinds import KINDS
from models.base import database_now, new_id
from models.delivery import DeliveryRow
from models.event import EventRow
from models.job import JobRow
from models.webhook import WebhookRow

# A stage that is over. Few, and the last one says which were told of: these are never dropped.
STAGE_OVER = "job.stage"
# A watcher who was away for longer than this many events begins with the oldest that is kept: progress once a second
# for a quarter of an hour.
MAX_EVENTS = 1000
# Old events are dropped this many at a time.
_DROPPED_AT_ONCE = 100


def note(session: Session, job: JobRow, type_: str, **data: Any) -> None:
    """Add an event to a job whose row is locked."""
    job.version += 1
    session.add(EventRow(job_id=job.id, tenant=job.tenant, number=job.version, type=type_, data=data))
    if job.version > MAX_EVENTS and job.version % _DROPPED_AT_ONCE == 0:
        old = EventRow.job_id == job.id, EventRow.number <= job.version - MAX_EVENTS, EventRow.type != STAGE_OVER
        session.execute(delete(EventRow).where(*old))


def note_status(session: Session, job: JobRow) -> None:
    """Add the event that a job has come to its present status."""
    failure = {} if job.error_code is None else {"code": job.error_code, "reason": job.error_reason}
    note(session, job, f"job.{job.status}", status=str(job.status), **failure)


def enqueue_deliveries(session: Session, job: JobRow) -> None:
    """Put one message for each webhook of the job's tenant into the outbox: the job is over."""
    # Held so that none is deleted before this transaction ends: its message would refer to nothing.
    enabled = select(WebhookRow.id).where(WebhookRow.tenant == job.tenant, WebhookRow.enabled)
    addresses = session.scalars(enabled.with_for_update(read=True, key_share=True))
    now = session.scalar(select(database_now())) or 0.0
    for webhook_id in addresses.all():
        delivery_id = new_id("msg")
        event = {
            "specversion": "1.0",
            "id": delivery_id,
            "source": "/v1/jobs",
            "subject": job.id,
            "type": f"frontrunner.job.{job.status}",
            "time": datetime.fromtimestamp(now, UTC).isoformat(),
            "datacontenttype": "application/json",
            "data": {
                "job": job.id,
                "kind": job.kind,
                "status": str(job.status),
                "result": KINDS[job.kind].result_url(job.id),
                "failure": None if job.error_code is None else {"code": job.error_code, "reason": job.error_reason},
            },
        }
        session.add(
            DeliveryRow(
                id=delivery_id,
                tenant=job.tenant,
                webhook_id=webhook_id,
                job_id=job.id,
                event=event,
                status="pending",
                attempt=0,
                next_at=now,
            )
        )
