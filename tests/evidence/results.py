"""Results of fine-tuning made by a known law."""

from __future__ import annotations

import numpy as np

from frontrunner.evidence import PastResult


def made_results(
    models: int = 40,
    datasets: int = 8,
    seed: int = 0,
    *,
    own: float = 1.0,
    noise: float = 0.5,
    score_noise: float = 0.7,
) -> list[PastResult]:
    """Results = own mean + effect of log parameters + noise, mapped to shares; one score reads them with noise."""
    generator = np.random.default_rng(seed)
    means = own * generator.normal(size=models)
    parameters = np.exp(generator.normal(17, 1, size=models))
    size = (np.log(parameters) - 17) / 2
    found = []
    for dataset in range(datasets):
        y = means + size + noise * generator.normal(size=models)
        p = y + score_noise * generator.normal(size=models)
        found += [
            PastResult(
                model=f"m{i:02d}",
                dataset=f"d{dataset}",
                accuracy=float(1 / (1 + np.exp(-y[i] - dataset / 4))),
                scores={"logme": float(p[i])},
                parameters=float(parameters[i]),
                family="ab"[i % 2],
                dataset_size=1000.0 * (1 + dataset),
                dataset_classes=2.0 + dataset % 3,
            )
            for i in range(models)
        ]
    return found
