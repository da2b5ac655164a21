"""Names of webhook events: what a configuration accepts, and how an emitted event is filtered and addressed."""

from __future__ import annotations

from functools import cache

__all__ = ["EVENTS", "EVENT_NAMES", "configuration_name", "path_suffix"]

EVENT_NAMES: tuple[str, ...] = (
    "APPLICATION_STARTUP",
    "QRCODE_UPDATED",
    "MESSAGES_SET",
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONTACTS_SET",
    "CONTACTS_UPSERT",
    "CONTACTS_UPDATE",
    "PRESENCE_UPDATE",
    "CHATS_SET",
    "CHATS_UPSERT",
    "CHATS_UPDATE",
    "CHATS_DELETE",
    "GROUPS_UPSERT",
    "GROUP_UPDATE",
    "GROUP_PARTICIPANTS_UPDATE",
    "CONNECTION_UPDATE",
    "LABELS_EDIT",
    "LABELS_ASSOCIATION",
    "CALL",
    "TYPEBOT_START",
    "TYPEBOT_CHANGE_STATUS",
    "REMOVE_INSTANCE",
    "LOGOUT_INSTANCE",
    "INSTANCE_CREATE",
    "INSTANCE_DELETE",
    "STATUS_INSTANCE",
)
EVENTS = frozenset(EVENT_NAMES)


@cache
def configuration_name(event: str) -> str:
    """`messages.upsert` → `MESSAGES_UPSERT`; `groups.update` → `GROUPS_UPDATE`, which no configuration accepts."""
    return event.upper().replace(".", "_").replace("-", "_")


def path_suffix(event: str) -> str:
    """What `byEvents` appends to the configured URL, blindly: `/messages-upsert`."""
    return "/" + event.replace(".", "-")
