"""What the action runs: ranks, writes the job summary and the outputs, and fails where that was asked for.

Everything comes from the environment: `DATASET`, `HUB`, `TOP`, `LEAST_ACCURACY`, `FRONTRUNNER_SERVER`,
`FRONTRUNNER_API_KEY`, and GitHub's own `GITHUB_STEP_SUMMARY`, `GITHUB_OUTPUT` and `RUNNER_TEMP`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import frontrunner
from frontrunner import Client, FrontrunnerError, Ranking
from frontrunner.ranking import RankedCheckpoint


def ranking_of(dataset: str) -> Ranking:
    """Of the service, where there is an address; else of this machine."""
    url = os.environ.get("FRONTRUNNER_SERVER")
    if not url:
        return frontrunner.rank(dataset, hub=os.environ.get("HUB") or None)
    with Client(url, key=os.environ.get("FRONTRUNNER_API_KEY") or None) as client:
        return client.recommend(dataset).wait()


def logme(line: RankedCheckpoint) -> str:
    """LogME; nothing where it says nothing of the data."""
    score = line.scores.get("logme")
    return "" if score is None else f"{score.value:.3f}"


def points(line: RankedCheckpoint) -> str:
    """The predicted accuracy with its interval, in points of a hundred."""
    expected = line.prediction
    return "" if expected is None else f"{expected.accuracy:.0%} ({expected.low:.0%} to {expected.high:.0%})"


def cell(text: str) -> str:
    """Text as a cell of a Markdown table: a name must not end the cell, nor become markup."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|~" else letter for letter in " ".join(text.split()))


def summary(ranking: Ranking, top: int) -> str:
    """The answer and the first lines as Markdown."""
    lines = [
        f"| {line.rank} | {cell(line.checkpoint)} | {cell(points(line))} | {logme(line)} "
        f"| {line.parameters / 1e6:.1f} M |"
        for line in ranking.ranking[:top]
    ]
    table = ["| | checkpoint | predicted accuracy | LogME | parameters |", "|---|---|---|---|---|", *lines]
    skipped = [f"\n{len(ranking.skipped)} skipped."] if ranking.skipped else []
    return "\n".join(
        [f"## Checkpoints for {cell(ranking.dataset.name)}\n", f"{cell(ranking.summary)}\n", *table, *skipped, ""]
    )


def append(variable: str, text: str) -> None:
    """Add to the file that GitHub names, where it names one."""
    if path := os.environ.get(variable):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(text)


def main() -> int:
    """0; 1 where nothing was ranked, or the best is not good enough."""
    try:
        ranking = ranking_of(os.environ["DATASET"])
    except FrontrunnerError as refused:
        print(f"::error::{refused.code}: {refused.reason}".replace("\n", " "))
        return 1
    best = ranking.best
    if best is None:
        print("::error::nothing was ranked")
        return 1
    folder = os.environ.get("RUNNER_TEMP") or tempfile.mkdtemp()
    file = Path(folder) / "frontrunner-ranking.json"
    file.write_text(ranking.model_dump_json(), encoding="utf-8")
    print(ranking.explain())
    append("GITHUB_STEP_SUMMARY", summary(ranking, int(os.environ.get("TOP") or 10)))
    accuracy = None if best.prediction is None else best.prediction.accuracy
    outputs = {"checkpoint": best.checkpoint, "predicted-accuracy": accuracy or "", "ranking": file}
    append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in outputs.items()))
    least = os.environ.get("LEAST_ACCURACY")
    if least and (accuracy is None or accuracy < float(least)):
        print(f"::error::{best.checkpoint} is predicted to reach {points(best) or 'nothing known'}; asked: {least}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
