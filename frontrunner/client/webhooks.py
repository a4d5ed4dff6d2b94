"""Whether a message to a webhook comes from the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

from frontrunner.errors import FrontrunnerError


class WebhookForged(FrontrunnerError):
    """A message that the holder of the secret did not sign, that was changed, or that is older than five minutes."""

    code = "webhook_forged"


def verify_webhook(secret: str, headers: Mapping[str, str], body: bytes | str) -> dict[str, Any]:
    """The CloudEvent of a message, once its signature is found to be right.

    Args:
        secret: as the service gave it when the webhook was created.
        headers: of the request; their case does not count.
        body: of the request, as it came.

    Raises:
        WebhookForged: the message is not to be believed.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        Webhook(secret).verify(body, lower)
    except WebhookVerificationError as error:
        raise WebhookForged(f"the message is not to be believed: {error}") from error
    event: dict[str, Any] = json.loads(body)
    return event
