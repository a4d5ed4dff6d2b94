"""`evaluate_hub`: which score to trust on one's own hub and data, by really adapting its checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from frontrunner.data import DatasetOptions, DatasetReference
from frontrunner.evidence.errors import EvidenceError, NothingToOrder
from frontrunner.evidence.ground_truth import RefusedRun, measure_missing, wanted_runs
from frontrunner.evidence.measuring import rank_with_every_score
from frontrunner.evidence.quality import Quality, Truth, Values, chance, noise_ceiling, quality, truth_of, values_of
from frontrunner.evidence.runs import MeasuredRun, MeasuredScore, Protocol
from frontrunner.evidence.tables import Table
from frontrunner.hub import HubAccess, HubFolders, find_catalogue
from frontrunner.progress import SILENT, Progress
from frontrunner.ranking.criteria import LOGME
from frontrunner.ranking.local import open_checked
from frontrunner.ranking.prediction import Adaptation
from frontrunner.settings import Settings, get_settings
from frontrunner.tuning.options import method_of
from frontrunner.tuning.request import require_tunable

# An order that comes about at random with a lower probability is taken for knowledge.
_CHANCE = 0.05


class HubEvaluation(BaseModel):
    """How well scores order a hub's checkpoints on some datasets."""

    adaptation: Adaptation
    protocol: Protocol
    datasets: list[str]
    checkpoints: int = Field(description="Of the dataset that has most.")
    seeds: int = Field(description="Of each pair of checkpoint and dataset, the fewest.")
    noise_ceiling: float | None = Field(description="Weighted tau between two seeds of the truth; None with one seed.")
    scores: list[Quality] = Field(description="The highest weighted tau first.")
    left_out: list[RefusedRun] = Field(description="Runs that diverged or could not be made; they are no truth.")
    summary: str = Field(description="Whether to trust which score here.")
    folder: str = Field(description="Where truth.csv and scores.csv lie; a second call adds only what they lack.")


def evaluate_hub(
    datasets: Sequence[str | Path],
    *,
    hub: HubFolders = None,
    adaptation: Adaptation = "full",
    protocol: Protocol | None = None,
    seeds: int = 3,
    options: DatasetOptions | None = None,
    folder: Path | None = None,
    progress: Progress = SILENT,
    settings: Settings | None = None,
) -> HubEvaluation:
    """Adapt every checkpoint to every dataset, score it, and compare the two orders.

    It costs a fine-tuning for each checkpoint, dataset and seed. What is finished is kept: called again after an
    interruption it goes on, and with more datasets or seeds it measures only those.

    Args:
        datasets: classification, each as for `frontrunner.rank`.
        hub: where checkpoints are looked for; see `frontrunner.rank`.
        adaptation: how they are adapted.
        protocol: how each run is made.
        seeds: how many runs a pair has.
        options: how to read the datasets, one for all.
        folder: of the two tables; below `FRONTRUNNER_HOME` by default, one for each hub.
        progress: hears of readings and trainings.
        settings: see `frontrunner.rank`.

    Raises:
        InvalidDataset: a dataset cannot be used.
        NoCheckpoints: no hub is given or configured.
        EvidenceError: two different datasets of one name.
        NothingToOrder: too few runs could be made, or all checkpoints came out equal.
    """
    settings, protocol = settings or get_settings(), protocol or Protocol()
    options = options or DatasetOptions()
    catalogue = find_catalogue(hub, settings)
    folder = folder or settings.home / "evaluations" / _name(hub)
    truth, scores = Table(folder / "truth.csv", MeasuredRun), Table(folder / "scores.csv", MeasuredScore)
    method = method_of(adaptation)
    current, left = set[tuple[str, str, str, str]](), list[RefusedRun]()
    for path in datasets:
        _, report = open_checked(path, options, settings, progress)
        require_tunable(report, method)
        reference = DatasetReference.of(Path(path).resolve(), report, options)
        checkpoints = {found.id: found for found in catalogue.checkpoints if found.modality == report.modality}
        if any(row[0] == reference.name and row[1] != reference.digest for row in current):
            raise EvidenceError(f"two different datasets are called {reference.name}: rename one")
        pairs = {(reference.name, reference.digest, found.id, found.digest) for found in checkpoints.values()}
        current |= pairs
        known = {_pair(row) for row in scores if row.examples == protocol.examples}
        if not pairs <= known:  # features are cached: ranked again, the others cost little
            rows = rank_with_every_score(
                path, hub, examples=protocol.examples, options=options, progress=progress, settings=settings
            )
            scores.add(*(row for row in rows if _pair(row) not in known))
        found = measure_missing(
            wanted_runs([adaptation], [reference.name], checkpoints, range(seeds)),
            protocol,
            truth,
            {reference.name: reference},
            checkpoints,
            settings.tunings.resolve(),
            progress=progress,
            access=HubAccess.of(settings),
        )
        left += [run for run in found if isinstance(run, RefusedRun)]
    runs = [run for run in truth if run.protocol == protocol and _pair(run) in current]
    left += [
        RefusedRun.of(run.key, "tuning_diverged", "the loss diverged")
        for run in runs
        if run.status == "diverged" and run.adaptation == adaptation
    ]
    measured = [row for row in scores if row.examples == protocol.examples and _pair(row) in current]
    return _judged(truth_of(runs, adaptation), values_of(measured), left, protocol, adaptation, folder)


def _pair(row: MeasuredRun | MeasuredScore) -> tuple[str, str, str, str]:
    """Of which dataset and checkpoint it is; either one that has changed since is another one."""
    return row.dataset, row.dataset_digest, row.checkpoint, row.checkpoint_digest


def _judged(
    truth: Truth,
    values: Mapping[str, Values],
    left: list[RefusedRun],
    protocol: Protocol,
    adaptation: Adaptation,
    folder: Path,
) -> HubEvaluation:
    if not truth.accuracies:
        why = f"; {left[0].checkpoint}: {left[0].reason}" if left else ""
        raise NothingToOrder(f"no dataset has three adapted checkpoints that differ{why}")
    qualities = [quality(score, found, truth) for score, found in values.items() if set(found) & set(truth.accuracies)]
    if not qualities:
        raise NothingToOrder("no checkpoint that was adapted could be scored")
    qualities.sort(key=lambda found: (-found.weighted_tau.mean, found.regret.mean, found.score))
    return HubEvaluation(
        adaptation=adaptation,
        protocol=protocol,
        datasets=list(truth.accuracies),
        checkpoints=max(len(names) for names, _ in truth.accuracies.values()),
        seeds=min(accuracies.shape[1] for _, accuracies in truth.accuracies.values()),
        noise_ceiling=noise_ceiling(truth),
        scores=qualities,
        left_out=left,
        summary=verdict(qualities, chance(values[qualities[0].score], truth)),
        folder=str(folder),
    )


def verdict(qualities: Sequence[Quality], random: float) -> str:
    """Whether to trust which score, in a sentence.

    Args:
        qualities: of several scores, the highest weighted tau first.
        random: probability that a random order agrees as well as the first of them.
    """
    best = qualities[0]
    # The best of many is better than one by chance alone: Bonferroni's bound allows for having picked it.
    if random * len(qualities) > _CHANCE:
        said = f"Trust no score on this evidence: the best of {len(qualities)}, {_figures(best)}, may be chance"
    else:
        said = f"Trust {_figures(best)}"
    usual = next((found for found in qualities if found.score == LOGME and found is not best), None)
    return said + (f"; the default is {_figures(usual)}." if usual else ".")


def _figures(found: Quality) -> str:
    error = found.weighted_tau.error
    spread = "" if error is None else f" ± {error:.2f}"
    return f"{found.score} (tau_w {found.weighted_tau.mean:.2f}{spread}, {found.regret.mean:.1f} points lost)"


def _name(hub: HubFolders) -> str:
    """Of the folder that a hub's evidence is kept in."""
    folders = [hub] if isinstance(hub, str | Path) else list(hub or ())
    said = "\n".join(str(Path(folder).resolve()) for folder in folders)
    return hashlib.sha256(said.encode()).hexdigest()[:16]
