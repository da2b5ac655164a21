"""Whether requests can be served, and the measurements that only the database knows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, Protocol

from reference_impl.domain.errors import ProviderFailedError, ProviderUnavailableError, StorageUnavailableError
from reference_impl.ports import Provider, Store

__all__ = ["Readiness"]

_STUCK_AFTER: Final = timedelta(minutes=10)
# Of real time: a probe that is not answered is an answer.
_PROBE_DEADLINE_S: Final = 4.0


class Exposition(Protocol):
    """Measurements that can be set and shown."""

    def set(self, name: str, value: float) -> None:
        """The present value of a gauge."""
        ...

    def render(self) -> bytes:
        """The exposition text."""
        ...


class Readiness:
    """Asks anew each time: an answer that was right a minute ago is no readiness."""

    def __init__(self, *, store: Store, provider: Provider, metrics: Exposition) -> None:
        self._store = store
        self._provider = provider
        self._metrics = metrics

    async def checks(self) -> dict[str, str]:
        """`ok`, or one word for what is wrong, for `database` and `provider`."""
        database, provider = await asyncio.gather(self._database(), self._provider_check())
        return {"database": database, "provider": provider}

    async def exposition(self) -> bytes:
        """Every measurement, with those counted in the database as they are now. Raises StorageUnavailableError."""
        async with self._store.unit_of_work(None) as work:
            found = await work.messages.gauges(work.now)
            found["campaigns_stuck"] = float(await work.campaigns.stuck(work.now - _STUCK_AFTER))
            found["quarantine_open"] = float(await work.quarantine.count_open())
        found.setdefault("messages.unknown", 0.0)
        found.setdefault("messages.queued", 0.0)
        for name, value in found.items():
            self._metrics.set(name, value)
        return self._metrics.render()

    async def _database(self) -> str:
        try:
            await asyncio.wait_for(self._store.ping(), _PROBE_DEADLINE_S)
        except (StorageUnavailableError, TimeoutError):
            return "unavailable"
        return "ok"

    async def _provider_check(self) -> str:
        try:
            await asyncio.wait_for(self._provider.ping(), _PROBE_DEADLINE_S)
        except (ProviderUnavailableError, TimeoutError):
            return "unreachable"
        except ProviderFailedError:
            return "refused"
        return "ok"
