"""Tuning: one model out of the best checkpoints. `frontrunner.tuning.run` loads torch, the rest does not."""

from frontrunner.tuning.answer import Tuning
from frontrunner.tuning.choosing import BestOfRanking, take_best
from frontrunner.tuning.options import ADAPTATION, MADE_OF_TEACHERS, TEACHERS_NEEDED, MethodOptions
from frontrunner.tuning.request import TuningPayload, TuningRequest, tuning_payload
from frontrunner.tuning.result import CurvePoint, ExportedModel, Int8, Interval, Metrics, Onnx, TuningOutput

__all__ = [
    "ADAPTATION",
    "MADE_OF_TEACHERS",
    "TEACHERS_NEEDED",
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
    "take_best",
    "tuning_payload",
]
