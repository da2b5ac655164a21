"""What the server remembers: rows of its database, connections in its memory, numbers it has seen, and WhatsApp's side."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from harness.clock import Clock
from harness.evolution.identity import Identity, RowId
from harness.evolution.jids import is_broadcast, is_group, is_lid, other_form, same_subscriber
from harness.evolution.settings import ServerSettings

__all__ = [
    "Connection",
    "Instance",
    "Message",
    "Messages",
    "NumberCache",
    "Settings",
    "Store",
    "Update",
    "WebhookRow",
    "WhatsApp",
    "timestamp",
]

# What every download yields: a PNG of one pixel.
_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_HTTP = re.compile(r"https?://")
PICTURE = "https://pps.whatsapp.net/v/t61.24694-24/stub.jpg"


def timestamp(moment: datetime) -> str:
    """ISO 8601 with milliseconds and `Z`, as the database's rows show it."""
    # The offset takes the last six characters.
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


@dataclass(slots=True, kw_only=True)
class Settings:
    """An instance's settings row."""

    id: str
    created_at: datetime
    updated_at: datetime
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "rejectCall": False,
            "msgCall": "",
            "groupsIgnore": False,
            "alwaysOnline": False,
            "readMessages": False,
            "readStatus": False,
            "syncFullHistory": False,
            "wavoipToken": "",
        }
    )


@dataclass(slots=True, kw_only=True)
class WebhookRow:
    """An instance's webhook as the database holds it: `headers` and `events` are columns of JSON, and create checks neither.

    `headers` None means never configured.
    """

    id: str
    url: str
    headers: Any
    enabled: bool
    events: Any
    by_events: bool
    base64: bool
    created_at: datetime
    updated_at: datetime

    def wants(self, event: str) -> bool:
        """Whether this event, in the configuration's spelling, is delivered; an address that is none is never called."""
        return self.enabled and isinstance(self.events, list) and event in self.events and _HTTP.match(self.url) is not None


class Update(msgspec.Struct, frozen=True, gc=False):
    """A row of what became of a message, for the chat and the sender that the receipt named.

    `second` is that of the receipt: it is not told again within it.
    """

    row: RowId | str
    status: str
    remote_jid: str | None
    from_me: bool
    participant: str | None
    second: int | None = None


class Message(msgspec.Struct, kw_only=True, gc=False):
    """A message row. `updates` are the rows of the statuses that followed.

    `content` is what the server answered or delivered for it, as an object or as JSON; most of a load run are never read.
    """

    row: RowId | str
    content: dict[str, Any] | bytes
    key_id: str = ""
    updates: tuple[Update, ...] = ()

    def __post_init__(self) -> None:
        if not self.key_id:
            self.key_id = str(self.key["id"])

    @property
    def id(self) -> str:
        return str(self.row)

    @property
    def raw(self) -> dict[str, Any]:
        if isinstance(self.content, bytes):
            self.content = msgspec.json.decode(self.content, type=dict[str, Any])
        return self.content

    @property
    def key(self) -> dict[str, Any]:
        key: dict[str, Any] = self.raw["key"]
        return key


class Messages:
    """An instance's newest message rows in their order; a key id that came twice has two rows, and the first answers for it."""

    KEPT = 20_000

    def __init__(self) -> None:
        self._rows: deque[Message] = deque()
        self._by_key: dict[str, Message] = {}

    def add(self, message: Message) -> None:
        """The oldest row goes for one that is too many: a million sends take no more memory than these."""
        if len(self._rows) == self.KEPT:
            gone = self._rows.popleft()
            if self._by_key.get(gone.key_id) is gone:
                del self._by_key[gone.key_id]
        self._rows.append(message)
        self._by_key.setdefault(message.key_id, message)

    def get(self, key_id: object) -> Message | None:
        return self._by_key.get(str(key_id))

    def __iter__(self) -> Iterator[Message]:
        return iter(self._rows)

    def __reversed__(self) -> Iterator[Message]:
        return reversed(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(slots=True, kw_only=True)
class Connection:
    """The instance in memory: its socket, its QR code and its queue of inbound events.

    `sockets` holds the numbers of those that live or are about to: one that finds its number gone has ended. An extra connect
    while one is about to reconnect leaves two, as on the real server. `qr` is the code that can be scanned, `remembered` the
    newest one, which the server goes on showing when it is asked.
    """

    state: str = "close"
    sockets: set[int] = field(default_factory=set)
    opened: int = 0
    scanned: bool = False
    started: bool = False
    wuid: str | None = None
    qr_count: int = 0
    qr: dict[str, Any] | None = None
    remembered: dict[str, Any] | None = None
    phone: str | None = None
    base64: bool = False
    inbox: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True, kw_only=True)
class Instance:
    """A row of the database and, while the server has it loaded, its connection. `status` is the database's opinion."""

    name: str
    id: str
    token: str
    integration: str
    number: str | None
    status: str
    created_at: datetime
    updated_at: datetime
    settings: Settings
    qr_keys: str
    webhook: WebhookRow | None = None
    paired: bool = False
    owner_jid: str | None = None
    profile_name: str | None = None
    picture: str | None = None
    reason_code: int | None = None
    reason: str | None = None
    disconnected_at: datetime | None = None
    connection: Connection | None = field(default_factory=Connection)
    messages: Messages = field(default_factory=Messages)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, dict[str, Any]] = field(default_factory=dict)


class NumberCache:
    """Numbers that WhatsApp has confirmed, shared by all instances; each for seven days."""

    LIFETIME = 7 * 24 * 3600.0

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, float] = {}

    def add(self, jid: str) -> None:
        self._known[jid] = self._clock.monotonic()

    def ages(self) -> list[tuple[str, float]]:
        """Every number with the seconds since it was confirmed: what a snapshot keeps, since no two clocks begin alike."""
        now = self._clock.monotonic()
        return [(jid, now - since) for jid, since in self._known.items()]

    def take_up(self, ages: Iterable[tuple[str, float]]) -> None:
        """Replaces what is known, as `ages` told it."""
        now = self._clock.monotonic()
        self._known = {jid: now - age for jid, age in ages}

    def find(self, jid: str) -> str | None:
        """The confirmed jid of this telephone, in whichever of its country's two forms it is registered."""
        oldest = self._clock.monotonic() - self.LIFETIME
        if self._known.get(jid, oldest) > oldest:
            return jid
        other = other_form(jid)
        return other if other is not None and self._known.get(other, oldest) > oldest else None


@dataclass(slots=True, kw_only=True)
class WhatsApp:
    """WhatsApp's side of the wire, which nobody can know: delays in seconds and who exists, all adjustable.

    `acks` are (seconds after the send, status) pairs. `registered` maps a number's digits to those that WhatsApp answers with.
    """

    acks: tuple[tuple[float, str], ...] = ((0.2, "SERVER_ACK"), (0.5, "DELIVERY_ACK"))
    group_acks: bool = False
    qr_delay: float = 0.4
    qr_lifetime: float = 45.0
    qr_references: int = 6
    pairing_delay: float = 0.1
    reconnect_delay: float = 0.1
    open_delay: float = 0.3
    dead: set[str] = field(default_factory=set)
    send_failure: str = ""
    check_failure: str = ""
    check_delay: float = 0.0
    media_base64: str = _PIXEL
    missing: set[str] = field(default_factory=set)
    registered: dict[str, str] = field(default_factory=dict)

    def look_up(self, jid: str) -> str | None:
        """The jid WhatsApp knows this telephone by, or None. Numbers that begin with 5500 or end in 0000 do not exist."""
        digits = jid.partition("@")[0]
        if is_lid(jid) or is_broadcast(jid):
            return jid
        if is_group(jid):
            return None if digits.startswith("9999") else jid
        if digits.startswith("5500") or digits.endswith("0000") or any(same_subscriber(digits, gone) for gone in self.missing):
            return None
        return f"{self.registered.get(digits, digits)}@s.whatsapp.net"


class Store:
    """The server's database and memory. Single-threaded: only the server's loop touches it."""

    def __init__(self, *, key: str, clock: Clock, identity: Identity, settings: ServerSettings) -> None:
        self.key = key
        self.clock = clock
        self.identity = identity
        self.settings = settings
        self.instances: dict[str, Instance] = {}
        self.numbers = NumberCache(clock)
        self.whatsapp = WhatsApp()

    def find(self, name: str) -> Instance | None:
        return self.instances.get(name)

    def owning(self, token: str) -> list[Instance]:
        """Instances with this token: tokens are not unique."""
        return [instance for instance in self.instances.values() if instance.token == token]

    def is_dead(self, instance: Instance) -> bool:
        """Whether the instance's socket has silently gone while everything says it is open."""
        return instance.name in self.whatsapp.dead or "*" in self.whatsapp.dead

    def row(self, instance: Instance) -> Mapping[str, Any]:
        """The instance as `fetchInstances` shows it."""
        settings = instance.settings
        return {
            "id": instance.id,
            "name": instance.name,
            "connectionStatus": instance.status,
            "ownerJid": instance.owner_jid,
            "profileName": instance.profile_name,
            "profilePicUrl": instance.picture,
            "integration": instance.integration,
            "number": instance.number,
            "businessId": None,
            "token": instance.token,
            "clientName": self.settings.client_name,
            "disconnectionReasonCode": instance.reason_code,
            "disconnectionObject": instance.reason,
            "disconnectionAt": timestamp(instance.disconnected_at) if instance.disconnected_at else None,
            "createdAt": timestamp(instance.created_at),
            "updatedAt": timestamp(instance.updated_at),
            "Chatwoot": None,
            "Proxy": None,
            "Rabbitmq": None,
            "Nats": None,
            "Sqs": None,
            "Websocket": None,
            "Setting": {
                "id": settings.id,
                **settings.values,
                "createdAt": timestamp(settings.created_at),
                "updatedAt": timestamp(settings.updated_at),
                "instanceId": instance.id,
            },
            "_count": {
                "Message": len(instance.messages),
                "Contact": len(instance.contacts),
                "Chat": len(instance.chats),
            },
        }

    def webhook_row(self, instance: Instance) -> Mapping[str, Any] | None:
        """The webhook as `webhook/find` shows it: other names than `webhook/set` takes."""
        row = instance.webhook
        if row is None:
            return None
        return {
            "id": row.id,
            "url": row.url,
            "headers": row.headers,
            "enabled": row.enabled,
            "events": row.events,
            "webhookByEvents": row.by_events,
            "webhookBase64": row.base64,
            "createdAt": timestamp(row.created_at),
            "updatedAt": timestamp(row.updated_at),
            "instanceId": instance.id,
        }
