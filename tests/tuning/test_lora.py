"""Facts about adapters: what is given one, what learns, and what is left of it in the model that is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from frontrunner import errors
from frontrunner.data import open_dataset
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.progress import Stage
from frontrunner.tuning.examples.examples import labelled_texts
from frontrunner.tuning.methods import build, lora
from frontrunner.tuning.options import LoRAOptions
from frontrunner.tuning.run import fit, run_tuning
from tests.conftest import write_text_checkpoint
from tests.tuning.builders import Stopped, StoppedAt, coloured_images, context, payload
from tests.tuning.test_transformers_images import made

SMALL = {"name": "lora", "rank": 2, "alpha": 6}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Sentences whose class is a word."""
    path = tmp_path_factory.mktemp("words") / "words.csv"
    rows = [
        f"the {('card', 'money', 'fee')[place % 3]} is {('late', 'lost')[place % 2]},{place % 3}" for place in range(36)
    ]
    path.write_text("text,label\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module", params=["timm", "transformers", "bert", "gpt2"])
def student(request, tmp_path_factory, vit, words, colour_task):
    """(a small transformer, a dataset that it reads, its training examples)."""
    folder = tmp_path_factory.mktemp("students") / request.param
    if request.param == "timm":
        return vit, colour_task, coloured_images(9)
    if request.param == "transformers":
        return made("vit", folder), colour_task, coloured_images(9)
    dataset = open_dataset(words)
    described = describe_directory(write_text_checkpoint(folder, request.param, 1))
    return described, words, labelled_texts(dataset.inputs, dataset.train)


def built(student, folder, **options):
    description, _, train = student
    return build(context(LoRAOptions(**options), folder, train, description))


def disturbed(method):
    """The method, its adapters' second factors no longer zero."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, weight in method.module.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.3, generator=generator)
    return method


def test_a_merged_layer_is_the_pretrained_one_plus_the_scaled_product(tmp_path, student):
    method = disturbed(built(student, tmp_path, rank=2, alpha=6))
    adapted = {name: value.numpy() for name, value in method.module.state_dict().items()}
    plain = method.models()["model"].state_dict()
    firsts = [name for name in adapted if name.endswith("lora_A.default.weight")]
    assert firsts
    for name in firsts:
        layer = name.removesuffix(".lora_A.default.weight")
        product = adapted[f"{layer}.lora_B.default.weight"].astype(np.float64) @ adapted[name]
        was = adapted[f"{layer}.base_layer.weight"]
        expected = was + 6 / 2 * (product if was.shape == product.shape and "c_" not in layer else product.T)
        np.testing.assert_allclose(plain[f"{layer}.weight"].numpy(), expected, rtol=1e-5, atol=1e-6)


def test_the_merged_model_answers_as_the_one_with_adapters_and_has_none(tmp_path, student):
    method = disturbed(built(student, tmp_path))
    views = student[2].plain(torch.arange(3))
    plain = method.models()["model"]
    with torch.inference_mode():
        before = build(context(LoRAOptions(), tmp_path, student[2], student[0])).module.eval()(views)
        expected = method.module.eval()(views)
        torch.testing.assert_close(plain(views), expected, rtol=1e-4, atol=1e-5)
    assert (expected - before).abs().max() > 1e-2
    assert not any("lora" in name for name in plain.state_dict())
    assert all(weight.requires_grad for weight in plain.parameters())


def test_adapters_and_head_alone_learn_and_start_from_the_pretrained_answer(tmp_path, student):
    method = built(student, tmp_path, rank=3)
    trained = {id(weight) for weight in method.parameters()}
    named = dict(method.module.named_parameters())
    adapters = {name for name, weight in named.items() if id(weight) in trained and "lora_" in name}
    rest = {name for name, weight in named.items() if id(weight) in trained} - adapters
    assert {named[name].shape[0 if "lora_A" in name else 1] for name in adapters} == {3}
    assert trained - {id(named[name]) for name in adapters} == {id(weight) for weight in method.module.head()}
    assert len(rest) == 2
    assert all(named[name].requires_grad for name in rest)
    frozen = [name for name, weight in named.items() if id(weight) not in trained]
    assert not any(named[name].requires_grad for name in frozen)
    assert {group.rate for group in method.groups} == {1.0}


@pytest.mark.parametrize(
    ("kind", "attention", "every"),
    [
        ("timm", {"attn.qkv", "attn.proj"}, {"attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2"}),
        ("bert", {"self.query", "self.key", "self.value", "output.dense"}, None),
    ],
)
def test_adapters_lie_on_the_linear_layers_of_attention_or_on_all(tmp_path, vit, words, kind, attention, every):
    if kind == "timm":
        given = vit, None, coloured_images(3)
    else:
        dataset = open_dataset(words)
        described = describe_directory(write_text_checkpoint(tmp_path / "bert", "bert", 1))
        given = described, None, labelled_texts(dataset.inputs, dataset.train)

    def names(**options):
        keys = built(given, tmp_path, **options).module.state_dict()
        return {".".join(name.split(".lora_A")[0].split(".")[-2:]) for name in keys if ".lora_A." in name}

    assert names() == attention
    if every is not None:
        assert names(layers="all") == every


def test_layers_that_are_never_called_get_no_adapter(tmp_path, vit):
    """Some architectures read a layer's weights and do the map themselves: nothing would pass through an adapter."""
    given = context(LoRAOptions(), tmp_path, coloured_images(3), vit)
    student = given.open_student()
    name, layer = next((n, part) for n, part in student.network.named_modules() if n.endswith("attn.proj"))
    parent = student.network.get_submodule(name.rpartition(".")[0])
    layer.forward, kept = None, layer
    parent.proj = None
    parent.register_module("proj", kept)
    parent.forward = lambda tokens, *_, **__: torch.nn.functional.linear(tokens, kept.weight, kept.bias)
    views = coloured_images(3).plain(torch.arange(1))
    found = lora.adapted_layers(student, views, "attention")
    assert name not in found
    assert found


def test_convolutions_without_attention_are_refused(tmp_path, zoo):
    given = context(LoRAOptions(), tmp_path, coloured_images(3), zoo[0])
    with pytest.raises(errors.MethodUnsuited, match="linear layers of attention, and the backbone of local:zoo0") as no:
        build(given)
    assert no.value.code == "method_unsuited"


def test_without_the_library_the_extra_is_named(tmp_path, vit, monkeypatch):
    monkeypatch.setattr(lora, "find_spec", lambda name: None)
    with pytest.raises(errors.ExtraMissing, match=r"pip install 'frontrunner\[lora\]'") as no:
        build(context(LoRAOptions(), tmp_path, coloured_images(3), vit))
    assert no.value.code == "extra_missing"


def test_a_tuning_is_written_as_a_plain_checkpoint_that_answers_as_it_was_trained(tmp_path, student):
    description, data, _ = student
    work = payload(SMALL, data, description, (), tmp_path, epochs=1, learning_rate=0.01)
    output = run_tuning(work)
    folder = work.work_dir / output.models[0].folder
    assert not any("lora" in name for name in load_file(folder / "model.safetensors"))
    opened = open_checkpoint(describe_directory(folder))
    assert opened.feature_dimension == open_checkpoint(description).feature_dimension
    assert output.models[0].parameters > 4 * output.parameters
    assert output.learning_rate == 0.01


def test_a_sweep_tries_ten_times_the_rates_of_full_tuning(tmp_path, words):
    """Those of AdamW, whatever is read: 3e-5, 1e-4, 3e-4 and 1e-3, times ten."""
    described = describe_directory(write_text_checkpoint(tmp_path / "bert", "bert", 1))
    fitted = fit(payload(SMALL, words, described, (), tmp_path, epochs=1, learning_rate=None))
    assert sorted(map(float, fitted.sweep)) == [0.0003, 0.001, 0.003, 0.01]
    assert fitted.schedule.optimiser == "adamw"


def test_a_tuning_that_is_stopped_ends_in_the_weights_of_one_that_was_not(tmp_path, vit, colour_task):
    unbroken = payload(SMALL, colour_task, vit, (), tmp_path / "unbroken", learning_rate=0.01)
    expected = load_file(unbroken.work_dir / run_tuning(unbroken).weights)
    work = payload(SMALL, colour_task, vit, (), tmp_path / "broken", learning_rate=0.01)
    with pytest.raises(Stopped):
        run_tuning(work, StoppedAt(Stage.TRAIN, 3))
    reached = load_file(work.work_dir / run_tuning(work).weights)
    assert reached.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in reached.items())
    assert any("lora_B" in name and bool(value.any()) for name, value in reached.items())
