"""Sentence encoders give what sentence-transformers' own `encode` gives, or are refused with the reason."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch

from frontrunner import errors
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import Settings
from tests.conftest import WORDS

sentence_transformers = pytest.importorskip("sentence_transformers")
modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")


@pytest.fixture
def texts():
    generator = np.random.default_rng(3)
    return [" ".join(generator.choice(WORDS, size)) for size in (1, 4, 4, 9, 25, 60)] + ["The BANK lost my Card ."]


@pytest.fixture
def saved(tmp_path):
    """Writes a pipeline of sentence-transformers' modules as that library does."""

    def save(*parts, **settings):
        torch.manual_seed(5)
        model = sentence_transformers.SentenceTransformer(modules=list(parts), device="cpu", **settings)
        model.save(str(tmp_path / "encoder"), create_model_card=False)
        return tmp_path / "encoder"

    return save


@pytest.fixture
def base(text_hub):
    return str(text_hub / "encoder")


def assert_equal_to_encode(folder, texts):
    """The product's features against the library's, each text alone in both."""
    own = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    expected = np.concatenate([own.encode([text]) for text in texts])
    given = open_checkpoint(describe_directory(folder)).features(texts)
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken", ("max", "cls", "mean")]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_every_pooling_is_followed(saved, base, texts, mode):
    folder = saved(modules.Transformer(base), modules.Pooling(32, pooling_mode=mode))
    assert_equal_to_encode(folder, texts)


FORMER = {
    "cls_token": "cls",
    "max_tokens": "max",
    "mean_tokens": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean_tokens": "weighted_mean",
    "lasttoken": "last",
}


@pytest.mark.parametrize("name", FORMER)
def test_poolings_of_former_versions_are_read(saved, base, texts, name):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    former = {"word_embedding_dimension": 32} | {f"pooling_mode_{other}": other == name for other in FORMER}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(former))
    assert describe_directory(folder).text_pooling.pooling == FORMER[name]
    assert_equal_to_encode(folder, texts)


def test_dense_layers_and_normalisation_follow_in_their_order(saved, base, texts):
    folder = saved(
        modules.Transformer(base),
        modules.Pooling(32),
        modules.Dense(32, 16),
        modules.LayerNorm(16),
        modules.Dense(16, 16, activation_function=torch.nn.GELU(), bias=False, use_residual=True),
        modules.Dense(16, 8, activation_function=None, use_residual=True),
        modules.Normalize(),
    )
    described = describe_directory(folder)
    assert (described.text_pooling.normalised, described.text_pooling.projected) == (True, True)
    assert_equal_to_encode(folder, texts)


def test_normalisation_before_a_dense_layer_is_not_moved_behind_it(saved, base, texts):
    folder = saved(modules.Transformer(base), modules.Pooling(32), modules.Normalize(), modules.Dense(32, 8))
    assert_equal_to_encode(folder, texts)


def test_only_the_first_features_are_kept_where_the_encoder_says_so(saved, base, texts):
    folder = saved(modules.Transformer(base), modules.Pooling(32), modules.Normalize(), truncate_dim=8)
    opened = open_checkpoint(describe_directory(folder))
    assert (opened.feature_dimension, opened.description.text_pooling.normalised) == (8, False)
    assert_equal_to_encode(folder, texts)


def test_texts_are_lower_cased_where_the_encoder_says_so(saved, base, texts):
    folder = saved(modules.Transformer(base, do_lower_case=True), modules.Pooling(32))
    settings = json.loads((folder / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings | {"do_lower_case": True}))
    assert_equal_to_encode(folder, texts)
    upper, lower = open_checkpoint(describe_directory(folder)).features(["LOST CARD", "lost card"])
    np.testing.assert_allclose(upper, lower, atol=1e-6)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("mode", ["mean", "cls", "weightedmean"])
def test_the_default_prompt_stands_before_every_text(saved, base, texts, include, mode):
    folder = saved(
        modules.Transformer(base),
        modules.Pooling(32, pooling_mode=mode, include_prompt=include),
        prompts={"query": "please : ", "other": "my "},
        default_prompt_name="query",
    )
    assert describe_directory(folder).text_pooling.prompt == "please : "
    assert_equal_to_encode(folder, texts)


def test_prompts_that_are_no_default_are_left_out(saved, base, texts):
    folder = saved(modules.Transformer(base), modules.Pooling(32), prompts={"query": "please : "})
    assert_equal_to_encode(folder, texts)


def test_the_encoders_own_length_counts_and_long_texts_lose_the_side_that_its_tokenizer_says(saved, base, texts):
    for side in ("left", "right"):
        transformer = modules.Transformer(base, max_seq_length=12)
        transformer.tokenizer.truncation_side = side
        folder = saved(transformer, modules.Pooling(32))
        assert open_checkpoint(describe_directory(folder)).preparation.max_tokens == 12
        assert_equal_to_encode(folder, texts)
        shutil.rmtree(folder)


def test_a_length_of_the_encoder_takes_the_place_of_its_tokenizers(saved, base, texts):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    for name, entries in (
        ("tokenizer_config.json", {"model_max_length": 8}),
        ("sentence_bert_config.json", {"max_seq_length": 30}),
    ):
        stated = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(stated | entries))
    assert open_checkpoint(describe_directory(folder)).preparation.max_tokens == 30
    assert_equal_to_encode(folder, texts)


def in_a_folder_of_its_own(folder, base, name):
    """As former versions laid a pipeline out: the transformer below the root."""
    shutil.copytree(base, folder / name)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, "pooling_mode_cls_token": True})
    )
    steps = [
        {"idx": 0, "name": "0", "path": name, "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "config.json").write_text(json.dumps({"__version__": "0.3.8"}))
    (folder / name / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 20, "do_lower_case": True}))
    return folder


def test_a_transformer_in_a_folder_of_its_own_is_found(base, texts, tmp_path):
    folder = in_a_folder_of_its_own(tmp_path / "old", base, "0_Transformer")
    described = describe_directory(folder)
    assert (described.architecture, described.text_pooling.pooling, described.layers) == ("bert", "cls", 3)
    assert_equal_to_encode(folder, texts)
    (folder / "0_Transformer" / "config.json").write_text(
        json.dumps(
            json.loads((folder / "0_Transformer" / "config.json").read_text()) | {"auto_map": {"AutoModel": "x.Y"}}
        )
    )
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_directory(folder)


def test_static_embeddings_are_read(saved, base, texts):
    from transformers import AutoTokenizer

    folder = saved(modules.StaticEmbedding(AutoTokenizer.from_pretrained(base), embedding_dim=12), modules.Normalize())
    described = describe_directory(folder)
    assert (described.modality, described.architecture, described.parameters) == ("text", "static-embedding", 23 * 12)
    assert_equal_to_encode(folder, texts)


def test_pickled_dense_layers_are_read_only_where_an_administrator_allows_pickles(saved, base, texts, tmp_path):
    from safetensors.torch import load_file

    folder = saved(modules.Transformer(base), modules.Pooling(32), modules.Dense(32, 8))
    expected = sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts)
    weights = folder / "2_Dense" / "model.safetensors"
    torch.save(load_file(weights), weights.with_name("pytorch_model.bin"))
    weights.unlink()
    with pytest.raises(errors.UnsafeCheckpoint, match="FRONTRUNNER_HUB_PICKLES"):
        describe_directory(folder)
    access = HubAccess.of(Settings(home=tmp_path / "home", hub_pickles=True))
    opened = open_checkpoint(describe_directory(folder, pickles_allowed=True), access)
    np.testing.assert_allclose(opened.features(texts), expected, rtol=1e-4, atol=1e-4)


def with_step(folder, **entries):
    steps = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps([*steps, {"idx": 9, "name": "9", "path": "9_X"} | entries]))


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("sentence_transformers.models.CNN", errors.CheckpointUnreadable, "CNN"),
        ("sentence_transformers.base.modules.router.Router", errors.CheckpointUnreadable, "Router"),
        ("custom_st.Transformer", errors.UnsafeCheckpoint, "code that is not the library's"),
    ],
)
def test_steps_that_are_not_understood_are_named(saved, base, kind, error, said):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    with_step(folder, type=kind)
    with pytest.raises(error, match=said):
        describe_directory(folder)


def test_a_router_is_refused_by_name(saved, base):
    static = [modules.StaticEmbedding(sentence_tokenizer(base), embedding_dim=4) for _ in range(2)]
    folder = saved(modules.Router.for_query_document([static[0]], [static[1]]))
    with pytest.raises(errors.CheckpointUnreadable, match="'Router'"):
        describe_directory(folder)


def sentence_tokenizer(base):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b", "C:\\x"])
def test_steps_in_other_folders_are_refused(saved, base, path):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    with_step(folder, type="sentence_transformers.models.Dense", path=path)
    with pytest.raises(errors.UnsafeCheckpoint, match="not below its own"):
        describe_directory(folder)


@pytest.mark.parametrize("activation", ["os.system", "torch.load", "torch.nn.modules.activation.F", "custom.Layer"])
def test_an_activation_that_is_none_of_torchs_is_refused(saved, base, activation):
    folder = saved(modules.Transformer(base), modules.Pooling(32), modules.Dense(32, 8))
    config = json.loads((folder / "2_Dense" / "config.json").read_text())
    (folder / "2_Dense" / "config.json").write_text(json.dumps(config | {"activation_function": activation}))
    with pytest.raises(errors.CheckpointUnreadable, match="activation"):
        open_checkpoint(describe_directory(folder))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"transformer_task": "fill-mask"}, "fill-mask"),
        (
            {"modality_config": {"message": {"method": "forward", "method_output_name": "last_hidden_state"}}},
            "chat template",
        ),
        ({"config_args": {"num_hidden_layers": 1}}, "num_hidden_layers"),
        ({"processing_kwargs": {"chat_template": {"x": 1}}}, "chat_template"),
    ],
)
def test_what_would_change_the_numbers_and_is_not_applied_is_refused(saved, base, entries, said):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    settings = json.loads((folder / "sentence_bert_config.json").read_text())
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings | entries))
    with pytest.raises(errors.CheckpointUnreadable, match=said):
        describe_directory(folder)


def test_a_sparse_encoder_is_refused_by_name(saved, base):
    folder = saved(modules.Transformer(base), modules.Pooling(32))
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "SparseEncoder"}))
    with pytest.raises(errors.CheckpointUnreadable, match="SparseEncoder"):
        describe_directory(folder)
