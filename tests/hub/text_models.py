"""Small text models of many families."""

from __future__ import annotations

import numpy as np
import torch
import transformers

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


def model_of(family):
    torch.manual_seed(1)
    return transformers.AutoModel.from_config(FAMILIES[family]())


def assert_close(given, expected):
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
