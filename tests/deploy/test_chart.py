"""The Helm chart: rendered by Helm's own library, and every object checked against Kubernetes's schemas.

No cluster was at hand where this was written: what a cluster would do with the objects is not tested here.
"""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from frontrunner.settings import Settings
from tests.conftest import ROOT

CHART = ROOT / "deploy" / "helm" / "frontrunner"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
NEEDED = {
    "store": {"url": "s3://bucket/frontrunner"},
    "database": {"url": "postgresql://frontrunner@postgres/frontrunner"},
    "secret": {"name": "frontrunner-secrets"},
}
FULL = {
    "secret": {
        "encryptionKeys": "encryption-keys", "brokerUrl": "broker-url", "hubToken": "hub-token", "metricsKey": "key",
        "awsAccessKeyId": "aws-id", "awsSecretAccessKey": "aws-secret",
    },
    "image": {"repository": "registry.example/frontrunner", "tag": "1.2", "pullSecrets": ["pull"]},
    "store": {"endpointUrl": "https://s3.example", "region": "eu-1"},
    "hub": {"mode": "offline", "claim": "checkpoints"},
    "settings": {"quota_jobs": 5, "stop_grace_s": 90},
    "telemetry": {"endpoint": "http://collector:4318"},
    "serviceAccount": {"name": "frontrunner"},
    "api": {"allowedHosts": ["frontrunner.example", "other.example"], "nodeSelector": {"disk": "fast"},
            "ingress": {"enabled": True, "className": "nginx", "host": "frontrunner.example", "tlsSecret": "tls",
                        "annotations": {"a/b": "c"}}},
    "workers": {"gpu": {"enabled": True}, "io": {"tolerations": [{"key": "spot", "operator": "Exists"}]}},
    "networkPolicy": {"apiFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
                      "extraEgress": [{"ports": [{"protocol": "TCP", "port": 9000}]}]},
    "monitoring": {"serviceMonitor": True, "rules": True, "dashboard": True},
}  # fmt: skip
# Objects of other projects, for which Kubernetes has no schema.
FOREIGN = {"ScaledObject", "ServiceMonitor", "PrometheusRule"}


def merged(*parts: dict[str, Any]) -> dict[str, Any]:
    """Values laid over each other, as Helm does with its files."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            below = whole.get(key)
            whole[key] = merged(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return copy.deepcopy(whole)


def rendered(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Every object that an installation with these values makes."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(merged(NEEDED, *parts), name="demo", namespace="prod")
    texts = (text for name, text in files.items() if name.endswith(".yaml"))
    return [found for text in texts for found in yaml.safe_load_all(text) if found is not None]


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


def pods(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The pods' specifications by the name of what makes them."""
    makers = [found for found in objects if found["kind"] in ("Deployment", "Job")]
    return {found["metadata"]["name"]: found["spec"]["template"]["spec"] for found in makers}


SHAPES = {
    "needed": ({},),
    "full": (FULL,),
    "keda": (FULL, {"autoscaling": {"kind": "keda"}}),
    "hpa": ({"autoscaling": {"kind": "hpa"}},),
    "bare": ({"networkPolicy": {"enabled": False}, "api": {"replicas": 1}, "workers": {"cpu": {"enabled": False}}},),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_helm_finds_nothing_to_mend(shape):
    found = helm_python.lint(CHART, merged(NEEDED, *SHAPES[shape]), strict=True)
    assert [one for one in found["messages"] if one["error"] != "icon is recommended"] == []


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", ["1.28", "1.37"])
def test_every_object_fits_the_schemas_of_kubernetes(shape, version):
    objects = rendered(*SHAPES[shape])
    for found in objects:
        if found["kind"] not in FOREIGN:
            kubernetes_validate.validate(found, version, strict=True)
    names = [(found["kind"], found["metadata"]["name"]) for found in objects]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pod_keeps_to_the_restricted_profile_and_cannot_write_its_root(shape):
    for name, pod in pods(rendered(*SHAPES[shape])).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} <= {
            "emptyDir",
            "persistentVolumeClaim",
        }
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
            assert {"/state", "/tmp"} <= mounts.keys()
            assert mounts.get("/hub", {"readOnly": True})["readOnly"]


def test_pods_run_as_the_user_of_the_image():
    (user,) = re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(), re.M)
    assert {pod["securityContext"]["runAsUser"] for pod in pods(rendered()).values()} == {int(user)}


def test_start_commands_are_those_that_the_tests_start():
    """`tests/acceptance/test_containers.py` starts each command of the compose file outside a container."""
    found = {name: pod["containers"][0]["command"] for name, pod in pods(rendered(FULL)).items()}
    assert found["demo-frontrunner-api"] == COMPOSE["api"]["command"]
    assert found["demo-frontrunner-migrate"] == COMPOSE["migrate"]["command"]
    for queue in ("io", "cpu", "gpu"):
        assert found[f"demo-frontrunner-worker-{queue}"] == ["frontrunner", "worker", "--queue", queue]


def test_migrations_run_before_everything_else_and_need_only_what_exists_then():
    job = named(rendered(FULL), "Job")["demo-frontrunner-migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    variables = {entry["name"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert variables == {"FRONTRUNNER_HOME", "HOME", "FRONTRUNNER_DATABASE_URL", "PGPASSWORD"}


def test_secrets_come_by_reference_and_every_setting_exists():
    known = {f"FRONTRUNNER_{name.upper()}" for name in Settings.model_fields}
    others = {"HOME", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL",
              "AWS_DEFAULT_REGION", "OTEL_EXPORTER_OTLP_ENDPOINT"}  # fmt: skip
    secret = {"FRONTRUNNER_SECRET_KEY", "FRONTRUNNER_ENCRYPTION_KEYS", "FRONTRUNNER_HUB_TOKEN", "PGPASSWORD",
              "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FRONTRUNNER_BROKER_URL"}  # fmt: skip
    for name, pod in pods(rendered(FULL)).items():
        entries = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
        assert len(entries) == len(pod["containers"][0]["env"]), name
        assert entries.keys() <= known | others
        assert {key for key, entry in entries.items() if "valueFrom" in entry} == secret & entries.keys()
        references = [entry["valueFrom"]["secretKeyRef"]["name"] for entry in entries.values() if "valueFrom" in entry]
        assert set(references) == {"frontrunner-secrets"}
    (worker,) = pods(rendered(FULL))["demo-frontrunner-worker-io"]["containers"]
    assert {"name": "FRONTRUNNER_QUOTA_JOBS", "value": "5"} in worker["env"]


def test_models_run_where_the_workers_for_them_are():
    def forward_queue(*parts: dict[str, Any]) -> str:
        (api,) = pods(rendered(*parts))["demo-frontrunner-api"]["containers"]
        return next(entry["value"] for entry in api["env"] if entry["name"] == "FRONTRUNNER_FORWARD_QUEUE")

    assert (forward_queue(), forward_queue(FULL)) == ("cpu", "gpu")
    (gpu,) = pods(rendered(FULL))["demo-frontrunner-worker-gpu"]["containers"]
    assert gpu["image"] == "registry.example/frontrunner:1.2-gpu"
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == 1
    (cpu,) = pods(rendered(FULL))["demo-frontrunner-worker-cpu"]["containers"]
    assert cpu["image"] == "registry.example/frontrunner:1.2-cpu"


def test_workers_are_given_longer_to_stop_than_they_take():
    for parts, grace in (((), Settings().stop_grace_s), ((FULL,), 90)):
        for name, pod in pods(rendered(*parts)).items():
            if "worker" in name:
                assert pod["terminationGracePeriodSeconds"] > grace


@pytest.mark.parametrize("kind", ["keda", "hpa"])
def test_an_autoscaler_a_queue_has_the_replicas_to_itself(kind):
    objects = rendered({"autoscaling": {"kind": kind, "queueAgeSeconds": 90}})
    scalers = named(objects, {"keda": "ScaledObject", "hpa": "HorizontalPodAutoscaler"}[kind])
    deployments = named(objects, "Deployment")
    assert scalers.keys() == {"demo-frontrunner-worker-io", "demo-frontrunner-worker-cpu"}
    for name, scaler in scalers.items():
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployments[name]["spec"]
        assert "frontrunner_queue_age_seconds" in json.dumps(scaler)
        assert f'"{name.rpartition("-")[2]}' in json.dumps(scaler).replace("\\", "")
    assert "replicas" in deployments["demo-frontrunner-api"]["spec"]


def selects(policy: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a policy is about pods with these labels."""
    selector = policy["spec"]["podSelector"]
    fits = selector.get("matchLabels", {}).items() <= labels.items()
    return fits and all(labels.get(rule["key"]) not in rule["values"] for rule in selector.get("matchExpressions", ()))


def test_only_the_api_can_be_called_and_only_migrations_cannot_leave():
    objects = rendered()
    policies = list(named(objects, "NetworkPolicy").values())
    for found in objects:
        if found["kind"] not in ("Deployment", "Job"):
            continue
        labels = found["spec"]["template"]["metadata"]["labels"]
        mine = [policy["spec"] for policy in policies if selects(policy, labels)]
        component = labels["app.kubernetes.io/component"]
        let_in = [rule for spec in mine for rule in spec.get("ingress", ())]
        assert any("Ingress" in spec["policyTypes"] for spec in mine)
        assert bool(let_in) == (component == "api")
        ports = {port["port"] for spec in mine for rule in spec.get("egress", ()) for port in rule["ports"]}
        assert ports == ({53, 5432} if component == "migrate" else {53, 5432, 6379, 443})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"store": {"url": ""}}, "/store/url"),
        ({"store": {"url": "/data"}}, "/store/url"),
        ({"database": {"url": "postgresql://frontrunner:secret@postgres/frontrunner"}}, "/database/url"),
        ({"broker": {"url": "redis://:secret@redis:6379/0"}}, "/broker/url"),
        ({"secret": {"name": ""}}, "/secret/name"),
        ({"workers": {"tpu": {"enabled": True}}}, "tpu"),
        ({"api": {"replica": 3}}, "replica"),
        ({"settings": {"Quota": 1}}, "Quota"),
    ],
)
def test_values_that_cannot_work_are_refused_with_their_place(values, reason):
    with pytest.raises(helm_python.HelmError) as refused:
        rendered(values)
    assert reason in str(refused.value)


def test_every_value_is_in_the_schema_and_is_used():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def described(value: dict[str, Any], schema: dict[str, Any]) -> None:
        if "properties" not in schema:
            return
        assert value.keys() == schema["properties"].keys() - {"global"}
        for key, below in value.items():
            if isinstance(below, dict):
                described(below, schema["properties"][key])

    described(values, schema)
    templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
    last = {key for section in values.values() for key in section}
    assert [key for key in last if not re.search(rf"\b{key}\b", templates)] == []


def test_the_yaml_has_no_lint():
    files = [
        CHART / "Chart.yaml",
        CHART / "values.yaml",
        *(CHART / "files").glob("*.yaml"),
        ROOT / "docker-compose.yml",
    ]
    files.append(ROOT / "deploy" / "github-action" / "action.yml")
    rules = (
        "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: {max-spaces-inside: 0}}}"
    )
    command = [Path(sys.executable).parent / "yamllint", "--strict", "--config-data", rules, *files]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
