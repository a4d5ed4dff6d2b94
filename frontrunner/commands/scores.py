"""`frontrunner scores`."""

from __future__ import annotations

from frontrunner.commands.common import JsonOption, print_json
from frontrunner.terminal import Terminal


def scores(json: JsonOption = False) -> None:
    """List the scores that a ranking can be asked for: what each says, needs and costs."""
    from frontrunner.display import show_scores
    from frontrunner.ranking import ScoreList

    found = ScoreList.of_all()
    if json:
        print_json(found)
    else:
        show_scores(found, Terminal())
