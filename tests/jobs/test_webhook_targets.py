"""Where a webhook may lead: every form in which a private address can be written."""

from __future__ import annotations

import pytest

from jobs.webhooks.sending import ForbiddenTarget, resolve_target


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "0x7f.1", "2130706433", "0.0.0.0", "10.1.2.3", "169.254.169.254", "100.64.0.1", "224.0.0.1",  # noqa: S104
        "192.0.2.1", "255.255.255.255", "[::1]", "[::]", "[::7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]", "[64:ff9b::a00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001::1]", "[fc00::1]",
        "[fe80::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[5f00::1]", "[100::1]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host):
    with pytest.raises(ForbiddenTarget):
        resolve_target(f"http://{host}/", allow_private=False)


@pytest.mark.parametrize("host", ["8.8.8.8", "[2001:4860:4860::8888]", "[64:ff9b::808:808]", "[2002:808:808::]"])
def test_public_addresses_are_accepted(host):
    assert resolve_target(f"https://{host}/", allow_private=False).address == host.strip("[]")


@pytest.mark.parametrize("port", [0, 65_536, 70_000])
def test_ports_that_are_none_are_refused(port):
    with pytest.raises(ForbiddenTarget, match="port"):
        resolve_target(f"http://8.8.8.8:{port}/", allow_private=True)
