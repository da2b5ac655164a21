"""What really happened: every send that WhatsApp got, every request, every delivery. Bounded, and it says what it dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

from harness.evolution.state import timestamp

__all__ = ["Bounded", "Delivery", "RequestRecord", "Send"]


class _Record(msgspec.Struct, kw_only=True, gc=False):
    """What is made for every request or delivery, and written out when somebody asks: `at` and `monotonic` are the clock's."""

    def shown(self) -> dict[str, Any]:
        """As the control plane tells it: `at` is ISO 8601."""
        return {name: self.time if name == "at" else getattr(self, name) for name in self.__struct_fields__}

    @property
    def time(self) -> str:
        at: datetime = self.at  # type: ignore[attr-defined]
        return timestamp(at)


class Send(_Record, kw_only=True, gc=False):
    """One message that reached WhatsApp, whatever the HTTP client was told."""

    instance: str
    number: str
    remoteJid: str  # noqa: N815 - the control plane speaks the server's names
    text: str | None
    messageType: str  # noqa: N815
    keyId: str  # noqa: N815
    at: datetime
    monotonic: float


class RequestRecord(_Record, kw_only=True, gc=False):
    """One request to the server's own API; `status` is None while it is open or when the connection was cut."""

    method: str
    path: str
    query: str
    instance: str | None
    credential: str
    body: Any
    at: datetime
    monotonic: float
    status: int | None = None
    seconds: float | None = None


class Delivery(_Record, kw_only=True, gc=False):
    """One attempt to deliver an event: `status` of the listener's answer, or the `error` that kept it from answering."""

    url: str
    instance: str
    event: str
    number: int
    attempt: int
    status: int | None
    error: str | None
    final: bool
    keyId: str | None  # noqa: N815
    at: datetime
    monotonic: float
    seconds: float
    body: bytes

    def shown(self) -> dict[str, Any]:
        return {**super().shown(), "body": msgspec.json.decode(self.body)}


Journaled = TypeVar("Journaled")


class Bounded(Generic[Journaled]):
    """The newest `limit` records and the number of older ones that were dropped for them.

    Records are numbered from 1, and anew from 1 in every `epoch`, which ends when all are replaced.
    """

    def __init__(self, limit: int) -> None:
        self._records: deque[Journaled] = deque(maxlen=limit)
        self.dropped = 0
        self.epoch = 1

    def append(self, record: Journaled) -> None:
        if len(self._records) == self._records.maxlen:
            self.dropped += 1
        self._records.append(record)

    @property
    def total(self) -> int:
        """How many there have been; also the number of the newest."""
        return self.dropped + len(self._records)

    def numbered(self, after: int = 0) -> Iterator[tuple[int, Journaled]]:
        """Every record behind number `after` with its own number, the oldest first."""
        skipped = max(0, after - self.dropped)
        first = self.dropped + skipped + 1
        return iter(list(enumerate(islice(self._records, skipped, None), first)))

    def clear(self) -> None:
        self.fill((), dropped=0)

    def fill(self, records: Iterable[Journaled], *, dropped: int) -> None:
        """Replaces everything, as a snapshot has kept it."""
        self._records.clear()
        self._records.extend(records)
        self.dropped = dropped
        self.epoch += 1

    def __iter__(self) -> Iterator[Journaled]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)
