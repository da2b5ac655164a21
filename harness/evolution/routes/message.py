"""`/message/*` (sections 4.6 and 4.8 of the contract)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.content import long
from harness.evolution.errors import bad_request, crash, inner_crash
from harness.evolution.jids import number_to_jid

__all__ = ["ENDPOINTS"]

_NUMBER = {"type": "string", "description": "Invalid format"}
_DELAY = {"type": "integer", "description": "Enter a value in milliseconds"}
_OPTIONS: Mapping[str, Any] = {
    "delay": _DELAY,
    "quoted": {
        "type": "object",
        "properties": {
            "key": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "message": {"type": "object"},
        },
    },
    "everyOne": {"type": "boolean"},
    "mentioned": {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {
            "type": "string",
            "pattern": r"^\d+",
            "description": '"mentioned" must be an array of numeric strings',
        },
    },
}


def _schema(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": {"number": _NUMBER, **properties, **_OPTIONS}}


_STRING = {"type": "string"}
_TEXT = _schema(["number", "text"], text=_STRING, linkPreview={"type": "boolean"})
_MEDIA = _schema(
    ["number", "mediatype"],
    mediatype={"type": "string", "enum": ["image", "document", "video", "audio"]},
    mimetype=_STRING,
    media=_STRING,
    fileName=_STRING,
    caption=_STRING,
)
_AUDIO = _schema(["number", "audio"], audio=_STRING)
_STICKER = _schema(["number", "sticker"], sticker=_STRING)
_LOCATION = _schema(
    ["number", "latitude", "longitude", "name", "address"],
    latitude={"type": "number"},
    longitude={"type": "number"},
    name=_STRING,
    address=_STRING,
)
_CONTACT = _schema(
    ["number", "contact"],
    contact={
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "required": ["fullName", "phoneNumber"],
            "properties": {"fullName": _STRING, "wuid": _STRING, "phoneNumber": _STRING},
        },
    },
)
_REACTION = {
    "type": "object",
    "required": ["key", "reaction"],
    "properties": {
        "key": {
            "type": "object",
            "required": ["id", "remoteJid", "fromMe"],
            "properties": {"id": _STRING, "remoteJid": _STRING, "fromMe": {"type": "boolean"}},
        },
        "reaction": _STRING,
    },
}
_POLL = _schema(
    ["number", "name", "selectableCount", "values"],
    name=_STRING,
    selectableCount={"type": "integer", "minimum": 0, "maximum": 10},
    values={"type": "array", "minItems": 2, "maxItems": 10, "uniqueItems": True, "items": _STRING},
)
_LIST = _schema(
    ["number", "title", "footerText", "buttonText", "sections"],
    title=_STRING,
    description=_STRING,
    footerText=_STRING,
    buttonText=_STRING,
    sections={"type": "array", "minItems": 1},
)
_BUTTONS = _schema(["number"], title=_STRING, description=_STRING, footer=_STRING, buttons={"type": "array", "minItems": 1})
_STATUS = {
    "type": "object",
    "required": ["type", "content"],
    "properties": {"type": {"type": "string", "enum": ["text", "image", "audio", "video"]}, "content": _STRING},
}
_MEDIA_URL = "https://mmg.whatsapp.net/v/t62.0000-24/fake.enc?ccb=11-4&oh=01_stub"
_MEDIA_PATH = "/v/t62.0000-24/fake.enc?ccb=11-4&oh=01_stub"
_OWNED = "Owned media must be a url or base64"


async def send_text(call: Call) -> Answer:
    body = call.valid(_TEXT)
    if not body["text"].strip():
        raise bad_request("Text is required")
    return await _send(call, body, {"conversation": body["text"]}, "conversation", text=body["text"])


async def _send(
    call: Call,
    body: Mapping[str, Any],
    content: Mapping[str, Any],
    kind: str,
    *,
    text: str | None = None,
    method: str = "textMessage",
    upload: bool = False,
    relayed: bool = False,
) -> Answer:
    answer = await call.parts.outbound.send(
        call.instance,
        body["number"],
        content,
        route=call.route,
        kind=kind,
        text=text,
        options=body,
        method=method,
        upload=upload,
        relayed=relayed,
    )
    return Answer(status=201, body=answer)


async def send_media(call: Call) -> Answer:
    body = call.valid(_MEDIA)
    media = str(body.get("media") or "")
    kind = body["mediatype"]
    if not _is_url(media) and kind == "document" and _decoded(media) is not None and not body.get("fileName"):
        raise bad_request("For base64 the file name must be informed.")
    if not _is_url(media) and _decoded(media) is None:
        raise bad_request(_OWNED)
    data = _fetched(media)
    part = _uploaded(call, data)
    if kind == "image":
        part = {"interactiveAnnotations": [], "scanLengths": [], "annotations": [], **part, "height": 1, "width": 1}
        part["jpegThumbnail"] = b"\xff\xd8\xff\xd9"
    elif kind == "video":
        part = {"interactiveAnnotations": [], "annotations": [], "processedVideos": [], **part, "gifPlayback": False}
    part["mimetype"] = body.get("mimetype") or _MIMETYPES[kind]
    if kind == "document":
        part["fileName"] = body.get("fileName") or media.rsplit("/", 1)[-1]
    if body.get("caption"):
        part["caption"] = body["caption"]
    return await _send(
        call, body, {f"{kind}Message": part}, f"{kind}Message", text=body.get("caption"), method="mediaMessage", upload=True
    )


_MIMETYPES = {
    "image": "image/png",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "document": "application/octet-stream",
}


def _is_url(text: str) -> bool:
    """As the server's validator: an address with a top-level domain or an IP address; `localhost` is none."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return False
    try:
        ipaddress.ip_address(parts.hostname)
    except ValueError:
        return re.fullmatch(r"(?:[\w-]+\.)+[A-Za-z]{2,}", parts.hostname) is not None
    return True


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if text and len(text) % 4 == 0 else None
    except binascii.Error:
        return None


def _fetched(media: str) -> bytes:
    """What stands behind the media; a URL is never fetched, a host that cannot exist fails as an unreachable one does."""
    if not _is_url(media):
        return _decoded(media) or b""
    host = urlsplit(media).hostname or ""
    if "invalid" in host.split("."):
        raise inner_crash(f"Error: getaddrinfo ENOTFOUND {host}")
    return media.encode()


def _uploaded(call: Call, data: bytes) -> dict[str, Any]:
    identity, name = call.fake.store.identity, call.instance.id
    return {
        "url": _MEDIA_URL,
        "fileSha256": identity.draw("sha", name),
        "fileLength": long(len(data), unsigned=True),
        "mediaKey": identity.draw("media-key", name),
        "fileEncSha256": identity.draw("enc-sha", name),
        "directPath": _MEDIA_PATH,
        "mediaKeyTimestamp": long(int(call.fake.clock.now().timestamp())),
    }


async def send_audio(call: Call) -> Answer:
    body = call.valid(_AUDIO)
    data = _decoded(body["audio"])
    if data is None and not _is_url(body["audio"]):
        raise bad_request("Owned media must be a url, base64, or valid file with buffer")
    part = {**_uploaded(call, data or b""), "mimetype": "audio/ogg; codecs=opus", "ptt": True}
    return await _send(call, body, {"audioMessage": part}, "audioMessage", method="audioWhatsapp", upload=True)


async def send_sticker(call: Call) -> Answer:
    body = call.valid(_STICKER)
    data = _decoded(body["sticker"])
    if data is None and not _is_url(body["sticker"]):
        raise bad_request(_OWNED)
    part = {**_uploaded(call, data or b""), "mimetype": "image/webp"}
    return await _send(call, body, {"stickerMessage": part}, "stickerMessage", method="mediaSticker", upload=True)


async def send_location(call: Call) -> Answer:
    body = call.valid(_LOCATION)
    part = {
        "degreesLatitude": body["latitude"],
        "degreesLongitude": body["longitude"],
        "name": body["name"],
        "address": body["address"],
    }
    return await _send(call, body, {"locationMessage": part}, "locationMessage", method="locationMessage")


async def send_contact(call: Call) -> Answer:
    body = call.valid(_CONTACT)
    cards = [{"displayName": person["fullName"], "vcard": _card(person)} for person in body["contact"]]
    if len(cards) == 1:
        return await _send(call, body, {"contactMessage": cards[0]}, "contactMessage", method="contactMessage")
    part = {"displayName": f"{len(cards)} contacts", "contacts": cards}
    return await _send(call, body, {"contactsArrayMessage": part}, "contactsArrayMessage", method="contactMessage")


def _card(person: Mapping[str, Any]) -> str:
    number = person.get("wuid") or number_to_jid(person["phoneNumber"]).partition("@")[0]
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:{person['fullName']}", f"FN:{person['fullName']}"]
    lines += [f"ORG:{person['organization']};"] if person.get("organization") else []
    lines += [f"EMAIL:{person['email']}"] if person.get("email") else []
    lines += [f"URL:{person['url']}"] if person.get("url") else []
    lines += [f"item1.TEL;waid={number}:{person['phoneNumber']}", "item1.X-ABLabel:Celular", "END:VCARD"]
    return "\n".join(lines)


async def send_reaction(call: Call) -> Answer:
    body = call.valid(_REACTION)
    if body["reaction"] and not _is_one_emoji(body["reaction"]):
        raise bad_request("Reaction must be a single emoji or empty string")
    part = {
        "text": body["reaction"],
        "key": body["key"],
        "senderTimestampMs": int(call.fake.clock.now().timestamp() * 1000),
    }
    addressed = {"number": body["key"]["remoteJid"]}
    return await _send(
        call, addressed, {"reactionMessage": part}, "reactionMessage", text=body["reaction"], method="reactionMessage"
    )


_EMOJI = (
    r"(?:[\U0001F1E6-\U0001F1FF]{2}|[0-9#*]\ufe0f?\u20e3"
    r"|(?:[\u203c-\u3299\U0001F000-\U0001FAFF]\ufe0f?[\U0001F3FB-\U0001F3FF]?)"
    r"(?:\u200d[\u203c-\u3299\U0001F000-\U0001FAFF]\ufe0f?[\U0001F3FB-\U0001F3FF]?)*)"
)


def _is_one_emoji(text: str) -> bool:
    return re.fullmatch(_EMOJI, text) is not None


async def send_poll(call: Call) -> Answer:
    body = call.valid(_POLL)
    secret = call.fake.store.identity.draw("poll", call.instance.id)
    content = {
        "messageContextInfo": {"messageSecret": secret},
        "pollCreationMessageV3": {
            "name": body["name"],
            "selectableOptionsCount": body["selectableCount"],
            "options": [{"optionName": value} for value in body["values"]],
        },
    }
    return await _send(call, body, content, "pollCreationMessageV3", text=body["name"], method="pollMessage")


async def send_list(call: Call) -> Answer:
    body = call.valid(_LIST)
    part = {
        "sections": body["sections"],
        "title": body["title"],
        "description": body.get("description"),
        "buttonText": body["buttonText"],
        "listType": 2,
        "footerText": body["footerText"],
    }
    return await _send(call, body, {"listMessage": part}, "listMessage", text=body["title"], method="listMessage")


async def send_buttons(call: Call) -> Answer:
    body = call.valid(_BUTTONS)
    if not body.get("buttons"):
        raise bad_request("At least one button is required")
    identity, name = call.fake.store.identity, call.instance.id
    title, description = body.get("title", ""), body.get("description")
    part = {
        "body": {"text": f"*{title}*" + (f"\n\n{description}\n" if description else "")},
        "footer": {"text": body.get("footer")},
        "nativeFlowMessage": {
            "buttons": [_button(button) for button in body["buttons"]],
            "messageParamsJson": _json({"from": "api", "templateId": identity.uuid("template", name)}),
        },
    }
    content = {"viewOnceMessage": {"message": {"interactiveMessage": part}}}
    return await _send(call, body, content, "viewOnceMessage", text=title, method="buttonMessage", relayed=True)


def _button(button: Mapping[str, Any]) -> dict[str, str]:
    kind, text = button.get("type"), button.get("displayText")
    shapes = {
        "reply": ("quick_reply", {"display_text": text, "id": button.get("id")}),
        "url": ("cta_url", {"display_text": text, "url": button.get("url"), "merchant_url": button.get("url")}),
        "call": ("cta_call", {"display_text": text, "phone_number": button.get("phoneNumber")}),
        "copy": ("cta_copy", {"display_text": text, "copy_code": button.get("copyCode")}),
        "pix": ("payment_info", {"currency": button.get("currency"), "key": button.get("key")}),
    }
    if kind not in shapes:
        raise bad_request(f"Unknown button type {kind}")
    name, parameters = shapes[kind]
    return {"name": name, "buttonParamsJson": _json(parameters)}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def send_status(call: Call) -> Answer:
    body = call.valid(_STATUS)
    addressed = {"number": "status@broadcast"}
    if body["type"] == "text":
        part = {"text": body["content"]}
        return await _send(
            call, addressed, {"extendedTextMessage": part}, "extendedTextMessage", text=body["content"], method="statusMessage"
        )
    kind = f"{body['type']}Message"
    part = {**_uploaded(call, body["content"].encode()), "mimetype": _MIMETYPES[body["type"]]}
    return await _send(call, addressed, {kind: part}, kind, text=body.get("caption"), method="statusMessage", upload=True)


async def send_template(_: Call) -> Answer:
    raise crash("Method not available in the Baileys service")


_SENDS = {
    "sendText": send_text,
    "sendMedia": send_media,
    "sendWhatsAppAudio": send_audio,
    "sendSticker": send_sticker,
    "sendLocation": send_location,
    "sendContact": send_contact,
    "sendReaction": send_reaction,
    "sendPoll": send_poll,
    "sendList": send_list,
    "sendButtons": send_buttons,
    "sendStatus": send_status,
    "sendTemplate": send_template,
}
ENDPOINTS = [Endpoint(method="POST", path=f"message/{name}", handler=handler) for name, handler in _SENDS.items()]
