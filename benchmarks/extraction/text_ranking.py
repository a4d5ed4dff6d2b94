"""Does LogME order the text encoders as a cross-validated linear probe on the same features does?

    python -m benchmarks.extraction.text_ranking --pack ../shared/pack [--max-examples N] [--sets NAME ...]

The encoders are the pack's, all-MiniLM-L6-v2, and of both every variant that reads the first k layers alone. Features
are read once and cached below --home.

Two probes: `fixed` is the project's yardstick, five folds at one penalty; `tuned` takes the best of several penalties
by the same five folds, each encoder its own. On a few hundred columns and two thousand rows the fixed penalty is too
weak, and the tuned probe is better by up to ten points.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from frontrunner import scores
from frontrunner.data import open_dataset, stratified_order
from frontrunner.extraction import FeatureShards
from frontrunner.hub import Catalogue, CheckpointDescription, HubAccess, choose, find_checkpoints
from frontrunner.settings import Settings
from frontrunner.shard import fold

SETS = ("ag_news", "banking77", "clinc50", "sst2", "tweet_emotion")
PROBES = ("fixed", "tuned")
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)


def encoders(pack: Path) -> tuple[CheckpointDescription, ...]:
    """Every text encoder at hand and its variants of fewer layers."""
    found = [c for c in find_checkpoints([pack / "hub"], packages=True).checkpoints if c.modality == "text"]
    names = [
        name
        for encoder in found
        for name in (*(f"{encoder.id}#layer={k}" for k in range(1, len(encoder.layer_parameters))), encoder.id)
    ]
    return choose(names, Catalogue(checkpoints=tuple(found))).checkpoints


def tuned_probe(features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Accuracy of logistic regression over five folds, at the penalty that does best."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)

    def accuracy(strength: float) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=200, tol=1e-3))
        return float(cross_val_score(model, features, labels, cv=folds).mean())

    return max(map(accuracy, STRENGTHS))


def main() -> None:
    """Print a table for each set, and how often LogME's first is each probe's best."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pack", type=Path, default=Path("../shared/pack"))
    parser.add_argument("--max-examples", type=int, default=5000)
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--home", type=Path, default=Path(tempfile.gettempdir()) / "frontrunner-benchmark")
    given = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # likelihoods that have not settled at weak penalties
    access = HubAccess.of(Settings(home=given.home))
    candidates = encoders(given.pack)
    agreed = dict.fromkeys(PROBES, 0)
    close = dict.fromkeys(PROBES, 0)
    for name in given.sets:
        dataset = open_dataset(given.pack / "datasets" / name / f"{name}.parquet")
        order = stratified_order(dataset.train, 0)
        found: dict[str, dict[str, float]] = {}
        for checkpoint in candidates:
            shards = FeatureShards(checkpoint, dataset, order, given.max_examples, given.home / "cache", access=access)
            values = scores.evaluate(("logme", "linear_probe"), fold(shards), shards)
            rows = list(shards)
            features = np.concatenate([np.asarray(shard.features, dtype=np.float64) for shard in rows])
            found[checkpoint.id] = {
                "logme": values["logme"].value,
                "fixed": values["linear_probe"].value,
                "tuned": tuned_probe(features, np.concatenate([shard.labels for shard in rows])),
            }
        _print_set(name, len(features), len(dataset.classes), found)
        first = max(found.values(), key=lambda values: values["logme"])
        for probe in PROBES:
            # Encoders that share the best accuracy are all best.
            best = max(values[probe] for values in found.values())
            agreed[probe] += first[probe] == best
            close[probe] += best - first[probe] <= math.sqrt(best * (1 - best) / len(features))
    for probe in PROBES:
        print(
            f"{probe} probe, {len(given.sets)} sets: LogME's first is the best on {agreed[probe]}, "
            f"and within one standard error of the best accuracy on {close[probe]}"
        )


def _print_set(name: str, examples: int, classes: int, found: dict[str, dict[str, float]]) -> None:
    best = {probe: max(values[probe] for values in found.values()) for probe in PROBES}
    print(f"\n{name}: {examples} examples, {classes} classes")
    print(f"{'encoder':50} {'LogME':>9} {'fixed':>8} {'tuned':>8}")
    ranked = sorted(found.items(), key=lambda item: -item[1]["logme"])
    for entry, values in ranked:
        marked = (f"{values[probe]:8.4f}{'*' if values[probe] == best[probe] else ' '}" for probe in PROBES)
        print(f"{entry:50} {values['logme']:9.4f} {''.join(marked)}")
    for probe in PROBES:
        pairs = [(values["logme"], values[probe]) for values in found.values()]
        tau = kendalltau(*zip(*pairs, strict=True)).statistic
        regret = best[probe] - ranked[0][1][probe]
        print(f"{probe} probe: Kendall tau {tau:.2f}; LogME's first is {regret:.4f} below the best", flush=True)


if __name__ == "__main__":
    main()
