"""Nothing random and nothing of another text is in a text's features; what a folder lacks is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from frontrunner.data import TextInputs
from frontrunner.extraction.reading import FeatureReader
from frontrunner.hub import describe_directory
from frontrunner.hub.describing.text_families import is_decoder
from frontrunner.hub.opening.open import open_checkpoint
from tests.hub.text_models import BERT, DECODERS, FAMILIES, assert_close, model_of


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
