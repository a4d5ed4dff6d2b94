"""Telling workers that there is work, through any Celery broker or a folder."""

from jobs.notification.notify import LOOK_FOR_WORK, QUEUES, celery_app, notify_workers

__all__ = ["LOOK_FOR_WORK", "QUEUES", "celery_app", "notify_workers"]
