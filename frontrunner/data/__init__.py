"""Target datasets: image folders and zips, tables, arrays; opening, checking and sampling them."""

from frontrunner.data.dataset import (
    Dataset,
    DatasetOptions,
    FeatureInputs,
    ImageInputs,
    Split,
    TextInputs,
    WordInputs,
    dataset_id,
    is_dataset_id,
)
from frontrunner.data.opening import digest_dataset, open_dataset
from frontrunner.data.reference import DatasetReference
from frontrunner.data.report import DatasetReport, check_dataset
from frontrunner.data.sampling import stratified_order

__all__ = [
    "Dataset",
    "DatasetOptions",
    "DatasetReference",
    "DatasetReport",
    "FeatureInputs",
    "ImageInputs",
    "Split",
    "TextInputs",
    "WordInputs",
    "check_dataset",
    "dataset_id",
    "digest_dataset",
    "is_dataset_id",
    "open_dataset",
    "stratified_order",
]
