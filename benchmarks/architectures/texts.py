"""transformers' text families: their own configuration made small, random weights, and one tokenizer for all.

The truth is what the library's own class gives for each text alone: the last token of what its register calls a causal
language model and nothing else, the mean over tokens otherwise, what enters the projection of a pair of encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers.models.auto import modeling_auto as register

from benchmarks.architectures.sweep import LeftOut
from benchmarks.architectures.timm_models import disturb

_VOCABULARY = 400
_LONGEST = 64
# What configurations call their sizes, and the size that makes them tiny.
_SIZES: dict[int, tuple[str, ...]] = {
    32: (
        "hidden_size", "d_model", "n_embd", "dim", "embed_dim", "emb_dim", "d_embed", "embedding_size",
        "word_embed_dim", "attention_hidden_size", "projection_dim", "true_hidden_size", "intra_bottleneck_size",
        "dim_model", "lru_width", "embedding_dim", "projection_size", "word_embed_proj_dim", "embedding_hidden_size",
        "hidden_size_per_layer_input", "decoder_hidden_size",
    ),
    2: (
        "num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers", "num_blocks",
        "num_encoder_layers", "num_decoder_layers", "num_key_value_heads", "num_experts_per_tok", "num_kv_heads",
        "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts", "num_hash_layers", "num_self_attends_per_block",
        "num_nextn_predict_layers",
    ),
    4: (
        "num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads", "decoder_attention_heads",
        "num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "num_encoder_attention_heads",
        "num_decoder_attention_heads", "attention_heads", "block_size", "index_n_heads", "linear_num_key_heads",
        "linear_num_value_heads", "num_self_attention_heads", "num_cross_attention_heads",
    ),
    64: (
        "intermediate_size", "encoder_ffn_dim", "decoder_ffn_dim", "ffn_dim", "d_ff", "n_inner", "hidden_dim",
        "d_inner", "ffn_hidden_size", "dim_ff", "dff", "moe_intermediate_size", "expert_ffn_hidden_size", "image_size",
        "shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size",
        "intermediate_size_mlp",
    ),
    8: (
        "head_dim", "d_kv", "state_size", "mamba_d_state", "ssm_state_size", "qk_rope_head_dim", "qk_nope_head_dim",
        "v_head_dim", "attention_window", "dim_head", "linear_key_head_dim", "linear_value_head_dim", "index_head_dim",
        "attention_head_size", "global_head_dim", "mamba_d_head", "mamba_head_dim", "rotary_dim", "patch_size",
        "num_latents", "swa_head_dim", "kv_channels", "head_size",
    ),
    16: ("q_lora_rank", "kv_lora_rank", "num_landmarks", "rank", "time_step_rank", "sliding_window", "entity_emb_size"),
    _VOCABULARY: ("vocab_size", "entity_vocab_size", "src_vocab_size", "tgt_vocab_size", "vocab_size_per_layer_input"),
    128: (
        "max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "max_sequence_length", "seq_length",
        "max_encoder_position_embeddings", "max_decoder_position_embeddings", "context_length", "max_seq_length",
    ),
    1: ("n_group", "topk_group", "n_shared_experts", "num_hidden_groups", "first_k_dense_replace", "num_codebooks"),
}  # fmt: skip
_TOKENS: dict[str, Any] = {
    "pad_token_id": 0,
    "bos_token_id": 2,
    "cls_token_id": 2,
    "eos_token_id": 3,
    "sep_token_id": 3,
}
# Settings of a family that the common names do not reach.
_OWN: dict[str, dict[str, Any]] = {
    "big_bird": {"num_random_blocks": 1, "attention_type": "block_sparse"},
    "bigbird_pegasus": {"num_random_blocks": 1, "attention_type": "block_sparse"},
    "funnel": {
        "architectures": ["FunnelModel"], "block_sizes": [1, 1], "block_repeats": [1, 1], "num_decoder_layers": 1,
        "d_head": 8, "d_inner": 64,
    },
    "longformer": {"attention_window": [8, 8], "max_position_embeddings": 130},
    "led": {"attention_window": [8, 8], "max_encoder_position_embeddings": 128},
    "reformer": {
        "attn_layers": ["local", "local"], "axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16],
        "attention_head_size": 8, "local_attn_chunk_length": 8, "feed_forward_size": 64, "is_decoder": False,
    },
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "perceiver": {"d_latents": 32, "num_latents": 8, "d_model": 32, "max_position_embeddings": 128},
    "esm": {"mask_token_id": 1, "position_embedding_type": "absolute"},
    "roc_bert": {"shape_embed_dim": 8, "pronunciation_embed_dim": 8},
    "lxmert": {"l_layers": 1, "x_layers": 1, "r_layers": 1},
    "rwkv": {"attention_hidden_size": 32, "intermediate_size": 64},
    "xlstm": {"num_heads": 4, "embedding_dim": 32, "hidden_size": 32},
    "mobilebert": {"embedding_size": 32, "true_hidden_size": 32, "intra_bottleneck_size": 32},
    "fsmt": {"langs": ["en", "de"]},
    "switch_transformers": {"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    "nllb-moe": {"encoder_sparse_step": 1, "decoder_sparse_step": 1},
    "bamba": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1},
    "granitemoehybrid": {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1},
    "esmc": {"num_key_value_heads": 4},
    "nystromformer": {"segment_means_seq_len": 64, "num_landmarks": 64},
    "dots3_note_text": {"num_key_value_heads": 4},
    "zaya": {"num_experts_per_tok": 1},
    "hunyuan_v1_dense": {"head_dim": 8},
    "hunyuan_v1_moe": {"head_dim": 8},
    "ministral": {"head_dim": 8},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "bailing_hybrid": {"num_experts": 8, "n_group": 1, "topk_group": 1},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "nemotron": {"num_key_value_heads": 2},
    "neomme": {"head_dim": 16},
    "gemma3n_text": {"num_kv_shared_layers": 0, "layer_types": ["sliding_attention", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "chunk_size": 8},
    "yoso": {"num_hash": 8},
}  # fmt: skip
# Pairs of an image encoder and a text encoder, or what is listed beside texts and reads none.
_PAIRS = ("align", "altclip", "blip", "chinese_clip", "clip", "clipseg", "groupvit", "metaclip_2", "owlv2", "owlvit",
          "siglip", "siglip2", "xclip")  # fmt: skip
_TOWERS = ("altclip_text_model", "clip_text_model", "siglip_text_model", "siglip2_text_model", "blip_text_model",
           "chinese_clip_text_model")  # fmt: skip
_PADDED = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")


class _Texts:
    """Text families, by `model_type`."""

    name = "text"

    def __init__(self) -> None:
        self._tokenizer = tokenizer()
        self.examples = [text(length, seed) for seed, length in enumerate((3, 9, 9, 17, 31, 90))]

    def architectures(self) -> Sequence[str]:
        """Encoders, decoders and encoder-decoders of the library's register, and pairs of encoders."""
        listed = {*_causal(), *register.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *_PAIRS, *_TOWERS}
        listed |= {
            *register.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
            "bert-generation",
            "canine",
            "splinter",
            "xlnet",
        }
        known = {*register.MODEL_MAPPING_NAMES}
        return sorted(name for name in listed & known if not _hears_or_sees(name))

    @torch.inference_mode()
    def write(self, architecture: str, folder: Path, max_parameters: int) -> NDArray[np.float32]:
        """A folder as the library saves it, and what it makes of each text."""
        module = _smallest(architecture, max_parameters)
        disturb(module)
        module.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        own = transformers.AutoTokenizer.from_pretrained(folder)
        rows = [_features(module, architecture, _tokens(own, architecture, one)) for one in self.examples]
        return torch.cat(rows).numpy()


def _tokens(own: Any, architecture: str, one: str) -> dict[str, Tensor]:
    padded = {"padding": "max_length"} if architecture in _PADDED else {}
    return dict(own(one, truncation=True, max_length=_LONGEST, return_tensors="pt", **padded))


def text(words: int, seed: int) -> str:
    """So many invented words."""
    generator = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnop"))
    return " ".join("".join(np.random.default_rng(w).choice(letters, 4)) for w in generator.integers(0, 80, words))


def tokenizer() -> Any:
    """Byte pairs over invented words, with the special tokens of an encoder."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(
        [text(9, seed) for seed in range(200)],
        trainers.BpeTrainer(
            vocab_size=350,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    inputs = ["input_ids", "attention_mask"]
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=_LONGEST, model_input_names=inputs, **names
    )


def _causal() -> set[str]:
    both = {*register.MODEL_FOR_MASKED_LM_MAPPING_NAMES, *register.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}
    return {*register.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES} - both - {"xlnet", "bert-generation"}


def _hears_or_sees(name: str) -> bool:
    """Whether the family reads texts only beside sounds or images."""
    config = transformers.CONFIG_MAPPING[name]
    parts = set(getattr(config, "sub_configs", {}))
    return name == "whisper" or (
        name not in (*_PAIRS, *_TOWERS) and bool(parts - {"text_config", "encoder", "decoder"})
    )


def _smallest(name: str, max_parameters: int) -> Any:
    """The module in evaluation mode.

    Raises:
        LeftOut: it has more parameters than are allowed, even so.
    """
    config = _small_config(transformers.CONFIG_MAPPING[name], name)
    with torch.device("meta"):
        count = sum(value.numel() for value in transformers.AutoModel.from_config(config).parameters())
    if count > max_parameters:
        raise LeftOut(f"{count:,} parameters")
    return transformers.AutoModel.from_config(config).eval()


def _small_config(kind: Any, name: str) -> Any:
    default = kind()
    stated = default.to_dict()
    small: dict[str, Any] = {key: size for size, keys in _SIZES.items() for key in keys}
    given = {key: small[key] for key in stated if key in small and isinstance(stated[key], int)}
    given |= {key: value for key, value in _TOKENS.items() if key in stated or hasattr(default, key)}
    layers = next(
        (stated[key] for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if key in stated), None
    )
    for key, value in stated.items():
        if isinstance(value, list) and layers and len(value) == layers and key not in _OWN.get(name, {}):
            given[key] = value[-2:]
    for key, part in getattr(kind, "sub_configs", {}).items():
        if part is not transformers.AutoConfig:
            given[key] = _small_config(part, part.model_type).to_dict()
    if "kv_lora_rank" in stated:  # latent attention keeps keys of every head
        given["num_key_value_heads"] = 4
    return kind(**given | _OWN.get(name, {}))


def _features(module: Any, name: str, tokens: dict[str, Tensor]) -> Tensor:
    """(1, D) as the library gives them."""
    if name in _PAIRS:
        return _projected(module, tokens, masked=name not in _PADDED)
    reader = module.get_encoder() if module.config.is_encoder_decoder else module
    if hasattr(reader, "set_attention_type"):
        reader.set_attention_type(reader.config.attention_type)  # a short text before it has changed it
    if name == "perceiver":
        tokens["inputs"] = tokens.pop("input_ids")
    output = reader(**tokens, **({"use_cache": False} if hasattr(getattr(reader, "config", None), "use_cache") else {}))
    if name in _TOWERS:
        return torch.as_tensor(output.pooler_output)
    hidden = torch.as_tensor(output.last_hidden_state)
    return hidden[:, -1] if name in _causal() else hidden.mean(dim=1)


def _projected(module: Any, tokens: dict[str, Tensor], *, masked: bool) -> Tensor:
    """What enters the projection of texts; what the text encoder pools, where there is no projection."""
    entered: list[Tensor] = []
    projection = getattr(module, "text_projection", None)
    if projection is not None:
        handle = projection.register_forward_pre_hook(lambda _module, arguments: entered.append(arguments[0]))
    output = module.get_text_features(**tokens)
    if projection is None:
        return torch.as_tensor(getattr(output, "pooler_output", output))
    handle.remove()
    return entered[0]


PART = _Texts()
