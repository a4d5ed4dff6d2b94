"""Rankings of words: the whole way from a file to an order, drawn by sentences."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.words.relabelled import sentences_of, write_conll
from frontrunner.errors import UnknownVariant
from frontrunner.hub import describe_directory
from frontrunner.hub.describing.variants import variants
from frontrunner.ranking import Ranking, RankingRequest, rank
from frontrunner.ranking.extension import extension_of
from frontrunner.settings import Settings
from tests.commands import run_command
from tests.conftest import WORDS


@pytest.fixture(scope="module")
def conll(tmp_path_factory):
    """Words of the tiny checkpoints' vocabulary, labelled by what they are and by what stands before them."""
    generator = np.random.default_rng(0)
    blocks = []
    for _ in range(80):
        words = list(generator.choice(WORDS, size=8))
        labels = [
            "SIGN" if word in "?." else "AFTER" if place and words[place - 1] in ("bank", "card") else "O"
            for place, word in enumerate(words)
        ]
        blocks.append("\n".join(f"{word}\t{label}" for word, label in zip(words, labels, strict=True)))
    file = tmp_path_factory.mktemp("words") / "train.conll"
    file.write_text("\n\n".join(blocks) + "\n")
    return file


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("home"))  # one for all: layers are read once


def test_every_word_counts_and_sentences_are_drawn(conll, text_hub, settings):
    found = rank(conll, hub=text_hub, settings=settings, scores=["logme", "knn"])
    assert {line.checkpoint for line in found.ranking} == {"local:encoder", "local:decoder"}
    assert all(line.examples == 640 and line.feature_dimension == 32 for line in found.ranking)
    assert (found.dataset.train_examples, found.dataset.train_sentences) == (640, 80)
    assert found.provenance.sampling == "sentences"
    assert found.ranking[0].scores["logme"].low < found.ranking[0].scores["logme"].value
    assert "640 training words in 80 sentences" in found.explain()
    read = rank(conll, hub=text_hub, settings=settings, scores=["logme"], max_examples=100)
    assert all(line.examples == 100 and line.forward_examples == 0 for line in read.ranking)


def test_a_variant_is_read_of_every_checkpoint_of_a_hub(conll, text_hub, settings):
    averaged = rank(conll, hub=text_hub, settings=settings, variant="layer=mean,words=mean", baselines=False)
    assert {line.checkpoint.partition("#")[2] for line in averaged.ranking} == {"layer=mean,words=mean"}
    assert averaged.provenance.variant == "layer=mean,words=mean"
    assert extension_of(averaged).variant == "layer=mean,words=mean"


def test_the_best_layer_is_the_first_of_all_of_them(conll, text_hub, settings):
    every = rank(conll, hub=text_hub, settings=settings, variant="layer=each", baselines=False)
    best = rank(conll, hub=text_hub, settings=settings, variant="layer=best", baselines=False)
    assert len(every.ranking) == 6
    names = [line.checkpoint for line in every.ranking]
    first = [next(name for name in names if name.startswith(f"local:{kind}#")) for kind in ("encoder", "decoder")]
    assert [line.checkpoint for line in best.ranking] == sorted(first, key=names.index)
    assert "still to" not in best.summary
    one = rank(
        conll,
        hub=text_hub,
        settings=settings,
        baselines=False,
        checkpoints=["local:encoder#layer=best", "local:decoder"],
    )
    assert {line.checkpoint for line in one.ranking} == {first[0], "local:decoder"}


def test_a_checkpoint_that_cannot_be_read_so_is_left_out_with_its_reason(conll, text_hub, hub, settings):
    found = rank(conll, hub=[text_hub, hub], settings=settings, variant="words=mean", baselines=False)
    assert len(found.ranking) == 2
    assert {entry.code for entry in found.skipped} <= {"checkpoint_variant_unknown", "modality_mismatch"}
    assert found.skipped


@pytest.mark.parametrize("choice", ["layers=2", "layer=1,layer=2", "layer=best,layer=2", "words=mean,words=first"])
def test_a_variant_that_none_has_is_refused_at_once(choice):
    with pytest.raises(UnknownVariant):
        RankingRequest(variant=choice)


@pytest.mark.parametrize("choice", ["layer=1,layer=2", "layer=each,layer=2"])
def test_a_variant_that_names_two_layers_is_not_read_as_one_of_them(choice, text_hub):
    with pytest.raises(UnknownVariant, match="twice"):
        variants(describe_directory(text_hub / "encoder"), choice)


def test_the_command_line_says_the_same(conll, text_hub, tmp_path):
    command = ("rank", conll, "--hub", text_hub, "--variant", "layer=mean", "--json")
    done = run_command(*command, FRONTRUNNER_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    found = Ranking.model_validate_json(done.stdout)
    assert (found.dataset.train_examples, found.dataset.train_sentences) == (640, 80)
    assert {line.checkpoint.partition("#")[2] for line in found.ranking} == {"layer=mean"}


@pytest.mark.pack
def test_layers_are_ordered_as_a_probe_on_other_sentences_orders_them(pack, tmp_path):
    from scipy.stats import kendalltau

    from benchmarks.words.__main__ import truth_of
    from frontrunner.data import open_dataset
    from frontrunner.hub import Catalogue, Folders, HubAccess, catalogue_of, choose

    settings = Settings(home=tmp_path / "home")
    access = HubAccess.of(settings)
    sentences = sentences_of(pack / "datasets" / "ag_news" / "ag_news.parquet", 120)
    (tmp_path / "data").mkdir()
    write_conll(sentences[::2], tmp_path / "data" / "train.conll")
    write_conll(sentences[1::2], tmp_path / "data" / "test.conll")
    encoder = "local:paraphrase-MiniLM-L3-v2-trimvocab"
    names = [encoder, *(f"{encoder}#{choice}" for choice in ("layer=1", "layer=2", "layer=mean"))]
    found = rank(
        tmp_path / "data", hub=pack / "hub", settings=settings, checkpoints=names, baselines=False, max_examples=2500
    )
    dataset = open_dataset(tmp_path / "data")
    offered = catalogue_of([Folders(access, [pack / "hub"])])
    described = {each.id: each for each in choose(names, Catalogue(checkpoints=offered.checkpoints)).checkpoints}
    truth = [truth_of(described[line.checkpoint], dataset, access) for line in found.ranking]
    values = [line.scores["logme"].value for line in found.ranking]
    assert kendalltau(values, truth).statistic > 0.3  # of four; one swap of neighbours is left to chance
    assert max(truth) - truth[0] < 0.01
