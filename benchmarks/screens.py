"""Pictures of what the program prints: python -m benchmarks.screens --pack ../shared/pack [--out docs]

`ranking.svg` is `frontrunner rank` on the pack's flowers, `tuning.svg` is `frontrunner tune` on them. Both are really
run, and drawn by rich as a terminal shows them, without a font that would be fetched from elsewhere. What was read and
trained before is kept below --home.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from frontrunner.display import show_ranking, show_tuning
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from frontrunner.terminal import Terminal
from frontrunner.tuning import TuningRequest
from frontrunner.tuning.local import tune

# What a page shows well on a light and on a dark ground, and what a README has room for.
WIDTH = 118
LARGEST_BYTES = 60_000
_DARK = TerminalTheme(
    (24, 26, 31),
    (214, 217, 222),
    [
        (24, 26, 31), (224, 108, 117), (126, 200, 120), (229, 192, 123),
        (97, 175, 239), (198, 120, 221), (86, 182, 194), (214, 217, 222),
    ],
)  # fmt: skip
_FONT = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_COMMENT = "<!-- Generated with Rich https://www.textualize.io -->"
_FAMILY = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def picture(command: str, show: Callable[[Console], None], title: str) -> str:
    """A terminal in which a command was typed, as SVG.

    Args:
        command: behind the prompt.
        show: prints what the command does.
        title: of the window.
    """
    console = Terminal(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(f"$ {command}", style="bold", highlight=False)
    show(console)
    console.print()  # the last line would be cut at its descenders
    form = _FONT.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, monospace", _FAMILY)
    form = form.replace("font-family: arial", "font-family: sans-serif").replace(_COMMENT, "")
    drawn = console.export_svg(title=title, theme=_DARK, code_format=form, unique_id=title.split()[-1])
    if len(drawn.encode()) > LARGEST_BYTES or "http" in drawn.replace("http://www.w3.org/2000/svg", ""):
        raise RuntimeError(f"the picture of '{command}' is too large, or fetches something")
    return drawn


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "frontrunner-benchmark")
    given = parser.parse_args()
    settings = Settings(home=given.home)
    flowers = given.pack / "datasets" / "flowers5" / "flowers5.zip"
    hub = given.pack / "hub"
    ranking = rank(flowers, hub=hub, request=RankingRequest(max_examples=400), settings=settings)
    asked = "frontrunner rank flowers5.zip --hub hub/ --max-examples 400"
    drawn = picture(asked, lambda console: show_ranking(ranking, console), "frontrunner rank")
    (given.out / "ranking.svg").write_text(drawn)
    student = "local:mobilenetv2_035.keras_in1k_backbone"
    request = TuningRequest(student=student, epochs=3, image_size=96, max_examples=400, onnx=False)
    output = tune(flowers, request, hub=hub, settings=settings)
    output = output.model_copy(update={"folder": re.sub(r"^.*/tunings/", "~/.../tunings/", output.folder)})
    numbers = "--epochs 3 --image-size 96 --max-examples 400"
    asked = f"frontrunner tune flowers5.zip --hub hub/ --student {student} \\\n    {numbers}"
    drawn = picture(asked, lambda console: show_tuning(output, console), "frontrunner tune")
    (given.out / "tuning.svg").write_text(drawn)


if __name__ == "__main__":
    main()
