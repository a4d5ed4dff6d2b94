"""The answer of a ranking in a few sentences: which checkpoint to use, what it is worth, what else would do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from frontrunner.data.dataset import Task
from frontrunner.ranking.criteria import describe
from frontrunner.ranking.prediction import PREDICTED_ACCURACY, Adaptation
from frontrunner.ranking.result import RankedCheckpoint, Verified
from frontrunner.ranking.stages.report import BudgetReport, VerificationReport

PROBES = ("linear_probe", "ridge_probe")
# With this probability the first one reaches more: such a line is called worse. Predictions' intervals are as sure.
SURE = 0.9
# A smaller checkpoint is worth naming from here on: a third fewer weights.
_SMALLER = 2 / 3
# Names of equals in a sentence; the table marks all.
_NAMED = 2
# Baselines that are shares of examples where classes are told apart, and R^2 where a number is estimated.
_SHARES = ("knn", *PROBES)
_ADAPTED: dict[Adaptation, str] = {"full": "after tuning", "probe": "with a linear probe", "lora": "after LoRA"}


def is_share(name: str, task: Task) -> bool:
    """Whether a score is a share of the examples, which people read as points of a hundred."""
    return name == PREDICTED_ACCURACY or (name in (*_SHARES, "lda") and task != "regression")


def title_of(name: str, task: Task) -> str:
    """What a score is called on data of this task.

    Example:
        >>> title_of("ridge_probe", "regression"), title_of("linear_probe", "classification")
        ('Ridge probe R²', 'Linear probe accuracy')
    """
    title = describe(name).title
    return title.replace("accuracy", "R²") if name in _SHARES and task == "regression" else title


def may_equal_first(line: RankedCheckpoint) -> bool:
    """Whether it may be as good as the first one: the prediction's word, else that of the paired examples.

    The first one itself has neither, and is no equal of its own.
    """
    return line.tied_with_best if line.behind is None else line.behind.probability < SURE


def interval_of(line: RankedCheckpoint, name: str) -> tuple[float | None, float | None, float | None]:
    """Low, value and high of a score; of the predicted accuracy the prediction's. None for what is not known."""
    score = line.scores.get(name)
    if score is None:
        return None, None, None
    spread = line.prediction if name == PREDICTED_ACCURACY and line.prediction is not None else score
    return spread.low, score.value, spread.high


def smaller_choice(lines: Sequence[RankedCheckpoint]) -> RankedCheckpoint | None:
    """The best line with at least a third fewer weights than the first; None where there is none."""
    limit = _SMALLER * lines[0].parameters
    return next((line for line in lines[1:] if 0 < line.parameters <= limit), None)


def summary(
    lines: Sequence[RankedCheckpoint],
    ordered_by: str,
    task: Task,
    *,
    planned: int,
    failed: int,
    spent: BudgetReport | None = None,
    verification: VerificationReport | None = None,
) -> str:
    """The answer, a sentence for each thing that decides.

    Args:
        lines: of the ranking so far, best first.
        ordered_by: the score that orders them.
        task: of the dataset.
        planned: how many checkpoints were to be read.
        failed: how many of them could not.
        spent: how a budget was, where there is one.
        verification: how far it is, where there is one.
    """
    left = planned - failed - len(lines) if spent is None else len(spent.waiting)
    if not lines:
        return f"No checkpoint is ranked yet; {left} of {planned} to go." if left else "No checkpoint could be ranked."
    best = lines[0]
    said = [f"{'Use' if not left else 'So far'} {best.checkpoint} ({_worth(best, ordered_by, task)})."]
    if (smaller := smaller_choice(lines)) is not None:
        share = best.parameters / smaller.parameters
        said.append(f"{smaller.checkpoint} is {_times(share)} smaller{_cost(best, smaller, task)}.")
    if best.verified is not None:
        said.append(_tried(best.verified, best.probability_best))
    elif spent is not None and spent.pick is not None:
        said.append(f"Without a budget it would be the first with probability {spent.probability_best:.2f}.")
    elif len(lines) > 1:
        said.append(_equals(lines[1:]))
    if len(lines) > 1 and best.parameters > max(line.parameters for line in lines[1:]):
        said.append("It is the largest too: size alone would have named it.")
    if verification is not None and verification.waiting:
        said.append(f"{len(verification.waiting)} are being adapted, to tell which is the best.")
    if left:
        said.append(f"{left} of {planned} are still to {'come' if spent is None else 'read more'}.")
    return " ".join(said)


def _tried(found: Verified, probability_best: float | None) -> str:
    first = "" if probability_best is None else f"; it is the best of all with probability {probability_best:.2f}"
    return (
        f"Adapted for {found.epochs} epochs it is right on {100 * found.measured.value:.0f} of 100 of the "
        f"{found.held_out} examples that were held out{first}."
    )


def _worth(best: RankedCheckpoint, ordered_by: str, task: Task) -> str:
    found = best.prediction
    place = best.ranks.get(ordered_by, 1)  # what was known before, or a verification, may have put it first
    by_score = f"{'first' if place == 1 else f'place {place}'} by {describe(ordered_by).title}"
    if found is not None:
        first = "" if ordered_by == PREDICTED_ACCURACY and place == 1 else f"{by_score}; "
        beyond = ", beyond the evidence" if found.unlike_evidence else ""
        return (
            f"{first}about {100 * found.accuracy:.0f} points {_ADAPTED[found.adaptation]}, "
            f"{100 * found.low:.0f} to {100 * found.high:.0f}{beyond}"
        )
    probe = next((name for name in PROBES if name in best.scores), None)
    unknown = "what tuning would reach is not predicted here"
    if probe is None:
        return f"{by_score}; {unknown}"
    score, title = best.scores[probe], title_of(probe, task)
    reach = "" if score.low is None else f", {_number(score.low, probe, task)} to {_number(score.high, probe, task)}"
    said = f"{title[0].lower()}{title[1:]} {_number(score.value, probe, task)}{reach}"
    first = "" if ordered_by == probe and place == 1 else f"{by_score}; "
    return f"{first}{said}; {unknown}"


def _number(value: float | None, name: str, task: Task) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if is_share(name, task) else f"{value:.3f}"


def _cost(best: RankedCheckpoint, smaller: RankedCheckpoint, task: Task) -> str:
    """What the smaller one gives up, in points of the prediction or of the probe, named as such."""
    if smaller.behind is not None:
        return _points(smaller.behind.accuracy)
    probe = next((name for name in PROBES if name in best.scores and name in smaller.scores), None)
    if probe is None:
        return f", rank {smaller.rank}"
    lead = best.scores[probe].value - smaller.scores[probe].value
    if not is_share(probe, task):
        return f", and its probe's R² is {lead:.2f} lower" if lead >= 0 else f", and its probe's R² {-lead:.2f} higher"
    return f"{_points(lead)} of the probe"


def _points(lead: float) -> str:
    points = round(100 * abs(lead))
    if not points:
        return " for as many points"
    return f" for {points} point{'s' * (points > 1)} {'less' if lead > 0 else 'more'}"


def _times(share: float) -> str:
    return f"{share:.0f}x" if share >= 9.5 else f"{share:.1f}x".replace(".0x", "x")


def _equals(others: Sequence[RankedCheckpoint]) -> str:
    equals = [line for line in others if may_equal_first(line)]
    if not equals:
        return "The other one is worse." if len(others) == 1 else f"The other {len(others)} are worse."
    named = ", ".join(f"{line.checkpoint}{_chance(line)}" for line in equals[:_NAMED])
    more = f" and {len(equals) - _NAMED} more" if len(equals) > _NAMED else ""
    worse = len(others) - len(equals)
    rest = "" if not worse else f"; the other {worse if worse > 1 else 'one'} {'are' if worse > 1 else 'is'} worse"
    return f"As good, or better, may be {named}{more}{rest}."


def _chance(line: RankedCheckpoint) -> str:
    """How likely it reaches more than the first one."""
    return "" if line.behind is None else f" (with probability {1 - line.behind.probability:.2f})"
