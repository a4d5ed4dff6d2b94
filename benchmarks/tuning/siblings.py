"""Zoo-Tuning over siblings, checkpoints of one pretraining: python -m benchmarks.tuning.siblings --results FILE

First the popular checkpoint is fine-tuned on each source dataset, as `frontrunner tune` does it; what that writes are
the siblings. Then Zoo-Tuning and its lite form, over the popular checkpoint and its siblings, are compared on target
datasets with plain fine-tuning of each of these checkpoints, at one learning rate for all and equal epochs.

Finished runs are kept as in `benchmarks.tuning`, and the siblings in a temporary folder: a comparison that was ended
goes on from there.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.discrepancy.pack import pack
from benchmarks.tuning.runs import ZOO, Protocol, Run, RunKey, add_run, dataset_path, read_runs, tune_once
from benchmarks.tuning.table import accuracies, write_between_marks
from frontrunner.hub import CheckpointDescription, describe_directory
from frontrunner.settings import Settings
from frontrunner.tuning import TuningRequest
from frontrunner.tuning.local import tune

SOURCES = "cifar10,clothing10,rsscn7"
TARGETS = "dtd10,trashnet"
METHODS = "zoo_tuning,lite_zoo_tuning"


def main() -> None:
    """Reads the arguments, makes the siblings, runs what is missing, prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning.siblings", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="File of finished runs, JSON lines.")
    parser.add_argument("--sources", default=SOURCES, help="A sibling is made on each.")
    parser.add_argument("--targets", default=TARGETS)
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=5, help="Of the comparisons; siblings use the sweep.")
    parser.add_argument("--source-epochs", type=int, default=10, help="Of the siblings.")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument(
        "--rate", type=float, default=0.0003, help="Of the comparisons; siblings are tuned by the sweep."
    )
    parser.add_argument("--write", type=Path, help="A document whose table, between its marks, is replaced.")
    parser.add_argument("--only-table", action="store_true", help="Run nothing.")
    arguments = parser.parse_args()
    protocol = Protocol(epochs=arguments.epochs, images=arguments.images, size=arguments.size)
    folder = Path(tempfile.gettempdir()) / "frontrunner-tuning-siblings"
    sources = arguments.sources.split(",")
    runs = {run.key: run for run in read_runs(arguments.results, protocol)}
    if not arguments.only_table:
        zoo = [describe_directory(pack() / "hub" / ZOO[0])]
        zoo += [
            sibling(source, protocol.model_copy(update={"epochs": arguments.source_epochs}), folder)
            for source in sources
        ]
        single = [f"finetune@{found.id.removeprefix('local:')}" for found in zoo]
        wanted = [
            RunKey(target, method, int(seed))
            for seed in arguments.seeds.split(",")
            for target in arguments.targets.split(",")
            for method in [*single, *arguments.methods.split(",")]
        ]
        for key in wanted:
            if key not in runs:
                runs[key] = tune_once(protocol, key, arguments.rate, folder, zoo)
                add_run(arguments.results, runs[key])
                outcome = runs[key].error or f"{runs[key].accuracy:.4f}"
                print(f"{key.dataset} {key.method} seed {key.seed}: {outcome}, {runs[key].seconds:.0f} s", flush=True)
    text = table(list(runs.values()), protocol, sources, arguments.rate)
    print(text)
    if arguments.write is not None:
        write_between_marks(arguments.write, text, "siblings")


def sibling(source: str, protocol: Protocol, folder: Path) -> CheckpointDescription:
    """The popular checkpoint fine-tuned on a source dataset, in the hub of siblings below `folder`; made once."""
    made = folder / "hub" / f"{source}-{protocol.epochs}-{protocol.images}-{protocol.size}"
    if not made.is_dir():
        request = TuningRequest(
            student=f"local:{ZOO[0]}",
            epochs=protocol.epochs,
            patience=protocol.epochs,
            max_examples=protocol.images,
            image_size=protocol.size,
            onnx=False,
        )
        settings = Settings(home=folder / "home")
        output = tune(dataset_path(source), request, hub=[pack() / "hub" / ZOO[0]], settings=settings)
        print(
            f"{made.name}: {output.metrics.accuracy.value:.4f} on {source} at rate {output.learning_rate:g}", flush=True
        )
        shutil.copytree(Path(output.folder) / "model", made)
    return describe_directory(made)


def table(runs: Sequence[Run], protocol: Protocol, sources: Sequence[str], rate: float) -> str:
    """Markdown. A field is the mean over seeds in percent, ± half the range; gains are paired by dataset and seed.

    The best single checkpoint of a dataset is the one whose fine-tuning has the highest mean test accuracy there: no
    user can choose it so, and a gain over it is one over the luckiest choice. The leader is LogME's choice.
    """
    datasets = list(dict.fromkeys(run.dataset for run in runs))
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    single = [run for run in runs if run.method.startswith("finetune@")]
    best = [run for name in datasets for run in _best([run for run in single if run.dataset == name])]
    leaders = {(run.dataset, run.seed): run.leader for run in runs if run.leader is not None}
    led = [run for run in single if run.method == f"finetune@{_name(leaders.get((run.dataset, run.seed)))}"]
    lines = [
        (
            f"The popular checkpoint and siblings of it, tuned on {', '.join(sources)}; {protocol.epochs} epochs, "
            f"{protocol.images} images of the training split, {protocol.size} px, rate {rate:g}, seeds {seeds}; test "
            "accuracy in %, mean ± half the range over seeds; gains are means of differences on the same data and "
            "seed, ± their standard error."
        ),
        "",
        f"| method | {' | '.join(datasets)} | over the best single one | over the leader |",
        "|---" * (len(datasets) + 3) + "|",
    ]
    rows = {
        method: [run for run in runs if run.method == method] for method in dict.fromkeys(run.method for run in runs)
    }
    rows = {"finetune, the best single one": best, "finetune, the leader by LogME": led} | rows
    for method, own in rows.items():
        columns = [accuracies([run for run in own if run.dataset == name]) for name in datasets]
        lines.append(f"| {method} | {' | '.join([*columns, _gain(own, best), _gain(own, led)])} |")
    failed = [f"{run.dataset} {run.method} seed {run.seed}: {run.error}" for run in runs if run.error]
    return "\n".join([*lines, *([""] if failed else []), *failed])


def _best(runs: Sequence[Run]) -> list[Run]:
    """The runs of the method with the highest mean accuracy."""
    by_method: dict[str, list[Run]] = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    return max(by_method.values(), key=lambda own: sum(run.accuracy or 0.0 for run in own) / len(own), default=[])


def _name(identity: str | None) -> str:
    return (identity or "").removeprefix("local:")


def _gain(runs: Sequence[Run], baseline: Sequence[Run]) -> str:
    known = {(run.dataset, run.seed): run.accuracy for run in baseline}
    differences = [
        100 * (run.accuracy - other)
        for run in runs
        if run.accuracy is not None and (other := known.get((run.dataset, run.seed))) is not None
    ]
    if len(differences) < 2:
        return "-"
    mean = sum(differences) / len(differences)
    spread = (sum((one - mean) ** 2 for one in differences) / (len(differences) - 1)) ** 0.5
    return f"{mean:+.1f} ± {spread / len(differences) ** 0.5:.1f}"


if __name__ == "__main__":
    main()
