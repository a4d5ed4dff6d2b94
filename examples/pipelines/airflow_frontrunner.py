"""Airflow: a deferrable operator that ranks a dataset on a service.

While the service works, the task takes no worker's slot: a trigger waits in Airflow's triggerer. The service is the
connection `frontrunner_default`: its host is the address, its password an API key. Needs `apache-airflow>=3` and
`frontrunner`, for workers and triggerer alike. The file goes into Airflow's folder of plugins, from where the triggerer
can import it; out of the folder of DAGs it cannot.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.sdk import BaseHook, BaseOperator, Connection, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from frontrunner.client import AsyncClient, Client


def _address(connection: Connection) -> dict[str, Any]:
    return {"url": connection.host, "key": connection.password or None}


class RankTrigger(BaseTrigger):
    """Waits for a job of the service, and fires once it is over."""

    def __init__(self, job: str, connection: str) -> None:
        super().__init__()
        self.job = job
        self.connection = connection

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What Airflow keeps of it: the job and the connection's name, and no key."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"job": self.job, "connection": self.connection}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event, with the job's id and how it ended."""
        connection = await BaseHook.aget_connection(self.connection)
        async with AsyncClient(**_address(connection)) as client:
            ended = await client.wait(self.job)
        yield TriggerEvent({"job": self.job, "status": ended["status"]})


class RankOperator(BaseOperator):
    """Has the service rank checkpoints for a dataset; its result is the ranking as JSON.

    Args:
        dataset: a file or folder that the worker reads; templated.
        terms: what `Client.recommend` takes besides: `top`, `scores`, `max_examples`, `budget`...; templated.
        connection: name of the Airflow connection.
    """

    template_fields: Sequence[str] = ("dataset", "terms")

    def __init__(
        self,
        *,
        dataset: str,
        terms: dict[str, Any] | None = None,
        connection: str = "frontrunner_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dataset = dataset
        self.terms = terms or {}
        self.connection = connection

    def execute(self, context: Context) -> None:
        """Upload, ask, and leave the waiting to the trigger."""
        with self._client() as client:
            job = client.recommend(self.dataset, **self.terms)
        self.defer(trigger=RankTrigger(job.id, self.connection), method_name="finish")

    def finish(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Read what came of it; a job that did not succeed fails the task, by its own error."""
        with self._client() as client:
            if event["status"] != "succeeded":
                raise RuntimeError(f"{event['job']} ended as {event['status']}: {client.job(event['job'])['error']}")
            ranking = client.ranking(event["job"])
        self.log.info("%s", ranking.explain())
        return ranking.model_dump(mode="json")

    def _client(self) -> Client:
        return Client(**_address(BaseHook.get_connection(self.connection)))
