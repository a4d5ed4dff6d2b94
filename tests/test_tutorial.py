"""The tutorial's notebook runs from its first cell to its last, and shows what its text speaks of."""

from __future__ import annotations

import re
import time

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"


class Timed(NotebookClient):
    """Remembers when each cell was over."""

    def cell_over(self, cell_index, **_):
        self.seconds[cell_index] = time.perf_counter() - self.begun

    def run(self):
        self.seconds = {}
        self.begun = time.perf_counter()
        self.on_cell_executed = self.cell_over
        self.execute()
        return self


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FRONTRUNNER_HOME", str(folder / "home"))
        patched.delenv("FRONTRUNNER_HUB", raising=False)
        notebook = nbformat.read(NOTEBOOK, 4)
        return Timed(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).run()


def outputs(done, source):
    """What the cell that holds this text has put out, by kind."""
    place = next(k for k, cell in enumerate(done.nb.cells) if cell.cell_type == "code" and source in cell.source)
    return place, {kind: text for put in done.nb.cells[place].outputs for kind, text in put.get("data", {}).items()}


def test_the_first_plot_is_there_within_a_minute_or_so(done, capsys):
    place, shown = outputs(done, "ranking.plot()")
    with capsys.disabled():
        print(f"\nnotebook to first plot: {done.seconds[place]:.1f} s, kernel and all imports counted")
    assert shown["image/png"]


def test_the_answer_and_a_table_are_shown_and_progress_leaves_no_trace(done):
    _, shown = outputs(done, "max_examples=200")
    assert "after tuning" in shown["text/html"]
    assert shown["text/html"].count("<tr>") == 4
    said = [put["text"] for cell in done.nb.cells for put in cell.get("outputs", []) if put.get("name") == "stderr"]
    assert 'ipywidgets" for Jupyter' not in "".join(said)


def test_the_printed_table_holds_no_escape_sequences(done):
    place, _ = outputs(done, "explain")
    (printed,) = done.nb.cells[place].outputs
    assert "\x1b" not in printed["text"]
    assert "Use package:efficientnet" in printed["text"]


def test_the_outputs_in_the_documentation_are_those_of_this_code():
    notebook = nbformat.read(NOTEBOOK, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count == number for number, cell in enumerate(code, start=1))
    text = nbformat.writes(notebook)
    assert not re.search(r"/(home|tmp|work|root)/|\\.venv", text)
    assert len(text) < 200_000
