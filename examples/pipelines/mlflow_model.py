"""The tuned model as MLflow keeps and serves it: images or texts in, a label and a probability a class out.

`mlflow_ranking.py` registers it. MLflow copies this file beside the checkpoint and runs it where the model is loaded.
"""

from __future__ import annotations

import io
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, Schema
from PIL import Image

import frontrunner
from frontrunner.hub.opening.checkpoint import Checkpoint

CHECKPOINT = "checkpoint"


def signature_of(checkpoint: Checkpoint) -> ModelSignature:
    """Column `image` (the bytes of a file) or `text`; then `label`, and `probability CLASS` for each class."""
    reads = checkpoint.description.modality
    given = Schema([ColSpec(DataType.binary if reads == "image" else DataType.string, reads)])
    answers = [ColSpec(DataType.float, f"probability {name}") for name in checkpoint.classes]
    return ModelSignature(given, Schema([ColSpec(DataType.string, "label"), *answers]))


class TunedModel(PythonModel):
    """A tuned checkpoint. MLflow calls `load_context` once and `predict` for each request."""

    def load_context(self, context: PythonModelContext) -> None:
        """Open the checkpoint that was logged with the model."""
        self.checkpoint = frontrunner.open_checkpoint(context.artifacts[CHECKPOINT])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One line for each line of `model_input`."""
        reads = self.checkpoint.description.modality
        given = model_input[reads].tolist()
        inputs = [Image.open(io.BytesIO(data)) for data in given] if reads == "image" else given
        probabilities = self.checkpoint.probabilities(inputs)
        names = self.checkpoint.classes
        answer = pd.DataFrame(probabilities, columns=[f"probability {name}" for name in names])
        answer.insert(0, "label", [names[column] for column in probabilities.argmax(axis=1)])
        return answer


mlflow.models.set_model(TunedModel())
