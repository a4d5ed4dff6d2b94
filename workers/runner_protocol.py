"""What a supervisor and its runner say to each other: one JSON line each. It is made and read here only."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from frontrunner.progress import Stage


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Credentials(_Message):
    """To the runner, before anything else: what opens hubs and the store, as environment variables.

    Said and not inherited: what a process is started with can be read from outside, and passes to all that it starts.
    """

    says: Literal["credentials"] = "credentials"
    environment: dict[str, str]


class StartStep(_Message):
    """To the runner: do this.

    Attributes:
        kind: of the job.
        payload: JSON of the kind's `payload` model.
        context: what the step's log lines are to carry.
        log_level, log_as_json: how the runner logs.
    """

    says: Literal["start"] = "start"
    kind: str
    payload: str
    context: dict[str, str]
    log_level: str
    log_as_json: bool


class StopStep(_Message):
    """To the runner: stop at the next safe point of the work."""

    says: Literal["stop"] = "stop"


class Advanced(_Message):
    """From the runner: so much of a stage is done."""

    says: Literal["advanced"] = "advanced"
    stage: Stage
    done: int
    total: int
    of: str


class Noted(_Message):
    """From the runner: an event of the work, for those who watch the job."""

    says: Literal["noted"] = "noted"
    type: str
    data: dict[str, JsonValue]


class Finished(_Message):
    """From the runner: JSON of the kind's `output` model."""

    says: Literal["finished"] = "finished"
    output: str


class Failed(_Message):
    """From the runner: the input's fault."""

    says: Literal["failed"] = "failed"
    code: str
    reason: str


class Lost(_Message):
    """From the runner: our fault; the step may be tried again."""

    says: Literal["lost"] = "lost"
    code: str
    reason: str


class Stopped(_Message):
    """From the runner: it stopped at a safe point, as it was asked to."""

    says: Literal["stopped"] = "stopped"


Instruction: TypeAlias = Annotated[Credentials | StartStep | StopStep, Field(discriminator="says")]
Ending: TypeAlias = Finished | Failed | Lost | Stopped
Answer: TypeAlias = Annotated[Advanced | Noted | Finished | Failed | Lost | Stopped, Field(discriminator="says")]

_INSTRUCTIONS: TypeAdapter[Instruction] = TypeAdapter(Instruction)
_ANSWERS: TypeAdapter[Answer] = TypeAdapter(Answer)


def line_of(message: BaseModel) -> str:
    """The message as a line."""
    return message.model_dump_json() + "\n"


def read_instruction(line: str) -> Instruction:
    """The instruction in a line.

    Raises:
        ValueError: there is none.
    """
    return _INSTRUCTIONS.validate_json(line)


def read_answer(line: str) -> Answer:
    """The answer in a line.

    Raises:
        ValueError: there is none.
    """
    return _ANSWERS.validate_json(line)
