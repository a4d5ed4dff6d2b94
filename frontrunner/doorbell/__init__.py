"""Telling workers that there is work, through any Celery broker or a folder."""

from frontrunner.doorbell.bell import LOOK_FOR_WORK, QUEUES, celery_app, ring

__all__ = ["LOOK_FOR_WORK", "QUEUES", "celery_app", "ring"]
