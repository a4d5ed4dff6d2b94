"""Tuning: one model out of the best checkpoints. `frontrunner.tuning.run` loads torch, the rest does not."""

from frontrunner.tuning.choosing import BestOfRanking, take_best
from frontrunner.tuning.options import METHODS, MethodOptions
from frontrunner.tuning.request import TuningPayload, TuningRequest, require_tunable, tuning_payload
from frontrunner.tuning.result import CurvePoint, ExportedModel, Int8, Interval, Metrics, Onnx, Tuning, TuningOutput

__all__ = [
    "METHODS",
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
    "require_tunable",
    "take_best",
    "tuning_payload",
]
