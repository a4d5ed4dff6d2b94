"""Tuning: one model out of the best checkpoints. `frontrunner.tuning.run` loads torch, the rest does not."""

from frontrunner.tuning.artifacts import Artifacts, artifacts_prefix, tuned_once
from frontrunner.tuning.choosing import BestOfRanking, take_best
from frontrunner.tuning.options import METHODS, MethodOptions
from frontrunner.tuning.request import TuningPayload, TuningRequest, require_tunable, tuning_payload
from frontrunner.tuning.result import CurvePoint, ExportedModel, Int8, Interval, Metrics, Onnx, Tuning, TuningOutput

__all__ = [
    "METHODS",
    "Artifacts",
    "BestOfRanking",
    "CurvePoint",
    "ExportedModel",
    "Int8",
    "Interval",
    "MethodOptions",
    "Metrics",
    "Onnx",
    "Tuning",
    "TuningOutput",
    "TuningPayload",
    "TuningRequest",
    "artifacts_prefix",
    "require_tunable",
    "take_best",
    "tuned_once",
    "tuning_payload",
]
