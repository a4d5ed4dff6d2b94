"""Facts about the facts that methods state of themselves: each one is what building and training it shows."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter

from frontrunner.errors import ArchitecturesDiffer
from frontrunner.tuning import METHODS, MethodOptions
from frontrunner.tuning import options as options_module
from frontrunner.tuning.methods import build
from frontrunner.tuning.networks.classifier import Classifier
from frontrunner.tuning.training.method import Batch
from tests.conftest import ROOT
from tests.tuning.builders import coloured_images, context

N = 12


@pytest.fixture(params=METHODS)
def options(request):
    return METHODS[request.param]()


@pytest.fixture
def suited(options, zoo, vits):
    """Three checkpoints that the method can tune."""
    return vits if options.name == "lora" else zoo


def built(options, folder, student, teachers):
    """The method, and the ids of the checkpoints whose features it has asked for."""
    given = context(options, folder, coloured_images(N), student, teachers)
    method = build(given)
    read = {found.id for found in (student, *teachers) if list(folder.glob(f"extracted-{found.digest[:32]}.npz"))}
    return method, read


def test_its_model_is_made_of_what_it_says_and_it_learns_from_teachers_where_it_needs_them(tmp_path, suited, options):
    student, *teachers = suited
    method, read = built(options, tmp_path, student, tuple(teachers))
    trained = {part.description.id for part in method.module.modules() if isinstance(part, Classifier)}
    ids = {teacher.id for teacher in teachers}
    assert trained
    assert trained <= (ids if options.made_of_teachers else {student.id})
    assert bool((trained | read) & ids) == (options.teachers_needed > 0)


def test_it_has_plain_models_where_it_says_so(tmp_path, suited, options):
    method, _ = built(options, tmp_path, suited[0], suited[1:])
    assert bool(method.models()) == options.exports_plain_models


def test_its_loss_needs_examples_of_the_target_beside_the_source_where_it_says_so(tmp_path, suited, options):
    method, _ = built(options, tmp_path, suited[0], suited[1:])
    method.module.train()
    rows, images = torch.arange(N), coloured_images(N)
    batch = Batch(rows, images.plain(rows), images.labels, None, 0.5)
    if options.needs_source:
        with pytest.raises(AssertionError):
            method.loss(batch)
        batch = batch._replace(unlabelled=images.plain(rows))
    assert torch.isfinite(sum(method.loss(batch).parts.values()))


def test_it_takes_teachers_of_any_architecture_unless_it_says_that_they_must_be_of_one(tmp_path, zoo, vit, options):
    if options.needs_one_architecture:
        with pytest.raises(ArchitecturesDiffer):
            built(options, tmp_path, zoo[0], (zoo[1], vit))
    else:
        built(options, tmp_path, vit if options.name == "lora" else zoo[0], (zoo[1], vit))


def test_facts_are_no_part_of_what_a_request_says(options):
    adapter = TypeAdapter(MethodOptions)
    assert adapter.validate_python(adapter.dump_python(options)) == options
    stated = {name for schema in adapter.json_schema()["$defs"].values() for name in schema["properties"]}
    assert stated.isdisjoint({"teachers_needed", "made_of_teachers", "needs_source", "modalities", "forms", "rates"})


def test_every_class_of_options_and_every_file_of_a_method_is_a_method_that_the_guide_explains():
    files = {path.stem for path in (ROOT / "frontrunner/tuning/methods").glob("*.py")}
    own = {name for name in files if f"\ndef {name}(" in (ROOT / f"frontrunner/tuning/methods/{name}.py").read_text()}
    stated = {options for options in options_module.__dict__.values() if isinstance(options, type)}
    classes = {one for one in stated if issubclass(one, options_module._Options) and one is not options_module._Options}
    assert set(METHODS.values()) == classes
    assert set(METHODS) == own
    guide = (ROOT / "docs/tuning.md").read_text()
    assert [name for name in METHODS if f"`{name}`" not in guide] == []
