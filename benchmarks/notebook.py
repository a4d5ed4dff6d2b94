"""Run the documentation's notebook and keep what it shows: python -m benchmarks.notebook [docs/tutorial.ipynb]

What libraries write to stderr is left out, as it names folders of the machine, and the charts of a ranking, whose
scripts are half a megabyte: the notebook's plot is the picture that stays.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

# What is left of a bar.
_EMPTY = {"text/plain": ""}
_CHARTS = re.compile(r"<iframe\b.*?</iframe>", re.DOTALL)


def main() -> None:
    """Write the notebook with its outputs."""
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/tutorial.ipynb")
    notebook = nbformat.read(file, 4)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FRONTRUNNER_HOME"] = str(Path(folder, "home"))
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if cell.cell_type == "code":
            cell.outputs = [put for put in cell.outputs if put.get("name") != "stderr" and put.get("data") != _EMPTY]
            for shown in (put["data"] for put in cell.outputs if "text/html" in put.get("data", {})):
                shown["text/html"] = _CHARTS.sub("", shown["text/html"])
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, file)


if __name__ == "__main__":
    main()
