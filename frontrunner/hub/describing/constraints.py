"""What a checkpoint may cost and under which licence it must stand, decided from its description before a download."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from frontrunner.errors import ConstraintViolated
from frontrunner.hub.describing.description import CheckpointDescription
from frontrunner.limits import MAX_COUNT

License = Annotated[str, Field(min_length=1, max_length=100)]


class Constraints(BaseModel):
    """Limits on what is ranked, or tuned.

    Latency and memory are known where some worker has read the checkpoint; one that was never read is not left out
    for them. A checkpoint whose licence is not stated is left out where licences are asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    max_parameters: int | None = Field(
        default=None, ge=1, le=MAX_COUNT, description="At most this many trained weights."
    )
    max_latency_ms: float | None = Field(
        default=None, gt=0, description="At most this many milliseconds an example, on the fastest measured device."
    )
    max_memory_mb: float | None = Field(
        default=None, gt=0, description="At most this much memory while reading, in MB, on the device that takes least."
    )
    licenses: tuple[License, ...] | None = Field(
        default=None, max_length=50, description="Licences to accept; capitals do not matter."
    )

    def of_licences(self) -> Constraints:
        """The same without the limits on cost."""
        return Constraints(licenses=self.licenses)

    def allows(self, checkpoint: CheckpointDescription) -> bool:
        """Whether the checkpoint keeps within the limits."""
        try:
            self.require(checkpoint)
        except ConstraintViolated:
            return False
        return True

    def require(self, checkpoint: CheckpointDescription) -> None:
        """Let the checkpoint pass.

        Raises:
            ConstraintViolated: it does not keep within the limits.
        """
        if self.max_parameters is not None and checkpoint.parameters > self.max_parameters:
            raise ConstraintViolated(f"it has {checkpoint.parameters:,} parameters; at most {self.max_parameters:,}")
        if not self.accepts(checkpoint.license):
            stated = checkpoint.license or "not stated"
            raise ConstraintViolated(f"its licence is {stated}; accepted: {', '.join(self.licenses or ())}")
        costs = checkpoint.costs
        latency = min((cost.latency_ms for cost in costs), default=0.0)
        if self.max_latency_ms is not None and latency > self.max_latency_ms:
            raise ConstraintViolated(f"it takes {latency:.3g} ms an example; at most {self.max_latency_ms:g}")
        memory = min((cost.memory_mb for cost in costs), default=0.0)
        if self.max_memory_mb is not None and memory > self.max_memory_mb:
            raise ConstraintViolated(f"it takes {memory:,.0f} MB while reading; at most {self.max_memory_mb:g}")

    def accepts(self, license_name: str | None) -> bool:
        """Whether the licence is one of those that are accepted; capital letters and spaces make no difference."""
        return self.licenses is None or _plain(license_name) in {_plain(name) for name in self.licenses}


def _plain(license_name: str | None) -> str:
    return (license_name or "").casefold().replace(" ", "-")
