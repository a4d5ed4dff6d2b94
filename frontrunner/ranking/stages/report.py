"""What a budget bought, as people and programs read it."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.progress import Event

StageName: TypeAlias = Literal["shortlist", "race", "verify"]
Cause: TypeAlias = Literal["improbable", "unaffordable", "failed"]


class Departure(BaseModel):
    """A checkpoint that left before the end."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    cause: Cause = Field(
        description="`improbable`: it would hardly have been first; `unaffordable`: the budget was better spent on "
        "others; `failed`: see `skipped`."
    )
    probability_best: float = Field(
        description="Of being first of those still in, had all of them read everything; 0 where it failed."
    )
    reason: str


class StageReport(Event):
    """One stage: the shortlist, a round of the race, or some epochs of a verification."""

    type: ClassVar[str] = "stage"

    stage: StageName
    examples: int = Field(
        description="That every checkpoint has read by its end, or was trained on; 0 in the shortlist."
    )
    epochs: int = Field(default=0, description="That are over by its end where checkpoints were adapted.")
    again: int = Field(default=0, description="With which of further seeds; 0 with the first one.")
    entered: int = Field(description="Checkpoints that were in when it began.")
    waiting: list[str] = Field(description="Those that are still to be read in it.")
    left: list[Departure] = Field(description="Those that left at its end.")
    spent: float = Field(description="What it cost, in the budget's unit.")
    seconds: float = Field(description="Work of all workers.")
    forward_examples: int = Field(description="Examples that went through checkpoints; cached ones did not.")


class VerificationReport(BaseModel):
    """How the few that could be the best were really adapted for a short while; what was measured is in their lines."""

    model_config = ConfigDict(frozen=True)

    stages: list[StageReport]
    pick: str | None = Field(description="The one to take; None where none was verified, or not yet.")
    probability_best: float | None = Field(
        description="That the pick is the best of the ranking once adapted, by what was predicted and measured."
    )
    reason: str | None = Field(description="Why none was verified; None otherwise.")

    @property
    def waiting(self) -> list[str]:
        """Checkpoints that are to be adapted."""
        return self.stages[-1].waiting if self.stages else []


class BudgetReport(BaseModel):
    """How the budget of a ranking was spent, who left when and why, and what more of it would buy."""

    model_config = ConfigDict(frozen=True)

    budget: str = Field(description="As it was asked for.")
    unit: Literal["seconds", "share", "examples"]
    limit: float = Field(description="In its unit; of a share, 1 is reading every example with every checkpoint.")
    spent: float = Field(description="So far, in the same unit.")
    full_cost: float | None = Field(
        description="What a ranking without a budget costs, in the same unit; in seconds an estimate, None before the "
        "first measurement."
    )
    stages: list[StageReport]
    inside: list[str] = Field(description="Checkpoints that are still in, or were at the end, the best first.")
    pick: str | None = Field(description="The one to take; None while nothing is known.")
    probability_best: float = Field(
        description="That the pick would be first without a budget, by its score of every example and what is known "
        "without reading: that the first one was not dropped, and is this one. Of a pick that was verified, "
        "`verification` says what it is worth."
    )
    more: str | None = Field(description="What more budget would buy; None where it would change nothing.")

    @property
    def waiting(self) -> list[str]:
        """Checkpoints that are to read more."""
        return self.stages[-1].waiting if self.stages else []
