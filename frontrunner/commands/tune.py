"""`frontrunner tune`."""

from __future__ import annotations

import json as json_module
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from frontrunner.commands.common import (
    HubOption,
    ImageOption,
    InputOption,
    JsonOption,
    LabelOption,
    LicenseOption,
    MaxLatencyOption,
    MaxMemoryOption,
    MaxParametersOption,
    SplitOption,
    TextOption,
    constraints,
    dataset_options,
    print_json,
    requested,
)
from frontrunner.commands.engine import Given, engine
from frontrunner.commands.service import KeyFileOption, ServerOption, WaitOption
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.terminal import Terminal

_KEPT = "The training is kept up to its last saved step: the same command goes on from there."


def tune(
    dataset: Annotated[Path, typer.Argument(help="Images or texts with classes: folder, zip or table.")],
    hub: HubOption = None,
    method: Annotated[str, typer.Option("--method", help="finetune, b_tuning, zoo_tuning...; see docs/tuning.md.")] = (
        "finetune"
    ),
    option: Annotated[
        list[str] | None, typer.Option("--option", help="A number of the method, as NAME=VALUE; may be given again.")
    ] = None,
    student: Annotated[str | None, typer.Option("--student", help="The checkpoint that is tuned.")] = None,
    teacher: Annotated[
        list[str] | None, typer.Option("--teacher", help="A checkpoint to learn from; may be given again.")
    ] = None,
    top: Annotated[
        int | None,
        typer.Option("--top", min=1, help="Rank the hub first, and take the best K as teachers and student."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--source", help="Labelled source dataset, for methods of domain adaptation.")
    ] = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training examples, at most.")] = 10,
    budget_s: Annotated[
        float | None,
        typer.Option("--budget-s", min=1, help="Seconds of training: as many of the epochs as fit, at least one."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", min=0, help="Of the backbone; a short sweep picks it by default.")
    ] = None,
    image_size: Annotated[int | None, typer.Option("--image-size", min=16, help="Images: pixels a side.")] = None,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=2, help="Use at most this many training examples.")
    ] = DEFAULT_MAX_EXAMPLES,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the sample, the new weights and every draw.")] = 0,
    onnx: Annotated[bool, typer.Option("--onnx/--no-onnx", help="Write ONNX and int8 ONNX beside the weights.")] = True,
    max_parameters: MaxParametersOption = None,
    max_latency_ms: MaxLatencyOption = None,
    max_memory_mb: MaxMemoryOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    hold_statistics: Annotated[
        bool,
        typer.Option(
            "--hold-statistics/--train-statistics", help="Of batch normalisation: keep those of pretraining, or not."
        ),
    ] = True,
    out: Annotated[Path | None, typer.Option("--out", help="Copy the tuned model into this new folder.")] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write a page with charts to this file too: it opens without a network."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over the tuned model that --out names.")] = False,
    label: LabelOption = None,
    text: TextOption = None,
    image: ImageOption = None,
    input: InputOption = None,  # noqa: A002 - the option's name
    split: SplitOption = None,
    server: ServerOption = None,
    api_key_file: KeyFileOption = None,
    wait: WaitOption = True,
    json: JsonOption = False,
) -> None:
    """Tune checkpoints on DATASET into one model. Interrupted, the same command goes on where it stopped."""
    with engine(server, api_key_file, wait=wait, quiet=json, hub=hub, kept=_KEPT) as work:
        from frontrunner.display import show_tuning
        from frontrunner.tuning import TuningRequest

        request = requested(
            TuningRequest,
            method={"name": method} | _numbers(option or []),
            student=student,
            teachers=tuple(teacher or ()),
            epochs=epochs,
            budget_s=budget_s,
            learning_rate=learning_rate,
            image_size=image_size,
            max_examples=max_examples,
            seed=seed,
            onnx=onnx,
            hold_statistics=hold_statistics,
            constraints=constraints(max_parameters, max_latency_ms, max_memory_mb, license),
        )
        if out is not None and out.exists() and not (replace and _tuned_model(out)):
            raise typer.BadParameter(_taken(out), param_hint="--out")
        if out is not None and not request.method.exports_plain_models:
            raise typer.BadParameter(f"{request.method.name} makes no plain model", param_hint="--out")
        options = dataset_options(None, label, input, text=text, image=image, split=split)
        output = work.tune(Given(dataset, options), request, top=top, source=source)
        if out is not None:
            if out.exists():
                shutil.rmtree(out)
            work.copy_model(output, out)
        if report is not None:
            from frontrunner.files import whole_file
            from frontrunner.report import tuning_html

            with whole_file(report) as opened:
                opened.write(tuning_html(output, dataset.name).encode())
        if json:
            print_json(output)
        else:
            show_tuning(output, Terminal())


def _tuned_model(folder: Path) -> dict[str, Any] | None:
    """What an earlier tuning wrote into the folder's configuration about itself; None where none did."""
    try:
        config = json_module.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError):
        return None
    parts = [config, *config.values()] if isinstance(config, dict) else []
    return next((part for part in parts if isinstance(part, dict) and "tuned_on" in part), None)


def _taken(out: Path) -> str:
    found = _tuned_model(out)
    if found is None:
        return f"{out} exists already, and is no tuned model: name another folder"
    method = found.get("method")
    name = method.get("name") if isinstance(method, dict) else method
    return f"{out} holds a model tuned on {found['tuned_on']} by {name}: --replace writes over it"


def _numbers(options: list[str]) -> dict[str, str]:
    pairs = [entry.partition("=") for entry in options]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise typer.BadParameter(f"'{wrong[0]}' is not NAME=VALUE", param_hint="--option")
    return {name: value for name, _, value in pairs}
