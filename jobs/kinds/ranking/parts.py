"""A large sample is read in parts: a step for each run of shards, which any worker may take, then a step that scores.

A part's step is called as the scoring one is, with the examples that it reads behind: `ID[0:16384]`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from frontrunner.extraction import SHARD_SIZE, Rows, parts_of
from frontrunner.ranking import StepOutput
from jobs.kinds.ranking.steps import RankingStepState

_MOST_PARTS = 1024
_PART = re.compile(r"\[\d+:\d+\]$")


def divided(examples: int, examples_a_step: int | None, checkpoints: int) -> tuple[Rows, ...]:
    """The parts of a sample; none where one step reads all of it.

    Many checkpoints keep all workers busy without parts; each is opened anew for every part, and the end of a step
    costs more the more steps there are. Together they have at most `_MOST_PARTS`.

    Args:
        examples: of the sample.
        examples_a_step: that a part is to have; None: samples are not divided.
        checkpoints: of the job.

    Example:
        >>> divided(1000, 512, 3), divided(512, 512, 3), divided(1_000_000, 512, 10_000)
        (((0, 512), (512, 1000)), (), ())
    """
    if examples_a_step is None or examples <= examples_a_step:
        return ()
    most = max(_MOST_PARTS // checkpoints, 1)
    parts = parts_of(examples, max(examples_a_step, -(-examples // (most * SHARD_SIZE)) * SHARD_SIZE))
    return parts if len(parts) > 1 else ()


def part_name(name: str, rows: Rows) -> str:
    """The step that reads these rows for the step `name`.

    Example:
        >>> part_name("local:a@512", (0, 256))
        'local:a@512[0:256]'
    """
    return f"{name}[{rows[0]}:{rows[1]}]"


def whole_name(name: str) -> str | None:
    """The step that a part is read for; None for what is no part.

    Example:
        >>> whole_name("local:a[0:256]"), whole_name("local:a")
        ('local:a', None)
    """
    return _PART.sub("", name) if _PART.search(name) else None


def parts_by_whole(steps: Sequence[RankingStepState]) -> dict[str, list[RankingStepState]]:
    """The steps that read parts, by the name of the step that they are read for."""
    found: dict[str, list[RankingStepState]] = defaultdict(list)
    for step in steps:
        if (whole := whole_name(step.name)) is not None:
            found[whole].append(step)
    return found


def with_parts(output: StepOutput, steps: Sequence[RankingStepState]) -> StepOutput:
    """What a scoring step says, with what the steps took that read its parts."""
    said = [step.output.root for step in steps if step.output is not None]
    parts = [each for each in said if isinstance(each, StepOutput)]
    if not parts:
        return output
    return output.model_copy(
        update={
            "reading_cost": next((part.reading_cost for part in parts if part.reading_cost), output.reading_cost),
            "forward_examples": output.forward_examples + sum(part.forward_examples for part in parts),
            "seconds": output.seconds + sum(part.seconds for part in parts),
        }
    )
