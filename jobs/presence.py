"""Who is there: workers that beat, and the broker that carries word of new work to them."""

from __future__ import annotations

from celery import Celery
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from frontrunner.settings import Settings
from models import WorkerRow, database_now

# A worker beats once a reaper period; after three missed ones it is taken for gone.
_BEATS_MISSED = 3


def longest_silence_s(settings: Settings) -> float:
    """How long a worker may say nothing before it is taken for gone."""
    return _BEATS_MISSED * settings.reaper_period_s


def count_alive(session: Session, settings: Settings) -> int:
    """Workers that were heard of lately, by the database's clock."""
    horizon = database_now() - longest_silence_s(settings)
    return session.scalar(select(func.count()).select_from(WorkerRow).where(WorkerRow.seen_at > horizon)) or 0


def require_broker(broker: Celery) -> None:
    """Let a broker that answers within two seconds pass.

    Raises:
        Exception: it does not; each transport raises its driver's own.
    """
    with broker.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, timeout=2, interval_start=0.1)
