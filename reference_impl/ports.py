"""What the use cases need of the world: time, the provider, storage, a queue, secrets, measurements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from reference_impl.domain.messages import CallOutcome
from reference_impl.domain.records import (
    Campaign,
    Connection,
    Contact,
    Conversation,
    Message,
    QuarantinedWebhook,
    Recipient,
    RefreshToken,
    Unit,
    User,
)
from reference_impl.domain.webhooks import Echo

__all__ = [
    "Campaigns",
    "Clock",
    "Connections",
    "Contacts",
    "Conversations",
    "Events",
    "InstanceDetails",
    "IssuedToken",
    "Messages",
    "Metrics",
    "Passwords",
    "Provider",
    "Quarantine",
    "Queue",
    "RefreshTokens",
    "Store",
    "TokenClaims",
    "Tokens",
    "UnitOfWork",
    "Units",
    "Users",
]


class Clock(Protocol):
    """Time. Every wait and every timestamp goes through it."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean something."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns once `seconds` have passed on this clock."""
        ...

    async def limit(self, seconds: float) -> None:
        """As `sleep`, for a time limit that is hoped not to be reached."""
        ...

    def ahead(self) -> float:
        """Seconds by which this clock was moved over the machine's own; 0 for a clock that nobody moves."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A signed token and when it expires."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenClaims:
    """What a valid token proves."""

    user_id: UUID
    issued_at: datetime


class Tokens(Protocol):
    """Signed tokens of two kinds, each with its own key."""

    def issue(self, kind: Literal["access", "refresh"], user_id: UUID) -> IssuedToken:
        """A new token."""
        ...

    def read(self, kind: Literal["access", "refresh"], token: str) -> TokenClaims:
        """The claims of a token that is ours, of this kind and valid now. Raises UnauthorizedError for any other, without
        saying why.
        """
        ...


class Passwords(Protocol):
    """Password hashes, made off the event loop and few at a time."""

    async def hash(self, password: str) -> str:
        """An argon2id hash. Raises ThrottledError when too many are waiting."""
        ...

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether they match; None takes as long as a hash that does not. Raises ThrottledError when too many are waiting."""
        ...


class Metrics(Protocol):
    """Measurements. Labels never hold a tenant's name, a phone or a secret."""

    def count(self, name: str, **labels: str) -> None:
        """One more of `name`."""
        ...

    def observe(self, name: str, value: float, **labels: str) -> None:
        """One measured `value` of `name`, in the unit that the name says."""
        ...


class Queue(Protocol):
    """Wake-ups for the worker. The row is the truth: a lost or repeated wake-up changes nothing."""

    async def wake(self, task: str, key: str) -> None:
        """Asks that `task` runs soon for `key`; one waiting wake-up for the same pair is enough."""
        ...

    async def wake_many(self, task: str, keys: Sequence[str]) -> None:
        """As `wake` for each key, in one go."""
        ...

    def handle(self, task: str, handler: Callable[[str], Awaitable[None]]) -> None:
        """Names what runs for `task`; call before `start`."""
        ...


class Events(Protocol):
    """What the units' screens are told."""

    async def publish(
        self, unit_id: UUID, kind: Literal["status", "message", "message-status"], payload: dict[str, object]
    ) -> None:
        """Tells every open stream of this unit, in every process."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDetails:
    """What the provider stores about an instance."""

    phone: str | None
    disconnection_code: int | None


class Provider(Protocol):
    """The WhatsApp provider.

    Every method but `send_text` raises ProviderUnavailableError when it could not be reached and ProviderFailedError when
    it answered otherwise than
    it should.
    """

    async def ping(self) -> None:
        """Returns when the provider is up and knows our key."""
        ...

    async def create_instance(self, name: str, *, webhook_url: str) -> bool:
        """Makes the instance with its webhook; False when it exists already."""
        ...

    async def set_webhook(self, name: str, *, webhook_url: str) -> None:
        """Registers the webhook at an existing instance."""
        ...

    async def request_qr(self, name: str) -> str | None:
        """Starts pairing; the QR as a PNG data URL, None while there is none yet or when the instance is open."""
        ...

    async def logout(self, name: str) -> None:
        """Returns when the provider confirmed that the instance is not connected (any more)."""
        ...

    async def state(self, name: str) -> Literal["open", "connecting", "close", "missing"] | None:
        """What the provider says now; None when it does not know yet (it is starting), "missing" when there is no such
        instance.
        """
        ...

    async def details(self, name: str) -> InstanceDetails:
        """What the provider stores about the instance."""
        ...

    async def send_text(self, name: str, *, number: str, text: str) -> CallOutcome:
        """One call, never repeated; whatever happens is told by the outcome."""
        ...

    async def sent_messages(self, name: str, *, remote_jid: str) -> list[Echo]:
        """What this instance lately sent to `remote_jid`, newest first."""
        ...


class Units(Protocol):
    """Tenants."""

    async def add(self, *, name: str, slug: str, now: datetime) -> Unit | None:
        """None when the slug is taken."""
        ...

    async def get(self, unit_id: UUID) -> Unit | None: ...

    async def by_slug(self, slug: str) -> Unit | None: ...

    async def newest_first(self) -> list[Unit]: ...


class Users(Protocol):
    """People who log in."""

    async def add(
        self, *, unit_id: UUID | None, name: str, email: str, role: str, password_hash: str, now: datetime
    ) -> User | None:
        """None when the address is taken."""
        ...

    async def by_email(self, email: str) -> User | None: ...

    async def get(self, user_id: UUID) -> User | None: ...

    async def newest_first(self) -> list[User]: ...

    async def any_exists(self) -> bool: ...


class RefreshTokens(Protocol):
    """Refresh tokens, by hash."""

    async def add(
        self, *, user_id: UUID, unit_id: UUID | None, family_id: UUID, token_hash: str, now: datetime, expires_at: datetime
    ) -> None: ...

    async def by_hash(self, token_hash: str) -> RefreshToken | None:
        """The token, locked until the end of the transaction: of two uses at once only one sees it unused."""
        ...

    async def mark_used(self, token_id: UUID, now: datetime) -> None: ...

    async def revoke_family(self, family_id: UUID, now: datetime) -> None: ...

    async def delete_expired(self, now: datetime) -> None: ...


class Connections(Protocol):
    """WhatsApp connections, one for each unit."""

    async def add_if_absent(self, *, unit_id: UUID, instance_id: str, provider: str, now: datetime) -> None: ...

    async def of_unit(self, unit_id: UUID, *, lock: bool = False) -> Connection | None: ...

    async def by_instance(self, instance_id: str, provider: str, *, lock: bool = False) -> Connection | None: ...

    async def by_secret(self, secret: str, provider: str) -> Connection | None:
        """Only for bodies that name no instance; whoever knows an instance compares its secret in constant time instead."""
        ...

    async def all_active(self) -> list[Connection]: ...

    async def units_to_poll(self, before: datetime) -> list[UUID]:
        """Units whose connection was not polled since `before`."""
        ...

    async def save(self, connection: Connection, *, expected_epoch: int) -> bool:
        """Writes every field but the pace; False when somebody else accepted a change since `expected_epoch`."""
        ...

    async def note_poll(self, connection_id: UUID, *, now: datetime, error: str | None) -> None:
        """What a poll found about reaching the provider; never the status."""
        ...

    async def take_slot(self, unit_id: UUID, *, now: datetime, hold_until: datetime) -> bool:
        """Takes the number for one send until `hold_until`; False when it is not due or not connected."""
        ...

    async def set_next_send(self, unit_id: UUID, moment: datetime | None) -> None: ...

    async def push_next_send(self, unit_id: UUID, moment: datetime) -> None:
        """Moves the next send to `moment` unless it is later already."""
        ...


class Contacts(Protocol):
    """Customers."""

    async def get_or_add(
        self, *, unit_id: UUID, phone: str | None, lid: str | None, name: str | None, now: datetime, variants: Sequence[str] = ()
    ) -> Contact:
        """The contact with this phone (in any of its forms) or hidden id, locked until the end of the transaction; made if
        need be.
        """
        ...

    async def name_if_nameless(self, contact_id: UUID, name: str, now: datetime) -> None: ...

    async def rename(self, contact_id: UUID, name: str, now: datetime) -> None: ...

    async def existing(self, unit_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
        """Those of `ids` that are contacts of the unit."""
        ...

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Contact]: ...


class Conversations(Protocol):
    """Conversations with customers."""

    async def open_of(self, contact: Contact, now: datetime) -> UUID:
        """The contact's open conversation, made if need be. The contact must be locked."""
        ...

    async def get(self, unit_id: UUID, conversation_id: UUID) -> Conversation | None: ...

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Conversation]: ...


class Messages(Protocol):
    """Messages, and acknowledgements that came before theirs."""

    async def add(self, message: Message, *, provider: str) -> bool:
        """False when the unit has this provider id or this client key already; then nothing is stored."""
        ...

    async def get(self, unit_id: UUID, message_id: UUID, *, lock: bool = False) -> Message | None: ...

    async def by_client_id(self, unit_id: UUID, client_message_id: str) -> Message | None: ...

    async def by_external_id(self, unit_id: UUID, external_id: str, *, lock: bool = False) -> Message | None: ...

    async def known_external_ids(self, unit_id: UUID, external_ids: Iterable[str]) -> set[str]: ...

    async def save(self, message: Message) -> None:
        """Writes the changing fields of an outbound message and mirrors its status on the campaign recipient that it serves."""
        ...

    async def stale_sending(self, now: datetime, limit: int) -> list[Message]:
        """Those whose worker went away in the middle of a call; locked, and skipped when another worker has them."""
        ...

    async def units_with_queued(self, now: datetime) -> list[UUID]:
        """Units with messages outside campaigns that wait for a try nobody makes."""
        ...

    async def due_queued(self, unit_id: UUID, now: datetime, limit: int) -> list[Message]:
        """The unit's messages outside campaigns that wait for a try nobody makes; locked, and skipped when another worker has
        them.
        """
        ...

    async def units_with_unknown(self, now: datetime) -> list[UUID]:
        """Units with a message whose outcome is to be looked up now."""
        ...

    async def any_queued(self, unit_id: UUID, now: datetime) -> bool:
        """As `due_queued`, also of those that another worker has locked: whether there is any."""
        ...

    async def due_unknown(self, unit_id: UUID, now: datetime, limit: int) -> list[Message]: ...

    async def doubtful_to(self, unit_id: UUID, phones: Sequence[str], text: str) -> list[Message]:
        """Messages under way or of unknown outcome to one of these numbers with this text, oldest first, locked."""
        ...

    async def page(
        self, unit_id: UUID, conversation_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[Message]: ...

    async def hold_updates(self, unit_id: UUID, external_id: str) -> None:
        """Until the end of this transaction nobody else keeps or takes updates for this provider id."""
        ...

    async def keep_update(self, unit_id: UUID, external_id: str, status: str, now: datetime) -> None:
        """An acknowledgement that came before its message."""
        ...

    async def take_updates(self, unit_id: UUID, external_id: str) -> list[str]:
        """The statuses that came early for this provider id; they are gone afterwards."""
        ...

    async def drop_updates_before(self, moment: datetime) -> None: ...

    async def gauges(self, now: datetime) -> dict[str, float]:
        """Numbers over all units: outbound messages that wait and that are doubtful, and the age in seconds of the oldest that
        waits for a try.
        """
        ...


class Campaigns(Protocol):
    """Campaigns with their recipients."""

    async def add(self, campaign: Campaign, recipients: Sequence[Recipient]) -> None: ...

    async def get(self, unit_id: UUID, campaign_id: UUID, *, lock: bool = False) -> Campaign | None: ...

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Campaign]: ...

    async def counts(self, campaign_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
        """Recipients by status for each campaign."""
        ...

    async def save(self, campaign: Campaign) -> None: ...

    async def pause_all(self, unit_id: UUID, *, reason: str, resume_at: datetime | None, now: datetime) -> int:
        """Pauses what runs in the unit, or would go on by itself before `resume_at` (None: at all); how many that were."""
        ...

    async def resume_due(self, now: datetime) -> list[UUID]:
        """Goes on with what the provider's pause is over for, in units that are connected; the unit of each campaign."""
        ...

    async def next_recipient(self, unit_id: UUID, now: datetime) -> tuple[Campaign, Recipient] | None:
        """Whose turn it is in the campaigns that run in the unit, oldest campaign first; the campaign's row is locked."""
        ...

    async def link_message(self, recipient_id: UUID, message_id: UUID, now: datetime) -> None: ...

    async def fail_recipient(self, recipient_id: UUID, reason: str, now: datetime) -> None: ...

    async def awaits_proof(self, campaign_id: UUID) -> bool:
        """Whether the outcome of a recipient's message is doubtful and still being looked up."""
        ...

    async def any_processing(self, unit_id: UUID) -> bool: ...

    async def processing(self, unit_id: UUID) -> list[Campaign]:
        """What runs in the unit, locked."""
        ...

    async def units_with_work(self, *, idle_since: datetime) -> list[UUID]:
        """Units with a running campaign whose number has been free since `idle_since`: nobody sends there."""
        ...

    async def due_scheduled(self, now: datetime) -> list[Campaign]: ...

    async def stuck(self, before: datetime) -> int:
        """Campaigns that run and in which nothing moved since `before`."""
        ...


class Quarantine(Protocol):
    """Deliveries that could not be processed."""

    async def add(
        self,
        *,
        unit_id: UUID | None,
        provider: str,
        instance_id: str | None,
        event: str | None,
        reason: str,
        body: bytes,
        body_size: int,
        now: datetime,
    ) -> UUID: ...

    async def open(self, limit: int) -> list[QuarantinedWebhook]: ...

    async def get(self, quarantine_id: UUID) -> QuarantinedWebhook | None: ...

    async def note_replay(self, quarantine_id: UUID, *, error: str | None, now: datetime) -> None: ...

    async def count_open(self) -> int: ...


class UnitOfWork(Protocol):
    """One open transaction with the repositories on it."""

    @property
    def now(self) -> datetime:
        """When it began, by the storage's own clock, which all processes share: leases, due times and the pace of a number are
        judged by it alone. A clock that was moved moves it as far.
        """
        ...

    @property
    def units(self) -> Units: ...
    @property
    def users(self) -> Users: ...
    @property
    def refresh_tokens(self) -> RefreshTokens: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def contacts(self) -> Contacts: ...
    @property
    def conversations(self) -> Conversations: ...
    @property
    def messages(self) -> Messages: ...
    @property
    def campaigns(self) -> Campaigns: ...
    @property
    def quarantine(self) -> Quarantine: ...


class Store(Protocol):
    """Where everything durable lives."""

    async def ping(self) -> None:
        """Raises StorageUnavailableError when no query is answered."""
        ...

    def unit_of_work(self, unit_id: UUID | None) -> AbstractAsyncContextManager[UnitOfWork]:
        """One transaction in the scope of `unit_id`, or of the whole system when None; commits unless the block raises.

        Raises StorageUnavailableError when the database cannot be used; then nothing was changed. Do not nest.
        """
        ...
