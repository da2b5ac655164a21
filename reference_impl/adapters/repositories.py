"""The repositories: every statement of the backend. Times come in as parameters: those of the transaction they run in."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from reference_impl.adapters import schema
from reference_impl.domain.invariants import existing
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

__all__ = ["SqlUnitOfWork"]

Record = TypeVar("Record")
_RECIPIENT_STATUS = {
    "queued": "pending",
    "sending": "pending",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "failed": "failed",
    "unknown": "unknown",
}


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(kind.__dataclass_fields__)


def _record(kind: type[Record], row: Any) -> Record:
    return kind(**{name: row[name] for name in _names(kind)})


def _columns(table: sa.Table, kind: type[Any]) -> list[sa.Column[Any]]:
    return [table.c[name] for name in _names(kind)]


# Statements of the hot paths are made once: making one anew takes as long as the database takes to answer it.
def _given(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name)


def _able_users() -> sa.Select[Any]:
    """Users, of whom nobody is active whose unit is not."""
    table, units = schema.users, schema.units
    unit_works = sa.or_(table.c.unit_id.is_(None), sa.exists().where(units.c.id == table.c.unit_id, units.c.is_active))
    shown = [column for column in _columns(table, User) if column.name != "is_active"]
    return sa.select(*shown, sa.and_(table.c.is_active, unit_works).label("is_active"))


@functools.cache
def _user_with_id() -> sa.Select[Any]:
    return _able_users().where(schema.users.c.id == _given("value"))


@functools.cache
def _connection_where(column: str, lock: bool) -> sa.Select[Any]:
    table = schema.unit_whatsapp_connections
    statement = sa.select(*_columns(table, Connection)).where(table.c[column] == _given("value"))
    if column == "instance_id":
        statement = statement.where(table.c.provider == _given("provider"))
    return statement.with_for_update() if lock else statement


@functools.cache
def _message_where(column: str, lock: bool) -> sa.Select[Any]:
    table = schema.messages
    statement = sa.select(*_columns(table, Message)).where(table.c.unit_id == _given("unit"), table.c[column] == _given("value"))
    return statement.with_for_update() if lock else statement


@functools.cache
def _contact_with_phones() -> sa.Select[Any]:
    table = schema.contacts
    return (
        sa.select(*_columns(table, Contact))
        .where(table.c.unit_id == _given("unit"), table.c.phone.in_(sa.bindparam("phones", expanding=True)))
        .order_by(table.c.created_at)
        .limit(1)
        .with_for_update()
    )


@functools.cache
def _conversation_goes_on() -> sa.Update:
    table, open_one = schema.conversations, schema.conversations.alias("open_one")
    found = (
        sa.select(open_one.c.id)
        .where(open_one.c.contact_id == _given("contact"), open_one.c.unit_id == _given("unit"), open_one.c.status == "open")
        .order_by(open_one.c.created_at)
        .limit(1)
        .scalar_subquery()
    )
    moment = sa.bindparam("moment", type_=table.c.updated_at.type)
    return sa.update(table).where(table.c.id == found).values(last_message_at=moment, updated_at=moment).returning(table.c.id)


@functools.cache
def _new_message(dialect: str) -> sa.Insert:
    insert = sqlite.insert(schema.messages) if dialect == "sqlite" else postgresql.insert(schema.messages)
    return insert.on_conflict_do_nothing().returning(schema.messages.c.id)


class _Repository:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        return sqlite.insert(table) if self._connection.dialect.name == "sqlite" else postgresql.insert(table)

    async def _one(
        self, kind: type[Record], statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> Record | None:
        row = (await self._connection.execute(statement, parameters)).mappings().first()
        return None if row is None else _record(kind, row)

    async def _all(self, kind: type[Record], statement: sa.Executable) -> list[Record]:
        return [_record(kind, row) for row in (await self._connection.execute(statement)).mappings()]

    async def _changed(self, statement: sa.Executable) -> bool:
        return (await self._connection.execute(statement)).rowcount > 0


class Units(_Repository):
    _table = schema.units

    async def add(self, *, name: str, slug: str, now: datetime) -> Unit | None:
        """None when the slug is taken."""
        statement = (
            self._insert(self._table)
            .values(id=uuid4(), name=name, slug=slug, created_at=now, updated_at=now)
            .on_conflict_do_nothing()
            .returning(*_columns(self._table, Unit))
        )
        return await self._one(Unit, statement)

    async def get(self, unit_id: UUID) -> Unit | None:
        return await self._one(Unit, sa.select(self._table).where(self._table.c.id == unit_id, self._table.c.is_active))

    async def by_slug(self, slug: str) -> Unit | None:
        return await self._one(Unit, sa.select(self._table).where(self._table.c.slug == slug, self._table.c.is_active))

    async def newest_first(self) -> list[Unit]:
        table = self._table
        return await self._all(Unit, sa.select(table).order_by(table.c.created_at.desc(), table.c.id.desc()))


class Users(_Repository):
    _table = schema.users

    async def add(
        self, *, unit_id: UUID | None, name: str, email: str, role: str, password_hash: str, now: datetime
    ) -> User | None:
        """None when the address is taken."""
        statement = (
            self._insert(self._table)
            .values(
                id=uuid4(),
                unit_id=unit_id,
                name=name,
                email=email,
                role=role,
                password_hash=password_hash,
                created_at=now,
                updated_at=now,
            )
            .on_conflict_do_nothing()
            .returning(*_columns(self._table, User))
        )
        return await self._one(User, statement)

    async def by_email(self, email: str) -> User | None:
        return await self._one(User, _able_users().where(sa.func.lower(self._table.c.email) == email.lower()))

    async def get(self, user_id: UUID) -> User | None:
        return await self._one(User, _user_with_id(), {"value": user_id})

    async def newest_first(self) -> list[User]:
        table = self._table
        return await self._all(User, sa.select(table).order_by(table.c.created_at.desc(), table.c.id.desc()))

    async def any_exists(self) -> bool:
        return (await self._connection.execute(sa.select(self._table.c.id).limit(1))).first() is not None


class RefreshTokens(_Repository):
    _table = schema.refresh_tokens

    async def add(
        self, *, user_id: UUID, unit_id: UUID | None, family_id: UUID, token_hash: str, now: datetime, expires_at: datetime
    ) -> None:
        await self._connection.execute(
            sa.insert(self._table).values(
                id=uuid4(),
                user_id=user_id,
                unit_id=unit_id,
                family_id=family_id,
                token_hash=token_hash,
                issued_at=now,
                expires_at=expires_at,
            )
        )

    async def by_hash(self, token_hash: str) -> RefreshToken | None:
        """The token, locked until the end of the transaction: of two uses at once only one sees it unused."""
        return await self._one(
            RefreshToken, sa.select(self._table).where(self._table.c.token_hash == token_hash).with_for_update()
        )

    async def mark_used(self, token_id: UUID, now: datetime) -> None:
        await self._connection.execute(sa.update(self._table).where(self._table.c.id == token_id).values(used_at=now))

    async def revoke_family(self, family_id: UUID, now: datetime) -> None:
        table = self._table
        await self._connection.execute(
            sa.update(table).where(table.c.family_id == family_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
        )

    async def delete_expired(self, now: datetime) -> None:
        await self._connection.execute(sa.delete(self._table).where(self._table.c.expires_at < now))


class Connections(_Repository):
    _table = schema.unit_whatsapp_connections

    async def add_if_absent(self, *, unit_id: UUID, instance_id: str, provider: str, now: datetime) -> None:
        await self._connection.execute(
            self._insert(self._table)
            .values(
                id=uuid4(),
                unit_id=unit_id,
                instance_id=instance_id,
                provider=provider,
                status="disconnected",
                created_at=now,
                updated_at=now,
            )
            .on_conflict_do_nothing()
        )

    async def of_unit(self, unit_id: UUID, *, lock: bool = False) -> Connection | None:
        return await self._one(Connection, _connection_where("unit_id", lock), {"value": unit_id})

    async def by_instance(self, instance_id: str, provider: str, *, lock: bool = False) -> Connection | None:
        found = {"value": instance_id, "provider": provider}
        return await self._one(Connection, _connection_where("instance_id", lock), found)

    async def by_secret(self, secret: str, provider: str) -> Connection | None:
        """Only for bodies that name no instance; whoever knows an instance compares its secret in constant time instead."""
        table = self._table
        statement = sa.select(table).where(table.c.webhook_secret == secret, table.c.provider == provider)
        return await self._one(Connection, statement)

    async def all_active(self) -> list[Connection]:
        table = self._table
        return await self._all(Connection, sa.select(table).where(table.c.instance_id.is_not(None)).order_by(table.c.unit_id))

    async def units_to_poll(self, before: datetime) -> list[UUID]:
        """Units whose connection was not polled since `before`."""
        table = self._table
        statement = sa.select(table.c.unit_id).where(
            table.c.instance_id.is_not(None), sa.or_(table.c.last_poll_at.is_(None), table.c.last_poll_at <= before)
        )
        return list((await self._connection.execute(statement)).scalars())

    async def save(self, connection: Connection, *, expected_epoch: int) -> bool:
        """Writes every field but the pace; False when somebody else accepted a change since `expected_epoch`."""
        table = self._table
        kept = {"id", "unit_id", "next_send_at"}
        values = {field.name: getattr(connection, field.name) for field in fields(connection) if field.name not in kept}
        return await self._changed(
            sa.update(table).where(table.c.id == connection.id, table.c.connection_epoch == expected_epoch).values(**values)
        )

    async def note_poll(self, connection_id: UUID, *, now: datetime, error: str | None) -> None:
        """What a poll found about reaching the provider; never the status."""
        table = self._table
        values: dict[str, Any] = {"last_poll_at": now, "degraded": error is not None}
        if error is not None:
            values["last_error"] = error
        await self._connection.execute(sa.update(table).where(table.c.id == connection_id).values(**values))

    async def take_slot(self, unit_id: UUID, *, now: datetime, hold_until: datetime) -> bool:
        """Takes the number for one send until `hold_until`; False when it is not due or not connected."""
        table = self._table
        return await self._changed(
            sa.update(table)
            .where(
                table.c.unit_id == unit_id,
                table.c.status == "connected",
                sa.or_(table.c.next_send_at.is_(None), table.c.next_send_at <= now),
            )
            .values(next_send_at=hold_until)
        )

    async def set_next_send(self, unit_id: UUID, moment: datetime | None) -> None:
        table = self._table
        await self._connection.execute(sa.update(table).where(table.c.unit_id == unit_id).values(next_send_at=moment))

    async def push_next_send(self, unit_id: UUID, moment: datetime) -> None:
        """Moves the next send to `moment` unless it is later already."""
        table = self._table
        await self._connection.execute(
            sa.update(table)
            .where(table.c.unit_id == unit_id, sa.or_(table.c.next_send_at.is_(None), table.c.next_send_at < moment))
            .values(next_send_at=moment)
        )


class Contacts(_Repository):
    _table = schema.contacts

    async def get_or_add(
        self, *, unit_id: UUID, phone: str | None, lid: str | None, name: str | None, now: datetime, variants: Sequence[str] = ()
    ) -> Contact:
        """The contact with this phone (in any of its forms) or hidden id, locked until the end of the transaction; made if
        need be.
        """
        table = self._table
        if phone is not None and len(variants) > 1:
            found = await self._one(Contact, _contact_with_phones(), {"unit": unit_id, "phones": list(variants)})
            if found is not None:
                return found
        insert = self._insert(table).values(
            id=uuid4(), unit_id=unit_id, phone=phone, lid=lid, name=name, created_at=now, updated_at=now
        )
        touched = {"updated_at": now}
        if phone is not None:
            upsert = insert.on_conflict_do_update(index_elements=["unit_id", "phone"], set_=touched)
        else:
            upsert = insert.on_conflict_do_update(
                index_elements=["unit_id", "lid"], index_where=sa.text("lid IS NOT NULL"), set_=touched
            )
        contact = await self._one(Contact, upsert.returning(*_columns(table, Contact)))
        return existing(contact, "an upsert that returns always has a row")

    async def name_if_nameless(self, contact_id: UUID, name: str, now: datetime) -> None:
        table = self._table
        await self._connection.execute(
            sa.update(table).where(table.c.id == contact_id, table.c.name.is_(None)).values(name=name, updated_at=now)
        )

    async def rename(self, contact_id: UUID, name: str, now: datetime) -> None:
        await self._connection.execute(
            sa.update(self._table).where(self._table.c.id == contact_id).values(name=name, updated_at=now)
        )

    async def existing(self, unit_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
        """Those of `ids` that are contacts of the unit."""
        table, found = self._table, []
        for start in range(0, len(ids), 5_000):
            chunk = ids[start : start + 5_000]
            found += await self._all(Contact, sa.select(table).where(table.c.unit_id == unit_id, table.c.id.in_(chunk)))
        return found

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Contact]:
        table = self._table
        statement = sa.select(table).where(table.c.unit_id == unit_id)
        if after is not None:
            statement = statement.where(
                sa.tuple_(table.c.created_at, table.c.id) < sa.tuple_(*_bound(table.c.created_at, table.c.id, after))
            )
        return await self._all(Contact, statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit))


def _bound(moment: sa.Column[Any], identity: sa.Column[Any], after: tuple[datetime, UUID]) -> tuple[Any, Any]:
    return sa.literal(after[0], moment.type), sa.literal(after[1], identity.type)


class Conversations(_Repository):
    _table = schema.conversations

    async def open_of(self, contact: Contact, now: datetime) -> UUID:
        """The contact's open conversation, made if need be. The contact must be locked."""
        table = self._table
        given = {"contact": contact.id, "unit": contact.unit_id, "moment": now}
        found = (await self._connection.execute(_conversation_goes_on(), given)).scalar()
        if found is not None:
            return UUID(str(found))
        conversation_id = uuid4()
        await self._connection.execute(
            sa.insert(table).values(
                id=conversation_id,
                unit_id=contact.unit_id,
                contact_id=contact.id,
                status="open",
                last_message_at=now,
                created_at=now,
                updated_at=now,
            )
        )
        return conversation_id

    async def get(self, unit_id: UUID, conversation_id: UUID) -> Conversation | None:
        table = self._table
        return await self._one(Conversation, self._select().where(table.c.unit_id == unit_id, table.c.id == conversation_id))

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Conversation]:
        table = self._table
        # A conversation of an earlier release may have no last message: it stands at the time it was made.
        recent = sa.func.coalesce(table.c.last_message_at, table.c.created_at, type_=table.c.created_at.type)
        statement = self._select().where(table.c.unit_id == unit_id)
        if after is not None:
            statement = statement.where(sa.tuple_(recent, table.c.id) < sa.tuple_(*_bound(table.c.created_at, table.c.id, after)))
        return await self._all(Conversation, statement.order_by(recent.desc(), table.c.id.desc()).limit(limit))

    def _select(self) -> sa.Select[Any]:
        table, contacts = self._table, schema.contacts
        return sa.select(table, contacts.c.phone.label("contact_phone"), contacts.c.name.label("contact_name")).join(
            contacts, contacts.c.id == table.c.contact_id
        )


class Messages(_Repository):
    _table = schema.messages

    async def add(self, message: Message, *, provider: str) -> bool:
        """False when the unit has this provider id or this client key already; then nothing is stored."""
        values = {name: getattr(message, name) for name in _names(Message)} | {"provider": provider}
        statement = _new_message(self._connection.dialect.name)
        return (await self._connection.execute(statement, values)).first() is not None

    async def get(self, unit_id: UUID, message_id: UUID, *, lock: bool = False) -> Message | None:
        return await self._one(Message, _message_where("id", lock), {"unit": unit_id, "value": message_id})

    async def by_client_id(self, unit_id: UUID, client_message_id: str) -> Message | None:
        return await self._one(
            Message, _message_where("client_message_id", lock=False), {"unit": unit_id, "value": client_message_id}
        )

    async def by_external_id(self, unit_id: UUID, external_id: str, *, lock: bool = False) -> Message | None:
        return await self._one(Message, _message_where("external_id", lock), {"unit": unit_id, "value": external_id})

    async def known_external_ids(self, unit_id: UUID, external_ids: Iterable[str]) -> set[str]:
        table = self._table
        statement = sa.select(table.c.external_id).where(table.c.unit_id == unit_id, table.c.external_id.in_(list(external_ids)))
        return set((await self._connection.execute(statement)).scalars())

    async def save(self, message: Message) -> None:
        """Writes the changing fields of an outbound message and mirrors its status on the campaign recipient that it serves."""
        table, recipients = self._table, schema.campaign_recipients
        names = [
            "status",
            "external_id",
            "remote_jid",
            "attempts",
            "error_details",
            "last_retry_at",
            "next_attempt_at",
            "lease_until",
            "lease_token",
            "sent_at",
            "delivered_at",
            "read_at",
            "updated_at",
        ]
        values = {name: getattr(message, name) for name in names}
        values["retry_count"] = max(0, message.attempts - 1)
        await self._connection.execute(sa.update(table).where(table.c.id == message.id).values(**values))
        if (mirrored := _RECIPIENT_STATUS.get(message.status)) is not None:
            await self._connection.execute(
                sa.update(recipients)
                .where(recipients.c.message_id == message.id)
                .values(
                    status=mirrored,
                    sent_at=message.sent_at,
                    delivered_at=message.delivered_at,
                    read_at=message.read_at,
                    error_message=message.error_details,
                    updated_at=message.updated_at,
                )
            )

    async def stale_sending(self, now: datetime, limit: int) -> list[Message]:
        """Those whose worker went away in the middle of a call; locked, and skipped when another worker has them."""
        table = self._table
        statement = self._select().where(_in("sending"), table.c.direction == "outbound", table.c.lease_until <= now)
        return await self._all(Message, statement.order_by(table.c.lease_until).limit(limit).with_for_update(skip_locked=True))

    async def units_with_queued(self, now: datetime) -> list[UUID]:
        """Units with messages outside campaigns that wait for a try nobody makes."""
        statement = sa.select(self._table.c.unit_id).where(*self._queued(now)).distinct()
        return list((await self._connection.execute(statement)).scalars())

    async def due_queued(self, unit_id: UUID, now: datetime, limit: int) -> list[Message]:
        """The unit's messages outside campaigns that wait for a try nobody makes; locked, and skipped when another worker has
        them.
        """
        table = self._table
        statement = self._select().where(table.c.unit_id == unit_id, *self._queued(now)).order_by(table.c.next_attempt_at)
        return await self._all(Message, statement.limit(limit).with_for_update(skip_locked=True, of=table))

    async def any_queued(self, unit_id: UUID, now: datetime) -> bool:
        """As `due_queued`, also of those that another worker has locked: whether there is any."""
        statement = sa.select(self._table.c.id).where(self._table.c.unit_id == unit_id, *self._queued(now)).limit(1)
        return (await self._connection.execute(statement)).first() is not None

    async def units_with_unknown(self, now: datetime) -> list[UUID]:
        """Units with a message whose outcome is to be looked up now."""
        table = self._table
        statement = sa.select(table.c.unit_id).where(
            _in("unknown"), table.c.direction == "outbound", table.c.next_attempt_at <= now
        )
        return list((await self._connection.execute(statement.distinct())).scalars())

    async def due_unknown(self, unit_id: UUID, now: datetime, limit: int) -> list[Message]:
        table = self._table
        statement = self._select().where(
            table.c.unit_id == unit_id, _in("unknown"), table.c.direction == "outbound", table.c.next_attempt_at <= now
        )
        return await self._all(Message, statement.order_by(table.c.next_attempt_at).limit(limit))

    async def doubtful_to(self, unit_id: UUID, phones: Sequence[str], text: str) -> list[Message]:
        """Messages under way or of unknown outcome to one of these numbers with this text, oldest first, locked."""
        table = self._table
        statement = self._select().where(
            table.c.unit_id == unit_id,
            _in("sending", "unknown"),
            table.c.external_id.is_(None),
            table.c.recipient_phone.in_(phones),
            table.c.content == text,
        )
        return await self._all(Message, statement.order_by(table.c.last_retry_at, table.c.id).with_for_update())

    async def page(
        self, unit_id: UUID, conversation_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None
    ) -> list[Message]:
        table = self._table
        statement = self._select().where(table.c.unit_id == unit_id, table.c.conversation_id == conversation_id)
        if after is not None:
            statement = statement.where(
                sa.tuple_(table.c.created_at, table.c.id) < sa.tuple_(*_bound(table.c.created_at, table.c.id, after))
            )
        return await self._all(Message, statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit))

    async def hold_updates(self, unit_id: UUID, external_id: str) -> None:
        """Until the end of this transaction nobody else keeps or takes updates for this provider id."""
        if self._connection.dialect.name == "sqlite":
            # Its one connection has one transaction at a time.
            return
        key = sa.func.hashtextextended(f"{unit_id}:{external_id}", 0)
        await self._connection.execute(sa.select(sa.func.pg_advisory_xact_lock(key)))

    async def keep_update(self, unit_id: UUID, external_id: str, status: str, now: datetime) -> None:
        """An acknowledgement that came before its message."""
        table = schema.pending_message_updates
        await self._connection.execute(
            self._insert(table)
            .values(id=uuid4(), unit_id=unit_id, external_id=external_id, status=status, received_at=now)
            .on_conflict_do_nothing()
        )

    async def take_updates(self, unit_id: UUID, external_id: str) -> list[str]:
        """The statuses that came early for this provider id; they are gone afterwards."""
        table = schema.pending_message_updates
        statement = (
            sa.delete(table).where(table.c.unit_id == unit_id, table.c.external_id == external_id).returning(table.c.status)
        )
        return list((await self._connection.execute(statement)).scalars())

    async def drop_updates_before(self, moment: datetime) -> None:
        table = schema.pending_message_updates
        await self._connection.execute(sa.delete(table).where(table.c.received_at < moment))

    async def gauges(self, now: datetime) -> dict[str, float]:
        """Numbers over all units: outbound messages that wait and that are doubtful, and the age in seconds of the oldest that
        waits for a try.
        """
        table = self._table
        # Of the others there are millions, and no index has them.
        rows = await self._connection.execute(
            sa.select(table.c.status, sa.func.count())
            .where(_in("queued", "unknown"), table.c.direction == "outbound")
            .group_by(table.c.status)
        )
        found = {f"messages.{status}": float(count) for status, count in rows}
        oldest = (
            await self._connection.execute(
                sa.select(sa.func.min(table.c.next_attempt_at, type_=table.c.next_attempt_at.type)).where(
                    _in("queued"), table.c.direction == "outbound", table.c.next_attempt_at <= now
                )
            )
        ).scalar()
        found["queue_age"] = max(0.0, (now - oldest).total_seconds()) if oldest is not None else 0.0
        return found

    def _queued(self, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        table, recipients = self._table, schema.campaign_recipients
        return (
            _in("queued"),
            table.c.direction == "outbound",
            sa.or_(table.c.next_attempt_at.is_(None), table.c.next_attempt_at <= now),
            sa.or_(table.c.lease_until.is_(None), table.c.lease_until <= now),
            ~sa.exists().where(recipients.c.message_id == table.c.id),
        )

    def _select(self) -> sa.Select[Any]:
        return sa.select(*_columns(self._table, Message))


def _in(*statuses: str) -> sa.ColumnElement[bool]:
    # Written out: for a parameter the planner cannot know that a partial index has the rows.
    return schema.messages.c.status.in_([sa.literal_column(f"'{status}'") for status in statuses])


class Campaigns(_Repository):
    _table = schema.campaigns

    async def add(self, campaign: Campaign, recipients: Sequence[Recipient]) -> None:
        values = {field.name: getattr(campaign, field.name) for field in fields(campaign)}
        await self._connection.execute(sa.insert(self._table).values(**values))
        rows = [
            {
                **{field.name: getattr(recipient, field.name) for field in fields(recipient)},
                "position": position,
                "created_at": campaign.created_at,
                "updated_at": campaign.created_at,
            }
            for position, recipient in enumerate(recipients)
        ]
        for start in range(0, len(rows), 2_000):
            await self._connection.execute(sa.insert(schema.campaign_recipients), rows[start : start + 2_000])

    async def get(self, unit_id: UUID, campaign_id: UUID, *, lock: bool = False) -> Campaign | None:
        table = self._table
        statement = self._select().where(table.c.unit_id == unit_id, table.c.id == campaign_id)
        return await self._one(Campaign, statement.with_for_update() if lock else statement)

    async def page(self, unit_id: UUID, *, limit: int, after: tuple[datetime, UUID] | None) -> list[Campaign]:
        table = self._table
        statement = self._select().where(table.c.unit_id == unit_id)
        if after is not None:
            statement = statement.where(
                sa.tuple_(table.c.created_at, table.c.id) < sa.tuple_(*_bound(table.c.created_at, table.c.id, after))
            )
        return await self._all(Campaign, statement.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit))

    async def counts(self, campaign_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
        """Recipients by status for each campaign."""
        table = schema.campaign_recipients
        rows = await self._connection.execute(
            sa.select(table.c.campaign_id, table.c.status, sa.func.count())
            .where(table.c.campaign_id.in_(list(campaign_ids)))
            .group_by(table.c.campaign_id, table.c.status)
        )
        found: dict[UUID, dict[str, int]] = {campaign_id: {} for campaign_id in campaign_ids}
        for campaign_id, status, count in rows:
            found[campaign_id][status] = count
        return found

    async def save(self, campaign: Campaign) -> None:
        names = ["status", "started_at", "completed_at", "resume_at", "pause_reason", "error", "metadata", "updated_at"]
        values = {name: getattr(campaign, name) for name in names}
        await self._connection.execute(sa.update(self._table).where(self._table.c.id == campaign.id).values(**values))

    async def pause_all(self, unit_id: UUID, *, reason: str, resume_at: datetime | None, now: datetime) -> int:
        """Pauses what runs in the unit, or would go on by itself before `resume_at` (None: at all); how many that were."""
        table = self._table
        would_go_on = table.c.resume_at.is_not(None) if resume_at is None else table.c.resume_at < resume_at
        result = await self._connection.execute(
            sa.update(table)
            .where(
                table.c.unit_id == unit_id,
                sa.or_(table.c.status == "processing", sa.and_(table.c.status == "paused", would_go_on)),
            )
            .values(status="paused", pause_reason=reason, resume_at=resume_at, updated_at=now)
        )
        return result.rowcount

    async def resume_due(self, now: datetime) -> list[UUID]:
        """Goes on with what the provider's pause is over for, in units that are connected; the unit of each campaign."""
        table, connections = self._table, schema.unit_whatsapp_connections
        connected = sa.exists().where(connections.c.unit_id == table.c.unit_id, connections.c.status == "connected")
        resumed = await self._connection.execute(
            sa.update(table)
            .where(table.c.status == "paused", table.c.resume_at <= now, connected)
            .values(status="processing", pause_reason=None, resume_at=None, updated_at=now)
            .returning(table.c.unit_id)
        )
        return list(resumed.scalars())

    async def next_recipient(self, unit_id: UUID, now: datetime) -> tuple[Campaign, Recipient] | None:
        """Whose turn it is in the campaigns that run in the unit, oldest campaign first; the campaign's row is locked."""
        table, recipients, messages = self._table, schema.campaign_recipients, schema.messages
        ready = sa.or_(
            recipients.c.message_id.is_(None),
            sa.and_(
                messages.c.status == "queued",
                sa.or_(messages.c.next_attempt_at.is_(None), messages.c.next_attempt_at <= now),
                sa.or_(messages.c.lease_until.is_(None), messages.c.lease_until <= now),
            ),
        )
        turn = (
            sa.select(recipients)
            .join(table, table.c.id == recipients.c.campaign_id)
            .outerjoin(messages, messages.c.id == recipients.c.message_id)
            .where(recipients.c.unit_id == unit_id, table.c.status == "processing", recipients.c.status == "pending", ready)
            .order_by(table.c.started_at, table.c.id, recipients.c.position)
            .limit(1)
        )
        recipient = await self._one(Recipient, turn)
        if recipient is None:
            return None
        # Locked and read again: a pause that committed in between is seen, one that comes later waits for this transaction.
        campaign = await self.get(unit_id, recipient.campaign_id, lock=True)
        return (campaign, recipient) if campaign is not None and campaign.status == "processing" else None

    async def link_message(self, recipient_id: UUID, message_id: UUID, now: datetime) -> None:
        table = schema.campaign_recipients
        await self._connection.execute(
            sa.update(table).where(table.c.id == recipient_id).values(message_id=message_id, updated_at=now)
        )

    async def fail_recipient(self, recipient_id: UUID, reason: str, now: datetime) -> None:
        table = schema.campaign_recipients
        await self._connection.execute(
            sa.update(table).where(table.c.id == recipient_id).values(status="failed", error_message=reason, updated_at=now)
        )

    async def awaits_proof(self, campaign_id: UUID) -> bool:
        """Whether the outcome of a recipient's message is doubtful and still being looked up."""
        recipients, messages = schema.campaign_recipients, schema.messages
        statement = (
            sa.select(recipients.c.id)
            .join(messages, messages.c.id == recipients.c.message_id)
            .where(
                recipients.c.campaign_id == campaign_id, messages.c.status == "unknown", messages.c.next_attempt_at.is_not(None)
            )
            .limit(1)
        )
        return (await self._connection.execute(statement)).first() is not None

    async def any_processing(self, unit_id: UUID) -> bool:
        table = self._table
        statement = sa.select(table.c.id).where(table.c.unit_id == unit_id, table.c.status == "processing").limit(1)
        return (await self._connection.execute(statement)).first() is not None

    async def processing(self, unit_id: UUID) -> list[Campaign]:
        """What runs in the unit, locked."""
        table = self._table
        return await self._all(
            Campaign,
            self._select()
            .where(table.c.unit_id == unit_id, table.c.status == "processing")
            .order_by(table.c.id)
            .with_for_update(),
        )

    async def units_with_work(self, *, idle_since: datetime) -> list[UUID]:
        """Units with a running campaign whose number has been free since `idle_since`: nobody sends there."""
        table, connections = self._table, schema.unit_whatsapp_connections
        statement = (
            sa.select(table.c.unit_id)
            .join(connections, connections.c.unit_id == table.c.unit_id)
            .where(
                table.c.status == "processing",
                sa.or_(connections.c.next_send_at.is_(None), connections.c.next_send_at <= idle_since),
            )
        )
        return list((await self._connection.execute(statement.distinct())).scalars())

    async def due_scheduled(self, now: datetime) -> list[Campaign]:
        table = self._table
        statement = self._select().where(table.c.status == "scheduled", table.c.scheduled_at <= now)
        return await self._all(Campaign, statement.order_by(table.c.scheduled_at).limit(100).with_for_update(skip_locked=True))

    async def stuck(self, before: datetime) -> int:
        """Campaigns that run and in which nothing moved since `before`."""
        table, recipients = self._table, schema.campaign_recipients
        moved = sa.exists().where(recipients.c.campaign_id == table.c.id, recipients.c.updated_at >= before)
        statement = sa.select(sa.func.count()).where(table.c.status == "processing", table.c.updated_at < before, ~moved)
        return (await self._connection.execute(statement.select_from(table))).scalar_one()

    def _select(self) -> sa.Select[Any]:
        return sa.select(*_columns(self._table, Campaign))


class Quarantine(_Repository):
    _table = schema.webhook_quarantine

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
    ) -> UUID:
        quarantine_id = uuid4()
        await self._connection.execute(
            sa.insert(self._table).values(
                id=quarantine_id,
                unit_id=unit_id,
                provider=provider,
                instance_id=instance_id,
                event=event,
                reason=reason,
                body=body,
                body_size=body_size,
                received_at=now,
            )
        )
        return quarantine_id

    async def open(self, limit: int) -> list[QuarantinedWebhook]:
        table = self._table
        statement = sa.select(table).where(table.c.status == "quarantined").order_by(table.c.received_at).limit(limit)
        return await self._all(QuarantinedWebhook, statement)

    async def get(self, quarantine_id: UUID) -> QuarantinedWebhook | None:
        return await self._one(QuarantinedWebhook, sa.select(self._table).where(self._table.c.id == quarantine_id))

    async def note_replay(self, quarantine_id: UUID, *, error: str | None, now: datetime) -> None:
        table = self._table
        await self._connection.execute(
            sa.update(table)
            .where(table.c.id == quarantine_id)
            .values(status="quarantined" if error else "replayed", last_error=error, replays=table.c.replays + 1, replayed_at=now)
        )

    async def count_open(self) -> int:
        table = self._table
        return (await self._connection.execute(sa.select(sa.func.count()).where(table.c.status == "quarantined"))).scalar_one()


class SqlUnitOfWork:
    """One open transaction with the repositories on it."""

    def __init__(self, connection: AsyncConnection, now: datetime) -> None:
        self.now = now
        self.units = Units(connection)
        self.users = Users(connection)
        self.refresh_tokens = RefreshTokens(connection)
        self.connections = Connections(connection)
        self.contacts = Contacts(connection)
        self.conversations = Conversations(connection)
        self.messages = Messages(connection)
        self.campaigns = Campaigns(connection)
        self.quarantine = Quarantine(connection)
