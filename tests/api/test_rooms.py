"""What the API leaves to others: it never opens what somebody uploaded."""

from __future__ import annotations

import ast
import sys

import pytest

from tests.conftest import ROOT

MODULES = sorted((ROOT / "api").rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_opens_an_upload(module):
    """Decoders meet hostile bytes in a process of their own, or in a runner; requests live on the check's report."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module != "frontrunner.data.opening"
            assert "open_dataset" not in {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            assert "frontrunner.data.opening" not in {name.name for name in node.names}
        elif isinstance(node, ast.Attribute):
            assert node.attr != "open_dataset"
            # `DatasetReference.open` would do it too.
            assert node.attr != "open", f"line {node.lineno}"


def test_a_ranking_of_feature_sets_is_planned_without_opening_them(client, tmp_path, monkeypatch):
    import numpy as np

    rows = np.random.default_rng(0).normal(size=(60, 8))
    np.savez(tmp_path / "f.npz", a=rows, b=rows[:, :3], labels=np.arange(60) % 3)
    answer = client.post("/v1/datasets?name=f.npz", content=(tmp_path / "f.npz").read_bytes())
    assert answer.status_code == 201, answer.text
    assert [entry["name"] for entry in answer.json()["report"]["feature_sets"]] == ["a", "b"]
    opening = sys.modules["frontrunner.data.opening"]
    for module in list(sys.modules.values()):
        if vars(module).get("open_dataset") is opening.open_dataset:
            monkeypatch.setattr(module, "open_dataset", lambda *_, **__: pytest.fail("an upload was opened"))
    asked = client.post("/v1/rankings", json={"dataset": answer.json()["id"]})
    assert asked.status_code == 202, asked.text
