"""Text checkpoints compute what transformers computes, whatever the batch, and their variants what they say."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from frontrunner import errors
from frontrunner.data import TextInputs
from frontrunner.hub import Catalogue, choose, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.hub.opening.texts import PADDING_SHARE, length_batches
from tests.conftest import WORDS

CPU = torch.device("cpu")


@pytest.fixture
def texts():
    generator = np.random.default_rng(0)
    return tuple(" ".join(generator.choice(WORDS, size=generator.integers(1, 30))) for _ in range(60))


def read_all(opened, inputs):
    """(n, D) features in the order of the texts."""
    features = np.empty((len(inputs.texts), opened.feature_dimension), dtype=np.float32)
    for batch in opened.preparation.batches(inputs, range(len(inputs.texts)), CPU):
        features[batch.positions] = opened.read(batch.inputs).features.numpy()
    return features


def one_by_one(folder, texts, pool, seconds=None):
    """The same by transformers alone, a text at a time and without padding."""
    module = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    rows = []
    for index, text in enumerate(texts):
        tokens = tokenizer(text, None if seconds is None else seconds[index], return_tensors="pt")
        with torch.inference_mode():
            rows.append(pool(module(**tokens, output_hidden_states=True))[0].numpy())
    return np.array(rows)


POOLS = {
    "encoder": lambda output: output.last_hidden_state.mean(dim=1),
    "encoder#pooling=cls": lambda output: output.last_hidden_state[:, 0],
    "encoder#pooling=last": lambda output: output.last_hidden_state[:, -1],
    "encoder#layer=2": lambda output: output.hidden_states[2].mean(dim=1),
    "encoder#layer=3": lambda output: output.last_hidden_state.mean(dim=1),
    "encoder#layer=mean": lambda output: torch.stack(output.hidden_states[1:]).mean(dim=0).mean(dim=1),
    "encoder#layer=1,pooling=cls": lambda output: output.hidden_states[1][:, 0],
    "decoder": lambda output: output.last_hidden_state[:, -1],
    "decoder#pooling=mean": lambda output: output.last_hidden_state.mean(dim=1),
}


@pytest.mark.parametrize("name", POOLS)
def test_features_are_those_of_transformers_alone_in_the_callers_order(text_hub, texts, name):
    folder = text_hub / name.partition("#")[0]
    (found,) = choose([f"local:{name}"], Catalogue(checkpoints=(describe_directory(folder),))).checkpoints
    given = read_all(open_checkpoint(found), TextInputs(texts))
    np.testing.assert_allclose(given, one_by_one(folder, texts, POOLS[name]), rtol=1e-5, atol=1e-5)


def test_the_first_layers_of_a_decoder_end_in_its_closing_normalisation(text_hub, texts):
    folder = text_hub / "decoder"
    (found,) = choose(["local:decoder#layer=2"], Catalogue(checkpoints=(describe_directory(folder),))).checkpoints
    closing = transformers.AutoModel.from_pretrained(folder).ln_f
    expected = one_by_one(folder, texts[:5], lambda output: closing(output.hidden_states[2])[:, -1])
    np.testing.assert_allclose(read_all(open_checkpoint(found), TextInputs(texts[:5])), expected, rtol=1e-5, atol=1e-5)


SMALL = {"vocab_size": 4 + len(WORDS), "max_position_embeddings": 40}
SHAPE = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64}
DECODER = SMALL | SHAPE | {"num_key_value_heads": 2}
FAMILIES = {
    "distilbert": lambda: transformers.DistilBertConfig(
        vocab_size=SMALL["vocab_size"], max_position_embeddings=40, dim=32, n_layers=3, n_heads=4, hidden_dim=64
    ),
    "roberta": lambda: transformers.RobertaConfig(**SHAPE, vocab_size=SMALL["vocab_size"], max_position_embeddings=42),
    "mpnet": lambda: transformers.MPNetConfig(**SHAPE, vocab_size=SMALL["vocab_size"], max_position_embeddings=42),
    "albert": lambda: transformers.AlbertConfig(**SMALL, **SHAPE, embedding_size=16),
    "modernbert": lambda: transformers.ModernBertConfig(**SMALL, **SHAPE, pad_token_id=0),
    "t5": lambda: transformers.T5Config(
        vocab_size=SMALL["vocab_size"], d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4
    ),
    "llama": lambda: transformers.LlamaConfig(**DECODER),
    "qwen2": lambda: transformers.Qwen2Config(**DECODER),
    "qwen3": lambda: transformers.Qwen3Config(**DECODER, head_dim=8),
    "gemma": lambda: transformers.GemmaConfig(**DECODER, head_dim=8),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_encoders_and_decoders_read_alike_in_batches_and_alone(text_hub, texts, tmp_path, family):
    torch.manual_seed(0)
    module = transformers.AutoModel.from_config(FAMILIES[family]())
    module.save_pretrained(tmp_path / family)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(text_hub / ("decoder" if family in ("distilbert", "t5") else "encoder") / name, tmp_path / family)
    whole = describe_directory(tmp_path / family)
    decodes = family in ("llama", "qwen2", "qwen3", "gemma")
    assert whole.text_pooling.pooling == ("last" if decodes else "mean")
    first, *_ = choose([f"{whole.id}#layer=1"], Catalogue(checkpoints=(whole,))).checkpoints
    rows = {}
    for found in (whole, first):
        opened = open_checkpoint(found)
        rows[found.id] = read_all(opened, TextInputs(texts[:12]))
        alone = np.concatenate([read_all(opened, TextInputs((text,))) for text in texts[:12]])
        np.testing.assert_allclose(rows[found.id], alone, rtol=1e-4, atol=1e-5)
    assert not np.allclose(rows[whole.id], rows[first.id])


def test_a_variant_counts_only_the_layers_it_has(text_hub):
    whole = describe_directory(text_hub / "encoder")
    catalogue = Catalogue(checkpoints=(whole,))
    each = choose(["local:encoder#layer=each"], catalogue).checkpoints
    assert [found.id for found in each] == [f"local:encoder#layer={layer}" for layer in (1, 2, 3)]
    assert len({found.digest for found in (whole, *each)}) == 4
    for found in (whole, *each):
        assert found.parameters == sum(p.numel() for p in open_checkpoint(found).module.parameters())


@pytest.mark.parametrize(
    "choice", ["layer=0", "layer=4", "layer=-1", "layer=x", "depth=2", "layer", "pooling=max", "="]
)
def test_variants_that_do_not_exist_are_named(text_hub, choice):
    catalogue = Catalogue(checkpoints=(describe_directory(text_hub / "encoder"),))
    with pytest.raises(errors.UnknownVariant, match="local:encoder#"):
        choose([f"local:encoder#{choice}"], catalogue)


def test_an_image_checkpoint_has_no_last_token(hub):
    with pytest.raises(errors.UnknownVariant, match="pooling=mean or cls"):
        choose(["local:vit#pooling=last"], Catalogue(checkpoints=(describe_directory(hub / "vit"),)))


def test_a_sentence_encoders_own_pooling_is_read(text_hub, tmp_path):
    shutil.copytree(text_hub / "encoder", tmp_path / "own")
    (tmp_path / "own" / "1_Pooling").mkdir()
    (tmp_path / "own" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    own, plain = describe_directory(tmp_path / "own"), describe_directory(text_hub / "encoder")
    assert (own.text_pooling.pooling, plain.text_pooling.pooling) == ("cls", "mean")
    assert describe_directory(text_hub / "decoder").text_pooling.pooling == "last"
    assert own.digest != plain.digest


def test_a_pipeline_that_ends_in_vectors_of_length_one_is_followed(text_hub, texts, tmp_path):
    folder = shutil.copytree(text_hub / "encoder", tmp_path / "own")
    kinds = ("Transformer", "Pooling", "Normalize")
    steps = [{"idx": i, "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(steps))
    described = describe_directory(folder)
    assert described.digest != describe_directory(text_hub / "encoder").digest
    expected = one_by_one(folder, texts[:5], POOLS["encoder"])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    given = read_all(open_checkpoint(described), TextInputs(texts[:5]))
    np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)


def test_pairs_are_encoded_as_the_tokenizer_does(text_hub, texts):
    inputs = TextInputs(texts[:20], texts[20:40])
    given = read_all(open_checkpoint(describe_directory(text_hub / "encoder")), inputs)
    short = [i for i in range(20) if len((inputs.texts[i] + " " + inputs.seconds[i]).split()) + 3 <= 40]
    expected = one_by_one(
        text_hub / "encoder",
        [inputs.texts[i] for i in short],
        POOLS["encoder"],
        [inputs.seconds[i] for i in short],
    )
    assert len(short) > 5
    np.testing.assert_allclose(given[short], expected, rtol=1e-5, atol=1e-5)


def test_a_text_longer_than_the_checkpoint_reads_is_cut_and_counted(text_hub):
    opened = open_checkpoint(describe_directory(text_hub / "encoder"))
    exact = " ".join(["bank"] * 38)
    (batch,) = opened.preparation.batches(TextInputs((exact, exact + " fee fee")), [0, 1], CPU)
    assert batch.inputs["input_ids"].shape == (2, 40)
    assert opened.preparation.truncated == 1
    features = opened.read(batch.inputs).features
    torch.testing.assert_close(features[0], features[1])


@given(st.lists(st.integers(1, 600), min_size=1, max_size=300), st.integers(16, 4096))
def test_every_text_is_in_one_batch_and_hardly_any_of_it_is_padding(lengths, budget):
    batches = list(length_batches(lengths, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        size = max(lengths[index] for index in batch) * len(batch)
        assert size <= budget or len(batch) == 1
        assert size - sum(lengths[index] for index in batch) <= PADDING_SHARE * size
