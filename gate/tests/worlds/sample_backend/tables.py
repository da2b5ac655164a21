"""The tables of the sample backend, as its migration makes them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

metadata = sa.MetaData()
_MOMENT = sa.DateTime(timezone=True)


def _id() -> sa.Column[object]:
    return sa.Column("id", sa.Uuid, primary_key=True, server_default=sa.text("gen_random_uuid()"))


def _key(name: str, table: str, *, nullable: bool = True, ondelete: str | None = None) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid, sa.ForeignKey(f"{table}.id", ondelete=ondelete), nullable=nullable)


def _status(default: str | None, *values: str) -> list[sa.Column[object] | sa.CheckConstraint]:
    column: sa.Column[object] = sa.Column("status", sa.Text, nullable=False, server_default=default)
    return [column, sa.CheckConstraint(column.in_(values))] if values else [column]


sa.Table("units", metadata, _id(), sa.Column("name", sa.Text, nullable=False))
sa.Table("contacts", metadata, _id(), _key("unit_id", "units", nullable=False), sa.Column("phone", sa.Text))
connections = sa.Table(
    "unit_whatsapp_connections",
    metadata,
    _id(),
    _key("unit_id", "units", nullable=False),
    sa.Column("instance_id", sa.Text),
    *_status("disconnected", "connecting", "qr", "connected", "disconnected", "error"),
    sa.Column("status_reason", sa.Text),
    *(sa.Column(name, _MOMENT) for name in ("connected_at", "disconnected_at", "qr_updated_at")),
)
sa.Table("conversations", metadata, _id(), _key("contact_id", "contacts", nullable=False))
messages = sa.Table(
    "messages",
    metadata,
    _id(),
    _key("conversation_id", "conversations", nullable=False),
    _key("unit_id", "units"),
    sa.Column("content", sa.Text, nullable=False),
    *_status("queued"),
    *(sa.Column(name, sa.Text) for name in ("external_id", "provider", "client_message_id", "error_details")),
    sa.Column("retry_count", sa.Integer, server_default=sa.text("0")),
    sa.Column("last_retry_at", _MOMENT),
)
sa.Table(
    "campaigns",
    metadata,
    _id(),
    _key("unit_id", "units", nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "content")),
    *_status("draft", "draft", "scheduled", "processing", "paused", "completed", "failed", "cancelled"),
    *(sa.Column(name, _MOMENT) for name in ("scheduled_at", "started_at", "completed_at")),
    sa.Column("error", sa.Text),
    sa.Column("metadata", JSONB, nullable=False, server_default=sa.text("'{}'")),
    *(sa.Column(name, _MOMENT, nullable=False, server_default=sa.text("now()")) for name in ("created_at", "updated_at")),
)
sa.Table(
    "campaign_recipients",
    metadata,
    _id(),
    _key("campaign_id", "campaigns", nullable=False, ondelete="CASCADE"),
    _key("contact_id", "contacts", nullable=False),
    *_status("pending", "pending", "sent", "delivered", "read", "failed", "unknown"),
    *(sa.Column(name, _MOMENT) for name in ("sent_at", "delivered_at", "read_at")),
    _key("message_id", "messages"),
    sa.Column("error_message", sa.Text),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=sa.text("now()")),
    sa.UniqueConstraint("campaign_id", "contact_id"),
)
sa.Index(
    "idx_unit_whatsapp_instance_lookup",
    connections.c.instance_id,
    unique=True,
    postgresql_where=connections.c.instance_id.is_not(None),
)
sa.Index(
    "idx_messages_client_message_id_unit",
    messages.c.conversation_id,
    messages.c.client_message_id,
    unique=True,
    postgresql_where=messages.c.client_message_id.is_not(None),
)
sa.Index("idx_messages_unit_external_id", messages.c.unit_id, messages.c.external_id, unique=True)
sa.Index(
    "idx_messages_retry_failed",
    messages.c.status,
    messages.c.retry_count,
    messages.c.last_retry_at,
    postgresql_where=messages.c.status.in_(["failed", "queued"]),
)
