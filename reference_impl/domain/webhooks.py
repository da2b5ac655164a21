"""Evolution's webhook bodies, read without trusting a byte of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from reference_impl.domain.connections import ConnectionEvent, EventKind
from reference_impl.domain.invariants import existing
from reference_impl.domain.masking import MASK, is_secret_key
from reference_impl.domain.messages import MessageStatus, status_of_ack
from reference_impl.domain.phones import is_customer_jid, jid_digits

__all__ = [
    "Echo",
    "Envelope",
    "InboundMessage",
    "MalformedEventError",
    "NoInstanceError",
    "StatusUpdate",
    "connection_event",
    "echo",
    "inbound_messages",
    "is_known_event",
    "parse_event",
    "status_updates",
    "strip_secrets",
]

_KNOWN_EVENTS: Final = frozenset(
    [
        "application.startup",
        "call",
        "chats.delete",
        "chats.set",
        "chats.update",
        "chats.upsert",
        "connection.update",
        "contacts.set",
        "contacts.update",
        "contacts.upsert",
        "group-participants.update",
        "group.participants.update",
        "groups.update",
        "groups.upsert",
        "instance.create",
        "instance.delete",
        "labels.association",
        "labels.edit",
        "logout.instance",
        "messages.delete",
        "messages.edited",
        "messages.set",
        "messages.update",
        "messages.upsert",
        "presence.update",
        "qrcode.updated",
        "remove.instance",
        "send.message",
        "send.message.update",
        "status.instance",
        "typebot.change-status",
        "typebot.start",
    ]
)
_WRAPPERS: Final = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
)
_MEDIA: Final = {
    "imageMessage": "image",
    "videoMessage": "video",
    "ptvMessage": "video",
    "audioMessage": "audio",
    "documentMessage": "document",
    "stickerMessage": "sticker",
}
_OTHERS: Final = {
    "locationMessage": "location",
    "liveLocationMessage": "location",
    "contactMessage": "contact",
    "contactsArrayMessage": "contact",
    "listResponseMessage": "list_response",
    "buttonsResponseMessage": "buttons_response",
    "templateButtonReplyMessage": "buttons_response",
    "interactiveResponseMessage": "interactive_response",
    "pollCreationMessage": "poll",
    "pollCreationMessageV2": "poll",
    "pollCreationMessageV3": "poll",
    "eventMessage": "event",
    "orderMessage": "order",
    "productMessage": "product",
    "groupInviteMessage": "invite",
}
# They change or comment an earlier message and say nothing themselves.
_NOT_MESSAGES: Final = frozenset(
    {"reactionMessage", "protocolMessage", "editedMessage", "pollUpdateMessage", "senderKeyDistributionMessage"}
)
_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_MASKED: Final = MASK.encode()
_SECRET_SHORTEST: Final = 6
# The name of a member and all before its text: `"apikey": "`, or `\"apikey\": \"` in JSON within a text.
# Everything is bounded: whoever fills a body with backslashes must not find a pattern that goes back over them.
_MEMBER: Final = re.compile(rb'(\\{0,15}")((?:[^"\\]|\\{1,16}u[0-9a-fA-F]{4}){1,64})\1\s{0,16}:\s{0,16}\1')
_TEXT: Final = re.compile(rb'(?s)[^"\\]*+(?:\\.[^"\\]*+)*+')


class MalformedEventError(ValueError):
    """The body is no event that can be processed; the message names the reason in one word or two and holds nothing of the
    body.
    """


class NoInstanceError(ValueError):
    """The body is an object that names no instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One delivery. `occurred_at` is the provider's `date_time`, whose zone cannot be trusted: compare it only with its like."""

    event: str
    instance: str
    data: Any
    occurred_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundMessage:
    """One message of a customer. Exactly one of `phone` and `lid` is set; times are the provider's."""

    external_id: str
    remote_jid: str
    phone: str | None
    lid: str | None
    push_name: str | None
    message_type: str
    text: str
    caption: str | None
    media_mimetype: str | None
    provider_timestamp: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUpdate:
    """An acknowledgement for the message with this provider id."""

    external_id: str
    status: MessageStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """Proof that the provider sent something: the `send.message` event, or a record of `findMessages`."""

    external_id: str
    remote_jid: str
    text: str
    provider_timestamp: datetime | None


def parse_event(raw: bytes) -> Envelope:
    """The envelope of a delivery. Raises NoInstanceError without an instance, MalformedEventError for anything else that is
    no event.
    """
    try:
        body = json.loads(raw.decode("utf-8"), parse_constant=_refuse_number, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise MalformedEventError("not UTF-8") from error
    except RecursionError as error:
        raise MalformedEventError("nested too deeply") from error
    except ValueError as error:
        raise MalformedEventError("not JSON") from error
    if not isinstance(body, dict):
        raise MalformedEventError("not an object")
    instance, event = body.get("instance"), body.get("event")
    if isinstance(instance, dict):
        instance = instance.get("instanceName")
    if instance is None or instance == "":
        raise NoInstanceError("no instance")
    if not isinstance(instance, str) or not _is_storable(instance) or len(instance) > 256:
        raise MalformedEventError("instance is not a name")
    if not isinstance(event, str) or not 0 < len(event) <= 64 or not _is_storable(event):
        raise MalformedEventError("event is not a name")
    return Envelope(
        event=event.lower().replace("_", "."),
        instance=instance,
        data=body.get("data"),
        occurred_at=_date_time(body.get("date_time")),
    )


def is_known_event(event: str) -> bool:
    """Whether the provider is known to emit it; an unknown one is kept for a person to look at."""
    return event in _KNOWN_EVENTS


def connection_event(envelope: Envelope) -> ConnectionEvent | None:
    """What `qrcode.updated` or `connection.update` says; None for a state that means nothing here. Raises MalformedEventError."""
    data = _mapping(envelope.data, "data is not an object")
    if envelope.event == "qrcode.updated":
        qr = data.get("qrcode")
        if isinstance(qr, Mapping):
            image = qr.get("base64")
            if not isinstance(image, str) or not image.startswith("data:image/") or not image.isascii() or len(image) > 200_000:
                raise MalformedEventError("no QR image")
            return ConnectionEvent(kind=EventKind.QR, occurred_at=envelope.occurred_at, qr_code=image)
        if "message" in data or "statusCode" in data:
            return ConnectionEvent(kind=EventKind.QR_EXPIRED, occurred_at=envelope.occurred_at)
        raise MalformedEventError("neither QR nor limit")
    state, code = data.get("state"), data.get("statusReason")
    match state:
        case "connecting":
            return ConnectionEvent(kind=EventKind.CONNECTING, occurred_at=envelope.occurred_at)
        case "refused":
            return ConnectionEvent(kind=EventKind.QR_EXPIRED, occurred_at=envelope.occurred_at)
        case "open":
            wuid = data.get("wuid")
            phone = jid_digits(wuid) if isinstance(wuid, str) and is_customer_jid(wuid) else None
            return ConnectionEvent(kind=EventKind.OPEN, occurred_at=envelope.occurred_at, phone=phone)
        case "close":
            number = code if isinstance(code, int) and not isinstance(code, bool) else None
            return ConnectionEvent(kind=EventKind.CLOSE, occurred_at=envelope.occurred_at, code=number)
        case str():
            return None
        case _:
            raise MalformedEventError("no state")


def inbound_messages(data: Any) -> Iterator[InboundMessage | MalformedEventError]:
    """Every customer message in the data of a `messages.upsert`; an entry that cannot be read yields its error, and the rest
    goes on.
    """
    for entry in _entries(data, "messages"):
        try:
            message = _inbound(_mapping(entry, "message is not an object"))
        except MalformedEventError as error:
            yield error
        else:
            if message is not None:
                yield message


def status_updates(data: Any) -> Iterator[StatusUpdate | MalformedEventError]:
    """Every acknowledgement in the data of a `messages.update`, in either form: flat `keyId`, or `key.id` with
    `update.status`.
    """
    for entry in _entries(data, "messages"):
        try:
            update = _status_update(_mapping(entry, "update is not an object"))
        except MalformedEventError as error:
            yield error
        else:
            if update is not None:
                yield update


def echo(record: Any) -> Echo | None:
    """A sent message as the provider records it; None when the record is not of a text that this backend could have sent."""
    if not isinstance(record, Mapping) or not isinstance(key := record.get("key"), Mapping) or key.get("fromMe") is not True:
        return None
    external_id, remote_jid = key.get("id"), key.get("remoteJid")
    content = record.get("message")
    text = _text_of(content) if isinstance(content, Mapping) else None
    if not (isinstance(external_id, str) and _ID.fullmatch(external_id) and isinstance(remote_jid, str) and text is not None):
        return None
    if not (_is_storable(remote_jid) and _is_storable(text)):
        return None
    return Echo(
        external_id=external_id,
        remote_jid=remote_jid,
        text=text,
        provider_timestamp=_epoch_seconds(record.get("messageTimestamp")),
    )


def strip_secrets(raw: bytes, secrets: tuple[str, ...]) -> bytes:
    """The bytes without the given secrets, without the path secret in `destination`, and without the text of every member whose
    name is a secret's, however it is escaped, also in JSON within a text. What holds none comes back as it is.
    """
    text = _as_utf8(raw)
    stripped = text
    for secret in secrets:
        if len(secret) >= _SECRET_SHORTEST:
            stripped = stripped.replace(secret.encode(), _MASKED)
    stripped = re.sub(rb"(/webhooks/whatsapp/[^/\s\"]+/)[^\s/?\"'\\]+", rb"\1[MASKED]", _without_secret_members(stripped))
    return raw if stripped == text else stripped


def _as_utf8(raw: bytes) -> bytes:
    """UTF-16 is recognised by what it begins with: a mark, or an ASCII character and its zero byte."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif len(raw) > 1 and 0 in raw[:2]:
        encoding = "utf-16-le" if raw[1] == 0 else "utf-16-be"
    else:
        return raw
    return raw.decode(encoding, "replace").encode("utf-8", "replace")


def _without_secret_members(raw: bytes) -> bytes:
    pieces, kept = [], 0
    for found in _MEMBER.finditer(raw):
        quote, name = found[1], found[2]
        if found.end() <= kept or not _names_a_secret(name):
            continue
        ends = _TEXT if quote == b'"' else re.compile(rb"(?s).*?(?=(?<!\\)" + re.escape(quote) + rb"|\Z)")
        text = existing(ends.match(raw, found.end()), "both match also nothing")
        pieces += [raw[kept : found.end()], _MASKED]
        kept = text.end()
    return b"".join([*pieces, raw[kept:]])


def _names_a_secret(name: bytes) -> bool:
    plain = re.sub(rb"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)).encode("utf-8", "replace"), name)
    # `code` is what the picture of a QR code says.
    return plain == b"code" or is_secret_key(plain.decode("utf-8", "replace"))


def _inbound(entry: Mapping[str, Any]) -> InboundMessage | None:
    key = _mapping(entry.get("key"), "no key")
    external_id, remote_jid, from_me = key.get("id"), key.get("remoteJid"), key.get("fromMe")
    if not isinstance(external_id, str) or not _ID.fullmatch(external_id):
        raise MalformedEventError("no message id")
    if not isinstance(remote_jid, str):
        raise MalformedEventError("no sender")
    if from_me is True:
        return None
    if from_me is not False and from_me is not None:
        raise MalformedEventError("fromMe is no truth value")
    if not is_customer_jid(remote_jid):
        if remote_jid.endswith(("@g.us", "@broadcast", "@newsletter", "@call")):
            return None
        raise MalformedEventError("sender is no customer")
    content = entry.get("message")
    if content is None:
        raise MalformedEventError("no content")
    found = _content(_mapping(content, "content is not an object"), entry.get("messageType"))
    if found is None:
        return None
    kind, text, caption, mimetype = found
    if any(not _is_storable(value) for value in (text, caption, mimetype) if value is not None):
        raise MalformedEventError("text cannot be stored")
    phone, lid = _address(key, remote_jid)
    push_name = entry.get("pushName")
    return InboundMessage(
        external_id=external_id,
        remote_jid=remote_jid,
        phone=phone,
        lid=lid,
        push_name=push_name if isinstance(push_name, str) and push_name and _is_storable(push_name) else None,
        message_type=kind,
        text=text,
        caption=caption,
        media_mimetype=mimetype,
        provider_timestamp=_epoch_seconds(entry.get("messageTimestamp")),
    )


def _address(key: Mapping[str, Any], remote_jid: str) -> tuple[str | None, str | None]:
    if not remote_jid.endswith("@lid"):
        return jid_digits(remote_jid), None
    for name in ("remoteJidAlt", "senderPn"):
        alternative = key.get(name)
        if isinstance(alternative, str) and is_customer_jid(alternative) and not alternative.endswith("@lid"):
            return jid_digits(alternative), None
    return None, jid_digits(remote_jid)


def _content(message: Mapping[str, Any], declared: Any) -> tuple[str, str, str | None, str | None] | None:
    """Type, text, caption and MIME type; None for what is no message of its own. Raises MalformedEventError."""
    message = _unwrap(message)
    text = _text_of(message)
    if text is not None:
        return "text", text, None, None
    for name, kind in _MEDIA.items():
        if isinstance(media := message.get(name), Mapping):
            caption, mimetype = media.get("caption"), media.get("mimetype")
            caption = caption if isinstance(caption, str) else None
            return kind, caption or "", caption, mimetype if isinstance(mimetype, str) else None
    for name, kind in _OTHERS.items():
        if isinstance(other := message.get(name), Mapping):
            return kind, _label(other), None, None
    if any(name in message for name in _NOT_MESSAGES) or declared in _NOT_MESSAGES:
        return None
    for name in ("conversation", "extendedTextMessage"):
        if name in message:
            raise MalformedEventError("text is not a text")
    raise MalformedEventError("content not known")


def _unwrap(message: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(5):
        inner = next((message[name] for name in _WRAPPERS if isinstance(message.get(name), Mapping)), None)
        if inner is None or not isinstance(inner.get("message"), Mapping):
            break
        message = inner["message"]
    return message


def _text_of(message: Mapping[str, Any]) -> str | None:
    message = _unwrap(message)
    conversation = message.get("conversation")
    if isinstance(conversation, str):
        return conversation
    extended = message.get("extendedTextMessage")
    text = extended.get("text") if isinstance(extended, Mapping) else None
    return text if isinstance(text, str) else None


def _label(content: Mapping[str, Any]) -> str:
    for name in ("title", "selectedDisplayText", "displayName", "name", "address", "groupName"):
        if isinstance(value := content.get(name), str) and value:
            return value
    return ""


def _status_update(entry: Mapping[str, Any]) -> StatusUpdate | None:
    key = entry.get("key")
    nested = key if isinstance(key, Mapping) else {}
    external_id = next(
        (value for value in (entry.get("keyId"), nested.get("id"), entry.get("id")) if isinstance(value, str)), None
    )
    if external_id is None or not _ID.fullmatch(external_id):
        raise MalformedEventError("no message id")
    # An update of a customer's own message (a receipt that this unit gave) is not about an outbound one.
    from_me = entry.get("fromMe", nested.get("fromMe"))
    if from_me is False:
        return None
    update = entry.get("update")
    reported = entry.get("status", update.get("status") if isinstance(update, Mapping) else None)
    if isinstance(reported, int) and not isinstance(reported, bool):
        reported = {0: "ERROR", 2: "SERVER_ACK", 3: "DELIVERY_ACK", 4: "READ", 5: "PLAYED"}.get(reported, "PENDING")
    if not isinstance(reported, str):
        raise MalformedEventError("no status")
    status = status_of_ack(reported)
    return StatusUpdate(external_id=external_id, status=status) if status is not None else None


def _entries(data: Any, name: str) -> list[Any]:
    if isinstance(data, list):
        return data
    if isinstance(data, Mapping) and isinstance(inner := data.get(name), list):
        return inner
    return [data]


def _mapping(value: Any, reason: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedEventError(reason)
    return value


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _date_time(value: Any) -> datetime | None:
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _epoch_seconds(value: Any) -> datetime | None:
    if isinstance(value, Mapping):
        value = value.get("low")
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 13:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 253_402_300_800:
        return None
    return datetime.fromtimestamp(value, UTC)


def _refuse_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number out of range")
    return number
