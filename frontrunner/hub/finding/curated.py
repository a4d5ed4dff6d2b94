"""The curated set: checkpoints worth a try on any data, so that a user need name none.

Small and middle-sized ones of different families, data and training recipes: a ranking lives on differences. Figures
are millions of parameters, rounded, for limits that must hold before anything is asked of a hub.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CuratedCheckpoint:
    """One checkpoint: its id and its parameters in millions."""

    id: str
    millions: float


_IMAGE = (
    ("timm:mobilenetv3_small_100.lamb_in1k", 2.5),
    ("timm:mobilenetv3_large_100.ra_in1k", 5.5),
    ("timm:mobilenetv2_100.ra_in1k", 3.5),
    ("timm:mobilenetv4_conv_small.e2400_r224_in1k", 3.8),
    ("timm:mobilenetv4_conv_medium.e500_r256_in1k", 9.7),
    ("timm:efficientnet_b0.ra_in1k", 5.3),
    ("timm:efficientnet_b1.ft_in1k", 7.8),
    ("timm:tf_efficientnet_b0.ns_jft_in1k", 5.3),
    ("timm:tf_efficientnetv2_s.in21k", 48.2),
    ("timm:tf_efficientnetv2_b0.in1k", 7.1),
    ("timm:efficientnet_lite0.ra_in1k", 4.7),
    ("timm:ghostnet_100.in1k", 5.2),
    ("timm:mobilevitv2_100.cvnets_in1k", 4.9),
    ("timm:fastvit_t8.apple_in1k", 4.0),
    ("timm:repvgg_a2.rvgg_in1k", 28.2),
    ("timm:regnety_016.tv2_in1k", 11.2),
    ("timm:regnetx_032.tv2_in1k", 15.3),
    ("timm:resnet18.a1_in1k", 11.7),
    ("timm:resnet18.fb_swsl_ig1b_ft_in1k", 11.7),
    ("timm:resnet34.a1_in1k", 21.8),
    ("timm:resnet50.a1_in1k", 25.6),
    ("timm:resnet50.tv_in1k", 25.6),
    ("timm:resnet50.fb_swsl_ig1b_ft_in1k", 25.6),
    ("timm:resnetv2_50x1_bit.goog_in21k", 68.3),
    ("timm:resnext50_32x4d.a1h_in1k", 25.0),
    ("timm:densenet121.ra_in1k", 8.0),
    ("timm:convnext_atto.d2_in1k", 3.7),
    ("timm:convnext_tiny.in12k_ft_in1k", 28.6),
    ("timm:convnextv2_nano.fcmae_ft_in22k_in1k", 15.6),
    ("timm:convnextv2_tiny.fcmae_ft_in22k_in1k", 28.6),
    ("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", 5.7),
    ("timm:vit_small_patch16_224.augreg_in21k", 30.1),
    ("timm:vit_small_patch16_224.dino", 21.7),
    ("timm:vit_small_patch14_dinov2.lvd142m", 22.1),
    ("timm:vit_base_patch16_224.augreg2_in21k_ft_in1k", 86.6),
    ("timm:vit_base_patch16_224.mae", 85.8),
    ("timm:vit_base_patch16_clip_224.openai", 86.2),
    ("timm:deit_small_patch16_224.fb_in1k", 22.1),
    ("timm:deit3_small_patch16_224.fb_in22k_ft_in1k", 22.1),
    ("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", 28.3),
    ("timm:eva02_tiny_patch14_224.mim_in22k", 5.5),
)
_TEXT = (
    ("hf:sentence-transformers/all-MiniLM-L6-v2", 22.7),
    ("hf:sentence-transformers/all-MiniLM-L12-v2", 33.4),
    ("hf:sentence-transformers/all-mpnet-base-v2", 109.5),
    ("hf:sentence-transformers/paraphrase-MiniLM-L3-v2", 17.4),
    ("hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 117.7),
    ("hf:sentence-transformers/multi-qa-MiniLM-L6-cos-v1", 22.7),
    ("hf:BAAI/bge-small-en-v1.5", 33.4),
    ("hf:BAAI/bge-base-en-v1.5", 109.5),
    ("hf:intfloat/e5-small-v2", 33.4),
    ("hf:intfloat/e5-base-v2", 109.5),
    ("hf:intfloat/multilingual-e5-small", 117.7),
    ("hf:thenlper/gte-small", 33.4),
    ("hf:thenlper/gte-base", 109.5),
    ("hf:google-bert/bert-base-uncased", 109.5),
    ("hf:google-bert/bert-base-cased", 108.3),
    ("hf:google-bert/bert-base-multilingual-cased", 177.9),
    ("hf:distilbert/distilbert-base-uncased", 66.4),
    ("hf:distilbert/distilroberta-base", 82.1),
    ("hf:FacebookAI/roberta-base", 124.6),
    ("hf:FacebookAI/xlm-roberta-base", 278.0),
    ("hf:albert/albert-base-v2", 11.7),
    ("hf:answerdotai/ModernBERT-base", 149.0),
    ("hf:openai-community/gpt2", 124.4),
    ("hf:distilbert/distilgpt2", 81.9),
    ("hf:HuggingFaceTB/SmolLM2-135M", 134.5),
)


def curated(modality: str) -> tuple[CuratedCheckpoint, ...]:
    """The curated checkpoints that read `image` or `text`; none for other kinds."""
    entries = {"image": _IMAGE, "text": _TEXT}.get(modality, ())
    return tuple(CuratedCheckpoint(checkpoint_id, millions) for checkpoint_id, millions in entries)
