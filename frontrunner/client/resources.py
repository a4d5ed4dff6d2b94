"""What can be read and told of a service's resources, for both clients: each call is one operation."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import httpx

from frontrunner.client import operations
from frontrunner.client.connection import Operation
from frontrunner.hub.describing.listing import CatalogueMatches
from frontrunner.ranking import Ranking
from frontrunner.ranking.result import Outlook
from frontrunner.tuning import Tuning

Result = TypeVar("Result")
# Ids of checkpoints hold these, and addresses may: `hf:org/name@revision`.
_IN_IDS = ":/@"


class _Runs(Protocol):
    def run(self, operation: Operation[Result]) -> Result: ...


class _AsyncRuns(Protocol):
    async def run(self, operation: Operation[Result]) -> Result: ...


class Resources:
    """Calls of `Client` that are over once the service has answered."""

    def job(self: _Runs, job_id: str) -> dict[str, Any]:
        """Read a job."""
        return self.run(operations.resource("GET", f"/v1/jobs/{job_id}"))

    def jobs(self: _Runs, **narrowed_by: Any) -> list[dict[str, Any]]:
        """The newest jobs; `narrowed_by` as in `GET /v1/jobs`."""
        return self.run(operations.page("/v1/jobs", narrowed_by))

    def cancel(self: _Runs, job_id: str) -> dict[str, Any]:
        """Ask a job to stop."""
        return self.run(operations.resource("POST", f"/v1/jobs/{job_id}/cancel"))

    def retry(self: _Runs, job_id: str) -> dict[str, Any]:
        """Do again what did not succeed of a job."""
        return self.run(operations.resource("POST", f"/v1/jobs/{job_id}/retry"))

    def delete(self: _Runs, job_id: str) -> None:
        """Forget a job that is over."""
        self.run(operations.delete(f"/v1/jobs/{job_id}"))

    def ranking(self: _Runs, ranking_id: str) -> Ranking:
        """Read a ranking; partial while it runs."""
        return self.run(operations.read_ranking(ranking_id))

    def outlook(self: _Runs, ranking_id: str) -> Outlook:
        """A finished ranking in the light of the service's past results."""
        return self.run(operations.read_outlook(ranking_id))

    def tuning(self: _Runs, tuning_id: str) -> Tuning:
        """Read a tuning; partial while it runs."""
        return self.run(operations.read_tuning(tuning_id))

    def datasets(self: _Runs) -> list[dict[str, Any]]:
        """Every dataset that was uploaded."""
        return self.run(operations.every_page("/v1/datasets", {}))

    def dataset(self: _Runs, dataset_id: str) -> dict[str, Any]:
        """Read a dataset and its report."""
        return self.run(operations.resource("GET", f"/v1/datasets/{dataset_id}"))

    def delete_dataset(self: _Runs, dataset_id: str) -> None:
        """Forget a dataset that no job uses, its bytes and its features."""
        self.run(operations.delete(f"/v1/datasets/{dataset_id}"))

    def checkpoints(self: _Runs, **narrowed_by: Any) -> list[dict[str, Any]]:
        """Every checkpoint on offer; `narrowed_by` as in `GET /v1/checkpoints`."""
        return self.run(operations.every_page("/v1/checkpoints", narrowed_by))

    def search_checkpoints(self: _Runs, words: str = "", *, limit: int = 50, **narrowed_by: Any) -> CatalogueMatches:
        """The best matches among the checkpoints that the service knows; `narrowed_by` as in `GET /v1/checkpoints`."""
        return self.run(operations.search(words, limit, narrowed_by))

    def checkpoint(self: _Runs, checkpoint_id: str) -> dict[str, Any]:
        """Read a checkpoint."""
        return self.run(operations.resource("GET", f"/v1/checkpoints/{quote(checkpoint_id, safe=_IN_IDS)}"))

    def webhooks(self: _Runs) -> list[dict[str, Any]]:
        """Every address that hears when a job is over."""
        return self.run(operations.every_page("/v1/webhooks", {}))

    def create_webhook(self: _Runs, url: str) -> dict[str, Any]:
        """Let an address hear when a job is over; the only answer that holds its `secret`."""
        return self.run(operations.create_webhook(url))

    def webhook(self: _Runs, webhook_id: str) -> dict[str, Any]:
        """Read a webhook."""
        return self.run(operations.resource("GET", f"/v1/webhooks/{webhook_id}"))

    def enable_webhook(self: _Runs, webhook_id: str) -> dict[str, Any]:
        """Send to an address again, and what has waited first."""
        return self.run(operations.resource("POST", f"/v1/webhooks/{webhook_id}/enable"))

    def disable_webhook(self: _Runs, webhook_id: str) -> dict[str, Any]:
        """Let messages to an address wait."""
        return self.run(operations.resource("POST", f"/v1/webhooks/{webhook_id}/disable"))

    def delete_webhook(self: _Runs, webhook_id: str) -> None:
        """Forget a webhook, and what was sent to it."""
        self.run(operations.delete(f"/v1/webhooks/{webhook_id}"))

    def deliveries(self: _Runs, webhook_id: str) -> list[dict[str, Any]]:
        """The newest messages to an address."""
        return self.run(operations.page(f"/v1/webhooks/{webhook_id}/deliveries", {}))

    def redeliver(self: _Runs, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Send a message again."""
        return self.run(operations.redeliver(webhook_id, delivery_id))

    def quota(self: _Runs) -> dict[str, Any]:
        """What the key's tenant may use, and what it uses."""
        return self.run(operations.resource("GET", "/v1/quota"))

    def reach(self: _Runs) -> httpx.Response:
        """The answer to one request, by which a service shows that it is there.

        Raises:
            httpx.TransportError: none does.
        """
        return self.run(operations.reach())

    def version(self: _Runs) -> str:
        """The version of the service."""
        return self.run(operations.version())

    def ready(self: _Runs) -> dict[str, Any]:
        """Each part of the service on its own: `ok`, or what is wrong with it."""
        return self.run(operations.read_ready())


class AsyncResources:
    """The same of `AsyncClient`."""

    async def job(self: _AsyncRuns, job_id: str) -> dict[str, Any]:
        """Read a job."""
        return await self.run(operations.resource("GET", f"/v1/jobs/{job_id}"))

    async def jobs(self: _AsyncRuns, **narrowed_by: Any) -> list[dict[str, Any]]:
        """The newest jobs; `narrowed_by` as in `GET /v1/jobs`."""
        return await self.run(operations.page("/v1/jobs", narrowed_by))

    async def cancel(self: _AsyncRuns, job_id: str) -> dict[str, Any]:
        """Ask a job to stop."""
        return await self.run(operations.resource("POST", f"/v1/jobs/{job_id}/cancel"))

    async def retry(self: _AsyncRuns, job_id: str) -> dict[str, Any]:
        """Do again what did not succeed of a job."""
        return await self.run(operations.resource("POST", f"/v1/jobs/{job_id}/retry"))

    async def delete(self: _AsyncRuns, job_id: str) -> None:
        """Forget a job that is over."""
        await self.run(operations.delete(f"/v1/jobs/{job_id}"))

    async def ranking(self: _AsyncRuns, ranking_id: str) -> Ranking:
        """Read a ranking; partial while it runs."""
        return await self.run(operations.read_ranking(ranking_id))

    async def outlook(self: _AsyncRuns, ranking_id: str) -> Outlook:
        """A finished ranking in the light of the service's past results."""
        return await self.run(operations.read_outlook(ranking_id))

    async def tuning(self: _AsyncRuns, tuning_id: str) -> Tuning:
        """Read a tuning; partial while it runs."""
        return await self.run(operations.read_tuning(tuning_id))

    async def datasets(self: _AsyncRuns) -> list[dict[str, Any]]:
        """Every dataset that was uploaded."""
        return await self.run(operations.every_page("/v1/datasets", {}))

    async def dataset(self: _AsyncRuns, dataset_id: str) -> dict[str, Any]:
        """Read a dataset and its report."""
        return await self.run(operations.resource("GET", f"/v1/datasets/{dataset_id}"))

    async def delete_dataset(self: _AsyncRuns, dataset_id: str) -> None:
        """Forget a dataset that no job uses, its bytes and its features."""
        await self.run(operations.delete(f"/v1/datasets/{dataset_id}"))

    async def checkpoints(self: _AsyncRuns, **narrowed_by: Any) -> list[dict[str, Any]]:
        """Every checkpoint on offer; `narrowed_by` as in `GET /v1/checkpoints`."""
        return await self.run(operations.every_page("/v1/checkpoints", narrowed_by))

    async def search_checkpoints(
        self: _AsyncRuns, words: str = "", *, limit: int = 50, **narrowed_by: Any
    ) -> CatalogueMatches:
        """The best matches among the checkpoints that the service knows; `narrowed_by` as in `GET /v1/checkpoints`."""
        return await self.run(operations.search(words, limit, narrowed_by))

    async def checkpoint(self: _AsyncRuns, checkpoint_id: str) -> dict[str, Any]:
        """Read a checkpoint."""
        return await self.run(operations.resource("GET", f"/v1/checkpoints/{quote(checkpoint_id, safe=_IN_IDS)}"))

    async def webhooks(self: _AsyncRuns) -> list[dict[str, Any]]:
        """Every address that hears when a job is over."""
        return await self.run(operations.every_page("/v1/webhooks", {}))

    async def create_webhook(self: _AsyncRuns, url: str) -> dict[str, Any]:
        """Let an address hear when a job is over; the only answer that holds its `secret`."""
        return await self.run(operations.create_webhook(url))

    async def webhook(self: _AsyncRuns, webhook_id: str) -> dict[str, Any]:
        """Read a webhook."""
        return await self.run(operations.resource("GET", f"/v1/webhooks/{webhook_id}"))

    async def enable_webhook(self: _AsyncRuns, webhook_id: str) -> dict[str, Any]:
        """Send to an address again, and what has waited first."""
        return await self.run(operations.resource("POST", f"/v1/webhooks/{webhook_id}/enable"))

    async def disable_webhook(self: _AsyncRuns, webhook_id: str) -> dict[str, Any]:
        """Let messages to an address wait."""
        return await self.run(operations.resource("POST", f"/v1/webhooks/{webhook_id}/disable"))

    async def delete_webhook(self: _AsyncRuns, webhook_id: str) -> None:
        """Forget a webhook, and what was sent to it."""
        await self.run(operations.delete(f"/v1/webhooks/{webhook_id}"))

    async def deliveries(self: _AsyncRuns, webhook_id: str) -> list[dict[str, Any]]:
        """The newest messages to an address."""
        return await self.run(operations.page(f"/v1/webhooks/{webhook_id}/deliveries", {}))

    async def redeliver(self: _AsyncRuns, webhook_id: str, delivery_id: str) -> dict[str, Any]:
        """Send a message again."""
        return await self.run(operations.redeliver(webhook_id, delivery_id))

    async def quota(self: _AsyncRuns) -> dict[str, Any]:
        """What the key's tenant may use, and what it uses."""
        return await self.run(operations.resource("GET", "/v1/quota"))

    async def reach(self: _AsyncRuns) -> httpx.Response:
        """The answer to one request, by which a service shows that it is there.

        Raises:
            httpx.TransportError: none does.
        """
        return await self.run(operations.reach())

    async def version(self: _AsyncRuns) -> str:
        """The version of the service."""
        return await self.run(operations.version())

    async def ready(self: _AsyncRuns) -> dict[str, Any]:
        """Each part of the service on its own: `ok`, or what is wrong with it."""
        return await self.run(operations.read_ready())
