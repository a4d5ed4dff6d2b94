"""Notifications of workers: a message says "there is work in this queue", and nothing more.

The database holds the truth. A message may be lost, late or doubled without harm: whoever hears it takes the best
step that waits at that moment, if any does, and idle workers look from time to time without any message.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from frontrunner.settings import Settings
from jobs.notification.transport import SCHEME

LOOK_FOR_WORK = "frontrunner.look_for_work"
QUEUES = ("cpu", "gpu", "io")
# A worker that hears one message goes on until nothing waits, so more messages than idle workers are of no use.
_MAX_MESSAGES = 16
# The embedded transport is polled; a redis or AMQP broker pushes.
_POLLING_INTERVAL_S = 0.1

_log = structlog.get_logger(__name__)


def celery_app(settings: Settings) -> Celery:
    """Celery configured for messages that carry an id only: acknowledged early, no results, JSON."""
    app = Celery("frontrunner", broker=settings.resolved_broker_url, set_as_current=False)
    embedded = settings.resolved_broker_url.startswith(SCHEME)
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=2.0,
        broker_transport_options=(
            {"folder": str(settings.messages.resolve()), "polling_interval": _POLLING_INTERVAL_S}
            if embedded
            else {"socket_connect_timeout": 2.0, "socket_timeout": 10.0}
        ),
        broker_connection_max_retries=None,
        task_acks_late=False,
        task_default_queue=QUEUES[0],
        task_ignore_result=True,
        task_queues=[Queue(name, routing_key=name) for name in QUEUES],
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        # A busy worker keeps one message that an idle one might have heard: that one finds the step when it polls next.
        # Keeping none (worker_disable_prefetch) made an idle worker deaf for up to a second after each step.
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


def notify_workers(app: Celery, queues: Sequence[str]) -> None:
    """Send one message for each queued step, given by its queue. A broker that is away is logged, not raised."""
    for queue in queues[:_MAX_MESSAGES]:
        try:
            app.send_task(LOOK_FOR_WORK, queue=queue, retry=False)
        except (OperationalError, OSError) as error:
            _log.warning("broker_unreachable", queue=queue, error=str(error))
            return
