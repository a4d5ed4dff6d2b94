"""`frontrunner.recommend`: what `Client.recommend(...).wait()` returns, worked out in this process."""

from __future__ import annotations

from typing import Unpack

from frontrunner.data import DatasetOptions
from frontrunner.data.memory import DatasetLike
from frontrunner.hub import HubFolders
from frontrunner.progress import Progress
from frontrunner.ranking import Ranking, RankingRequest, rank
from frontrunner.ranking.local import Terms


def recommend(
    dataset: DatasetLike,
    request: RankingRequest | None = None,
    *,
    hub: HubFolders = None,
    options: DatasetOptions | None = None,
    top: int | None = None,
    progress: Progress | None = None,
    **terms: Unpack[Terms],
) -> Ranking:
    """Which checkpoints to use for a dataset, without a server: as `Client.recommend`, which a service answers.

    Args:
        dataset: a file, a folder, or data in memory; see `frontrunner.rank`.
        request: which checkpoints, which scores, how many examples.
        hub: a folder of checkpoints, or several; by default every hub at hand.
        options: how to read the dataset where its layout leaves a choice.
        top: keep so many lines of the ranking.
        progress: hears how far it is; by default a bar where somebody is watching.
        terms: the fields of `RankingRequest` by keyword.

    Raises:
        FrontrunnerError: as `frontrunner.rank`.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.repeat(["a", "b"], 40)
        >>> recommend((rng.normal(size=(80, 4)) + (labels == "b")[:, None], labels), top=1).best.checkpoint
        'features:features'
    """
    found = rank(dataset, hub=hub, request=request, options=options, progress=progress, **terms)
    return first_lines(found, top)


def first_lines(ranking: Ranking, top: int | None) -> Ranking:
    """The ranking with its first `top` lines; all of them where that is None."""
    return ranking if top is None else ranking.model_copy(update={"ranking": ranking.ranking[:top]})
