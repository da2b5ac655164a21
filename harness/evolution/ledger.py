"""What really happened: every send that WhatsApp got, every request, every delivery. Bounded, and it says what it dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

__all__ = ["Bounded", "Delivery", "RequestRecord", "Send"]

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """One message that reached WhatsApp, whatever the HTTP client was told. `at` ISO 8601, `monotonic` seconds of the clock."""

    instance: str
    number: str
    remoteJid: str  # noqa: N815 - the control plane speaks the server's names
    text: str | None
    messageType: str  # noqa: N815
    keyId: str  # noqa: N815
    at: str
    monotonic: float


@dataclass(slots=True, kw_only=True)
class RequestRecord:
    """One request to the server's own API; `status` is None while it is open or when the connection was cut."""

    method: str
    path: str
    query: str
    instance: str | None
    credential: str
    body: Any
    at: str
    monotonic: float
    status: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
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
    at: str
    monotonic: float
    seconds: float
    body: bytes


class Bounded(Generic[Record]):
    """The newest `limit` records and the number of older ones that were dropped for them.

    Records are numbered from 1, and anew from 1 in every `epoch`, which ends when all are replaced.
    """

    def __init__(self, limit: int) -> None:
        self._records: deque[Record] = deque(maxlen=limit)
        self.dropped = 0
        self.epoch = 1

    def append(self, record: Record) -> None:
        if len(self._records) == self._records.maxlen:
            self.dropped += 1
        self._records.append(record)

    @property
    def total(self) -> int:
        """How many there have been; also the number of the newest."""
        return self.dropped + len(self._records)

    def numbered(self, after: int = 0) -> Iterator[tuple[int, Record]]:
        """Every record behind number `after` with its own number, the oldest first."""
        skipped = max(0, after - self.dropped)
        first = self.dropped + skipped + 1
        return iter(list(enumerate(islice(self._records, skipped, None), first)))

    def clear(self) -> None:
        self.fill((), dropped=0)

    def fill(self, records: Iterable[Record], *, dropped: int) -> None:
        """Replaces everything, as a snapshot has kept it."""
        self._records.clear()
        self._records.extend(records)
        self.dropped = dropped
        self.epoch += 1

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)
