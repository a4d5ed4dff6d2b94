"""Without the libraries of an extra, what needs them says so in a line, and the rest works."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

SERVICE = ("fastapi", "starlette", "sqlalchemy", "celery", "alembic", "uvicorn", "kombu", "prometheus_client")
MODELS = ("torch", "torchvision", "timm", "transformers", "tokenizers")
# An import of what is None in `sys.modules` fails as if the package were not installed.
WITHOUT = """
import sys
from importlib.machinery import PathFinder
missing = {missing!r}
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Finder)
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in missing else find(name, package)
"""


def run(tmp_path, missing, code, *arguments):
    environment = os.environ | {"FRONTRUNNER_HOME": str(tmp_path / "home"), "FRONTRUNNER_PACKAGES": "false"}
    script = WITHOUT.format(missing=missing) + code
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )


COMMAND = "from frontrunner.cli import main; main()"


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [(["serve"], "service"), (["admin", "migrate"], "service"), (["keys", "list", "--json"], "service")],
)
def test_a_command_without_its_libraries_says_what_to_install(tmp_path, arguments, extra):
    done = run(tmp_path, SERVICE, COMMAND, *arguments)
    assert done.returncode == 5
    assert done.stderr.startswith("extra_missing: ")
    assert done.stderr.strip().endswith(f"is not installed: pip install 'frontrunner[{extra}]'")


def test_the_help_lists_what_there_is(tmp_path):
    done = run(tmp_path, SERVICE, COMMAND, "--help")
    assert done.returncode == 0
    assert "frontrunner[service]" in done.stdout.replace("\n", "").replace(" ", "").replace("│", "")
    assert "Rank checkpoints" in done.stdout


def test_images_are_refused_once_and_before_anything_is_read(tmp_path, colours, hub):
    done = run(tmp_path, MODELS, COMMAND, "rank", colours, "--hub", hub)
    assert (done.returncode, done.stderr.count("extra_missing")) == (5, 1)
    assert "torch is not installed: pip install 'frontrunner[images]'" in done.stderr


def test_features_are_ranked_without_torch_and_the_service(tmp_path):
    labels = np.repeat([0, 1], 30)
    np.savez(tmp_path / "sets.npz", labels=labels, given=np.random.default_rng(0).normal(size=(60, 4)))
    done = run(tmp_path, (*MODELS, *SERVICE), COMMAND, "rank", "sets.npz")
    assert done.returncode == 0, done.stderr
    assert "features:given" in done.stdout


def test_texts_need_no_libraries_of_images(tmp_path, text_hub):
    rows = "".join(f"a word {i},{'ab'[i % 2]}\n" for i in range(40))
    (tmp_path / "texts.csv").write_text("text,label\n" + rows)
    done = run(tmp_path, ("torchvision", "timm"), COMMAND, "rank", "texts.csv", "--hub", text_hub)
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stdout
