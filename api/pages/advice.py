"""What to do about what a check found: the sentences are the check's, the advice is the page's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from frontrunner.data import DatasetReport

# The first that matches is taken; what none matches has the last one's.
_ADVICE = (
    (r"unreadable inputs", "They are listed below. Mend or remove them, or go on without them.", "bad"),
    (
        r"lie in both splits",
        "Remove the copies from one of the splits: a tuned model would be tested on what it was trained on.",
        "bad",
    ),
    (r"have the same bytes", "Copies count as often as they are there. Remove them unless they are meant.", "warn"),
    (r"have one training example", "Add examples, or merge these classes: one cannot be held out.", "warn"),
    (r"have no training example", "Add training examples, or leave these classes out of the test split.", "warn"),
    (r"^only \d+ training examples", "Add examples if you can. The ranking will say less surely who leads.", "warn"),
    (r"differ only by case or blanks", "Give both one name if they are one class.", "warn"),
    (r"is this really the label", "Name the column of the label under 'Read it another way'.", "bad"),
    (r"called like splits", "Name the folders or the column of the split under 'Read it another way'.", "bad"),
    (r"may mean that a label is missing", "Leave these examples out, or label them.", "warn"),
    (r"taken for classes", "If they are quantities, choose regression under 'Read it another way'.", "warn"),
    (r"^left out", "If these should be examples, see which formats are read, or read the data another way.", "info"),
    (r"", "Look whether this is meant; 'Read it another way' says how columns and folders are read.", "warn"),
)


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Attributes:
        said: the check's sentence.
        advice: what to do about it.
        tone: how grave it is: bad, warn or info.
    """

    said: str
    advice: str
    tone: str


def findings_of(report: DatasetReport) -> list[Finding]:
    """What a report warns of, each with what to do."""
    return [_finding(warning) for warning in report.warnings]


def _finding(warning: str) -> Finding:
    advice, tone = next((advice, tone) for pattern, advice, tone in _ADVICE if re.search(pattern, warning))
    return Finding(warning, advice, tone)
