"""The whole state of a fake as one JSON document, which can be kept in a file and restored in another process.

A snapshot holds the server's rows and memory, the numbers it knows, WhatsApp's side, the server's settings, the faults that are
on and the position of every stream of ids: after a restore the next ids, tokens and codes are those that would have come after
the snapshot. With `journals` it also holds what was recorded.

Not kept, because it cannot be: open requests, deliveries under way and retries that wait, acknowledgements that are not due, and
a scan that is not confirmed; `lost` counts the first three. Connections are taken up as they were: an open one is open, one that
shows a code shows the same code, one that was reconnecting goes on. The clock, the global key and the control token belong to
the process. The document holds the instances' tokens: keep it as you keep them.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from harness.evolution.errors import ControlError
from harness.evolution.identity import Identity
from harness.evolution.injection import Injector
from harness.evolution.ledger import Bounded, Delivery, RequestRecord, Send
from harness.evolution.settings import ServerSettings, WebhookRetry
from harness.evolution.state import (
    Connection,
    Instance,
    Message,
    Messages,
    Settings,
    Store,
    Update,
    WebhookRow,
    WhatsApp,
    timestamp,
)

if TYPE_CHECKING:
    from harness.evolution.fake import Fake
    from harness.evolution.lifecycle import Lifecycle

__all__ = ["FORMAT", "VERSION", "restore", "take"]

FORMAT = "golive/evolution-snapshot"
VERSION = 1


@dataclass(slots=True, kw_only=True)
class _Journals:
    requests: list[RequestRecord]
    requests_dropped: int
    sends: list[Send]
    sends_dropped: int
    deliveries: list[Delivery]
    deliveries_dropped: int


@dataclass(slots=True, kw_only=True)
class _UpdateRow:
    row: str
    status: str
    remote_jid: str | None
    from_me: bool
    participant: str | None
    second: int | None


@dataclass(slots=True, kw_only=True)
class _MessageRow:
    id: str
    raw: dict[str, Any]
    updates: list[_UpdateRow]

    @classmethod
    def of(cls, message: Message) -> _MessageRow:
        updates = [_UpdateRow(**{**msgspec.structs.asdict(one), "row": str(one.row)}) for one in message.updates]
        return cls(id=message.id, raw=message.raw, updates=updates)

    def message(self) -> Message:
        return Message(row=self.id, content=self.raw, updates=tuple(Update(**asdict(one)) for one in self.updates))


@dataclass(slots=True, kw_only=True)
class _State:
    """`numbers` are (jid, seconds since it was confirmed), `downtime` the seconds for which the server stays away."""

    identity: dict[str, Any]
    settings: ServerSettings
    whatsapp: WhatsApp
    numbers: list[tuple[str, float]]
    instances: list[Instance]
    faults: dict[str, Any]
    deliveries: int
    downtime: float
    journals: _Journals | None


_RECORDS = (
    _State,
    _Journals,
    ServerSettings,
    WebhookRetry,
    WhatsApp,
    Instance,
    Settings,
    WebhookRow,
    Connection,
    _MessageRow,
    _UpdateRow,
    RequestRecord,
    Send,
    Delivery,
)


def _layout() -> str:
    """A digest of what the records consist of: a document of other records is of another version, whoever forgot to say so."""
    shapes = [f"{record.__name__}.{part.name}:{part.type}" for record in _RECORDS for part in _parts_of(record)]
    return hashlib.sha256("\n".join(shapes).encode()).hexdigest()[:12]


def _parts_of(record: Any) -> Iterable[Any]:
    return msgspec.structs.fields(record) if issubclass(record, msgspec.Struct) else fields(record)


def take(fake: Fake, *, journals: bool = False) -> dict[str, Any]:
    """The document, made of JSON's own types alone."""
    store = fake.store
    state = _State(
        identity=store.identity.position(),
        settings=store.settings,
        whatsapp=store.whatsapp,
        numbers=store.numbers.ages(),
        instances=list(store.instances.values()),
        faults=fake.faults.position(),
        deliveries=fake.webhooks.number,
        downtime=fake.port.downtime,
        journals=_journals(fake) if journals else None,
    )
    return {
        "format": FORMAT,
        "version": VERSION,
        "layout": _layout(),
        "takenAt": timestamp(fake.clock.now()),
        "lost": {
            "openRequests": len(fake.handlers),
            "deliveriesUnderWay": fake.webhooks.under_way,
            "pendingRetries": fake.webhooks.pending,
        },
        "state": _plain(state),
    }


def _journals(fake: Fake) -> _Journals:
    return _Journals(
        requests=list(fake.requests),
        requests_dropped=fake.requests.dropped,
        sends=list(fake.sends),
        sends_dropped=fake.sends.dropped,
        deliveries=list(fake.deliveries),
        deliveries_dropped=fake.deliveries.dropped,
    )


async def restore(fake: Fake, lifecycle: Lifecycle, document: Any) -> None:
    """Replaces the state of the fake by that of the document; journals that it does not hold are empty afterwards.

    Raises ControlError with one line, before anything has changed, for what is no snapshot, is of another version, or is damaged.
    """
    state = _read(document)
    identity = Identity()
    try:
        identity.go_to(state.identity)
        Injector(Identity(), fake.clock).go_to(state.faults)
    except (KeyError, TypeError, ValueError) as error:
        raise ControlError(f"the snapshot is damaged: {type(error).__name__}: {error}; take it again") from None
    await fake.forget_work()
    store = Store(key=fake.store.key, clock=fake.clock, identity=identity, settings=state.settings)
    store.whatsapp = state.whatsapp
    store.numbers.take_up(state.numbers)
    store.instances = {instance.name: instance for instance in state.instances}
    fake.store = store
    fake.faults.clear(identity)
    fake.faults.go_to(state.faults)
    fake.webhooks.number = state.deliveries
    fake.port.go_down(state.downtime)
    _fill(fake.requests, state.journals, "requests")
    _fill(fake.sends, state.journals, "sends")
    _fill(fake.deliveries, state.journals, "deliveries")
    for instance in state.instances:
        lifecycle.take_up(instance)


def _fill(journal: Bounded[Any], journals: _Journals | None, name: str) -> None:
    if journals is None:
        journal.clear()
    else:
        journal.fill(getattr(journals, name), dropped=getattr(journals, f"{name}_dropped"))


def _read(document: Any) -> _State:
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise ControlError(f"this is no snapshot of a fake: its `format` is not {FORMAT!r}")
    if (document.get("version"), document.get("layout")) != (VERSION, _layout()):
        found = f"{document.get('version')!r} (layout {document.get('layout')!r})"
        raise ControlError(
            f"the snapshot is of version {found} and this fake reads {VERSION} (layout {_layout()!r}): take it again"
        )
    try:
        plain = _untagged(document.get("state"))
        return msgspec.convert(plain, _State, builtin_types=(bytes, datetime), dec_hook=_rebuilt)
    except (msgspec.ValidationError, ValueError, TypeError, KeyError, binascii.Error) as error:
        raise ControlError(f"the snapshot is damaged: {' '.join(str(error).split())}; take it again") from None


def _rebuilt(kind: type, value: Any) -> Any:
    if kind is Messages:
        messages = Messages()
        for row in msgspec.convert(value, list[_MessageRow], builtin_types=(bytes, datetime)):
            messages.add(row.message())
        return messages
    if kind is asyncio.Lock and value is None:
        return asyncio.Lock()
    raise NotImplementedError(f"a snapshot cannot hold a {kind.__name__}")


def _plain(value: Any) -> Any:
    """JSON's own types: bytes, moments, and objects that look like either, are wrapped in an object with one `$` name.

    Raises TypeError for what no snapshot can hold.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"$moment": value.isoformat()}
    if isinstance(value, Mapping):
        parts = {str(name): _plain(part) for name, part in value.items()}
        return {"$object": [[name, part] for name, part in parts.items()]} if any(name[:1] == "$" for name in parts) else parts
    if isinstance(value, set | frozenset):
        return sorted(_plain(part) for part in value)
    if isinstance(value, list | tuple | Messages):
        return [_plain(part) for part in value]
    if isinstance(value, Message):
        return _plain(_MessageRow.of(value))
    if is_dataclass(value) or isinstance(value, msgspec.Struct):
        return {part.name: _plain(getattr(value, part.name)) for part in _parts_of(type(value))}
    if isinstance(value, asyncio.Lock):
        # Who holds the queue of an instance is work, and work is not kept.
        return None
    raise TypeError(f"a snapshot cannot hold a {type(value).__name__}")


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(part) for part in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$bytes": str(text), **rest} if not rest:
            return base64.b64decode(text, validate=True)
        case {"$moment": str(text), **rest} if not rest:
            return datetime.fromisoformat(text)
        case {"$object": list(pairs), **rest} if not rest:
            return {name: _untagged(part) for name, part in pairs}
    return {name: _untagged(part) for name, part in value.items()}
