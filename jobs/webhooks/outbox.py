"""The life of a webhook's message: pending until it is delivered, or until we have tried often enough.

Messages go out at least once; their id is the same each time, so a receiver can tell a second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from models.base import database_now
from models.delivery import DeliveryRow
from models.webhook import WebhookRow

# Each pause is three times the one before, up to this.
_PAUSE_GROWTH = 3.0
_MAX_PAUSE_S = 6 * 3600.0
_MAX_ANSWER = 500


@dataclass(frozen=True)
class Message:
    """A message that is due."""

    id: str
    webhook_id: str
    url: str
    sealed_secret: str
    event: dict[str, Any]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a message is tried, and when an address is given up."""

    retry_s: float
    max_attempts: int
    disable_after: int


def due_messages(session: Session, at_most: int) -> list[Message]:
    """Messages whose time has come, oldest first; those of disabled addresses wait."""
    rows = session.execute(
        select(DeliveryRow, WebhookRow)
        .join(WebhookRow, WebhookRow.id == DeliveryRow.webhook_id)
        .where(DeliveryRow.status == "pending", DeliveryRow.next_at <= database_now(), WebhookRow.enabled)
        .order_by(DeliveryRow.next_at)
        .limit(at_most)
    )
    return [Message(sent.id, hook.id, hook.url, hook.secret, sent.event) for sent, hook in rows]


def delivered(session: Session, message: Message, answer: str) -> None:
    """Note that the address took the message."""
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == message.id)
        .values(status="delivered", attempt=DeliveryRow.attempt + 1, last_answer=answer, delivered_at=database_now())
    )
    session.execute(update(WebhookRow).where(WebhookRow.id == message.webhook_id).values(failures=0))


def not_delivered(session: Session, message: Message, answer: str, policy: RetryPolicy) -> bool:
    """Note a failed try: again later, or never; whether the address is disabled now, after too many in a row."""
    row = session.get(DeliveryRow, message.id, with_for_update=True)
    hook = session.get(WebhookRow, message.webhook_id, with_for_update=True)
    if row is None or hook is None:
        return False
    row.attempt += 1
    row.last_answer = answer[:_MAX_ANSWER]
    if row.attempt >= policy.max_attempts:
        row.status = "failed"
    pause = min(policy.retry_s * _PAUSE_GROWTH ** (row.attempt - 1), _MAX_PAUSE_S)
    row.next_at = (session.scalar(select(database_now())) or 0.0) + pause
    hook.failures += 1
    if hook.failures >= policy.disable_after:
        hook.enabled = False
    return not hook.enabled


def send_again(session: Session, delivery: DeliveryRow) -> None:
    """Put a message back into the outbox, with all its tries."""
    delivery.status = "pending"
    delivery.attempt = 0
    delivery.delivered_at = None
    delivery.next_at = session.scalar(select(database_now())) or 0.0
