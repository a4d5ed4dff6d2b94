"""Words are read in their sentences: what transformers gives at their tokens, whatever the batch and the length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from frontrunner.data import TextInputs, WordInputs
from frontrunner.errors import ModalityMismatch, UnknownVariant
from frontrunner.extraction.known_rows import input_digests
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import Catalogue, choose, describe_directory
from frontrunner.hub.describing.variants import require_choice, variants
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.hub.opening.words import WordPreparation
from tests.conftest import WORDS


@pytest.fixture(scope="module")
def sentences():
    """Of words that the tokenizer knows, and of pairs of them written as one, which it takes apart."""
    generator = np.random.default_rng(0)
    drawn = [list(generator.choice(WORDS, size=generator.integers(1, 8))) for _ in range(30)]
    return [
        ["-".join([word, *generator.choice(WORDS, generator.integers(0, 3))]) for word in sentence]
        for sentence in drawn
    ]


def opened(text_hub, name):
    folder, _, choice = name.partition("#")
    described = describe_directory(text_hub / folder)
    if choice:
        (described,) = choose([f"local:{name}"], Catalogue(checkpoints=(described,), skipped=())).checkpoints
    return open_checkpoint(described.reading_words())


def by_transformers(folder, sentences, layer, words):
    """Sentence by sentence, by the library's own account of whose token is whose."""
    module = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for sentence in sentences:
        tokens = tokenizer(sentence, is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            states = module(**tokens, output_hidden_states=True).hidden_states
        hidden = states[layer] if isinstance(layer, int) else torch.stack(states[1:]).mean(dim=0)
        of_word = tokens.word_ids(0)
        for word in range(len(sentence)):
            places = [place for place, own in enumerate(of_word) if own == word]
            places = places[:1] if words == "first" else places
            rows.append(hidden[0, places].mean(dim=0).numpy())
    return np.array(rows)


@pytest.mark.parametrize("kind", ["encoder", "decoder"])
@pytest.mark.parametrize(
    ("choice", "layer", "words"),
    [
        ("", 3, "first"),
        ("#words=mean", 3, "mean"),
        ("#layer=mean", "mean", "first"),
        ("#layer=mean,words=mean", "mean", "mean"),
    ],
)
def test_features_are_those_of_transformers_in_the_callers_order(text_hub, sentences, kind, choice, layer, words):
    inputs = WordInputs.of(sentences)
    keys = np.random.default_rng(1).permutation(len(inputs.words)).tolist()
    found = FeatureReader(opened(text_hub, kind + choice), inputs).read(keys).features
    expected = by_transformers(text_hub / kind, sentences, layer, words)[keys]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_the_first_layers_alone_are_read(text_hub, sentences):
    found = FeatureReader(opened(text_hub, "encoder#layer=1"), WordInputs.of(sentences)).read(range(20)).features
    np.testing.assert_allclose(found, by_transformers(text_hub / "encoder", sentences, 1, "first")[:20], atol=1e-5)


def test_only_the_sentences_of_the_words_are_read(text_hub, sentences):
    inputs = WordInputs.of(sentences)
    preparation = opened(text_hub, "encoder").preparation
    keys = [int(inputs.starts[3]), int(inputs.starts[4]) - 1, int(inputs.starts[9])]
    batches = list(preparation.batches(inputs, keys, torch.device("cpu")))
    assert sum(len(batch.inputs.tokens["input_ids"]) for batch in batches) == 2
    assert sorted(place for batch in batches for place in batch.positions) == [0, 1, 2]


def test_a_long_sentence_is_read_in_parts_and_no_word_is_lost(text_hub):
    checkpoint = opened(text_hub, "encoder")
    assert isinstance(checkpoint.preparation, WordPreparation)
    room = checkpoint.preparation.max_tokens - 2
    words = [WORDS[place % len(WORDS)] for place in range(2 * room + 5)]
    found = FeatureReader(checkpoint, WordInputs.of([words])).read(range(len(words))).features
    parts = [words[:room], words[room : 2 * room], words[2 * room :]]
    expected = by_transformers(text_hub / "encoder", parts, 3, "first")
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_word_of_which_the_tokenizer_leaves_nothing_is_read_by_the_token_before_it(text_hub):
    inputs = WordInputs.of([[WORDS[0], "\u200b", WORDS[1]]])
    tokenizer = transformers.AutoTokenizer.from_pretrained(text_hub / "encoder")
    if tokenizer("\u200b", add_special_tokens=False)["input_ids"]:
        inputs = WordInputs.of([[WORDS[0], " ", WORDS[1]]])
    found = FeatureReader(opened(text_hub, "encoder"), inputs).read(range(3)).features
    np.testing.assert_array_equal(found[1], found[0])
    assert np.abs(found[2] - found[0]).max() > 1e-3


def test_a_word_and_the_same_text_are_not_taken_for_each_other():
    words, texts = WordInputs.of([["a", "b"]]), TextInputs(("a\nb\n1",))
    assert texts.read(0) == words.read(1)
    assert not (input_digests(words, [1]) == input_digests(texts, [0])).all()
    assert not (input_digests(words, [0]) == input_digests(words, [1])).all()


def test_a_checkpoint_of_images_reads_no_words(hub):
    folder = next(iter(sorted(hub.iterdir())))
    with pytest.raises(ModalityMismatch):
        describe_directory(folder).reading_words()


def test_reading_words_does_not_change_what_a_checkpoint_of_texts_is_called(text_hub):
    described = describe_directory(text_hub / "encoder")
    assert "words" not in described.model_dump_json()
    words = described.reading_words()
    assert words.text_pooling.words == "first"
    assert words.reading_words() == words
    assert words.digest != described.digest  # or statistics of a source of texts would be taken for words'


def test_variants_of_layers_and_words_combine(text_hub):
    described = describe_directory(text_hub / "encoder")
    assert [found.id for found in variants(described, "layer=each,words=mean")] == [
        f"local:encoder#layer={layer},words=mean" for layer in (1, 2, 3)
    ]
    assert variants(described, "layer=last") == (described,)
    assert [found.id for found in variants(described, "layer=last,words=mean")] == ["local:encoder#words=mean"]


@pytest.mark.parametrize("choice", ["layer=first", "words=last", "", "layer=2;words=mean", "layer=mean,"])
def test_a_choice_that_no_checkpoint_has_is_refused(choice):
    with pytest.raises(UnknownVariant, match="expected layer=NUMBER"):
        require_choice(choice)
