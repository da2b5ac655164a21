"""Message content: how the socket library's messages become the server's, and how both look on the wire and in the database."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

__all__ = ["decoded", "in_database", "long", "message_type_of", "on_wire", "prepared", "source_of"]

_BYTES = frozenset(
    {
        "fileSha256",
        "fileEncSha256",
        "mediaKey",
        "jpegThumbnail",
        "waveform",
        "messageSecret",
        "senderKeyHash",
        "recipientKeyHash",
        "pngThumbnail",
        "thumbnailSha256",
        "thumbnailEncSha256",
        "midQualityFileSha256",
        "streamingSidecar",
        "firstFrameSidecar",
    }
)
_UNSIGNED = frozenset({"fileLength", "senderTimestamp", "recipientTimestamp"})
_SIGNED = frozenset({"mediaKeyTimestamp", "ephemeralSettingTimestamp", "senderTimestampMs", "stickerSentTs"})
_REPEATED: Mapping[str, tuple[str, ...]] = {
    "imageMessage": ("interactiveAnnotations", "scanLengths", "annotations"),
    "videoMessage": ("interactiveAnnotations", "annotations", "processedVideos"),
    "contextInfo": ("mentionedJid", "groupMentions"),
}
# Messages whose protobuf type has a contextInfo field: absent there means null here.
_WITH_CONTEXT = frozenset(
    {
        "imageMessage",
        "videoMessage",
        "audioMessage",
        "documentMessage",
        "stickerMessage",
        "contactMessage",
        "locationMessage",
        "listResponseMessage",
        "buttonsResponseMessage",
        "extendedTextMessage",
        "listMessage",
    }
)
_NOT_CONTENT = frozenset({"messageContextInfo", "senderKeyDistributionMessage"})
_AS_IS = frozenset({str, int, float, bool, type(None)})
_PROTOCOL_TYPES = {0: "REVOKE", 14: "MESSAGE_EDIT"}


def long(value: int, *, unsigned: bool = False) -> dict[str, Any]:
    """A 64-bit number as the server's serialisation shows it."""
    low = value & 0xFFFFFFFF
    return {"low": low - (1 << 32) if low >= 1 << 31 else low, "high": value >> 32, "unsigned": unsigned}


def decoded(value: Any, name: str = "") -> Any:
    """A message as JSON into the library's own form: bytes as bytes, 64-bit numbers as pairs, repeated fields present."""
    if isinstance(value, Mapping):
        fields = {key: decoded(item, key) for key, item in value.items()}
        return {**{part: [] for part in _REPEATED.get(name, ()) if part not in fields}, **fields}
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if name in _BYTES and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            return value
    if name in _UNSIGNED | _SIGNED and isinstance(value, str | int) and str(value).isdigit():
        return long(int(value), unsigned=name in _UNSIGNED)
    return value


def on_wire(value: Any) -> Any:
    """As HTTP answers and webhooks show it: bytes are objects with numeric keys."""
    if type(value) in _AS_IS:
        return value
    if isinstance(value, bytes):
        return {str(index): byte for index, byte in enumerate(value)}
    if isinstance(value, Mapping):
        return {key: item if type(item) in _AS_IS else on_wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [on_wire(item) for item in value]
    return value


def in_database(value: Any) -> Any:
    """As `findMessages` shows it: bytes are base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: in_database(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_database(item) for item in value]
    return value


def message_type_of(message: Mapping[str, Any]) -> str:
    return next((name for name in message if name not in _NOT_CONTENT), "unknown")


def source_of(key_id: str) -> str:
    """The device that made a key id, as the socket library guesses it."""
    if len(key_id) == 20 and key_id.startswith("3A"):
        return "ios"
    if len(key_id) == 22 and key_id.startswith("3E"):
        return "web"
    if len(key_id) in {21, 32}:
        return "android"
    return "desktop" if key_id.startswith("3F") or len(key_id) == 18 else "unknown"


def prepared(message: Mapping[str, Any]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Content, messageType and, when there is any, `{"contextInfo": …}`.

    Extended text becomes `conversation`, a document with caption becomes a document; ephemeral and view-once stay wrapped.
    """
    content = dict(message)
    kind = message_type_of(content)
    inner = content.get(kind)
    context: dict[str, Any] = {}
    if kind in _WITH_CONTEXT and isinstance(inner, Mapping):
        context = {"contextInfo": _with_flat_quote(inner.get("contextInfo"))}
    if kind in {"extendedTextMessage", "documentWithCaptionMessage"}:
        flat, kind = _flattened(content)
        return flat, kind, context
    return content, kind, context


def _flattened(content: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Extended text as `conversation`, a document with caption as a document, anything else as it is; and its type."""
    rest = dict(content)
    text = rest.pop("extendedTextMessage", None)
    if isinstance(text, Mapping):
        return {"conversation": text.get("text", ""), **rest}, "conversation"
    wrapped = rest.pop("documentWithCaptionMessage", None)
    if isinstance(wrapped, Mapping):
        return {**wrapped.get("message", {}), **rest}, "documentMessage"
    return dict(content), message_type_of(content)


def _with_flat_quote(context: Any) -> Any:
    if isinstance(context, Mapping) and isinstance(context.get("quotedMessage"), Mapping):
        return {**context, "quotedMessage": _flattened(context["quotedMessage"])[0]}
    return context


def protocol_type(value: Any) -> Any:
    """A protocol message's type by name."""
    return _PROTOCOL_TYPES.get(value, value) if isinstance(value, int) else value
