"""Pairs of an image encoder and a text encoder: texts are read by the one of texts, as its own library does."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from frontrunner import errors
from frontrunner.data import TextInputs
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import Catalogue, choose, describe_directory
from frontrunner.hub.opening.open import open_checkpoint
from frontrunner.ranking import RankingRequest, rank
from frontrunner.settings import Settings
from tests.conftest import WORDS

VOCABULARY = 4 + len(WORDS)
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
WORDS_OF = SMALL | {"vocab_size": VOCABULARY, "max_position_embeddings": 40}
EYES = SMALL | {"image_size": 32, "patch_size": 8}
SPECIAL = {"eos_token_id": 3, "bos_token_id": 2, "pad_token_id": 0}


def config_of(family):
    kinds = {
        "clip": transformers.CLIPConfig,
        "siglip": transformers.SiglipConfig,
        "siglip2": transformers.Siglip2Config,
        "chinese_clip": transformers.ChineseCLIPConfig,
        "blip": transformers.BlipConfig,
    }
    return kinds[family](text_config=WORDS_OF | SPECIAL, vision_config=EYES)


@pytest.fixture
def texts():
    generator = np.random.default_rng(6)
    return [" ".join(generator.choice(WORDS, size)) for size in (20, 2, 11, 11)]


@pytest.fixture
def pair(text_hub, tmp_path):
    """Writes a pair of encoders with random weights, a tokenizer and, as the Hub has it, an image processor."""

    def write(family, processor=True):
        torch.manual_seed(2)
        module = transformers.AutoModel.from_config(config_of(family)).eval()
        with torch.no_grad():
            for value in module.parameters():
                value.add_(torch.randn(value.shape), alpha=0.1)
        folder = tmp_path / "hub" / family
        module.save_pretrained(folder)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(text_hub / "encoder" / file, folder)
        if processor:
            processor = transformers.CLIPImageProcessor(
                size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
            )
            processor.save_pretrained(folder)
        return folder, module

    return write


def of_the_text_encoder(module, family, folder, text):
    """What the pair's own text encoder pools of one text, before any projection."""
    padded = {"padding": "max_length", "max_length": 40} if family.startswith("siglip") else {}
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt", **padded)
    with torch.inference_mode():
        output = module.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
    return (output.last_hidden_state[:, 0] if family == "chinese_clip" else output.pooler_output)[0].numpy()


@pytest.mark.parametrize("family", ["clip", "siglip", "siglip2", "chinese_clip", "blip"])
def test_texts_are_read_by_the_text_encoder_alone(pair, texts, family):
    folder, module = pair(family)
    described = describe_directory(folder)
    assert (described.modality, described.reading("image")) == ("image", described)
    expected = np.array([of_the_text_encoder(module, family, folder, text) for text in texts])
    given = FeatureReader.opening(described, TextInputs(tuple(texts))).read(range(len(texts))).features
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)
    tower = described.reading("text")
    assert (tower.id, tower.modality) == (described.id, "text")
    assert tower.parameters == sum(value.numel() for value in module.text_model.parameters())


def test_a_pair_without_an_image_processor_reads_texts(pair, texts):
    folder, module = pair("clip", processor=False)
    given = open_checkpoint(folder).features(texts)
    expected = [of_the_text_encoder(module, "clip", folder, text) for text in texts]
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-5)


def test_the_layers_and_the_pooling_of_a_text_encoder_can_be_chosen(pair, texts):
    folder, module = pair("clip")
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(texts[0], return_tensors="pt")
    with torch.inference_mode():
        output = module.text_model(input_ids=tokens["input_ids"], output_hidden_states=True)
    states = torch.stack(output.hidden_states[1:])
    for choice, expected in (
        ("pooling=mean", output.last_hidden_state.mean(dim=1)),
        ("pooling=cls", output.last_hidden_state[:, 0]),
        ("layer=mean", states.mean(dim=0).mean(dim=1)),
    ):
        (chosen,) = choose([f"local:clip#{choice}"], Catalogue(checkpoints=(describe_directory(folder),))).checkpoints
        opened = open_checkpoint(chosen.reading("text"))
        np.testing.assert_allclose(opened.features(texts[:1]), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_a_pooler_that_the_folder_lacks_is_replaced_by_the_first_token_and_said_so(pair, texts):
    folder, module = pair("blip")
    path = folder / "model.safetensors"
    left = {name: value for name, value in load_file(path).items() if "text_model.pooler" not in name}
    save_file(left, path, metadata={"format": "pt"})
    opened = open_checkpoint(describe_directory(folder).reading("text"))
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(texts[0], return_tensors="pt")
    with torch.inference_mode():
        hidden = module.text_model(input_ids=tokens["input_ids"]).last_hidden_state
    np.testing.assert_allclose(opened.features(texts[:1]), hidden[:, 0].numpy(), rtol=1e-4, atol=1e-5)
    assert any("no weights of its pooler" in note for note in opened.provenance.notes)


def test_a_text_encoder_that_lacks_weights_is_refused_and_the_image_encoder_may_lack_them(pair, texts):
    folder, _ = pair("clip")
    path = folder / "model.safetensors"
    stored = load_file(path)
    before = open_checkpoint(describe_directory(folder).reading("text")).features(texts)
    save_file({k: v for k, v in stored.items() if "vision" not in k}, path, metadata={"format": "pt"})
    after = open_checkpoint(describe_directory(folder).reading("text")).features(texts)
    np.testing.assert_array_equal(before, after)
    save_file(
        {k: v for k, v in stored.items() if "text_model.encoder.layers.1" not in k}, path, metadata={"format": "pt"}
    )
    with pytest.raises(errors.CheckpointUnreadable, match="missing"):
        open_checkpoint(describe_directory(folder).reading("text"))


def test_a_pair_is_ranked_on_texts(pair, tmp_path):
    folder, _ = pair("clip")
    generator = np.random.default_rng(0)
    rows = [f'"{" ".join(generator.choice(WORDS[:16], 6))}",{row % 2}' for row in range(24)]
    (tmp_path / "texts.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    ranking = rank(
        tmp_path / "texts.csv",
        hub=folder.parent,
        settings=Settings(home=tmp_path / "home", packages=False),
        request=RankingRequest(baselines=False),
    )
    assert [(line.checkpoint, line.feature_dimension) for line in ranking.ranking] == [("local:clip", 32)]
