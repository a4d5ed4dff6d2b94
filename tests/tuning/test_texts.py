"""Facts about tuning text checkpoints."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from frontrunner import errors
from frontrunner.data import open_dataset
from frontrunner.hub import describe_directory
from frontrunner.hub.describing.configuration import HEAD_WEIGHTS_FILE
from frontrunner.hub.describing.variants import variants
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.ranking import RankingRequest, rank
from frontrunner.tuning import METHODS
from frontrunner.tuning.examples.examples import Texts
from frontrunner.tuning.methods.hub_pathway import Skim
from frontrunner.tuning.run import run_tuning
from tests.conftest import WORDS, write_text_checkpoint
from tests.tuning.builders import payload, payload_for

TRAIN, TEST = 36, 12


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Two encoders, one of which gives features of length one, and a decoder."""
    root = tmp_path_factory.mktemp("encoders")
    folders = [write_text_checkpoint(root / f"bert{seed}", "bert", seed) for seed in (1, 2)]
    folders.append(write_text_checkpoint(root / "gpt", "gpt2", 3))
    normalised = [{"idx": 0, "name": "0", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
    (folders[1] / "modules.json").write_text(json.dumps(normalised))
    return tuple(describe_directory(folder) for folder in folders)


@pytest.fixture(scope="module")
def word_task(tmp_path_factory):
    """A CSV of texts whose class is told by two words of its own, among others of no class."""
    path = tmp_path_factory.mktemp("texts") / "words.csv"
    path.write_text(csv_of(lambda own, other: f"{own} {other}", "text"))
    return path


def csv_of(text_of, columns):
    draw = np.random.default_rng(0)
    lines = [f"{columns},label,split"]
    for index in range(TRAIN + TEST):
        label = index % 3
        own = " ".join(WORDS[2 * label + 1 + draw.integers(2)] for _ in range(4))
        other = " ".join(draw.choice(WORDS[8:17], size=index % 4))
        lines.append(f"{text_of(own, other)},{'abc'[label]},{'train' if index < TRAIN else 'test'}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if "text" in method.modalities])
def test_methods_for_texts_tune_report_and_export(tmp_path, encoders, word_task, name):
    work = payload_for(name, word_task, encoders, tmp_path)
    output = run_tuning(work)
    assert (output.ended, output.epochs, output.metrics.examples) == ("completed", 2, TEST)
    assert len(output.models) == (3 if METHODS[name].made_of_teachers else 1)
    for model in output.models:
        opened = open_checkpoint(describe_directory(work.work_dir / model.folder))
        assert opened.module.config.id2label == {0: "a", 1: "b", 2: "c"}


@pytest.mark.parametrize("student", [0, 1, 2], ids=["mean", "normalised", "decoder"])
def test_a_tuned_model_learns_and_answers_from_its_folder_as_it_was_measured(tmp_path, encoders, word_task, student):
    """Opened by its folder alone, it makes the reported confusion again from the test texts."""
    work = payload("finetune", word_task, encoders[student], (), tmp_path, epochs=6, learning_rate=0.003)
    output = run_tuning(work)
    assert output.metrics.accuracy.value >= 0.75
    assert output.ended_because == "all epochs were trained"
    dataset = open_dataset(word_task)
    opened = open_checkpoint(describe_directory(work.work_dir / "model"))
    confusion = np.zeros((3, 3), dtype=int)
    for batch in opened.preparation.batches(dataset.inputs, dataset.test.keys, torch.device("cpu")):
        answered = opened.read(batch.inputs).source_logits.argmax(dim=1).numpy()
        np.add.at(confusion, (dataset.test.labels[batch.positions], answered), 1)
    assert confusion.tolist() == output.metrics.confusion


@pytest.mark.parametrize("student", [0, 1], ids=["mean", "normalised"])
def test_sentence_transformers_serves_a_tuned_model(tmp_path, encoders, word_task, student):
    from sentence_transformers import SentenceTransformer

    work = payload("finetune", word_task, encoders[student], (), tmp_path)
    run_tuning(work)
    folder = work.work_dir / "model"
    opened = open_checkpoint(describe_directory(folder))
    texts = ["lost my card", "cash machine is not working ?", "the"]
    served = SentenceTransformer(str(folder), device="cpu").eval()
    with torch.inference_mode():
        answered = served.forward(served.preprocess(texts))
    expected = opened.read(opened.preparation.together(texts, None))
    torch.testing.assert_close(answered["logits"], expected.source_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(answered["sentence_embedding"], expected.features, rtol=1e-5, atol=1e-5)


def test_a_tuned_model_is_ranked_by_the_answers_of_its_head_and_tuned_again(tmp_path, encoders, word_task):
    work = payload("finetune", word_task, encoders[0], (), tmp_path, epochs=4, learning_rate=0.003)
    run_tuning(work)
    (tmp_path / "hub").mkdir()
    shutil.copytree(work.work_dir / "model", tmp_path / "hub" / "tuned")
    ranking = rank(word_task, hub=tmp_path / "hub", request=RankingRequest(scores=("leep",), baselines=False))
    assert [line.checkpoint for line in ranking.ranking] == ["local:tuned"]
    tuned = describe_directory(tmp_path / "hub" / "tuned")
    again = run_tuning(payload("l2_sp", word_task, tuned, (), tmp_path / "again"))
    assert again.ended == "completed"


def test_pairs_of_texts_are_tuned(tmp_path, encoders):
    path = tmp_path / "pairs.csv"
    path.write_text(csv_of(lambda own, other: f"{own},{other or 'the'}", "text,text_b"))
    output = run_tuning(payload("finetune", path, encoders[0], (), tmp_path / "work"))
    assert output.metrics.examples == TEST


def test_a_student_of_its_first_layers_is_written_as_one_of_so_many(tmp_path, encoders, word_task):
    (first,) = variants(encoders[0], "layer=1,pooling=cls")
    work = payload("finetune", word_task, first, (), tmp_path)
    run_tuning(work)
    written = describe_directory(work.work_dir / "model")
    assert (len(written.layer_parameters), written.text_pooling.pooling, written.text_pooling.layer) == (1, "cls", None)


class TestRefusals:
    """Combinations that cannot be tuned, each by its own code."""

    def test_methods_for_images(self, tmp_path, encoders, word_task):
        with pytest.raises(errors.MethodUnsuited, match="delta is for images; for texts there are b_tuning"):
            payload("delta", word_task, encoders[0], (), tmp_path)

    def test_a_dataset_of_images(self, tmp_path, encoders, colour_task):
        with pytest.raises(errors.ModalityMismatch, match="holds image examples; the checkpoints read text"):
            run_tuning(payload("finetune", colour_task, encoders[0], (), tmp_path))

    def test_the_mean_over_layers(self, tmp_path, encoders, word_task):
        (mean,) = variants(encoders[0], "layer=mean")
        with pytest.raises(errors.StudentUnsupported, match="mean over layers"):
            run_tuning(payload("finetune", word_task, mean, (), tmp_path))

    @pytest.mark.parametrize("damage", ["sizes", "absent", "no_safetensors"])
    def test_a_head_that_does_not_fit(self, tmp_path, encoders, word_task, damage):
        work = payload("linear_probe", word_task, encoders[0], (), tmp_path)
        run_tuning(work)
        head: Path = work.work_dir / "model" / HEAD_WEIGHTS_FILE
        if damage == "sizes":
            save_file({name: value[..., :2].contiguous() for name, value in load_file(head).items()}, head)
        elif damage == "absent":
            head.unlink()
        else:
            head.write_bytes(b"no tensors")
        with pytest.raises(errors.CheckpointUnreadable, match=HEAD_WEIGHTS_FILE.replace(".", r"\.")):
            open_checkpoint(describe_directory(work.work_dir / "model"))


def test_texts_are_cut_and_chosen_as_tensors_are():
    texts = Texts(tuple("abcdefg"), tuple("ABCDEFG"))
    assert texts[torch.tensor([3, 0])] == Texts(("d", "a"), ("D", "A"))
    lengths = [len(piece) for piece in texts.tensor_split(3)]
    assert lengths == [len(piece) for piece in torch.arange(7).tensor_split(3)]


def test_a_skim_tells_texts_apart_by_their_words_and_not_by_their_order():
    skim = Skim(8)
    seen = skim(Texts(("lost my card", "card my lost", "", "my money"), None))
    torch.testing.assert_close(seen[0], seen[1])
    assert not torch.allclose(seen[0], seen[3])
    assert torch.equal(seen[2], torch.zeros(8))
