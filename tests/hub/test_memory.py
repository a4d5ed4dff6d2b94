"""Opening a checkpoint holds its weights once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

# What a process takes when it opens one checkpoint, beyond what the libraries take that another one made it load.
_MEASURE = """
import json, sys
from pathlib import Path
from frontrunner.extraction.memory import PeakMemory
from frontrunner.hub import describe_directory
from frontrunner.hub.opening.open import open_checkpoint

small, large = map(Path, sys.argv[1:])
open_checkpoint(describe_directory(small))
memory = PeakMemory()
opened = open_checkpoint(describe_directory(large))
size = sum(tensor.nbytes for tensor in opened.module.state_dict().values())
for tensor in opened.module.state_dict().values():
    tensor.sum()  # weights that a file lends are read where they are used
print(json.dumps([memory.growth_bytes(), size]))
"""


def timm_folder(folder, blocks, stored):
    import timm

    folder.mkdir()
    shape = {"embed_dim": 384, "depth": blocks, "num_heads": 6, "img_size": 64, "patch_size": 16}
    module = timm.create_model("vit_small_patch16_224", num_classes=10, **shape)
    weights = {name: value.to(stored).contiguous() for name, value in module.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    cfg = {"input_size": [3, 64, 64], "fixed_input_size": True, "num_classes": 10, "classifier": "head"}
    config = {"architecture": "vit_small_patch16_224", "num_classes": 10, "model_args": shape, "pretrained_cfg": cfg}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def bert_folder(folder, blocks, stored, text_hub):
    import shutil

    import transformers

    config = transformers.BertConfig(
        vocab_size=1000, hidden_size=384, num_hidden_layers=blocks, num_attention_heads=6, intermediate_size=1536
    )
    transformers.BertModel(config).to(stored).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(text_hub / "encoder" / name, folder)
    return folder


@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
@pytest.mark.parametrize("library", ["timm", "transformers"])
def test_opening_takes_at_most_1_3_times_the_weights_in_float32(tmp_path, text_hub, library, stored):
    def make(name, blocks):
        if library == "timm":
            return timm_folder(tmp_path / name, blocks, stored)
        return bert_folder(tmp_path / name, blocks, stored, text_hub)

    small, large = make("small", 1), make("large", 30)
    done = subprocess.run([sys.executable, "-c", _MEASURE, small, large], check=True, capture_output=True, text=True)
    taken, size = json.loads(done.stdout)
    assert size > 200e6
    assert taken <= 1.3 * size
