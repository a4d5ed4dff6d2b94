"""What a folder of a text model must hold, and what it may lack."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from frontrunner import errors
from frontrunner.hub import HubAccess, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.settings import Settings
from tests.hub.text_models import BERT, VOCABULARY, assert_close, model_of


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
