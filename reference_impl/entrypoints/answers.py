"""How records and errors look on the wire: camelCase, times in ISO 8601 with `Z`, and never a secret or a hash."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from starlette.responses import JSONResponse

from reference_impl.domain.connections import is_degraded
from reference_impl.domain.errors import InvalidInputError
from reference_impl.domain.records import Connection, Contact, Conversation, Message, Unit, User
from reference_impl.use_cases.campaigns import CampaignView

__all__ = [
    "campaign_view",
    "connection_status",
    "contact_view",
    "conversation_view",
    "cursor_of",
    "error_response",
    "message_view",
    "moment",
    "page_view",
    "unit_view",
    "user_view",
]

Record = TypeVar("Record")


def error_response(
    status: int,
    sentence: str,
    request_id: str,
    *,
    details: Mapping[str, Any] | Sequence[Any] | None = None,
    more: Mapping[str, Any] | None = None,
    retry_after_s: float | None = None,
    close: bool = False,
) -> JSONResponse:
    """`{"error", "details"?, …more, "requestId"}`."""
    body: dict[str, Any] = {"error": sentence}
    if details is not None:
        body["details"] = details
    body |= more or {}
    body["requestId"] = request_id
    headers = {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if close:
        headers["Connection"] = "close"
    return JSONResponse(body, status, headers)


def moment(value: datetime | None) -> str | None:
    """`2026-11-22T14:21:39.630Z`, or None."""
    return None if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unit_view(unit: Unit) -> dict[str, Any]:
    return {"id": str(unit.id), "name": unit.name, "slug": unit.slug, "createdAt": moment(unit.created_at)}


def user_view(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "name": user.name,
        "email": user.email,
        "role": user.role,
        "unitId": str(user.unit_id) if user.unit_id is not None else None,
    }


def connection_status(connection: Connection | None, now: datetime) -> dict[str, Any]:
    if connection is None:
        return {"status": "not_configured"}
    return {
        "status": connection.status,
        "reason": connection.status_reason,
        "phone": connection.phone,
        "qrCode": connection.qr_code,
        "provider": connection.provider,
        "connectedAt": moment(connection.connected_at),
        "disconnectedAt": moment(connection.disconnected_at),
        "qrUpdatedAt": moment(connection.qr_updated_at),
        "lastUpdate": moment(connection.updated_at),
        "degraded": is_degraded(connection, now),
        "lastError": connection.last_error,
    }


def contact_view(contact: Contact) -> dict[str, Any]:
    return {"id": str(contact.id), "phone": contact.phone, "name": contact.name, "createdAt": moment(contact.created_at)}


def conversation_view(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": str(conversation.id),
        "status": conversation.status,
        "contact": {
            "id": str(conversation.contact_id),
            "phone": conversation.contact_phone,
            "name": conversation.contact_name,
        },
        "lastMessageAt": moment(conversation.last_message_at),
        "createdAt": moment(conversation.created_at),
    }


def message_view(message: Message) -> dict[str, Any]:
    return {
        "id": str(message.id),
        "conversationId": str(message.conversation_id),
        "direction": message.direction,
        "sender": message.sender,
        "type": message.message_type,
        "content": message.content,
        "caption": message.caption,
        "status": message.status,
        "messageId": message.external_id,
        "clientMessageId": message.client_message_id,
        "attempts": message.attempts,
        "errorDetails": message.error_details,
        "sentAt": moment(message.sent_at),
        "deliveredAt": moment(message.delivered_at),
        "readAt": moment(message.read_at),
        "createdAt": moment(message.created_at),
    }


def campaign_view(view: CampaignView) -> dict[str, Any]:
    campaign = view.campaign
    return {
        "id": str(campaign.id),
        "name": campaign.name,
        "content": campaign.content,
        "status": campaign.status,
        "deliveryPolicy": campaign.delivery_policy,
        "scheduledAt": moment(campaign.scheduled_at),
        "startedAt": moment(campaign.started_at),
        "completedAt": moment(campaign.completed_at),
        "pauseReason": campaign.pause_reason,
        "resumeAt": moment(campaign.resume_at),
        "error": campaign.error,
        "counts": {"total": view.total, **view.counts},
        "createdAt": moment(campaign.created_at),
    }


def page_view(
    records: Sequence[Record],
    limit: int,
    view: Callable[[Record], dict[str, Any]],
    place: Callable[[Record], tuple[datetime, UUID]],
) -> dict[str, Any]:
    """One page; `nextCursor` is None on the last."""
    following = cursor_text(*place(records[-1])) if len(records) == limit else None
    return {"items": [view(record) for record in records], "nextCursor": following}


def cursor_text(at: datetime, identity: UUID) -> str:
    return base64.urlsafe_b64encode(f"{at.astimezone(UTC).isoformat()}|{identity}".encode()).decode().rstrip("=")


def cursor_of(text: str | None) -> tuple[datetime, UUID] | None:
    """Where a page begins. Raises InvalidInputError for a text that is no cursor of ours."""
    if text is None:
        return None
    try:
        at, _, identity = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition("|")
        began, last = datetime.fromisoformat(at), UUID(identity)
    except (ValueError, binascii.Error, OverflowError) as error:
        raise InvalidInputError("cursor: not one of ours") from error
    if began.tzinfo is None:
        raise InvalidInputError("cursor: not one of ours")
    try:
        return began.astimezone(UTC), last
    except OverflowError as error:
        raise InvalidInputError("cursor: not one of ours") from error
