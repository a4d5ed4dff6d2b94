"""Which of ranked checkpoints a method takes: the best ones that it can work with."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.errors import TeachersMissing
from frontrunner.hub import CheckpointDescription
from frontrunner.tuning.request import MAX_TEACHERS, TuningRequest, has_tuned_form


class BestOfRanking(BaseModel):
    """The best checkpoints of a ranking."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ranking: str = Field(max_length=64, description="Id of the ranking.")
    top: int = Field(default=3, ge=1, le=MAX_TEACHERS, description="How many of its checkpoints.")


def take_best(request: TuningRequest, ranked: Sequence[CheckpointDescription], top: int) -> TuningRequest:
    """The request with checkpoints named, from `ranked`, best first.

    A method without teachers tunes the best one. One that mixes layers takes the best `top` of one architecture: that
    of the best checkpoint which has a sibling. The others learn from the best `top` and tune the best one that keeps
    within the request's constraints, unless a student is named.

    Raises:
        TeachersMissing: too few of them suit the method.

    Example:
        >>> take_best(TuningRequest(method="finetune"), [], top=1)
        Traceback (most recent call last):
        frontrunner.errors.TeachersMissing: finetune needs at least 1 of the ranked checkpoints that can be tuned, got 0
    """
    method, constraints = request.method, request.constraints
    # Students, and networks that are taken apart, must be in the form that is written: so are all candidates.
    suited = [found for found in ranked if has_tuned_form(found, method) and constraints.of_licences().allows(found)]
    within = [found for found in suited if constraints.allows(found)]
    if method.made_of_teachers:
        suited = within
    fewest = max(method.teachers_needed, 1)
    if method.needs_one_architecture:
        architectures = [found.architecture for found in suited]
        shared = next((one for one in architectures if architectures.count(one) >= fewest), None)
        suited = [found for found in suited if found.architecture == shared]
    if len(suited) < fewest or not (within or request.student):
        alike = " of one architecture" if method.needs_one_architecture else ""
        raise TeachersMissing(
            f"{method.name} needs at least {fewest} of the ranked checkpoints that can be tuned{alike}, got "
            f"{min(len(suited), len(within))}"
        )
    teachers = tuple(found.id for found in suited[: max(top, fewest)]) if method.teachers_needed else ()
    student = None if method.made_of_teachers else request.student or within[0].id
    return request.model_copy(update={"student": student, "teachers": teachers})
