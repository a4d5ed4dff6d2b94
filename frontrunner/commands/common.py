"""What the commands share: options, how a refusal ends them, and how JSON is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from rich.text import Text

from frontrunner.errors import (
    DatabaseUnusable,
    FrontrunnerError,
    InvalidDataset,
    NoCheckpoints,
    NothingRanked,
    UnusablePath,
)
from frontrunner.settings import Settings, get_settings
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from pydantic import BaseModel

    from frontrunner.data import DatasetOptions
    from frontrunner.hub import Constraints
    from frontrunner.ranking.prediction import Adaptation

_EXIT = ((InvalidDataset, 3), (NoCheckpoints, 4), (NothingRanked, 4), (FrontrunnerError, 5))

HubOption = Annotated[
    list[Path] | None, typer.Option("--hub", help="Folder of checkpoints; may be given again.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
LabelOption = Annotated[
    str | None, typer.Option("--label", help="Table column of the label or target; A,B,C for one-hot columns.")
]
InputOption = Annotated[
    str | None,
    typer.Option("--input", help="Table column of the input, whatever it is; A,B for pairs or features."),
]
TextOption = Annotated[str | None, typer.Option("--text", help="Table column read as texts; A,B for pairs.")]
ImageOption = Annotated[
    str | None, typer.Option("--image", help="Table column read as images: their names, or their bytes.")
]
SplitOption = Annotated[
    str | None,
    typer.Option("--split", help="Table column of the split; none; or train=A,B;test=C: names of folders or files."),
]
AdaptationOption = Annotated[
    str, typer.Option("--adaptation", help="full, probe or lora: how checkpoints are going to be adapted.")
]
MaxParametersOption = Annotated[
    int | None, typer.Option("--max-parameters", min=1, help="Leave larger checkpoints out.")
]
MaxLatencyOption = Annotated[
    float | None, typer.Option("--max-latency-ms", help="Leave out those measured to be slower, an example.")
]
MaxMemoryOption = Annotated[
    float | None, typer.Option("--max-memory-mb", help="Leave out those measured to need more.")
]
LicenseOption = Annotated[
    list[str] | None, typer.Option("--license", help="Accept this licence only; may be given again.")
]
TaskOption = Annotated[str | None, typer.Option("--task", help="classification, multi-label or regression.")]


CuratedOption = Annotated[
    bool, typer.Option("--curated", help="Without a hub: fetch the curated set, checkpoints worth a try on any data.")
]
MaxDownloadOption = Annotated[
    str | None, typer.Option("--max-download", help="What the curated set may take in all, 2GB; the smallest first.")
]
_SAID_CHARACTERS = 300
_Request = TypeVar("_Request", bound="BaseModel")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def hub_settings(curated: bool, max_download: str | None) -> Settings:
    """The settings with what the command line says about the curated set."""
    changes: dict[str, object] = {"hub_mode": "curated"} if curated else {}
    if max_download is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", max_download.strip(), re.IGNORECASE)
        if found is None:
            raise typer.BadParameter(f"'{max_download}' is no size such as 2GB", param_hint="--max-download")
        if not curated:
            raise typer.BadParameter("it limits what --curated fetches: give both", param_hint="--max-download")
        changes["hub_curated_bytes"] = max(1, round(float(found[1]) * _UNITS[found[2].upper()]))
    return get_settings().model_copy(update=changes)


def constraints(
    max_parameters: int | None, max_latency_ms: float | None, max_memory_mb: float | None, licenses: list[str] | None
) -> Constraints:
    """Limits on checkpoints, from the command line's options."""
    from frontrunner.hub import Constraints

    return Constraints(
        max_parameters=max_parameters,
        max_latency_ms=max_latency_ms,
        max_memory_mb=max_memory_mb,
        licenses=tuple(licenses) if licenses else None,
    )


def dataset_options(
    task: str | None,
    label: str | None,
    input_column: str | None,
    *,
    text: str | None = None,
    image: str | None = None,
    split: str | None = None,
) -> DatasetOptions:
    """How to read a dataset, from the command line's options."""
    from pydantic import ValidationError

    from frontrunner.data import DatasetOptions

    try:
        return DatasetOptions.model_validate(
            {"task": task, "label": label, "input": input_column, "text": text, "image": image, "split": split}
        )
    except ValidationError as error:
        raise typer.BadParameter(error.errors()[0]["msg"]) from error


def requested(kind: type[_Request], **fields: Any) -> _Request:
    """A request of what the command line says; what is out of range is named by its option.

    Args:
        kind: a pydantic model.
        fields: its fields, each called like its option.
    """
    from pydantic import ValidationError

    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field, *inner = map(str, first["loc"])
        # Of a method, the numbers are given by --option, and its name is the last but one place of an error.
        option = "--option" if field == "method" and len(inner) > 1 else f"--{field.replace('_', '-')}"
        if first["type"] == "union_tag_invalid":
            said = f"'{first['ctx']['tag']}' is none of {first['ctx']['expected_tags'].replace(chr(39), '')}"
        else:
            said = f"{inner[-1]}: {first['msg']}" if option == "--option" else f"{first['msg']}, not {first['input']!r}"
        raise typer.BadParameter(said, param_hint=option) from error


def print_json(model: Any) -> None:
    """Write a pydantic model to stdout as indented JSON."""
    sys.stdout.write(model.model_dump_json(indent=2) + "\n")


@contextmanager
def refusals() -> Iterator[None]:
    """Say what was wrong with the input in one line, and end with its exit code."""
    try:
        yield
    except FrontrunnerError as error:
        _refuse(error)
    except OSError as error:  # a home that is read-only, a file that may not be read
        if error.filename is None:
            raise
        _refuse(UnusablePath(f"{error.filename}: {error.strerror}"))
    except Exception as error:
        said = _of_the_database(error)
        if said is None:
            raise
        _refuse(DatabaseUnusable(f"the service's database cannot be used: {said}"))


def _of_the_database(error: Exception) -> str | None:
    """What a database's driver said that is away, or damaged, as SQLAlchemy hands it on; the library loads neither."""
    if type(error).__name__ not in ("OperationalError", "DatabaseError"):
        return None
    return " ".join(str(getattr(error, "orig", error)).split())[:_SAID_CHARACTERS]


@contextmanager
def interruptions(kept: str) -> Iterator[None]:
    """Say, where Ctrl-C ends the work, what of it is kept and how to go on; the exit code is that of shells, 130."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped. {kept}", err=True)
        raise typer.Exit(130) from None


def _refuse(error: FrontrunnerError) -> NoReturn:
    terminal = Terminal(stderr=True)
    said = Text.assemble((error.code, "bold red"), ": ", error.reason)
    # Whoever reads it by a program finds it on one line.
    terminal.print(said, highlight=False, soft_wrap=not terminal.is_terminal)
    raise typer.Exit(next(status for kind, status in _EXIT if isinstance(error, kind)))


def adaptation_of(name: str) -> Adaptation:
    """The adaptation that an option names."""
    from frontrunner.ranking.prediction import ADAPTATIONS

    found = next((known for known in ADAPTATIONS if known == name), None)
    if found is None:
        raise typer.BadParameter(f"'{name}' is not one of {', '.join(ADAPTATIONS)}", param_hint="--adaptation")
    return found
