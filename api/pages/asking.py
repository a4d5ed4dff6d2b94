"""From the fields of the form for a ranking to its request, and from what is wrong with it to the field at fault."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData

from frontrunner.ranking import RankingRequest

# Fields of the form that are taken as they are; empty ones are left to their defaults.
_PLAIN = ("adaptation", "budget", "max_examples", "seed", "verify")
_LIMITS = ("max_parameters", "max_latency_ms", "max_memory_mb")
# What people type and what the request holds.
_UNITS = {"max_parameters": 1e6}
_SEPARATORS = str.maketrans({",": "\n", ";": "\n"})


def ranking_request(form: FormData) -> RankingRequest:
    """What the form asks for.

    Raises:
        ValidationError: a value is none that is accepted; `problems_of` says where.
        FrontrunnerError: it names a score or a budget that there is not.
    """
    said = fields_of(form)
    asked: dict[str, Any] = {name: said[name] for name in _PLAIN if said.get(name)}
    limits: dict[str, Any] = {name: scaled(name, said[name]) for name in _LIMITS if said.get(name)}
    if licenses := _listed(said.get("licenses", "")):
        limits["licenses"] = licenses
    if checkpoints := _listed(said.get("checkpoints", "")):
        asked["checkpoints"] = checkpoints
    if scores := [value for value in form.getlist("scores") if isinstance(value, str) and value]:
        asked["scores"] = scores
    if "fields" in said and "baselines" not in said:  # a box that is not ticked is not sent
        asked["baselines"] = False
    return RankingRequest.model_validate(asked | ({"constraints": limits} if limits else {}))


class Fields(dict[str, str]):
    """What is said of each field; of those that nothing is said of, nothing."""

    def __missing__(self, name: str) -> str:
        return ""


def fields_of(form: FormData) -> Fields:
    """What was filled in, by field; of several values the last one."""
    return Fields({name: value.strip() for name, value in form.items() if isinstance(value, str)})


def problems_of(invalid: ValidationError) -> Fields:
    """What is wrong, by the field that it was filled into."""
    found = Fields()
    for error in invalid.errors():
        place = [str(part) for part in error["loc"] if isinstance(part, str)]
        name = place[1] if len(place) > 1 and place[0] == "constraints" else (place or [""])[0]
        found.setdefault(name, error["msg"])
    return found


def _listed(text: str) -> list[str]:
    return [part for line in text.translate(_SEPARATORS).splitlines() if (part := line.strip())]


def scaled(name: str, text: str) -> Any:
    """The number in the request's unit; what is no number is left for the request to refuse."""
    if name not in _UNITS:
        return text
    try:
        return round(float(text) * _UNITS[name])
    except (ValueError, OverflowError):
        return text
