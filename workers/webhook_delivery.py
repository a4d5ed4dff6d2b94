"""Webhook delivery: sends what transactions left in the outbox. Runs in every worker, one at a time."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx
import structlog

from frontrunner.settings import Settings
from jobs.roles import WEBHOOKS, take_role
from jobs.sealing import Seal, SecretSealed
from jobs.webhooks import outbox
from jobs.webhooks.outbox import Message, RetryPolicy
from jobs.webhooks.sending import TIMEOUT_S, ForbiddenTarget, resolve_target, send_signed
from models import Database

_PERIOD_S = 1.0
_AT_ONCE = 8
# One round: every message in it may take its full timeout, and the role must last that long.
_ROUND = 2 * _AT_ONCE
_ROLE_S = 3 * TIMEOUT_S * _ROUND / _AT_ONCE

_log = structlog.get_logger(__name__)


class WebhookDelivery:
    """Sends due messages while this worker holds the role."""

    def __init__(self, database: Database, settings: Settings, worker_id: str) -> None:
        self._database = database
        self._settings = settings
        self._worker_id = worker_id
        self._seal = Seal.of(settings)
        self._retry_policy = RetryPolicy(
            settings.webhook_retry_s, settings.webhook_max_attempts, settings.webhook_disable_after
        )

    def run(self, stopping: threading.Event) -> None:
        """Send what is due every second until `stopping` is set."""
        while not stopping.wait(_PERIOD_S):
            try:
                while self.run_once() == _ROUND and not stopping.is_set():
                    pass
            except Exception:
                _log.exception("webhook_delivery_failed")

    def run_once(self) -> int:
        """Try every message that is due, a round at most; how many there were. 0 while another worker does it."""
        with self._database.write_transaction() as session:
            if not take_role(session, WEBHOOKS, self._worker_id, _ROLE_S):
                return 0
        with self._database.read_transaction() as session:
            messages = outbox.due_messages(session, _ROUND)
        if messages:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook-delivery") as pool:
                list(pool.map(self._deliver, messages))
        return len(messages)

    def _deliver(self, message: Message) -> None:
        is_taken, answer = self._send(message)
        with self._database.write_transaction() as session:
            if is_taken:
                outbox.delivered(session, message, answer)
            elif outbox.not_delivered(session, message, answer, self._retry_policy):
                _log.warning("webhook_disabled", webhook=message.webhook_id, answer=answer)
        _log.info("webhook_sent", webhook=message.webhook_id, message=message.id, taken=is_taken, answer=answer)

    def _send(self, message: Message) -> tuple[bool, str]:
        at = datetime.fromtimestamp(self._database.now(), UTC)
        try:
            target = resolve_target(message.url, allow_private=self._settings.webhook_allow_private)
            status = send_signed(
                target,
                json.dumps(message.event),
                secret=self._seal.open(message.sealed_secret),
                message_id=message.id,
                at=at,
            )
        except (ForbiddenTarget, SecretSealed, httpx.HTTPError) as error:
            return False, f"{type(error).__name__}: {error}"
        return 200 <= status < 300, f"HTTP {status}"
