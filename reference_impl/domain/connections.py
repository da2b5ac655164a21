"""The connection state machine: what each event of the provider does to the one connection of a unit."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from reference_impl.domain.records import Connection

__all__ = [
    "PAUSING_REASONS",
    "SUBSCRIBED_EVENTS",
    "ConnectionEvent",
    "EventKind",
    "apply_event",
    "instance_name",
    "is_degraded",
    "is_outdated",
    "unit_of_instance",
]

SUBSCRIBED_EVENTS: Final = ("CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE")
PAUSING_REASONS: Final = frozenset({"logged_out", "banned", "disconnected"})
_CONNECTING_LONGEST: Final = timedelta(minutes=2)
_CLOSE_REASONS: Final = {401: "logged_out", 403: "banned"}


def instance_name(unit_id: UUID) -> str:
    """The provider's name for the unit's instance; derived, so that no caller can choose another's."""
    return f"unit_{unit_id}"


def unit_of_instance(name: str) -> UUID | None:
    """The unit whose instance has this name; None for a name that no unit's instance has."""
    try:
        unit_id = UUID(name.removeprefix("unit_"))
    except ValueError:
        return None
    return unit_id if instance_name(unit_id) == name else None


class EventKind(enum.StrEnum):
    """In the order in which they follow each other within one moment."""

    CONNECTING = "connecting"
    QR = "qr"
    QR_EXPIRED = "qr_expired"
    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionEvent:
    """What happened at the provider. `occurred_at` is the provider's clock, comparable only with itself; None when unknown."""

    kind: EventKind
    occurred_at: datetime | None = None
    code: int | None = None
    qr_code: str | None = None
    phone: str | None = None


_RANK: Final = {kind: rank for rank, kind in enumerate(EventKind)}
_STATUS_RANK: Final = {"connecting": 0, "qr": 1, "error": 2, "connected": 3, "disconnected": 4}


def is_degraded(connection: Connection, now: datetime) -> bool:
    """Whether the stored status may be wrong: the provider was out of reach, or it has been connecting for too long."""
    lingers = connection.status == "connecting" and now - connection.updated_at > _CONNECTING_LONGEST
    return connection.degraded or lingers


def is_outdated(connection: Connection, event: ConnectionEvent) -> bool:
    """Whether a newer event was accepted already; at the same moment the later stage of the life cycle stands."""
    if event.occurred_at is None or connection.last_event_at is None:
        return False
    if event.occurred_at == connection.last_event_at:
        return _RANK[event.kind] < _STATUS_RANK.get(connection.status, 0)
    return event.occurred_at < connection.last_event_at


def apply_event(connection: Connection, event: ConnectionEvent, now: datetime) -> Connection | None:
    """The connection after `event`, one epoch on; None when the event is outdated or changes nothing."""
    if is_outdated(connection, event):
        return None
    changed = _changed(connection, event, now)
    if event.occurred_at is not None:
        changed = replace(changed, last_event_at=event.occurred_at)
    if changed == connection:
        return None
    return replace(changed, connection_epoch=connection.connection_epoch + 1, degraded=False, updated_at=now)


def _changed(connection: Connection, event: ConnectionEvent, now: datetime) -> Connection:
    match event.kind:
        case EventKind.CONNECTING:
            return replace(connection, status="connecting", status_reason="initializing")
        case EventKind.QR:
            return replace(connection, status="qr", status_reason="waiting_scan", qr_code=event.qr_code, qr_updated_at=now)
        case EventKind.QR_EXPIRED:
            return replace(connection, status="error", status_reason="qr_expired", qr_code=None)
        case EventKind.OPEN:
            phone = event.phone or connection.phone
            if connection.status == "connected":
                return replace(connection, phone=phone, qr_code=None)
            return replace(
                connection,
                status="connected",
                status_reason=_reason_of_open(connection),
                connected_at=now,
                qr_code=None,
                phone=phone,
                last_error=None,
            )
        case EventKind.CLOSE:
            if connection.status == "disconnected":
                return connection
            reason = _CLOSE_REASONS.get(event.code or 0, "disconnected")
            return replace(connection, status="disconnected", status_reason=reason, disconnected_at=now, qr_code=None)


def _reason_of_open(connection: Connection) -> str:
    # A pairing shows `connecting` once more between scan and `open`: only a QR newer than the last `open` tells it from a drop.
    paired_before = connection.connected_at is not None
    scanned_since = connection.qr_updated_at is not None and (
        connection.connected_at is None or connection.qr_updated_at > connection.connected_at
    )
    return "reconnected" if paired_before and not scanned_since else "scan_completed"
