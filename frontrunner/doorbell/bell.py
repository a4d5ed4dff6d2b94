"""The doorbell: a message that says "there may be work on this step", and nothing more.

The database holds the truth. A message may be lost, late or doubled without harm: whoever hears it must still claim
the step, and the reaper rings again for steps that nobody claimed.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from celery import Celery
from kombu import Queue
from kombu.exceptions import OperationalError

from frontrunner.doorbell.transport import SCHEME
from frontrunner.settings import Settings

RUN_STEP = "frontrunner.run_step"
QUEUES = ("cpu", "gpu", "io")
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
        task_acks_late=False,
        task_default_queue=QUEUES[0],
        task_ignore_result=True,
        task_queues=[Queue(name, routing_key=name) for name in QUEUES],
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


def ring(app: Celery, steps: Iterable[tuple[str, str]]) -> None:
    """Send one message per (step id, queue). A broker that is away is logged: the reaper will ring again."""
    for step_id, queue in steps:
        try:
            app.send_task(RUN_STEP, args=[step_id], queue=queue, retry=False)
        except (OperationalError, OSError) as error:
            _log.warning("broker_unreachable", step=step_id, error=str(error))
            return
