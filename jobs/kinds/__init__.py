"""The kinds of job. Each folder here is one: it offers a `KIND`, and nothing else in the service names it but its API.

Nothing in the life of jobs knows one kind from another.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from jobs.kinds.kind import Counts, JobKind, JobState, NewJob, NewStep, StepState

_FOLDERS = [found.name for found in pkgutil.iter_modules(__path__) if found.ispkg]

KINDS: dict[str, JobKind[Any, Any, Any]] = {
    kind.name: kind for folder in _FOLDERS for kind in [importlib.import_module(f"{__name__}.{folder}").KIND]
}

__all__ = ["KINDS", "Counts", "JobKind", "JobState", "NewJob", "NewStep", "StepState"]
