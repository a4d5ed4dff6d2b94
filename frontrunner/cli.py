"""The command line. Each command imports what it needs when it runs, so that `--help` is instant.

Exit codes: 0 done; 2 the command line is wrong; 3 the dataset is refused; 4 no checkpoint could be ranked; 5 any
other refused input.
"""

from __future__ import annotations

import typer

from frontrunner.commands.checkpoints import checkpoints
from frontrunner.commands.datasets import datasets
from frontrunner.commands.jobs import jobs
from frontrunner.commands.rank import demo, rank
from frontrunner.commands.scores import scores
from frontrunner.commands.service import admin, serve, worker
from frontrunner.commands.sources import source
from frontrunner.commands.tasks import tasks
from frontrunner.commands.tune import tune

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Ranks pretrained checkpoints for your data before anyone fine-tunes.",
    pretty_exceptions_enable=False,
)
for command in (rank, tune, demo, datasets, scores, serve, worker):
    app.command()(command)
checkpoints.command()(source)
app.add_typer(checkpoints, name="checkpoints")
app.add_typer(tasks, name="tasks")
app.add_typer(jobs, name="jobs")
app.add_typer(admin, name="admin")


def main() -> None:
    """Entry of the `frontrunner` command."""
    app()


if __name__ == "__main__":
    main()
