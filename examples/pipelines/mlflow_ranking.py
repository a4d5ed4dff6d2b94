"""A ranking as an MLflow run, and its winner, tuned, as a registered model.

    MLFLOW_TRACKING_URI=http://mlflow.example:5000 python examples/pipelines/mlflow_ranking.py flowers.zip \\
        --hub checkpoints/ --experiment flowers --model flowers

Needs `pip install 'frontrunner[all]' mlflow pandas`. Afterwards `mlflow models serve -m models:/flowers/1` answers as
the tuned model. Prints one JSON object with the run and the registered version.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mlflow
from mlflow_model import CHECKPOINT, signature_of

import frontrunner
from frontrunner.ranking import RankedCheckpoint, Ranking
from frontrunner.tuning import TuningOutput, TuningRequest
from frontrunner.tuning.local import tune


def metrics_of(line: RankedCheckpoint) -> dict[str, float]:
    """A line's scores with their intervals, and what fine-tuning it is predicted to reach."""
    metrics = {}
    for name, score in line.scores.items():
        bounds = {name: score.value, f"{name}_low": score.low, f"{name}_high": score.high}
        metrics |= {f"best/{key}": value for key, value in bounds.items() if value is not None}
    if line.prediction is not None:
        metrics["best/predicted_accuracy"] = line.prediction.accuracy
    return metrics


def log_ranking(ranking: Ranking) -> RankedCheckpoint:
    """Write a ranking into the active run: what was asked, the best line's scores, every line, the whole answer."""
    best = ranking.best
    if best is None:
        raise SystemExit("nothing was ranked")
    mlflow.log_params({"dataset": ranking.dataset.name, "examples": best.examples, "best": best.checkpoint})
    mlflow.log_metrics(metrics_of(best))
    mlflow.log_metrics({"ranked": len(ranking.ranking), "skipped": len(ranking.skipped)})
    mlflow.log_table(ranking.to_pandas(), "ranking_table.json")
    mlflow.log_text(ranking.explain(), "ranking.txt")
    mlflow.log_dict(ranking.model_dump(mode="json"), "ranking.json")
    return best


def log_tuning(output: TuningOutput, register_as: str) -> str:
    """Write a tuning into the active run, and register its model; the version."""
    mlflow.log_params({"method": output.method, "learning_rate": output.learning_rate, "epochs": output.epochs})
    tested = output.metrics
    mlflow.log_metrics({f"{tested.split}/accuracy": tested.accuracy.value, f"{tested.split}/log_loss": tested.log_loss})
    for point in output.curve:
        if point.stage == "training":
            mlflow.log_metrics({f"{point.split}/curve_accuracy": point.accuracy}, step=point.step)
    mlflow.log_dict(output.model_dump(mode="json"), "tuning.json")
    folder = Path(output.folder) / output.models[0].folder
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=str(Path(__file__).with_name("mlflow_model.py")),
        artifacts={CHECKPOINT: str(folder)},
        signature=signature_of(frontrunner.open_checkpoint(folder)),
        pip_requirements=[f"frontrunner[all]=={frontrunner.__version__}", "pandas"],
        registered_model_name=register_as,
    )
    return str(logged.registered_model_version)


def main() -> int:
    """Reads the arguments, ranks, tunes, prints what was made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hub", type=Path)
    parser.add_argument("--experiment", default="frontrunner")
    parser.add_argument("--model", default="frontrunner", help="Name in the registry.")
    parser.add_argument("--method", default="finetune")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    mlflow.set_experiment(arguments.experiment)
    with mlflow.start_run(run_name=arguments.dataset.stem) as run:
        best = log_ranking(frontrunner.rank(arguments.dataset, hub=arguments.hub))
        request = TuningRequest(method=arguments.method, student=best.checkpoint, epochs=arguments.epochs)
        version = log_tuning(tune(arguments.dataset, request, hub=arguments.hub), arguments.model)
    made = {"run": run.info.run_id, "best": best.checkpoint, "model": arguments.model, "version": version}
    json.dump(made, sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
