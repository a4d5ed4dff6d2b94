"""Where this service may send requests that a user asked for: to the public internet, never into its own network.

A name is resolved once, its addresses are checked, and the connection goes to the address that was checked: a name
that resolves to something else a moment later is of no use to an attacker. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from datetime import datetime

import httpx
from standardwebhooks import Webhook

from frontrunner.errors import FrontrunnerError

# An address that takes longer has its message again later.
TIMEOUT_S = 10.0
_MAX_PORT = 65_535
# All that is given out for the public internet. Outside lie loopback, IPv4 in disguise (::/96), site-local addresses
# and whatever may come; inside, a block for documentation that the standard library does not know yet.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")
# What translators of IPv6-only networks put before an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class ForbiddenTarget(FrontrunnerError):
    """The address is not one that this service may send requests to."""

    code = "webhook_target_forbidden"


@dataclass(frozen=True)
class Target:
    """A URL and the checked address that a connection to it must use."""

    url: httpx.URL
    address: str


def resolve_target(url: str, *, allow_private: bool) -> Target:
    """Check where `url` leads.

    Raises:
        ForbiddenTarget: not http or https, with credentials, a name that does not resolve, or an address that is
            private, loopback, link-local, multicast or reserved.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ForbiddenTarget(f"'{url}' is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ForbiddenTarget(f"'{url}' must begin with http:// or https:// and name a host")
    if parsed.userinfo:
        raise ForbiddenTarget("the URL holds credentials; messages are signed instead")
    port = parsed.port if parsed.port is not None else (443 if parsed.scheme == "https" else 80)
    if not 0 < port <= _MAX_PORT:
        raise ForbiddenTarget(f"there is no port {port}: ports are numbers from 1 to {_MAX_PORT:,}")
    try:
        found = socket.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ForbiddenTarget(f"the host '{parsed.host}' does not resolve") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not allow_private and not all(_is_public(address) for address in addresses):
        raise ForbiddenTarget(f"the host '{parsed.host}' is in a private or reserved network")
    return Target(parsed, addresses[0])


def send_signed(target: Target, body: str, *, secret: str, message_id: str, at: datetime) -> int:
    """POST a CloudEvent, signed as Standard Webhooks; the HTTP status of the answer, whose body is not read.

    Raises:
        httpx.HTTPError: no answer.
    """
    headers = {
        "Host": target.url.netloc.decode("ascii"),
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "frontrunner-webhooks",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, at, body),
    }
    with (
        httpx.Client(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
        client.stream(
            "POST",
            target.url.copy_with(host=target.address),
            content=body.encode(),
            headers=headers,
            # The certificate must be the name's, although the connection goes to an address.
            extensions={"sni_hostname": target.url.host},
        ) as answer,
    ):
        return answer.status_code


def _is_public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if (carried := _carried(parsed)) is not None:
            parsed = carried
        elif parsed not in _GLOBAL_UNICAST or parsed in _DOCUMENTATION:
            return False
    return parsed.is_global and not parsed.is_multicast


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that a packet to this one ends up at; None where that is this one itself."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
