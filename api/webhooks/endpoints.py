"""`/v1/webhooks`: addresses that hear when a job is over, and what was sent to them."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.paging import CreatedDependency, Cursor, Limit, Page
from api.problems import RESPONSES, NotFound
from api.state import StateDependency, WriteStateDependency
from api.times import instant
from jobs.webhooks import outbox
from jobs.webhooks.sending import resolve_target
from models import DeliveryRow, WebhookRow, new_id

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=RESPONSES)

DeliveryStatus = Literal["pending", "delivered", "failed"]


class WebhookSubmission(BaseModel):
    """An address that wants to hear."""

    url: str = Field(max_length=2000, description="http or https; must not lead into a private network.")


class WebhookResource(BaseModel):
    """An address, and how it fares."""

    id: str
    url: str
    enabled: bool = Field(description="False after too many failed tries in a row; its messages wait.")
    failures: int = Field(description="Failed tries since the last success.")
    created_at: datetime | None

    @classmethod
    def of(cls, row: WebhookRow) -> WebhookResource:
        """The resource of a row."""
        at = instant(row.created_at)
        return cls(id=row.id, url=row.url, enabled=row.enabled, failures=row.failures, created_at=at)


class NewWebhook(WebhookResource):
    """An address as it was made: the only time that its secret is shown."""

    secret: str = Field(description="Verifies the signature of every message, as in Standard Webhooks.")


class DeliveryResource(BaseModel):
    """One message: what was sent, how often, and what was answered."""

    id: str
    status: DeliveryStatus
    attempts: int
    last_answer: str | None
    event: dict[str, Any] = Field(description="The CloudEvent.")
    created_at: datetime | None
    delivered_at: datetime | None

    @classmethod
    def of(cls, row: DeliveryRow) -> DeliveryResource:
        """The resource of a row."""
        return cls(
            id=row.id,
            status=row.status,
            attempts=row.attempt,
            last_answer=row.last_answer,
            event=row.event,
            created_at=instant(row.created_at),
            delivered_at=instant(row.delivered_at),
        )


@router.post("", operation_id="createWebhook", status_code=201)
def create_webhook(submitted: WebhookSubmission, response: Response, state: WriteStateDependency) -> NewWebhook:
    """Send a signed CloudEvent to this address whenever a job is over."""
    resolve_target(submitted.url, allow_private=state.settings.webhook_allow_private)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    sealed = state.seal.close(secret)
    row = WebhookRow(id=new_id("hook"), url=submitted.url, secret=sealed, enabled=True, failures=0)
    with state.database.write_transaction() as session:
        session.add(row)
        state.note(session, row.id)
        session.flush()
        session.refresh(row)
    response.headers["Location"] = f"/v1/webhooks/{row.id}"
    return NewWebhook(**WebhookResource.of(row).model_dump(), secret=secret)


@router.get("", operation_id="listWebhooks")
def read_webhooks(state: StateDependency, limit: Limit = 50, cursor: Cursor = None) -> Page[WebhookResource]:
    """List addresses, oldest first."""
    query = select(WebhookRow).order_by(WebhookRow.id).limit(limit + 1)
    if cursor:
        query = query.where(WebhookRow.id > cursor)
    with state.database.read_transaction() as session:
        items = [WebhookResource.of(row) for row in session.scalars(query)]
    return Page(items=items[:limit], next=items[limit - 1].id if len(items) > limit else None)


@router.get("/{webhook_id}", operation_id="getWebhook")
def read_webhook(webhook_id: str, state: StateDependency) -> WebhookResource:
    """Read one address."""
    with state.database.read_transaction() as session:
        return WebhookResource.of(_find(session, webhook_id))


@router.post("/{webhook_id}/enable", operation_id="enableWebhook")
def enable_webhook(webhook_id: str, state: WriteStateDependency) -> WebhookResource:
    """Send to this address again; messages that waited go out."""
    return _switch(state, webhook_id, enabled=True)


@router.post("/{webhook_id}/disable", operation_id="disableWebhook")
def disable_webhook(webhook_id: str, state: WriteStateDependency) -> WebhookResource:
    """Send nothing to this address for now; jobs that end meanwhile leave it no message."""
    return _switch(state, webhook_id, enabled=False)


@router.delete("/{webhook_id}", operation_id="deleteWebhook", status_code=204)
def delete_webhook(webhook_id: str, state: WriteStateDependency) -> None:
    """Forget an address, and the log of what was sent to it."""
    with state.database.write_transaction() as session:
        session.delete(_find(session, webhook_id))
        state.note(session, webhook_id)


@router.get("/{webhook_id}/deliveries", operation_id="listDeliveries")
def read_deliveries(
    webhook_id: str,
    state: StateDependency,
    created: CreatedDependency,
    status: Annotated[DeliveryStatus | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[DeliveryResource]:
    """List what was sent to an address or is still to be sent, newest first."""
    query = select(DeliveryRow).where(DeliveryRow.webhook_id == webhook_id)
    query = created.narrow(query, DeliveryRow.created_at).order_by(DeliveryRow.id.desc()).limit(limit + 1)
    if status is not None:
        query = query.where(DeliveryRow.status == status)
    if cursor:
        query = query.where(DeliveryRow.id < cursor)
    with state.database.read_transaction() as session:
        _find(session, webhook_id)
        items = [DeliveryResource.of(row) for row in session.scalars(query)]
    return Page(items=items[:limit], next=items[limit - 1].id if len(items) > limit else None)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver", operation_id="redeliver", status_code=202)
def redeliver(webhook_id: str, delivery_id: str, state: WriteStateDependency) -> DeliveryResource:
    """Send a message again, whatever became of it; its id stays the same."""
    with state.database.write_transaction() as session:
        row = session.get(DeliveryRow, delivery_id, with_for_update=True)
        if row is None or row.webhook_id != webhook_id:
            raise NotFound(f"there is no delivery '{delivery_id}' of webhook '{webhook_id}'")
        outbox.send_again(session, row)
        state.note(session, delivery_id)
        return DeliveryResource.of(row)


def _switch(state: StateDependency, webhook_id: str, *, enabled: bool) -> WebhookResource:
    with state.database.write_transaction() as session:
        row = _find(session, webhook_id)
        row.enabled, row.failures = enabled, 0
        state.note(session, webhook_id)
        return WebhookResource.of(row)


def _find(session: Session, webhook_id: str) -> WebhookRow:
    row = session.get(WebhookRow, webhook_id)
    if row is None:
        raise NotFound(f"there is no webhook '{webhook_id}'")
    return row
