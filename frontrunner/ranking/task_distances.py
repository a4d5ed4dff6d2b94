"""Distances between datasets as one checkpoint sees them: which task prepares for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.data import Dataset, stratified_order
from frontrunner.data.dataset import Task
from frontrunner.data.reference import DatasetReference
from frontrunner.discrepancy import VERSION, task_distances
from frontrunner.discrepancy.tasks import BETA
from frontrunner.errors import InvalidDataset
from frontrunner.extraction import EXTRACTOR_VERSION, FeatureShards
from frontrunner.hub import CheckpointDescription, HubAccess
from frontrunner.limits import DEFAULT_MAX_EXAMPLES, Name
from frontrunner.progress import SILENT, Part, Progress, Stage
from frontrunner.settings import get_settings
from frontrunner.shard import fold
from frontrunner.statistics import FeatureStatistics
from frontrunner.status import JobResult
from frontrunner.store import Store, open_store

MAX_TASKS = 64


class TaskDistanceRequest(BaseModel):
    """Options of a comparison of tasks."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    checkpoint: Name = Field(description="Id of the checkpoint whose features the tasks are seen through.")
    beta: float = Field(default=BETA, gt=0, description="Weight of information (nats) against loss.")
    max_examples: int = Field(
        default=DEFAULT_MAX_EXAMPLES,
        ge=2,
        le=1_000_000,
        description="At most this many training examples of each are read. Complexity grows with the examples, so "
        "compare sets of like size, or cut them to one.",
    )
    seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of the samples.")


class TaskDistancePayload(BaseModel):
    """Everything that a process needs to compare tasks."""

    model_config = ConfigDict(frozen=True)

    datasets: tuple[DatasetReference, ...] = Field(min_length=2, max_length=MAX_TASKS)
    checkpoint: CheckpointDescription
    request: TaskDistanceRequest


class ComparedTask(BaseModel):
    """One of the datasets compared."""

    name: str
    digest: str
    examples: int
    classes: int
    complexity: float = Field(description="What it takes to describe the task: loss + beta information.")


class TaskDistanceMatrix(BaseModel):
    """Asymmetric distances between tasks; `distance[i][j]` is how much of task j is to be learned once i is known."""

    tasks: list[ComparedTask]
    distance: list[list[float]] = Field(description="In units of the loss; divide by beta for nats. 0 on the diagonal.")
    checkpoint: str
    space: Literal["head"] = "head"
    beta: float
    prior_scale: float = Field(description="Standard deviation of the prior over weights, one for all tasks.")
    versions: dict[str, int]


class TaskDistances(JobResult):
    """A comparison of tasks as the API tells it; `matrix` is None until it is there."""

    matrix: TaskDistanceMatrix | None


def compare_tasks(
    payload: TaskDistancePayload,
    progress: Progress = SILENT,
    *,
    datasets: Sequence[Dataset] | None = None,
    access: HubAccess | None = None,
    store: Store | None = None,
) -> TaskDistanceMatrix:
    """Read every dataset's features and measure the distances.

    Args:
        payload: the work.
        progress: hears of every download, batch and shard; examples are counted over all datasets.
        datasets: those of the payload, where the caller has them open already.
        access: how this machine reaches a hub; as the environment says by default.
        store: where uploads and features are; as the environment says by default.

    Raises:
        FrontrunnerError: a dataset or the checkpoint cannot be used, or the task is not classification.

    Source: Achille, Mbeng & Soatto, "The Dynamics and Reachability of Learning Tasks", 2018; see
    `frontrunner.discrepancy.task_distances`.
    """
    request = payload.request
    store = open_store(get_settings()) if store is None else store
    opened = [reference.open(store) for reference in payload.datasets] if datasets is None else list(datasets)
    samples = [min(request.max_examples, len(dataset.train)) for dataset in opened]
    tasks: dict[str, FeatureStatistics] = {}
    before = 0
    for dataset, sample in zip(opened, samples, strict=True):
        require_classification(dataset.name, dataset.task)
        shards = FeatureShards(
            payload.checkpoint,
            dataset,
            stratified_order(dataset.train, request.seed),
            request.max_examples,
            store,
            progress=Part(progress, Stage.READ, before, sum(samples)),
            access=access,
        )
        tasks[f"{len(tasks)}"] = fold(shards)  # names may repeat; places do not
        before += sample
    found = task_distances(tasks, beta=request.beta)
    return TaskDistanceMatrix(
        tasks=[
            ComparedTask(
                name=dataset.name,
                digest=dataset.digest,
                examples=statistics.n,
                classes=len(statistics.classes or ()),
                complexity=complexity,
            )
            for dataset, statistics, complexity in zip(opened, tasks.values(), found.complexity.tolist(), strict=True)
        ],
        distance=found.distance.tolist(),
        checkpoint=payload.checkpoint.id,
        beta=found.beta,
        prior_scale=found.prior_scale,
        versions={"extractor": EXTRACTOR_VERSION, "discrepancy": VERSION},
    )


def require_classification(name: str, task: Task) -> None:
    """Refuse a dataset without classes.

    Raises:
        InvalidDataset: its task is another.
    """
    if task != "classification":
        raise InvalidDataset(f"{name} is a {task} dataset: distances are defined between classifications")
