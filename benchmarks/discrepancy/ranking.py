"""Which of the numbers ranks checkpoints: python -m benchmarks.discrepancy.ranking [SET]...

For every timm checkpoint of the pack: the `head` space's numbers on 600 images, beside the accuracy of LogME's head on
200 others. Kendall's tau of each number, signed so that higher should be better. A held-out head's accuracy is not
fine-tuned accuracy: this says which sign a number has, not how well it ranks fine-tuning.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from scipy.stats import kendalltau

from benchmarks.discrepancy.pack import features, pack
from frontrunner.discrepancy import gibbs_complexity, head_discrepancy, risk_bound
from frontrunner.scores.logme import maximise_evidence, moments_of
from frontrunner.scores.spectrum import decompose
from frontrunner.statistics import FeatureStatistics

IMAGES, TRAINING = 800, 600


def checkpoints() -> list[str]:
    """The pack's timm checkpoints."""
    folders = sorted((pack() / "hub").iterdir())
    configs = [(folder.name, json.loads((folder / "config.json").read_text())) for folder in folders if folder.is_dir()]
    return [name for name, config in configs if "architecture" in config]


def numbers(dataset: str, name: str) -> dict[str, float]:
    """Held-out accuracy and every candidate for one checkpoint."""
    matrix, codes = features(dataset, IMAGES, name)
    order = np.random.default_rng(0).permutation(codes.size)
    train, test = order[:TRAINING], order[TRAINING:]
    statistics = FeatureStatistics().update(matrix[train], labels=codes[train])
    spectrum = decompose(moments_of(statistics))
    evidence = maximise_evidence(spectrum)
    weights = spectrum.posterior_mean(evidence.alpha / evidence.beta)
    found = head_discrepancy(statistics, spectrum=spectrum, evidence=evidence)
    bound = risk_bound(matrix[train], codes[train])
    return {
        "accuracy": float(((matrix[test] @ weights).argmax(axis=1) == codes[test]).mean()),
        "logme": evidence.score,
        "-discrepancy": -found.discrepancy,
        "-dimension_dependent / d": -found.dimension_dependent_per_parameter,
        "-twice_kl": -found.twice_kl,
        "-twice_kl / d": -found.twice_kl_per_parameter,
        "-amgm": -found.amgm_upper_bound,
        "-gap": -found.pac_bayes_gap,
        "-gibbs_complexity / n": -gibbs_complexity(matrix[train], codes[train]) / TRAINING,
        "-leave-one-out risk": -bound.empirical_risk,
        "-risk_bound": -bound.value,
        "-published_risk_bound": -(bound.published_value or np.inf),
    }


def main() -> None:
    """A table for each set and Kendall's tau under it."""
    for dataset in sys.argv[1:] or ["dtd10", "rsscn7"]:
        rows = {name: numbers(dataset, name) for name in checkpoints()}
        titles = list(next(iter(rows.values())))
        print(f"\n| {dataset} | " + " | ".join(titles) + " |")
        print("|---" * (len(titles) + 1) + "|")
        for name, row in rows.items():
            print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")
        accuracy = [row["accuracy"] for row in rows.values()]
        taus = [kendalltau([row[title] for row in rows.values()], accuracy).statistic for title in titles]
        print("| Kendall's tau | " + " | ".join(f"{tau:.2f}" for tau in taus) + " |", flush=True)


if __name__ == "__main__":
    main()
