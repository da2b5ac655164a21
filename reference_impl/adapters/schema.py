"""Every table of the backend, as the schema is after `PRODUCTION_MIGRATION_GOLIVE.sql`.

One `metadata` serves Postgres and SQLite in memory. On Postgres the tables are made by the migrations, never by `create_all`;
a test compares the two through the catalog, so a column that lives only here or only there is found.

Identifiers are `uuid.UUID`, timestamps are aware `datetime` (a naive one is refused), texts have no length, JSON is `jsonb` on
Postgres. Server defaults exist so that the previous release, which does not know the newer columns, can still insert; the
backend itself passes ids and the time of its injected clock.

Row-level security (Postgres only, see `migrations/README.md`): a transaction sees a row when `app.unit_id` is the row's
`unit_id`, or when `app.scope` is `system` (login, webhook look-up by instance, the queue worker, super_admin). Both are set
with `SET LOCAL` or `set_config(name, value, true)`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

__all__ = [
    "CAMPAIGN_STATUSES",
    "CONNECTION_STATUSES",
    "DELIVERY_POLICIES",
    "MESSAGE_STATUSES",
    "QUARANTINE_STATUSES",
    "RECIPIENT_STATUSES",
    "ROLES",
    "SENDERS",
    "campaign_recipients",
    "campaigns",
    "contacts",
    "conversations",
    "messages",
    "metadata",
    "pending_message_updates",
    "refresh_tokens",
    "unit_whatsapp_connections",
    "units",
    "users",
    "webhook_quarantine",
]

ROLES = ("super_admin", "unit_admin", "agent")
CONNECTION_STATUSES = ("connecting", "qr", "connected", "disconnected", "error")
SENDERS = ("customer", "agent", "system")
DIRECTIONS = ("inbound", "outbound")
MESSAGE_STATUSES = ("received", "queued", "sending", "sent", "delivered", "read", "failed", "unknown")
DELIVERY_POLICIES = ("at_most_once", "at_least_once")
CAMPAIGN_STATUSES = ("draft", "scheduled", "processing", "paused", "completed", "failed", "cancelled")
RECIPIENT_STATUSES = ("pending", "sent", "delivered", "read", "failed", "unknown")
QUARANTINE_STATUSES = ("quarantined", "replayed", "discarded")
CONVERSATION_STATUSES = ("open", "closed")
UPDATE_STATUSES = ("sent", "delivered", "read", "failed")


class UtcTimestamp(sa.types.TypeDecorator[datetime]):
    """`timestamptz` on Postgres; on SQLite, which has no zones, UTC without one. Values in and out are aware.

    Raises ValueError (wrapped by SQLAlchemy in StatementError) for a naive datetime.
    """

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a timestamp must carry its time zone")
        moment = value.astimezone(UTC)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class RandomUuid(GenericFunction[Any]):
    """A random identifier made by the database, in the form in which `sqlalchemy.Uuid` stores it there."""

    type = sa.Uuid()
    inherit_cache = True


@compiles(RandomUuid)
def _random_uuid(_element: RandomUuid, _compiler: Any, **_: Any) -> str:
    return "gen_random_uuid()"


@compiles(RandomUuid, "sqlite")
def _random_uuid_on_sqlite(_element: RandomUuid, _compiler: Any, **_: Any) -> str:
    return "(lower(hex(randomblob(16))))"


JSONB = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Uuid(), primary_key=True, server_default=RandomUuid())


def _unit(*, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column("unit_id", sa.Uuid(), sa.ForeignKey("units.id"), nullable=nullable)


def _moment(name: str) -> sa.Column[Any]:
    return sa.Column(name, UtcTimestamp())


def _stamp(name: str) -> sa.Column[Any]:
    return sa.Column(name, UtcTimestamp(), nullable=False, server_default=sa.func.now())


def _one_of(name: str, column: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=name)


def _index(name: str, *columns: str | sa.ColumnElement[Any], unique: bool = False, where: str | None = None) -> sa.Index:
    predicate = sa.text(where) if where is not None else None
    return sa.Index(name, *columns, unique=unique, postgresql_where=predicate, sqlite_where=predicate)


units = sa.Table(
    "units",
    metadata,
    _id(),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("slug", sa.Text(), nullable=False),
    sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
    _stamp("created_at"),
    _stamp("updated_at"),
    sa.UniqueConstraint("slug"),
)
"""The tenants. Written by `POST /admin/units` and by the start-up that creates the first one; `slug` is the `unitSlug`
of a login.
"""

users = sa.Table(
    "users",
    metadata,
    _id(),
    _unit(nullable=True),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("email", sa.Text(), nullable=False),
    sa.Column("password_hash", sa.Text(), nullable=False),
    sa.Column("role", sa.Text(), nullable=False),
    sa.Column("is_active", sa.Boolean(), nullable=False, server_default=sa.true()),
    _stamp("created_at"),
    _stamp("updated_at"),
    _moment("password_changed_at"),
    _one_of("role", "role", ROLES),
    sa.CheckConstraint("role = 'super_admin' OR unit_id IS NOT NULL", name="unit"),
    _index("idx_users_email", sa.func.lower(sa.column("email")), unique=True),
    _index("idx_users_unit", "unit_id"),
)
"""People who log in. Written by `POST /admin/users` and the bootstrap administrator.

`password_hash` is argon2id. A token issued before `password_changed_at` is refused. Only a super_admin has no unit.
The address is unique whatever its case: look it up with `lower(email) = lower(:email)`.
"""

contacts = sa.Table(
    "contacts",
    metadata,
    _id(),
    _unit(),
    sa.Column("phone", sa.Text()),
    sa.Column("name", sa.Text()),
    _stamp("created_at"),
    _stamp("updated_at"),
    sa.Column("lid", sa.Text()),
    sa.UniqueConstraint("unit_id", "phone"),
    sa.CheckConstraint("phone IS NOT NULL OR lid IS NOT NULL", name="address"),
    _index("idx_contacts_unit_lid", "unit_id", "lid", unique=True, where="lid IS NOT NULL"),
    _index("idx_contacts_unit_created", "unit_id", "created_at", "id"),
)
"""Customers of a unit. Written by `POST /contacts`, by the inbound handler and by `POST /messages` to a new number.

`phone` is digits with the country code. It is null only for a sender known by his `@lid` alone (`lid` holds its
digits), because such a number cannot be written to as if it were a phone. An upsert on (unit_id, phone) or (unit_id,
lid) locks the row: take it first, so that two events create one conversation.
"""

unit_whatsapp_connections = sa.Table(
    "unit_whatsapp_connections",
    metadata,
    _id(),
    _unit(),
    sa.Column("provider", sa.Text(), nullable=False, server_default="evolution"),
    sa.Column("instance_id", sa.Text()),
    sa.Column("phone", sa.Text()),
    sa.Column("status", sa.Text(), nullable=False, server_default="disconnected"),
    sa.Column("qr_code", sa.Text()),
    sa.Column("webhook_secret", sa.Text()),
    _stamp("created_at"),
    _stamp("updated_at"),
    sa.Column("status_reason", sa.Text()),
    _moment("connected_at"),
    _moment("disconnected_at"),
    _moment("qr_updated_at"),
    sa.Column("connection_epoch", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
    _moment("last_event_at"),
    _moment("last_poll_at"),
    _moment("connect_lease_until"),
    sa.Column("previous_webhook_secret", sa.Text()),
    _moment("previous_webhook_secret_expires_at"),
    sa.Column("degraded", sa.Boolean(), nullable=False, server_default=sa.false()),
    sa.Column("last_error", sa.Text()),
    _moment("next_send_at"),
    _one_of("status", "status", CONNECTION_STATUSES),
    sa.UniqueConstraint("unit_id"),
    _index("idx_unit_whatsapp_instance_lookup", "instance_id", unique=True, where="instance_id IS NOT NULL"),
)
"""The one WhatsApp connection of a unit. Written by connect and disconnect, connection and QR webhooks, the poll, and
every send.

`instance_id` is `unit_<unit uuid>`; the row with its `webhook_secret` is committed before the instance is created at
the provider. `connection_epoch` grows with every accepted change: an update names the epoch it was decided on, so an
older event never beats a newer one; `last_event_at` is the provider's time of the last accepted event.
`connect_lease_until` is held by a running connect (a second one is 409). `previous_webhook_secret` is valid until its
expiry. `next_send_at` is the pace of the number: whoever sends moves it on in one `UPDATE … RETURNING`, over all
workers and campaigns. `degraded` and `last_error` are the poll's: they never change `status`.
"""

conversations = sa.Table(
    "conversations",
    metadata,
    _id(),
    _unit(),
    sa.Column("contact_id", sa.Uuid(), sa.ForeignKey("contacts.id"), nullable=False),
    sa.Column("status", sa.Text(), nullable=False, server_default="open"),
    _moment("last_message_at"),
    _stamp("created_at"),
    _stamp("updated_at"),
    _one_of("status", "status", CONVERSATION_STATUSES),
    _index("idx_conversations_open_contact", "contact_id", where="status = 'open'"),
    _index("idx_conversations_unit_recent", "unit_id", "last_message_at", "id"),
)
"""A conversation with one contact. Written by the inbound handler and by sends; at most one is open for a contact.

That rule is kept by the lock on the contact's row, not by a unique key, because the previous release may have left two open.
"""

messages = sa.Table(
    "messages",
    metadata,
    _id(),
    sa.Column("conversation_id", sa.Uuid(), sa.ForeignKey("conversations.id"), nullable=False),
    sa.Column("sender", sa.Text(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.Column("message_type", sa.Text(), nullable=False, server_default="text"),
    sa.Column("status", sa.Text(), nullable=False, server_default="queued"),
    sa.Column("external_id", sa.Text()),
    _stamp("created_at"),
    _stamp("updated_at"),
    _unit(nullable=True),
    sa.Column("provider", sa.Text()),
    sa.Column("direction", sa.Text()),
    sa.Column("remote_jid", sa.Text()),
    sa.Column("recipient_phone", sa.Text()),
    sa.Column("caption", sa.Text()),
    sa.Column("media_mimetype", sa.Text()),
    sa.Column("client_message_id", sa.Text()),
    sa.Column("params_hash", sa.Text()),
    sa.Column("delivery_policy", sa.Text()),
    sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
    sa.Column("retry_count", sa.Integer(), server_default=sa.text("0")),
    _moment("last_retry_at"),
    sa.Column("error_details", sa.Text()),
    _moment("next_attempt_at"),
    _moment("lease_until"),
    sa.Column("lease_token", sa.Uuid()),
    _moment("provider_timestamp"),
    _moment("sent_at"),
    _moment("delivered_at"),
    _moment("read_at"),
    _one_of("sender", "sender", SENDERS),
    _one_of("status", "status", MESSAGE_STATUSES),
    _one_of("direction", "direction", DIRECTIONS),
    _one_of("delivery_policy", "delivery_policy", DELIVERY_POLICIES),
    sa.CheckConstraint("attempts BETWEEN 0 AND 3", name="attempts"),
    _index("idx_messages_unit_external_id", "unit_id", "external_id", unique=True, where="external_id IS NOT NULL"),
    _index(
        "idx_messages_client_message_id_unit",
        "conversation_id",
        "client_message_id",
        unique=True,
        where="client_message_id IS NOT NULL",
    ),
    _index(
        "idx_messages_unit_client_message_id",
        "unit_id",
        "client_message_id",
        unique=True,
        where="client_message_id IS NOT NULL",
    ),
    _index(
        "idx_messages_retry_failed",
        "status",
        "retry_count",
        "last_retry_at",
        where="status IN ('failed', 'queued')",
    ),
    _index("idx_messages_due", "next_attempt_at", where="status IN ('queued', 'sending', 'unknown')"),
    _index("idx_messages_conversation_created", "conversation_id", "created_at", "id"),
)
"""Inbound and outbound messages. Inbound rows are written by the webhook, outbound ones by `POST /messages` and the
campaign worker.

`unit_id` and `direction` are nullable because the previous release does not write them; on Postgres the trigger
`messages_fill_tenant` sets them from the conversation and the sender when they are missing. `external_id` is the
provider's `key.id`: one row for ever per (unit_id, external_id). `client_message_id` is unique in the conversation
and in the unit (the same key for another number must be found, to be refused); `params_hash` is the SHA-256 in hex of
what was asked for. `recipient_phone` is the number asked for, `remote_jid` the one the provider answered with.

`attempts` is provider calls begun, raised and committed before each call, and the database refuses a fourth;
`retry_count` is those after the first, and `last_retry_at` the time of the last. `next_attempt_at` is when a worker
must look again (to send, or to reconcile `unknown`). `lease_until` and `lease_token` belong to the worker that holds
the row in `sending`: its result is written only `WHERE lease_token = :mine`. `provider_timestamp` is the provider's
own time.
"""

campaigns = sa.Table(
    "campaigns",
    metadata,
    _id(),
    _unit(),
    sa.Column("name", sa.Text(), nullable=False),
    sa.Column("content", sa.Text(), nullable=False),
    sa.Column("status", sa.Text(), nullable=False, server_default="draft"),
    _moment("scheduled_at"),
    _moment("started_at"),
    _moment("completed_at"),
    sa.Column("error", sa.Text()),
    sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'")),
    _stamp("created_at"),
    _stamp("updated_at"),
    sa.Column("delivery_policy", sa.Text(), nullable=False, server_default="at_most_once"),
    sa.Column("pause_reason", sa.Text()),
    _moment("resume_at"),
    _moment("lease_until"),
    sa.Column("lease_token", sa.Uuid()),
    _one_of("status", "status", CAMPAIGN_STATUSES),
    _one_of("delivery_policy", "delivery_policy", DELIVERY_POLICIES),
    _index("idx_campaigns_unit_created", "unit_id", "created_at", "id"),
    _index("idx_campaigns_active", "status", "scheduled_at", where="status IN ('scheduled', 'processing')"),
)
"""Campaigns. Written by the campaign routes and the campaign worker.

`metadata` holds the parameters frozen at dispatch. `pause_reason` says who paused (a person, `rate_limited`,
`logged_out`, `banned`); at `resume_at`, the end of a
`Retry-After`, a campaign goes on by itself. `lease_until` and `lease_token` are the worker's
that runs the campaign, so that two dispatches are one run.
"""

campaign_recipients = sa.Table(
    "campaign_recipients",
    metadata,
    _id(),
    _unit(),
    sa.Column("campaign_id", sa.Uuid(), sa.ForeignKey("campaigns.id", ondelete="CASCADE"), nullable=False),
    sa.Column("contact_id", sa.Uuid(), sa.ForeignKey("contacts.id"), nullable=False),
    sa.Column("position", sa.Integer(), nullable=False, server_default=sa.text("0")),
    sa.Column("phone", sa.Text()),
    sa.Column("status", sa.Text(), nullable=False, server_default="pending"),
    _moment("sent_at"),
    _moment("delivered_at"),
    _moment("read_at"),
    sa.Column("message_id", sa.Uuid(), sa.ForeignKey("messages.id", ondelete="SET NULL")),
    sa.Column("error_message", sa.Text()),
    _stamp("created_at"),
    _stamp("updated_at"),
    _one_of("status", "status", RECIPIENT_STATUSES),
    sa.UniqueConstraint("campaign_id", "contact_id"),
    _index("idx_campaign_recipients_next", "campaign_id", "status", "position"),
    _index("idx_campaign_recipients_contact", "contact_id"),
    _index("idx_campaign_recipients_message", "message_id", unique=True, where="message_id IS NOT NULL"),
)
"""Who gets a campaign. Written when it is created and dispatched, then by the worker and by delivery updates.

`phone` and `position` are frozen at dispatch. The message's `client_message_id` is derived from this row's id, so a
crash sends nothing twice. The six statuses are the six counts of the contract.
"""

webhook_quarantine = sa.Table(
    "webhook_quarantine",
    metadata,
    _id(),
    _unit(nullable=True),
    sa.Column("provider", sa.Text(), nullable=False),
    sa.Column("instance_id", sa.Text()),
    sa.Column("event", sa.Text()),
    sa.Column("reason", sa.Text(), nullable=False),
    sa.Column("body", sa.LargeBinary(), nullable=False),
    sa.Column("body_size", sa.BigInteger(), nullable=False),
    sa.Column("status", sa.Text(), nullable=False, server_default="quarantined"),
    sa.Column("replays", sa.Integer(), nullable=False, server_default=sa.text("0")),
    sa.Column("last_error", sa.Text()),
    _stamp("received_at"),
    _moment("replayed_at"),
    _one_of("status", "status", QUARANTINE_STATUSES),
    _index("idx_webhook_quarantine_open", "received_at", where="status = 'quarantined'"),
    _index("idx_webhook_quarantine_unit", "unit_id", "received_at"),
)
"""Webhook bodies that could not be processed. Written by the webhook route and by a replay.

`body` is the raw bytes with secrets stripped: not text, because a poison payload need not be valid UTF-8. When it was
over the limit only its head is kept, and `body_size` (bytes as received) tells. `unit_id` is null when no connection
matched.
"""

pending_message_updates = sa.Table(
    "pending_message_updates",
    metadata,
    _id(),
    _unit(),
    sa.Column("external_id", sa.Text(), nullable=False),
    sa.Column("status", sa.Text(), nullable=False),
    sa.Column("error_details", sa.Text()),
    _stamp("received_at"),
    _one_of("status", "status", UPDATE_STATUSES),
    sa.UniqueConstraint("unit_id", "external_id", "status"),
    _index("idx_pending_message_updates_received", "received_at"),
)
"""Delivery updates that overtook their message. Written by the webhook route when no message has the `external_id`;
consumed (deleted) in the transaction that gives a message that id.
"""

refresh_tokens = sa.Table(
    "refresh_tokens",
    metadata,
    _id(),
    _unit(nullable=True),
    sa.Column("user_id", sa.Uuid(), sa.ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    sa.Column("family_id", sa.Uuid(), nullable=False),
    sa.Column("token_hash", sa.Text(), nullable=False),
    _stamp("issued_at"),
    sa.Column("expires_at", UtcTimestamp(), nullable=False),
    _moment("used_at"),
    _moment("revoked_at"),
    sa.UniqueConstraint("token_hash"),
    _index("idx_refresh_tokens_user", "user_id"),
    _index("idx_refresh_tokens_family", "family_id"),
    _index("idx_refresh_tokens_expires", "expires_at"),
)
"""Refresh tokens, by hash. Written by login (a new family) and by every refresh (`used_at` on the old one, a new row in
the family).

A token used a second time means it was stolen: the whole family is revoked. `unit_id` is the user's.
"""
