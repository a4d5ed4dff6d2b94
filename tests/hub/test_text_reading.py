"""Nothing random and nothing of another text is in a text's features; what a folder lacks is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from frontrunner import errors
from frontrunner.data import TextInputs
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.describing.text_families import is_decoder
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import Settings
from tests.conftest import WORDS

VOCABULARY = 4 + len(WORDS)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
BERT = SMALL | {"vocab_size": VOCABULARY, "max_position_embeddings": 130}


def bart(kind=transformers.BartConfig, **more):
    sizes = {"encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    ffn = {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    return kind(vocab_size=VOCABULARY, d_model=32, max_position_embeddings=130, **sizes, **ffn, **more)


FAMILIES = {
    "fnet": lambda: transformers.FNetConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, intermediate_size=64, max_position_embeddings=130
    ),
    "convbert": lambda: transformers.ConvBertConfig(**BERT, embedding_size=32),
    "mobilebert": lambda: transformers.MobileBertConfig(
        **BERT, embedding_size=32, intra_bottleneck_size=32, true_hidden_size=32
    ),
    "big_bird": lambda: transformers.BigBirdConfig(**BERT, block_size=4, num_random_blocks=1),
    "longformer": lambda: transformers.LongformerConfig(**BERT, attention_window=[8, 8]),
    "xlnet": lambda: transformers.XLNetConfig(vocab_size=VOCABULARY, d_model=32, n_layer=2, n_head=2, d_inner=64),
    "bart": bart,
    "t5": lambda: transformers.T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=16, d_ff=64, num_layers=2, num_heads=2),
    "mamba": lambda: transformers.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=8),
    "albert": lambda: transformers.AlbertConfig(**BERT, embedding_size=16),
}
DECODERS = ("mamba",)


@pytest.fixture
def texts():
    generator = np.random.default_rng(4)
    return [" ".join(generator.choice(WORDS, size)) for size in (50, 2, 35, 35, 9, 36)]


@pytest.fixture
def kept(text_hub, tmp_path):
    """Writes a model of random weights, none of them at the value that hides it, beside a tokenizer."""

    def keep(module, name="model", tokenizer="encoder"):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for value in module.parameters():
                value.add_(torch.randn(value.shape, generator=generator), alpha=0.1)
        module.eval().save_pretrained(tmp_path / name)
        if tokenizer:
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(text_hub / tokenizer / file, tmp_path / name)
        return tmp_path / name

    return keep


def model_of(family):
    torch.manual_seed(1)
    return transformers.AutoModel.from_config(FAMILIES[family]())


def alone(module, folder, texts, family):
    """What the library gives for each text by itself."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    reader = module.get_encoder() if module.config.is_encoder_decoder else module
    rows = []
    for text in texts:
        if hasattr(reader, "set_attention_type"):
            reader.set_attention_type("block_sparse")
        tokens = tokenizer(text, return_tensors="pt")
        given = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        given = {"input_ids": given["input_ids"]} if family == "fnet" else given
        with torch.inference_mode():
            hidden = reader(**given).last_hidden_state
        rows.append((hidden[:, -1] if family in DECODERS else hidden.mean(dim=1))[0].numpy())
    return np.array(rows)


def assert_close(given, expected):
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_reads_as_it_does_alone_whatever_is_read_beside_and_before_it(kept, texts, family):
    module = model_of(family)
    folder = kept(module)
    expected = alone(module, folder, texts, family)
    reader = FeatureReader.opening(describe_directory(folder), TextInputs(tuple(texts)))
    assert_close(reader.read(range(6)).features, expected)
    for order in ([1], [0], [4, 2, 0], [3]):
        assert_close(reader.read(order).features, expected[order])


@pytest.mark.parametrize("family", ["albert", "bart", "longformer", "mamba", "t5"])
def test_the_first_layer_alone_is_what_a_model_built_with_one_layer_gives(kept, texts, family):
    folder = kept(model_of(family))
    config = FAMILIES[family]()
    counts = ("encoder_layers",) if family == "bart" else ("num_hidden_layers",)
    for name in counts:
        setattr(config, name, 1)
    if family == "longformer":
        config.attention_window = [8]
    shallow = transformers.AutoModel.from_config(config).eval()
    shallow.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    opened = open_checkpoint(f"local:{folder.name}#layer=1", hub=folder.parent)
    assert_close(opened.features(texts), alone(shallow, folder, texts, family))
    assert opened.description.layers == 1


@pytest.mark.parametrize("family", ["albert", "bart", "longformer", "mamba", "fnet"])
def test_the_mean_over_layers_and_the_first_token_can_be_read_of_every_family(kept, texts, family):
    module = model_of(family)
    folder = kept(module)
    reader = module.get_encoder() if module.config.is_encoder_decoder else module
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(texts[0], return_tensors="pt")
    with torch.inference_mode():
        output = reader(input_ids=tokens["input_ids"], output_hidden_states=True)
    mean = torch.stack(output.hidden_states[1:]).mean(dim=0)
    mean = mean[:, -1] if family in DECODERS else mean.mean(dim=1)
    for choice, expected in (("layer=mean", mean), ("pooling=cls", output.last_hidden_state[:, 0])):
        opened = open_checkpoint(f"local:{folder.name}#{choice}", hub=folder.parent)
        assert_close(opened.features(texts[:1]), expected.numpy())


OFFSET = {
    "roberta": transformers.RobertaConfig,
    "xlm-roberta-xl": transformers.XLMRobertaXLConfig,
    "roberta-prelayernorm": transformers.RobertaPreLayerNormConfig,
    "ibert": transformers.IBertConfig,
    "esm": transformers.EsmConfig,
}


@pytest.mark.parametrize("family", OFFSET)
def test_families_whose_first_positions_are_taken_read_so_many_tokens_fewer(kept, texts, family):
    more = {"mask_token_id": 3, "position_embedding_type": "absolute"} if family == "esm" else {}
    config = OFFSET[family](**BERT | {"max_position_embeddings": 34}, pad_token_id=1, **more)
    folder = kept(transformers.AutoModel.from_config(config))
    unlimit(folder)
    opened = open_checkpoint(describe_directory(folder))
    assert opened.preparation.max_tokens == 32
    assert np.isfinite(opened.features(texts)).all()


def unlimit(folder):
    path = folder / "tokenizer_config.json"
    stated = json.loads(path.read_text())
    stated.pop("model_max_length", None)
    path.write_text(json.dumps(stated))


@pytest.mark.parametrize(("family", "limit"), [("bart", 130), ("albert", 130), ("t5", 512)])
def test_where_the_tokenizer_sets_no_limit_the_architectures_own_holds(kept, family, limit):
    folder = kept(model_of(family))
    unlimit(folder)
    assert open_checkpoint(describe_directory(folder)).preparation.max_tokens == limit


def test_a_tokenizer_without_any_special_token_serves(kept, texts, tmp_path):
    letters = {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    bare = Tokenizer(models.BPE(vocab=letters, merges=[]))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    torch.manual_seed(0)
    module = transformers.GPT2Model(transformers.GPT2Config(vocab_size=256, n_embd=32, n_layer=1, n_head=2))
    folder = kept(module, tokenizer=None)
    transformers.PreTrainedTokenizerFast(tokenizer_object=bare).save_pretrained(folder)
    opened = open_checkpoint(describe_directory(folder))
    expected = []
    for text in texts:
        ids = torch.tensor([bare.encode(text).ids])
        with torch.inference_mode():
            expected.append(module(input_ids=ids).last_hidden_state[0, -1].numpy())
    assert_close(opened.features(texts), np.array(expected))
    assert np.isfinite(opened.features(["", texts[0]])).all()


def test_a_folder_without_a_tokenizer_is_refused(kept):
    folder = kept(model_of("albert"), tokenizer=None)
    with pytest.raises(errors.CheckpointUnreadable, match="no tokenizer"):
        open_checkpoint(describe_directory(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    with pytest.raises(errors.CheckpointUnreadable, match="no tokenizer"):
        open_checkpoint(describe_directory(folder))


def test_a_vocabulary_of_special_tokens_alone_is_refused(kept):
    folder = kept(model_of("albert"), tokenizer=None)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
    with pytest.raises(errors.CheckpointUnreadable, match="knows no words"):
        open_checkpoint(describe_directory(folder))


def test_a_vocabulary_without_its_merges_is_refused(kept):
    folder = kept(model_of("mamba"), tokenizer=None)
    letters = {chr(code): code - 97 for code in range(97, 117)}
    (folder / "vocab.json").write_text(json.dumps({**letters, "<|endoftext|>": 20, "abcdefghij": 21, "ab": 22}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
    with pytest.raises(errors.CheckpointUnreadable, match="merges"):
        open_checkpoint(describe_directory(folder))


def without(folder, *beginnings):
    path = folder / "model.safetensors"
    left = {name: value for name, value in load_file(path).items() if not name.startswith(beginnings)}
    save_file(left, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "missing", ["embeddings.word_embeddings", "encoder.layer.1.output", "encoder.layer.0.attention"]
)
def test_weights_that_the_folder_lacks_are_never_made_up(kept, missing):
    folder = kept(transformers.BertModel(transformers.BertConfig(**BERT)))
    without(folder, missing)
    with pytest.raises(errors.CheckpointUnreadable, match="missing"):
        open_checkpoint(describe_directory(folder))


def test_a_pooler_that_the_folder_lacks_changes_nothing(kept, texts):
    folder = kept(transformers.BertModel(transformers.BertConfig(**BERT)))
    expected = open_checkpoint(describe_directory(folder)).features(texts)
    without(folder, "pooler")
    for _ in range(2):
        opened = open_checkpoint(describe_directory(folder))
        np.testing.assert_array_equal(opened.features(texts), expected)
        assert opened.description.parameters == sum(value.numel() for value in opened.module.parameters())


def test_an_encoder_decoder_needs_no_decoder(kept, texts):
    whole = model_of("t5")
    folder = kept(whole)
    encoder = kept(transformers.T5EncoderModel(whole.config), "encoder-alone")
    stored = {k: v for k, v in load_file(folder / "model.safetensors").items() if not k.startswith("decoder")}
    save_file(stored, encoder / "model.safetensors", metadata={"format": "pt"})
    opened = [open_checkpoint(describe_directory(each)) for each in (folder, encoder)]
    np.testing.assert_array_equal(opened[0].features(texts), opened[1].features(texts))
    count = sum(value.numel() for value in whole.encoder.parameters())
    assert [each.description.parameters for each in opened] == [count, count]


def test_masks_that_old_decoders_keep_beside_their_weights_are_no_parameters(kept):
    module = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=2)
    )
    folder = kept(module, tokenizer="decoder")
    path = folder / "model.safetensors"
    mask = {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    }
    save_file(load_file(path) | mask, path, metadata={"format": "pt"})
    assert describe_directory(folder).parameters == sum(value.numel() for value in module.transformer.parameters())


def test_heads_are_not_counted_as_read(kept):
    module = transformers.BertForMaskedLM(transformers.BertConfig(**BERT, tie_word_embeddings=False))
    found = describe_directory(kept(module))
    assert found.parameters == sum(value.numel() for value in module.bert.parameters())


def test_pickled_shards_are_read_where_an_administrator_allows_pickles(kept, texts, tmp_path):
    folder = kept(transformers.BertModel(transformers.BertConfig(**BERT)))
    expected = open_checkpoint(describe_directory(folder)).features(texts)
    stored = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(stored)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for shard, inside in shards.items():
        torch.save({name: stored[name] for name in inside}, folder / shard)
    index = {"weight_map": {name: shard for shard, inside in shards.items() for name in inside}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(errors.UnsafeCheckpoint, match="FRONTRUNNER_HUB_PICKLES"):
        describe_directory(folder)
    access = HubAccess.of(Settings(home=tmp_path / "home", hub_pickles=True))
    opened = open_checkpoint(describe_directory(folder, pickles_allowed=True), access)
    np.testing.assert_array_equal(opened.features(texts), expected)
    index["weight_map"][names[0]] = "../outside.bin"
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(errors.UnsafeCheckpoint):
        describe_directory(folder, pickles_allowed=True)


def test_decoders_are_those_of_the_librarys_register():
    from transformers.models.auto import modeling_auto as register

    others = {*register.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *register.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}
    causal = {*register.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES} - others
    # Both ways at once, bidirectional unless told otherwise; or no reader of texts.
    causal -= {"xlnet", "bert-generation", "trocr", "whisper", "musicgen", "musicgen_melody"}
    assert {name for name in causal if not is_decoder({"model_type": name})} == set()
    assert {
        name
        for name in others - causal
        if is_decoder(
            {"model_type": name, "is_encoder_decoder": name in register.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}
        )
    } == set()


@pytest.mark.parametrize(
    ("config", "pooling"),
    [
        (transformers.Qwen3Config(**BERT, num_key_value_heads=1, head_dim=16), "last"),
        (transformers.BertConfig(**BERT, is_decoder=True), "last"),
        (
            transformers.Gemma3TextConfig(**BERT, num_key_value_heads=1, head_dim=16, use_bidirectional_attention=True),
            "mean",
        ),
        (transformers.BertConfig(**BERT), "mean"),
    ],
    ids=["qwen3", "bert as decoder", "gemma in both directions", "bert"],
)
def test_the_direction_of_attention_decides_which_tokens_stand_for_a_text(kept, config, pooling):
    assert describe_directory(kept(transformers.AutoModel.from_config(config))).text_pooling.pooling == pooling
