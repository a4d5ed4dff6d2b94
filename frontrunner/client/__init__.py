"""Clients of the service, `Client` and `AsyncClient`: datasets, rankings, tunings, jobs, and what is refused.

What is asked and how answers are read stands once, in `operations`; a client brings the connections and the waiting.
"""

from frontrunner.client.asynchronous import AsyncClient
from frontrunner.client.connection import JobEvent
from frontrunner.client.job import AsyncJob, Job
from frontrunner.client.problems import ServiceProblem
from frontrunner.client.synchronous import Client
from frontrunner.client.webhooks import WebhookForged, verify_webhook

__all__ = ["AsyncClient", "AsyncJob", "Client", "Job", "JobEvent", "ServiceProblem", "WebhookForged", "verify_webhook"]
