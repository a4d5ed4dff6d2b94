"""A finished ranking with further checkpoints: what the others said is cached, so it costs what these do alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from frontrunner.errors import RankingUnfit
from frontrunner.ranking.request import RankingRequest
from frontrunner.ranking.result import Ranking


def extension_of(ranking: Ranking, added: Sequence[str] = ()) -> RankingRequest:
    """The request that ranks the checkpoints of a finished ranking together with further ones, on the same terms.

    Where it had a budget, all of them race for the same one: what others have read already is charged, and not read.

    Args:
        ranking: finished; those that it skipped are left out.
        added: ids; whatever the hub holds by then where none is named.
    """
    terms = ranking.provenance
    unread = (
        [] if ranking.budget is None else [each.checkpoint for stage in ranking.budget.stages for each in stage.left]
    )
    skipped = {entry.checkpoint for entry in ranking.skipped}
    known = [name for name in (*(line.checkpoint for line in ranking.ranking), *unread) if name not in skipped]
    return RankingRequest(
        checkpoints=tuple(dict.fromkeys((*known, *added))) if added else None,
        scores=terms.scores or None,
        rank_by=terms.ordered_by if terms.ordered_by in terms.scores else None,
        adaptation=terms.adaptation,
        variant=terms.variant,
        baselines=terms.baselines,
        max_examples=terms.max_examples,
        seed=terms.seed,
        verify=terms.verify,
        budget=None if ranking.budget is None else ranking.budget.budget,
    )


def read_ranking(file: Path) -> Ranking:
    """A ranking as `frontrunner rank --json` and the API write it.

    Raises:
        RankingUnfit: the file is not there, or holds something else.
    """
    try:
        return Ranking.model_validate_json(file.read_bytes())
    except OSError as error:
        raise RankingUnfit(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise RankingUnfit(f"{file} is no ranking as `frontrunner rank --json` writes it") from error


def require_same_dataset(ranking: Ranking, digest: str) -> None:
    """Let a dataset pass that a ranking was made on.

    Raises:
        RankingUnfit: it is another one.
    """
    if ranking.dataset.digest != digest:
        raise RankingUnfit(f"the ranking is of {ranking.dataset.name}, whose content is another one's: rank this anew")
