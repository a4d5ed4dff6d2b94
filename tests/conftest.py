"""What tests share: tiny datasets and tiny checkpoints, made by seed; the pack where it is there."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

# No test is about time: the first call of a property loads libraries, and the machine may be busy.
settings.register_profile("frontrunner", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("frontrunner")

ROOT = Path(__file__).resolve().parent.parent


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Pixels (H, W, 3) as the bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, kind)
    return buffer.getvalue()


def class_images(
    classes: int, each: int, side: int = 32, seed: int = 0, splits: tuple[str, ...] = ("train",)
) -> dict[str, bytes]:
    """Images whose class is a colour under noise, as path -> bytes."""
    generator = np.random.default_rng(seed)
    colours = generator.uniform(40, 215, size=(classes, 3))
    return {
        f"{split}/class-{label}/{index:04d}.png": encode(
            np.clip(colours[label] + generator.normal(0, 30, size=(side, side, 3)), 0, 255)
        )
        for split in splits
        for label in range(classes)
        for index in range(each)
    }


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    """A zip of these files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


def write_timm_checkpoint(folder: Path, architecture: str, seed: int, side: int = 32, classes: int = 10) -> Path:
    """A checkpoint folder in timm's form with random weights."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    module = timm.create_model(architecture, pretrained=False, num_classes=classes)
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, folder / "model.safetensors")
    cfg = {
        "input_size": [3, side, side],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bilinear",
        "crop_pct": 1.0,
    }
    config = {"architecture": architecture, "num_classes": classes, "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def write_transformers_checkpoint(folder: Path, seed: int, side: int = 32) -> Path:
    """A MobileNetV1 folder in transformers' form with random weights."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.MobileNetV1Config(image_size=side, depth_multiplier=0.25, num_labels=7)
    module = transformers.MobileNetV1ForImageClassification(config)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(part.weight)  # the default shrinks what passes through to nothing
    module.save_pretrained(folder)
    transformers.MobileNetV1ImageProcessor(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}
    ).save_pretrained(folder)
    return folder


WORDS = (
    "the", "a", "bank", "card", "lost", "money", "sent", "late", "please", "my", "is", "not", "working", "balance",
    "cash", "machine", "fee", "?", ".",
)  # fmt: skip


def write_text_checkpoint(folder: Path, kind: str, seed: int, layers: int = 3) -> Path:
    """A tiny text checkpoint with random weights: a `bert` encoder or a `gpt2` decoder, over the same words."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    torch.manual_seed(seed)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate([*special, *WORDS])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    sizes = {"vocab_size": len(special) + len(WORDS)}
    if kind == "bert":
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
        )
        module = transformers.BertModel(
            transformers.BertConfig(
                **sizes, hidden_size=32, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=64,
                max_position_embeddings=40,
            )
        )  # fmt: skip
        names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        inputs = ["input_ids", "token_type_ids", "attention_mask"]
    else:
        module = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(**sizes, n_embd=32, n_layer=layers, n_head=4, n_positions=40)
        )
        names = {"eos_token": "[SEP]", "unk_token": "[UNK]"}
        inputs = ["input_ids", "attention_mask"]
    module.save_pretrained(folder)
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=inputs, **names)
    fast.save_pretrained(folder)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """A failure shows what the service that was tested wrote: the machine where it failed may be out of reach."""
    report = yield
    service = (getattr(item, "funcargs", None) or {}).get("service")
    if report.failed and hasattr(service, "logs"):
        report.sections.append(("what the service wrote", service.logs()[-6000:]))
    return report


@pytest.fixture(scope="session")
def text_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny text checkpoints: an encoder and a decoder."""
    root = tmp_path_factory.mktemp("text-hub")
    write_text_checkpoint(root / "encoder", "bert", seed=1)
    write_text_checkpoint(root / "decoder", "gpt2", seed=2)
    return root


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tiny checkpoints: two of timm's architectures, one of transformers'."""
    root = tmp_path_factory.mktemp("hub")
    write_timm_checkpoint(root / "resnet", "test_resnet", seed=1)
    write_timm_checkpoint(root / "vit", "test_vit", seed=2, side=160)
    write_transformers_checkpoint(root / "mobilenet", seed=3)
    return root


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of 4 classes x 20 training and 5 test images."""
    files = class_images(4, 20) | class_images(4, 5, seed=9, splits=("test",))
    return write_zip(tmp_path_factory.mktemp("data") / "colours.zip", files)


@pytest.fixture(scope="session")
def pack() -> Path:
    """The pack of real checkpoints and datasets; absent, tests that need it are skipped."""
    path = Path(os.environ.get("FRONTRUNNER_PACK", ROOT.parent / "shared" / "pack"))
    if not path.is_dir():
        pytest.skip(f"the pack is not at {path}; set FRONTRUNNER_PACK")
    return path


@pytest.fixture
def zip_of(tmp_path: Path) -> Callable[..., Path]:
    """Makes a zip of the given files."""

    def make(files: dict[str, bytes], name: str = "data.zip") -> Path:
        return write_zip(tmp_path / name, files)

    return make
