"""Facts about timm's checkpoints, against lines of the source tables read by eye."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from frontrunner.evidence import public_facts, timm_facts
from frontrunner.evidence.facts import FILE, SOURCE
from tests.conftest import ROOT


def test_a_checkpoint_has_the_values_of_the_source_tables():
    facts = timm_facts("timm:resnet18.a1_in1k")
    assert (facts.name, facts.image_size, facts.parameters) == ("resnet18.a1_in1k", 224, 11_690_000)
    assert facts.top1 == {
        "imagenet": 71.504,
        "imagenet_real": 79.450,
        "imagenet_v2": 59.320,
        "imagenet_a": 2.440,
        "imagenet_r": 35.033,
        "sketch": 24.072,
    }
    assert (facts.gpu_images_per_s, facts.cpu_images_per_s) == (13537.15, 126.23)
    numbers = facts.numbers
    assert numbers["imagenet top-1"] == 71.504
    assert numbers["imagenet top-1 under shift"] == pytest.approx((59.320 + 2.440 + 35.033 + 24.072) / 4)
    assert numbers["log images per second"] == pytest.approx(math.log(13537.15))


def test_an_image_size_chooses_the_line():
    assert timm_facts("resnet18.a1_in1k", 288).top1["imagenet"] == 73.164
    assert timm_facts("resnet18.a1_in1k", 300) is None
    assert timm_facts("eva_giant_patch14_560.m30m_ft_in22k_in1k").parameters == 1_014_450_000


def test_ids_of_hubs_name_the_checkpoint_and_strangers_have_no_facts():
    names = ["hf:timm/resnet18.a1_in1k", "timm/resnet18.a1_in1k", "local:resnet18", "resnet18.other"]
    assert list(public_facts(names)) == names[:2]


@pytest.mark.pack
def test_the_command_makes_the_file_that_is_shipped(pack, tmp_path):
    if not (pack / "facts").is_dir():
        pytest.skip("the pack has no facts")
    code = (
        "import sys, pathlib, benchmarks.facts as made; made.FILE = pathlib.Path(sys.argv[2]); "
        "sys.argv = ['facts', sys.argv[1]]; made.main()"
    )
    command = [sys.executable, "-c", code, str(pack / "facts"), str(tmp_path / "made.gz")]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    assert (tmp_path / "made.gz").read_bytes() == FILE.read_bytes()
    assert "Apache-2.0" in SOURCE
