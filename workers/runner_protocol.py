"""What a supervisor and its runner say to each other, and the runner and its confined half: one JSON line each.

The confined half may be in a stranger's hands: what it says is bounded here, in number by `workers.runner`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from frontrunner.progress import Stage

# Codes of answers to the confined half: the store holds no such object; the supervisor wants an end.
ABSENT = "absent"
STOPPED = "stopped"
# Characters of an output: a confusion matrix of a few thousand classes. And of anything else that a runner says.
MAX_OUTPUT_CHARACTERS = 64 * 1024**2
MAX_SAID_CHARACTERS = 64 * 1024
_MAX_NAME_CHARACTERS = 1000
# What a column of whole numbers holds, and floats to the unit.
_MAX_COUNT = 2**53

Code: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$")]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True)


class Credentials(_Message):
    """To the runner, before anything else: what opens hubs and the store, as environment variables.

    Said and not inherited: what a process is started with can be read from outside, and passes to all that it starts.
    """

    says: Literal["credentials"] = "credentials"
    environment: dict[str, str]


class Grant(BaseModel):
    """What a step may have done for it by the half of its runner that is not confined.

    Attributes:
        checkpoints: JSON of the descriptions that may be fetched, by their ids.
        datasets: digests of those whose decoded images may be kept.
        reads, writes: what names of the store begin with, up to a slash.
    """

    model_config = ConfigDict(frozen=True)

    checkpoints: dict[str, str] = {}
    datasets: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


class StartStep(_Message):
    """To the runner: do this.

    Attributes:
        kind: of the job.
        payload: JSON of the kind's `payload` model.
        grant: what the step may ask for.
        context: what the step's log lines are to carry.
        log_level, log_as_json: how the runner logs.
    """

    says: Literal["start"] = "start"
    kind: str
    payload: str
    grant: Grant
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
    done: int = Field(ge=0, le=_MAX_COUNT)
    total: int = Field(ge=0, le=_MAX_COUNT)
    of: str = Field(max_length=_MAX_NAME_CHARACTERS)


class Noted(_Message):
    """From the runner: an event of the work, for those who watch the job."""

    says: Literal["noted"] = "noted"
    type: str = Field(pattern=r"^[a-z_]{1,24}$")
    data: dict[str, JsonValue]


class Finished(_Message):
    """From the runner: JSON of the kind's `output` model."""

    says: Literal["finished"] = "finished"
    output: str = Field(max_length=MAX_OUTPUT_CHARACTERS)


class Failed(_Message):
    """From the runner: the input's fault."""

    says: Literal["failed"] = "failed"
    code: Code
    reason: str


class Lost(_Message):
    """From the runner: our fault; the step may be tried again."""

    says: Literal["lost"] = "lost"
    code: Code
    reason: str


class Stopped(_Message):
    """From the runner: it stopped at a safe point, as it was asked to."""

    says: Literal["stopped"] = "stopped"


class Asked(_Message):
    """From the confined half: do this for me; answered before anything else is asked.

    Attributes:
        what: `fetch` a checkpoint, `room` for decoded images, or one of the store's operations.
        name: the checkpoint's id, the dataset's digest, or the object's name in the store.
        file: a file of the scratch folder whose bytes are to be stored.
        bytes: that are wanted.
    """

    says: Literal["asked"] = "asked"
    what: Literal["fetch", "room", "path", "read", "list", "write", "put", "discard"]
    name: str
    file: str = ""
    bytes: int = 0


class Answered(_Message):
    """To the confined half: what was asked for, or why it is not to be had.

    Attributes:
        value: a path, whether it was done, bytes in base64, objects: as the operation has it.
        code: an error's, `ABSENT` or `STOPPED`.
    """

    says: Literal["answered"] = "answered"
    value: JsonValue = None
    code: str = ""
    reason: str = ""


Instruction: TypeAlias = Annotated[Credentials | StartStep | StopStep, Field(discriminator="says")]
Inner: TypeAlias = Annotated[StartStep | StopStep | Answered, Field(discriminator="says")]
Ending: TypeAlias = Finished | Failed | Lost | Stopped
Answer: TypeAlias = Annotated[Advanced | Noted | Finished | Failed | Lost | Stopped, Field(discriminator="says")]
Said: TypeAlias = Annotated[Advanced | Noted | Finished | Failed | Lost | Stopped | Asked, Field(discriminator="says")]

_INSTRUCTIONS: TypeAdapter[Instruction] = TypeAdapter(Instruction)
_ANSWERS: TypeAdapter[Answer] = TypeAdapter(Answer)
_INNER: TypeAdapter[Inner] = TypeAdapter(Inner)
_SAID: TypeAdapter[Said] = TypeAdapter(Said)


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


def read_inner(line: str) -> Inner:
    """What the confined half is told in a line.

    Raises:
        ValueError: nothing.
    """
    return _INNER.validate_json(line)


def read_said(line: str) -> Said:
    """What the confined half said in a line.

    Raises:
        ValueError: nothing, or more than there is to say.
    """
    said = _SAID.validate_json(line)
    if len(line) > MAX_SAID_CHARACTERS and not isinstance(said, Finished):
        raise ValueError(f"{len(line):,} characters, where {MAX_SAID_CHARACTERS:,} say all")
    return said
