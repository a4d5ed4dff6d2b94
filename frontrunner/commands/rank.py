"""`frontrunner rank` and `frontrunner demo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frontrunner.commands.common import (
    AdaptationOption,
    CuratedOption,
    HubOption,
    ImageOption,
    InputOption,
    JsonOption,
    LabelOption,
    LicenseOption,
    MaxDownloadOption,
    MaxLatencyOption,
    MaxMemoryOption,
    MaxParametersOption,
    SplitOption,
    TaskOption,
    TextOption,
    adaptation_of,
    constraints,
    dataset_options,
    print_json,
    requested,
)
from frontrunner.commands.engine import Given, engine
from frontrunner.commands.service import KeyFileOption, ServerOption, WaitOption
from frontrunner.limits import DEFAULT_MAX_EXAMPLES
from frontrunner.settings import get_settings
from frontrunner.terminal import Terminal

if TYPE_CHECKING:
    from frontrunner.evidence import History
    from frontrunner.ranking import Ranking

_KEPT = "What was read is kept, the checkpoint in hand up to its last shard: the same command goes on from there."


def rank(
    dataset: Annotated[Path, typer.Argument(help="Folder or zip of images, table or npz file; see docs/datasets.md.")],
    hub: HubOption = None,
    curated: CuratedOption = False,
    max_download: MaxDownloadOption = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            "--score", help="Score to compute, see `frontrunner scores`; may be given again; the first one ranks."
        ),
    ] = None,
    checkpoint: Annotated[
        list[str] | None, typer.Option("--checkpoint", help="Rank only this checkpoint; may be given again.")
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            "--variant",
            help="Read every checkpoint by the mean over its layers, layer=mean, or the best of them, layer=best; "
            "each as an entry: layer=each. Words by all of their tokens: words=mean.",
        ),
    ] = None,
    top: Annotated[int | None, typer.Option("--top", min=1, help="Show only the best K.")] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="Columns of the table, commas between them: scores, parameters, latency, licence, best, behind, "
            "seconds, examples, memory, dimension, intrinsic, architecture; those that fit by default.",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the ranking as a table to this file too.")] = None,
    parquet: Annotated[Path | None, typer.Option("--parquet", help="The same as Parquet.")] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="Write a page with charts to this file too: it opens without a network."),
    ] = None,
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=2, help="Read at most this many training examples.")
    ] = DEFAULT_MAX_EXAMPLES,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the sample.")] = 0,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", help="10m, 30% or 20000 images: checkpoints race for it, and only the best read everything."
        ),
    ] = None,
    verify: Annotated[
        str | None,
        typer.Option(
            "--verify",
            help="Adapt at most N of those that may be the best for a short while, and measure them; or `off`. By "
            "default 3 where a budget reaches for it, and none without a budget.",
        ),
    ] = None,
    extend: Annotated[
        Path | None,
        typer.Option(
            "--extend",
            help="A ranking of DATASET as --json wrote it, which the named checkpoints join, or whatever the hub now "
            "holds: on its terms, at their price.",
        ),
    ] = None,
    adaptation: AdaptationOption = "full",
    rank_by: Annotated[
        str | None,
        typer.Option("--rank-by", help="Which of the scores asked for ranks; the first by default."),
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="kNN and a linear probe beside the scores.")
    ] = True,
    history: Annotated[
        Path | None,
        typer.Option("--history", help="CSV of past results, which join the scores; see docs/history.md."),
    ] = None,
    max_parameters: MaxParametersOption = None,
    max_latency_ms: MaxLatencyOption = None,
    max_memory_mb: MaxMemoryOption = None,
    license: LicenseOption = None,  # noqa: A002 - the option's name
    task: TaskOption = None,
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
    """Rank checkpoints for DATASET, best first. No server needed; features are cached for the next time."""
    with engine(
        server, api_key_file, wait=wait, quiet=json, hub=hub, curated=curated, max_download=max_download, kept=_KEPT
    ) as work:
        from frontrunner.ranking import RankingRequest
        from frontrunner.recommending import first_lines

        request = requested(
            RankingRequest,
            checkpoints=tuple(checkpoint) if checkpoint else None,
            scores=tuple(score) if score else None,
            rank_by=rank_by,
            adaptation=adaptation_of(adaptation),
            variant=variant,
            baselines=baselines,
            max_examples=max_examples,
            seed=seed,
            budget=budget,
            verify=_verified(verify),
            constraints=constraints(max_parameters, max_latency_ms, max_memory_mb, license),
        )
        options = dataset_options(task, label, input, text=text, image=image, split=split)
        past = None if history is None else _past(history)  # a bad file is refused before anything is read
        if extend is not None:
            ranking = work.extend(extend, Given(dataset, options, past), checkpoint or ())
        else:
            ranking = work.rank(Given(dataset, options, past), request)
        if past is not None and len(ranking.ranking) > 1:  # one alone has no order
            from frontrunner.evidence.outlook import outlook

            ranking = ranking.model_copy(update={"outlook": outlook(ranking, past)})
        ranking = first_lines(ranking, top)
        if csv is not None or parquet is not None:
            from frontrunner.ranking.rows import write_csv, write_parquet

            for file, write in ((csv, write_csv), (parquet, write_parquet)):
                if file is not None:
                    write(ranking, file)
        if report is not None:
            ranking.to_html(report)
        _print_ranking(ranking, json, [name.strip() for name in (columns or "").split(",") if name.strip()])


def demo(
    max_examples: Annotated[
        int, typer.Option("--max-examples", min=20, help="Read at most this many training examples.")
    ] = 500,
    json: JsonOption = False,
) -> None:
    """Rank three ImageNet checkpoints on scikit-learn's handwritten digits."""
    with engine(None, quiet=json, kept=_KEPT) as work:
        from frontrunner.data import DatasetOptions
        from frontrunner.demo import write_digits
        from frontrunner.ranking import RankingRequest

        digits = write_digits(get_settings().home / "demo" / "digits.zip")
        request = RankingRequest(max_examples=max_examples)
        _print_ranking(work.rank(Given(digits, DatasetOptions()), request), json)


def _verified(said: str | None) -> int | None:
    if said is None or said == "off":
        return None if said is None else 0
    if not said.isdecimal():
        raise typer.BadParameter(f"'{said}' is neither a number nor `off`", param_hint="--verify")
    return int(said)


def _past(file: Path) -> History:
    from frontrunner.evidence import History, public_facts, read_history

    rows = read_history(file).rows
    return History.of(rows, public_facts([row.model for row in rows]))


def _print_ranking(ranking: Ranking, as_json: bool, columns: Sequence[str] = ()) -> None:
    from frontrunner.display import show_ranking

    if as_json:
        print_json(ranking)
    else:
        show_ranking(ranking, Terminal(), columns)
