"""The winner in sentence-transformers: its embeddings, and a classifier on them.

    python examples/pipelines/use_sentence_transformers.py intents.csv --hub encoders/

Needs `pip install 'frontrunner[texts]' sentence-transformers`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

import frontrunner
from frontrunner.data import open_dataset
from frontrunner.hub.opening.checkpoint import Checkpoint


def sentence_transformers_name(checkpoint: Checkpoint) -> dict[str, str | None]:
    """What `SentenceTransformer` takes: the folder where it lies on this machine, else the repository and revision."""
    about = checkpoint.description
    if about.path:
        return {"model_name_or_path": about.path}
    repository, _, revision = about.id.partition(":")[2].partition("@")
    return {"model_name_or_path": repository, "revision": revision or None}


def main() -> None:
    """Reads the arguments, ranks, and measures a classifier on the winner's embeddings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--hub", type=Path)
    arguments = parser.parse_args()
    ranking = frontrunner.rank(arguments.dataset, hub=arguments.hub)
    checkpoint = frontrunner.open_checkpoint(ranking.ranking[0].checkpoint, hub=arguments.hub)
    encoder = SentenceTransformer(**sentence_transformers_name(checkpoint), device="cpu")
    dataset = open_dataset(arguments.dataset)
    embeddings = encoder.encode([dataset.inputs.read(key).decode() for key in dataset.train.keys])
    accuracy = cross_val_score(LogisticRegression(max_iter=1000), embeddings, dataset.train.labels, cv=5).mean()
    print(
        f"{checkpoint.description.id}: {embeddings.shape[1]} dimensions, {accuracy:.3f} right of five held-out fifths"
    )


if __name__ == "__main__":
    main()
