"""The same request in Python, curl and on the command line, to be copied."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from frontrunner.ranking import Ranking, RankingRequest
from frontrunner.ranking.criteria import default_scores


@dataclass(frozen=True)
class Snippets:
    """One request, in three languages."""

    python: str
    curl: str
    command: str


# Options of `frontrunner rank` by the fields of a request; those with several values are given again for each.
_OPTIONS = {
    "adaptation": "--adaptation",
    "budget": "--budget",
    "checkpoints": "--checkpoint",
    "max_examples": "--max-examples",
    "rank_by": "--rank-by",
    "scores": "--score",
    "seed": "--seed",
    "variant": "--variant",
    "verify": "--verify",
    "max_parameters": "--max-parameters",
    "max_latency_ms": "--max-latency-ms",
    "max_memory_mb": "--max-memory-mb",
    "licenses": "--license",
}


def ranking_snippets(url: str, ranking: Ranking, request: RankingRequest, *, has_keys: bool) -> Snippets:
    """A ranking's request, to be sent again.

    Args:
        url: where this service is.
        ranking: that came of it.
        request: what was asked for.
        has_keys: whether the service asks for a key; it is taken from the environment.
    """
    data = ranking.dataset
    usual = default_scores(data.modality, data.task, request.adaptation)
    said = request.model_copy(update={"scores": None}) if request.scores == usual else request
    asked = said.model_dump(mode="json", exclude_defaults=True)
    terms = "".join(f", {name}={value!r}" for name, value in asked.items())
    python = "\n".join(
        (
            "from frontrunner.client import Client",
            "",
            f"client = Client({url!r})" + ("  # with the key in FRONTRUNNER_API_KEY" if has_keys else ""),
            f"ranking = client.rank({data.id!r}{terms}).wait()",
            "print(ranking.summary)",
        )
    )
    body = json.dumps({"dataset": data.id, **asked})
    curl = " \\\n  ".join(
        (
            f"curl {shlex.quote(f'{url}/v1/rankings')}",
            *(['-H "Authorization: Bearer $FRONTRUNNER_API_KEY"'] if has_keys else []),
            "-H 'Content-Type: application/json'",
            f"-d {shlex.quote(body)}",
        )
    )
    words = [f"--server {shlex.quote(url)}", *_words(asked | asked.get("constraints", {}))]
    if asked.get("baselines") is False:
        words.append("--no-baselines")
    command = " \\\n  ".join((f"frontrunner rank {shlex.quote(data.id)}", *words))
    return Snippets(python, curl, command)


def _words(said: Mapping[str, Any]) -> Iterator[str]:
    for name, option in _OPTIONS.items():
        value = said.get(name)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            yield f"{option} {shlex.quote(str(one))}"
