"""Rankings made up for drawings: every number is known."""

from __future__ import annotations

from typing import Any

import numpy as np

from frontrunner.ranking import Ranking


def _picture(generator: np.random.Generator) -> dict[str, Any]:
    labels, places = generator.integers(0, 3, size=90), generator.integers(0, 400, size=(90, 2))
    return {
        "points": [[int(300 * label + x), int(y)] for label, (x, y) in zip(labels, places, strict=True)],
        "explained": [0.4, 0.2],
        "classes": ["daisy", "</script>", "rose"],
        "labels": labels.tolist(),
        "targets": None,
        "confused": [
            {"true_class": "daisy", "predicted": "rose", "count": 8, "of": 40},
            {"true_class": "rose", "predicted": "daisy", "count": 2, "of": 40},
        ],
    }


def ranking_of(count: int, **more: Any) -> Ranking:
    """A ranking of `count` checkpoints by predicted accuracy, falling from 0.9, each with its own interval and cost."""
    generator = np.random.default_rng(0)
    lines = []
    for index in range(count):
        accuracy = 0.9 - 0.5 * index / max(count - 1, 1)
        parameters = int(1e6 * (1 + generator.integers(1, 80)))
        lines.append(
            {
                "rank": index + 1,
                "checkpoint": f"local:checkpoint_{index:04d}",
                "scores": {
                    "predicted_accuracy": {"value": accuracy, "low": None, "high": None, "raw": accuracy},
                    "logme": {
                        "value": accuracy - 1,
                        "low": accuracy - 1.1,
                        "high": accuracy - 0.9,
                        "raw": accuracy - 1,
                    },
                    "knn": {"value": 0.4 + 0.1 * float(generator.random()), "low": 0.3, "high": 0.6, "raw": 0.5},
                    "discrepancy": {"value": -8.0 - index / count, "low": None, "high": None, "raw": 8 + index / count},
                },
                "prediction": {
                    "accuracy": accuracy,
                    "low": accuracy - 0.05,
                    "high": accuracy + 0.03,
                    "level": 0.9,
                    "adaptation": "full",
                    "probability_best": 2.0 ** -(index + 1),
                    "unlike_evidence": False,
                },
                "probability_best": 2.0 ** -(index + 1),
                "behind": None
                if index == 0
                else {"accuracy": 0.1, "low": 0.0, "high": 0.2, "probability": 0.6 if index < 3 else 0.95},
                "parameters": parameters,
                "reading_cost": {
                    "device": "cpu",
                    "latency_ms": parameters / 1e6 * (0.5 + generator.random()),
                    "memory_mb": 100 + parameters / 1e5,
                },
                "seconds": 1.0,
                "architecture": "net",
                "feature_dimension": 64,
                "examples": 300,
                "forward_examples": 300,
                "pareto_optimal": False,
                "license": "apache-2.0",
            }
            | ({"picture": _picture(generator)} if index < 2 else {})
            | more
        )
    return Ranking.model_validate(
        {
            "id": "rk_1",
            "status": "succeeded",
            "failure": None,
            "dataset": {
                "id": "ds_1",
                "name": "<b>flowers</b>.zip",
                "digest": "0" * 64,
                "modality": "image",
                "task": "classification",
                "classes": 5,
                "train_examples": 1200,
                "unreadable": 0,
            },
            "ranking": lines,
            "skipped": [{"checkpoint": "local:</script>", "code": "bad", "reason": "<img src=x onerror=alert(1)>"}],
            "summary": "Use local:checkpoint_0000.",
            "provenance": {
                "frontrunner": "0.1.0",
                "extractor": 3,
                "scores": ["predicted_accuracy", "logme"],
                "score_versions": {"predicted_accuracy": 1, "logme": 2, "knn": 2, "discrepancy": 2},
                "ordered_by": "predicted_accuracy",
                "split": "train",
                "sampling": "stratified",
                "seed": 0,
                "max_examples": 300,
                "libraries": {"numpy": "2"},
            },
        }
    )
