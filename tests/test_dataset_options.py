"""Every command that opens a dataset takes the same options on how to read it."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

import frontrunner.commands.engine.local
import frontrunner.ranking
from frontrunner.cli import build_app

GIVEN = ("--label", "kind", "--split", "fold")


class _Opened(Exception):
    """A command came as far as its dataset."""


@pytest.mark.parametrize(
    ("module", "function", "arguments"),
    [
        (frontrunner.ranking, "rank", ("rank", "a.csv")),
        (frontrunner.commands.engine.local, "tune", ("tune", "a.csv")),
        (frontrunner.ranking, "compare_datasets", ("tasks", "distance", "a.csv", "b.csv", "--checkpoint", "local:it")),
        (frontrunner.ranking, "register_source", ("checkpoints", "source", "local:it", "a.csv")),
    ],
    ids=["rank", "tune", "tasks distance", "checkpoints source"],
)
@pytest.mark.parametrize(("name", "column"), [("text", "review"), ("image", "photo")])
def test_text_image_and_split_reach_the_dataset(monkeypatch, module, function, arguments, name, column):
    seen = []

    def stop(*_arguments, options, **_more):
        seen.append(options)
        raise _Opened

    monkeypatch.setattr(module, function, stop)
    done = CliRunner().invoke(build_app(arguments), [*arguments, f"--{name}", column, *GIVEN])
    assert isinstance(done.exception, _Opened), done.output
    (options,) = seen
    assert options.model_dump(exclude_none=True) == {name: column, "label": "kind", "split": "fold"}
