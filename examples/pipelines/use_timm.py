"""The winner in timm, with a new head for your classes: where your own training begins.

    python examples/pipelines/use_timm.py flowers.zip --hub checkpoints/

Needs `pip install 'frontrunner[images]'`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import timm
import torch

import frontrunner
from frontrunner.hub.opening.checkpoint import Checkpoint


def timm_name(checkpoint: Checkpoint) -> str:
    """What `timm.create_model` calls it: its folder where it lies on this machine, else its name on a hub."""
    about = checkpoint.description
    if about.path:
        return f"local-dir:{about.path}"
    kind, _, name = about.id.partition(":")
    return f"hf-hub:{name}" if kind == "hf" else name


def main() -> None:
    """Reads the arguments, ranks, and takes one step backwards through the winner."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hub", type=Path)
    arguments = parser.parse_args()
    ranking = frontrunner.rank(arguments.dataset, hub=arguments.hub)
    opened = (frontrunner.open_checkpoint(line.checkpoint, hub=arguments.hub) for line in ranking.ranking)
    checkpoint = next(one for one in opened if one.description.library == "timm")
    model = timm.create_model(timm_name(checkpoint), pretrained=True)
    model.reset_classifier(ranking.dataset.classes)
    view = timm.data.resolve_data_config(model=model)
    answers = model.train()(torch.zeros(2, *view["input_size"]))
    answers.square().mean().backward()
    print(f"{checkpoint.description.id}: {model.pretrained_cfg['architecture']} answers {tuple(answers.shape)}")


if __name__ == "__main__":
    main()
