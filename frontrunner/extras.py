"""Which of the package's extras brings a library that is not installed, in words that a person can act on."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from frontrunner.errors import ExtraMissing

# By the name that is imported; what both extras for checkpoints bring is said of the larger one.
_EXTRAS = {
    "alembic": "service",
    "celery": "service",
    "cryptography": "service",
    "fastapi": "service",
    "jwt": "service",
    "kombu": "service",
    "limits": "service",
    "matplotlib": "plot",
    "opentelemetry": "telemetry",
    "peft": "lora",
    "prometheus_client": "service",
    "sqlalchemy": "service",
    "starlette": "service",
    "timm": "images",
    "tokenizers": "texts",
    "torch": "images",
    "torchvision": "images",
    "transformers": "images",
    "uvicorn": "service",
}
_READS: dict[str, tuple[str, tuple[str, ...]]] = {
    "image": ("images", ("torch", "torchvision", "timm", "transformers")),
    "text": ("texts", ("torch", "transformers")),
}


def missing_extra(error: BaseException) -> ExtraMissing | None:
    """What to install where `error` is that a library of an extra is not there; None for anything else.

    Example:
        >>> missing_extra(ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")).reason
        "uvicorn is not installed: pip install 'frontrunner[service]'"
    """
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        return None
    package = error.name.partition(".")[0]
    return _refusal(package, _EXTRAS[package]) if package in _EXTRAS else None


def require_reading(modality: Literal["image", "text", "features"]) -> None:
    """Refuse work that would read such inputs where the libraries for it are not installed.

    Raises:
        ExtraMissing: one is not.
    """
    extra, packages = _READS.get(modality, ("", ()))
    for package in packages:
        if find_spec(package) is None:
            raise _refusal(package, extra)


def _refusal(package: str, extra: str) -> ExtraMissing:
    return ExtraMissing(f"{package} is not installed: pip install 'frontrunner[{extra}]'")
