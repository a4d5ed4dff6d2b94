"""The cost model: what C checkpoints on N images take on G GPUs, from what was measured and what is assumed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field

from frontrunner.extraction import SHARD_SIZE

HOUR = 3600.0
_DAY = 24 * HOUR
_TB = 1e12
# Objects that a shard is in the store: features, predictions, digests of its inputs.
_OBJECTS_A_SHARD = 3


class Figures(BaseModel):
    """What the model rests on; the first ones are measured by `benchmarks.scale.measure`."""

    decoding_s_per_megapixel: float = Field(description="a JPEG decoded, core seconds a megapixel")
    shaping_s: float = Field(description="resizing and numbers, core seconds an image")
    sums_s_per_row_and_square: float = Field(description="sums in float64, core seconds a row and D^2")
    logme_s_per_cube: float = Field(description="LogME with its interval, core seconds a D^3")
    step_end_s: float = Field(description="end of a step in the database, seconds")
    step_end_s_per_step: float = Field(description="and for every step that the job has")


class Assumed(BaseModel):
    """What could not be measured here."""

    gpu_images_s: float = Field(default=2500.0, description="images a second of a GPU, the mean of the checkpoints")
    megapixels: float = Field(default=0.18, description="megapixels of an image, as ImageNet's")
    dimension: int = Field(default=1024, description="features of a checkpoint, D")
    predictions: int = Field(default=1000, description="classes that a checkpoint predicts")
    checkpoint_mb: float = Field(default=100.0, description="megabytes of a checkpoint's file")
    network_mb_s: float = Field(default=1000.0, description="megabytes a second that a machine fetches")
    cores_a_gpu: int = Field(default=16, description="cores beside a GPU")
    opening_s: float = Field(default=5.0, description="seconds that a step takes before its first batch")


@dataclass(frozen=True)
class Scale:
    """How much, and on what.

    Attributes:
        checkpoints: C.
        images: N, all of which are read.
        gpus: G.
        examples_a_step: how a sample is divided into steps.
        pixels_kept: decoded once a machine; otherwise by every checkpoint again.
    """

    checkpoints: int
    images: int
    gpus: int
    examples_a_step: int
    pixels_kept: bool = False


@dataclass(frozen=True)
class Costs:
    """What a scale takes.

    Attributes:
        forward: hours of all GPUs together.
        opening: hours of GPUs that wait for checkpoints to come and open.
        decoding: hours of cores.
        scoring: hours of cores.
        planning: hours in which the database ends steps, one after the other.
        steps: of the job.
        store_tb: features and predictions.
        objects: in the store.
        pixels_tb: of one shape of all images.
        cores_a_gpu: that decode as fast as a GPU reads.
        days: until the job is over: the slowest of what runs beside each other.
        limit: what that is.
    """

    forward: float
    opening: float
    decoding: float
    scoring: float
    planning: float
    steps: int
    store_tb: float
    objects: float
    pixels_tb: float
    cores_a_gpu: float
    days: float
    limit: str


def costs_of(scale: Scale, figures: Figures, assumed: Assumed) -> Costs:
    """What a scale takes.

    Example:
        >>> figures = Figures(
        ...     decoding_s_per_megapixel=0.01, shaping_s=0.0, sums_s_per_row_and_square=0.0, logme_s_per_cube=0.0,
        ...     step_end_s=0.0, step_end_s_per_step=0.0,
        ... )
        >>> found = costs_of(Scale(1, 9_000_000, 1, 9_000_000), figures, Assumed(opening_s=0.0, checkpoint_mb=0.0))
        >>> found.forward, round(found.decoding, 6), found.steps, found.limit
        (1.0, 4.5, 1, 'forward passes')
    """
    passes = scale.checkpoints * scale.images
    parts = -(-scale.images // scale.examples_a_step)
    steps = scale.checkpoints * (parts + 1 if parts > 1 else 1)
    forward = passes / assumed.gpu_images_s
    opening = scale.checkpoints * parts * (assumed.opening_s + assumed.checkpoint_mb / assumed.network_mb_s)
    decode_s = figures.decoding_s_per_megapixel * assumed.megapixels
    decoded = scale.images * scale.gpus if scale.pixels_kept else passes
    decoding = decoded * decode_s + passes * figures.shaping_s
    scoring = (
        passes * assumed.dimension**2 * figures.sums_s_per_row_and_square
        + scale.checkpoints * assumed.dimension**3 * figures.logme_s_per_cube
    )
    planning = steps * (figures.step_end_s + steps * figures.step_end_s_per_step)
    cores = scale.gpus * assumed.cores_a_gpu
    walls = {
        "forward passes": (forward + opening) / scale.gpus,
        "cores that decode and score": (decoding + scoring) / cores,
        "ends of steps in the database": planning,
    }
    limit = max(walls, key=lambda name: walls[name])
    return Costs(
        forward=forward / HOUR,
        opening=opening / HOUR,
        decoding=decoding / HOUR,
        scoring=scoring / HOUR,
        planning=planning / HOUR,
        steps=steps,
        store_tb=passes * (assumed.dimension + assumed.predictions) * 4 / _TB,
        objects=scale.checkpoints * -(-scale.images // SHARD_SIZE) * _OBJECTS_A_SHARD,
        pixels_tb=scale.images * 224 * 224 * 3 / _TB,
        cores_a_gpu=assumed.gpu_images_s * (decode_s + figures.shaping_s),
        days=walls[limit] / _DAY,
        limit=limit,
    )
