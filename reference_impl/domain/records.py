"""The records that cross the ports. Times are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

__all__ = [
    "Campaign",
    "Connection",
    "Contact",
    "Conversation",
    "Message",
    "Principal",
    "QuarantinedWebhook",
    "Recipient",
    "RefreshToken",
    "Unit",
    "User",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A tenant."""

    id: UUID
    name: str
    slug: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who logs in; `unit_id` is None for a super_admin alone."""

    id: UUID
    unit_id: UUID | None
    name: str
    email: str
    role: str
    is_active: bool
    password_hash: str
    password_changed_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, as proven by an access token."""

    user_id: UUID
    unit_id: UUID | None
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """One link in a family of rotated refresh tokens."""

    id: UUID
    user_id: UUID
    unit_id: UUID | None
    family_id: UUID
    expires_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """The one WhatsApp connection of a unit; `connection_epoch` grows with every accepted change."""

    id: UUID
    unit_id: UUID
    provider: str
    instance_id: str | None
    phone: str | None
    status: str
    status_reason: str | None
    qr_code: str | None
    webhook_secret: str | None
    previous_webhook_secret: str | None
    previous_webhook_secret_expires_at: datetime | None
    connected_at: datetime | None
    disconnected_at: datetime | None
    qr_updated_at: datetime | None
    connection_epoch: int
    last_event_at: datetime | None
    last_poll_at: datetime | None
    connect_lease_until: datetime | None
    degraded: bool
    last_error: str | None
    next_send_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A customer of a unit: a phone, or a hidden id (`lid`) when WhatsApp told no phone."""

    id: UUID
    unit_id: UUID
    phone: str | None
    lid: str | None
    name: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What was said with one contact."""

    id: UUID
    unit_id: UUID
    contact_id: UUID
    status: str
    last_message_at: datetime | None
    created_at: datetime
    contact_phone: str | None
    contact_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, inbound or outbound; `attempts` counts provider calls begun."""

    id: UUID
    unit_id: UUID
    conversation_id: UUID
    direction: str
    sender: str
    content: str
    message_type: str
    status: str
    external_id: str | None
    remote_jid: str | None
    recipient_phone: str | None
    caption: str | None
    media_mimetype: str | None
    client_message_id: str | None
    params_hash: str | None
    delivery_policy: str | None
    attempts: int
    error_details: str | None
    last_retry_at: datetime | None
    next_attempt_at: datetime | None
    lease_until: datetime | None
    lease_token: UUID | None
    provider_timestamp: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    read_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """One text for many contacts; `metadata` holds what was frozen at dispatch."""

    id: UUID
    unit_id: UUID
    name: str
    content: str
    status: str
    delivery_policy: str
    scheduled_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    resume_at: datetime | None
    pause_reason: str | None
    error: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One contact in one campaign, with the message that carries it once there is one."""

    id: UUID
    unit_id: UUID
    campaign_id: UUID
    contact_id: UUID
    phone: str | None
    status: str
    message_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantinedWebhook:
    """A delivery that could not be processed, with the bytes as they came (secrets stripped)."""

    id: UUID
    unit_id: UUID | None
    provider: str
    instance_id: str | None
    event: str | None
    reason: str
    body: bytes
    body_size: int
    status: str
    received_at: datetime
