"""How many requests a tenant may still send: counted by the minute, in Redis where the service has one.

Without Redis, and while it is away, every API process counts for itself.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import structlog
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.errors import StorageError
from redis.asyncio import ConnectionPool

from frontrunner.errors import FrontrunnerError

WINDOW_S = 60
# A Redis that does not answer at once is left alone for a while: requests must not wait for it one by one.
_REDIS_TIMEOUT_S = 0.25
_REDIS_AWAY_S = 5.0

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Allowance:
    """What a tenant has left of its minute.

    Attributes:
        limit: requests a minute; 0 for any number.
        left: of them.
        reset_s: until the next minute.
    """

    limit: int
    left: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        """As the IETF's draft of RateLimit header fields has them; none where there is no limit."""
        if not self.limit:
            return {}
        return {
            "RateLimit-Policy": f'"requests";q={self.limit};w={WINDOW_S}',
            "RateLimit": f'"requests";r={self.left};t={self.reset_s}',
        }


UNLIMITED = Allowance(0, 0, 0)


class RateLimited(FrontrunnerError):
    """The tenant has sent as many requests as it may in a minute."""

    code = "rate_limited"

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(f"{allowance.limit:,} requests a minute are answered; wait {allowance.reset_s} s")
        self.allowance = allowance


class Rates:
    """Counts requests. Lives in one event loop.

    Args:
        broker_url: of the settings; counts are kept there where it is a Redis.
    """

    def __init__(self, broker_url: str) -> None:
        self._here = MemoryStorage()
        self._pool = _pool(broker_url)
        self._redis = None if self._pool is None else _redis(broker_url, self._pool)
        self._away_until = 0.0

    async def take(self, tenant: str, limit: int) -> Allowance:
        """Count one request of a tenant.

        Raises:
            RateLimited: it was one too many.
        """
        if not limit:
            return UNLIMITED
        minute, second = divmod(time.time(), WINDOW_S)
        count = await self._count(f"{tenant}/{int(minute)}")
        allowance = Allowance(limit, max(0, limit - count), math.ceil(WINDOW_S - second))
        if count > limit:
            raise RateLimited(allowance)
        return allowance

    async def close(self) -> None:
        """Close connections."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _count(self, name: str) -> int:
        if self._redis is not None and time.monotonic() >= self._away_until:
            try:
                return await self._redis.incr(name, WINDOW_S)
            except StorageError as error:
                self._away_until = time.monotonic() + _REDIS_AWAY_S
                _log.warning("rates_counted_here", error=str(error.storage_error))
        return await self._here.incr(name, WINDOW_S)


def _pool(broker_url: str) -> ConnectionPool | None:
    if not broker_url.startswith(("redis://", "rediss://")):
        return None
    return ConnectionPool.from_url(broker_url, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S)


def _redis(broker_url: str, pool: ConnectionPool) -> RedisStorage:
    return RedisStorage(
        f"async+{broker_url}",
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="frontrunner/requests",
        connection_pool=pool,  # type: ignore[arg-type]
    )
