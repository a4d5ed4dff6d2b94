"""Dagster: a ranking as an asset, with its table as metadata, and a check that its first beats chance.

    FRONTRUNNER_SERVER=https://frontrunner.example FRONTRUNNER_API_KEY=frk_... DATASET=flowers.zip \\
        dagster asset materialize -f examples/pipelines/dagster_assets.py --select '*'

Needs `dagster` and `frontrunner`.
"""

import dagster as dg

from frontrunner import Client


class Frontrunner(dg.ConfigurableResource):
    """The service: its address and, where it has keys, one of them."""

    url: str
    key: str

    def client(self) -> Client:
        """A client; close it."""
        return Client(self.url, key=self.key or None)


class Dataset(dg.Config):
    """What to rank for."""

    path: str = dg.EnvVar("DATASET")
    scores: list[str] = ["logme", "knn"]  # noqa: RUF012 - Dagster copies it


@dg.asset(group_name="frontrunner")
def ranking(config: Dataset, frontrunner: Frontrunner) -> dg.MaterializeResult[dict]:
    """Checkpoints for the dataset, best first."""
    with frontrunner.client() as client:
        found = client.recommend(config.path, scores=config.scores).wait()
    best = found.best
    if best is None:
        raise dg.Failure("nothing was ranked")
    records = [
        dg.TableRecord({"rank": line.rank, "checkpoint": line.checkpoint, "logme": line.scores["logme"].value})
        for line in found.ranking
    ]
    return dg.MaterializeResult(
        value=found.model_dump(mode="json"),
        metadata={
            "best": best.checkpoint,
            "summary": found.summary,
            "logme": best.scores["logme"].value,
            "ranking": dg.MetadataValue.table(records),
        },
    )


@dg.asset_check(asset=ranking)
def beats_chance(ranking: dict) -> dg.AssetCheckResult:
    """Whether the first one's nearest neighbours do better than naming any class."""
    low = ranking["ranking"][0]["scores"]["knn"]["low"] or 0.0
    return dg.AssetCheckResult(passed=low > 1 / ranking["dataset"]["classes"], metadata={"knn_low": low})


@dg.asset(group_name="frontrunner")
def winner(ranking: dict) -> str:
    """The checkpoint that assets which fine-tune begin from."""
    return ranking["ranking"][0]["checkpoint"]


defs = dg.Definitions(
    assets=[ranking, winner],
    asset_checks=[beats_chance],
    resources={"frontrunner": Frontrunner(url=dg.EnvVar("FRONTRUNNER_SERVER"), key=dg.EnvVar("FRONTRUNNER_API_KEY"))},
)
