"""Telling workers that there is work, through any Celery broker or a folder."""

from frontrunner.doorbell.bell import QUEUES, RUN_STEP, celery_app, ring

__all__ = ["QUEUES", "RUN_STEP", "celery_app", "ring"]
