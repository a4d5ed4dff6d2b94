"""What a runner does with a step: its kind's work, JSON in and JSON out. Loads neither tables nor database drivers."""

from __future__ import annotations

from frontrunner.progress import Progress
from jobs.kinds import KINDS


def run_payload(kind: str, payload: str, progress: Progress) -> str:
    """Do the work of one step.

    Args:
        kind: the job's.
        payload: JSON of the kind's `payload` model.
        progress: hears how it goes, and may stop it at its safe points.

    Returns:
        JSON of the kind's `output` model.

    Raises:
        FrontrunnerError: the input's fault.
    """
    chosen = KINDS[kind]
    return str(chosen.run(chosen.payload.model_validate_json(payload), progress).model_dump_json())
