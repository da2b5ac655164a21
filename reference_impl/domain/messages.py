"""The life of one outbound message: status order, what a provider call meant, when the next may go out."""

from __future__ import annotations

import enum
import hashlib
import unicodedata
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ATTEMPTS_ALLOWED",
    "RETRY_WAITS_S",
    "TEXT_LIMIT",
    "CallOutcome",
    "MessageStatus",
    "OutcomeClass",
    "TextError",
    "check_text",
    "later_status",
    "params_hash",
    "retry_wait",
    "status_of_ack",
]

ATTEMPTS_ALLOWED: Final = 3
RETRY_WAITS_S: Final = (0.0, 1.0, 2.0)
# In Unicode code points, which is what WhatsApp counts.
TEXT_LIMIT: Final = 65_536


class MessageStatus(enum.StrEnum):
    """In the order of the life of a message; `failed` lies below `delivered` because an acknowledgement of delivery is proof."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"


_RANK: Final = {status: rank for rank, status in enumerate(MessageStatus)}
_ACKS: Final = {
    "SERVER_ACK": MessageStatus.SENT,
    "DELIVERY_ACK": MessageStatus.DELIVERED,
    "READ": MessageStatus.READ,
    "PLAYED": MessageStatus.READ,
    "ERROR": MessageStatus.FAILED,
}


def later_status(current: MessageStatus, reported: MessageStatus) -> MessageStatus:
    """Whichever is further on: reports arrive late, twice and out of order, and the result must not depend on it."""
    return max(current, reported, key=_RANK.__getitem__)


def status_of_ack(ack: str) -> MessageStatus | None:
    """The status that an acknowledgement of the provider stands for; None for one that changes nothing (PENDING, DELETED, …)."""
    return _ACKS.get(ack)


class OutcomeClass(enum.StrEnum):
    """What is certain after one call to the provider."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"  # for certain, and another try may succeed
    THROTTLED = "throttled"  # not sent; the provider asks for a pause
    REJECTED = "rejected"  # not sent, and this message never will be
    REFUSED = "refused"  # not sent, and no message of this unit will be until somebody acts
    UNKNOWN = "unknown"  # may have been sent: only proof may decide


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcome:
    """One provider call. `provider_id` and `remote_jid` are set when accepted; `retry_after_s` when the provider named a
    pause.
    """

    kind: OutcomeClass
    detail: str
    provider_id: str | None = None
    remote_jid: str | None = None
    retry_after_s: float | None = None


def retry_wait(attempts_made: int, *, asked_s: float | None, jitter: float) -> float:
    """Seconds before the next try after `attempts_made` of them; never shorter than the provider asked for. `jitter` is in
    0..1.
    """
    planned = RETRY_WAITS_S[min(attempts_made, len(RETRY_WAITS_S) - 1)] * (1 + 0.2 * jitter)
    return max(planned, asked_s or 0.0)


def params_hash(phone: str, text: str) -> str:
    """Fingerprint of what a client asked for; the same key with another fingerprint is a mistake of the client."""
    return hashlib.sha256(f"{phone}\x00{text}".encode()).hexdigest()


class TextError(ValueError):
    """The text cannot be sent as a message."""


def check_text(text: str) -> None:
    """Raises TextError for a text that nobody can see, that no database can store, or that is too long."""
    if len(text) > TEXT_LIMIT:
        raise TextError(f"a message has at most {TEXT_LIMIT} characters")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise TextError("a message holds no NUL and no lone surrogate")
    if not any(_is_visible(character) for character in text):
        raise TextError("a message needs at least one visible character")


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me") and character != "\u2800"
