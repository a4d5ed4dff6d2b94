"""Generated requests against the API's own document: `python -m benchmarks.service.contract [CASES EACH] [SEED]`.

schemathesis reads `/openapi.json` of a running service and tries every operation: examples, borders, valid and invalid
values, and chains of operations that use what others answered. It asks as one tenant and then as another, with ids of
both; `benchmarks.service.contract_checks` watches that no answer holds anything of the other's. None may be a server
error, or of a status, a kind or a shape that the document does not name.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.service.contract_checks import FOREIGN
from benchmarks.service.fleet import Fleet, write_features
from benchmarks.service.setting import embedded
from frontrunner.settings import Settings
from jobs.keys import Scope, create_key
from jobs.secret import service_secret

TENANTS = ("anna", "bert")
# Of each kind of thing, so that some are left after others were deleted.
THINGS = 3
KINDS = ("dataset_id", "job_id", "webhook_id", "upload_id")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    "response_headers_conformance", "ignored_auth", "use_after_free", "unsupported_method",
    "nothing_of_other_tenants",
)  # fmt: skip
# Cases of each operation; with those of the borders some 5,000 in all.
CASES_EACH = 60
SEED = 17
_VALID_TABLE = "text,label\n" + "".join(f"words of row {row},{row % 2}\n" for row in range(40))


@dataclass
class Outcome:
    """What came of the cases of a run."""

    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    said: str = ""
    failed: bool = False


def main() -> None:
    """Print how many cases were tried, what they were answered, and what failed."""
    cases_each = int(sys.argv[1]) if len(sys.argv) > 1 else CASES_EACH
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else SEED
    with embedded(webhook_allow_private=True) as service:
        service.start_api()
        service.start_worker()
        outcomes = dict(ask_as_each(service, cases_each, seed))
    for tenant, outcome in outcomes.items():
        answers = "  ".join(f"{status} {count:,}" for status, count in sorted(outcome.statuses.items()))
        print(f"{tenant}: {outcome.cases:,} cases, {'FAILED' if outcome.failed else 'none failed'};  {answers}")
        if outcome.failed:
            print(outcome.said)
    sys.exit(any(outcome.failed for outcome in outcomes.values()))


def ask_as_each(service: Fleet, cases_each: int, seed: int, phases: str = "") -> Iterable[tuple[str, Outcome]]:
    """Make what each tenant has, and ask as one after the other.

    Args:
        service: with an API, and a worker unless jobs are to wait.
        cases_each: of each operation and phase.
        seed: of what is generated.
        phases: of schemathesis, commas between them; all by default.
    """
    keys = {tenant: new_key(service, tenant) for tenant in TENANTS}
    things = {tenant: things_of(service, tenant, key) for tenant, key in keys.items()}
    for number, tenant in enumerate(TENANTS):
        other = things[TENANTS[1 - number]]
        yield tenant, ask(service, keys[tenant], things[tenant], other, cases_each, seed + number, phases)


def new_key(service: Fleet, tenant: str) -> str:
    """A key of every scope."""
    settings = Settings(home=service.home)
    with service.database.write_transaction() as session:
        _, key = create_key(session, service_secret(settings), name="contract", tenant=tenant, scopes=tuple(Scope))
    return key


def things_of(service: Fleet, tenant: str, key: str) -> dict[str, list[str]]:
    """Ids by the names of parameters, and marks that no id holds."""
    found: dict[str, list[str]] = {name: [] for name in KINDS} | {"marks": [f"mark-of-{tenant}"]}
    base = f"http://127.0.0.1:{service.port}/v1"
    with httpx.Client(headers={"authorization": f"Bearer {key}"}, timeout=120) as client:
        for number in range(THINGS):
            hook = client.post(f"{base}/webhooks", json={"url": f"http://127.0.0.1:9/mark-of-{tenant}/{number}"})
            found["webhook_id"].append(hook.json()["id"])
            path = write_features(service.home / f"{tenant}-{number}.npz", seed=number)
            name = f"mark-of-{tenant}-{number}.npz"
            dataset = client.post(f"{base}/datasets", params={"name": name}, content=path.read_bytes()).json()["id"]
            found["dataset_id"].append(dataset)
            job = client.post(f"{base}/rankings", json={"dataset": dataset, "seed": number})
            found["job_id"].append(job.json()["id"])
            upload = client.post(f"{base}/uploads", json={"name": name})
            found["upload_id"].append(upload.json()["id"])
    return found


def ask(
    service: Fleet,
    key: str,
    own: Mapping[str, list[str]],
    other: Mapping[str, list[str]],
    cases_each: int,
    seed: int,
    phases: str,
) -> Outcome:
    """Ask with the key of who has `own` things; nothing of `other` may be in an answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        foreign = folder / "foreign.json"
        foreign.write_text(json.dumps([*(each for name in KINDS for each in other[name]), *other["marks"]]))
        config = folder / "schemathesis.toml"
        config.write_text(_configuration(own, other))
        report = folder / "report.ndjson"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
            *("run", f"http://127.0.0.1:{service.port}/openapi.json", "--header", f"Authorization: Bearer {key}"),
            *("--checks", ",".join(CHECKS), "--max-examples", str(cases_each), "--seed", str(seed)),
            *("--report", "ndjson", "--report-ndjson-path", str(report), "--no-color", "--continue-on-failure"),
            *(("--phases", phases) if phases else ()),
        ]
        environment = os.environ | {FOREIGN: str(foreign)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
        outcome = Outcome(said=f"{done.stdout}{done.stderr}", failed=done.returncode != 0)
        for line in report.read_text().splitlines() if report.is_file() else ():
            _count(json.loads(line), outcome)
        return outcome


def _configuration(own: Mapping[str, list[str]], other: Mapping[str, list[str]]) -> str:
    """What schemathesis is told in a file: ids of both tenants, and a table that can be ranked on."""
    ids = {name: [*own[name], *other[name]] for name in KINDS}
    values = {
        **ids,
        "table": [_VALID_TABLE],
        "file": ["README.md", "model/config.json", "../frontrunner.db"],
    }
    names = {
        "path.dataset_id": "dataset_id", "body.dataset": "dataset_id", "query.dataset": "dataset_id",
        "body.file": "table",
        "path.job_id": "job_id", "path.ranking_id": "job_id", "path.tuning_id": "job_id",
        "path.webhook_id": "webhook_id", "path.upload_id": "upload_id", "path.name": "file",
    }  # fmt: skip
    hooks = importlib.util.find_spec("benchmarks.service.contract_checks")
    assert hooks is not None
    lines = [f"hooks = {json.dumps(hooks.origin)}", "request-timeout = 30.0", "max-stream-events = 5"]
    for name, listed in values.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(listed)}"]
    lines.append("[parameters]")
    lines += [f'"{name}" = {{ dictionary = "{found}", probability = 0.5 }}' for name, found in names.items()]
    # Of a service whose worker was not started, or whose disk is full; the document names it.
    lines += ["[[operations]]", 'include-operation-id = "getReadiness"']
    lines.append('checks.not_a_server_error.expected-statuses = ["2xx", "4xx", 503]')
    return "\n".join(lines) + "\n"


def _count(event: Mapping[str, Any], outcome: Outcome) -> None:
    recorder = event.get("ScenarioFinished", {}).get("recorder") or {}
    for interaction in (recorder.get("interactions") or {}).values():
        outcome.cases += 1
        response = interaction.get("response")
        if response:
            outcome.statuses[response["status_code"]] += 1


if __name__ == "__main__":
    main()
