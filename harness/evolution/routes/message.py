"""`/message/*` (sections 4.6 and 4.8 of the contract)."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import mimetypes
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.content import long
from harness.evolution.errors import bad_request, crash, inner_crash
from harness.evolution.jids import number_to_jid

__all__ = ["ENDPOINTS", "from_base64", "is_url"]

_NUMBER = {"type": "string", "description": "Invalid format"}
_STRING = {"type": "string"}
_FLAG = {"type": "boolean", "enum": [True, False]}
_DELAY = {"type": "integer", "description": "Enter a value in milliseconds"}
_OPTIONS: Mapping[str, Any] = {
    "delay": _DELAY,
    "quoted": {
        "properties": {
            "key": {
                "type": "object",
                "properties": {"id": _STRING, "remoteJid": _STRING, "fromMe": _FLAG},
                "required": ["id"],
                "notEmpty": ("id",),
            },
            "message": {"type": "object"},
        },
    },
    "everyOne": _FLAG,
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


def _schema(*required: str, **properties: Any) -> dict[str, Any]:
    """In the server's order of keywords and properties: it decides the order of the faults."""
    return {"type": "object", "properties": {"number": _NUMBER, **properties, **_OPTIONS}, "required": ["number", *required]}


_TEXT = _schema("text", text=_STRING, linkPreview={"type": "boolean"})
_MEDIA = _schema(
    "mediatype",
    mediatype={"type": "string", "enum": ["image", "document", "video", "audio"]},
    mimetype=_STRING,
    media=_STRING,
    fileName=_STRING,
    caption=_STRING,
)
_AUDIO = _schema(audio=_STRING)
_PTV = _schema(video=_STRING)
_STICKER = _schema(sticker=_STRING)
_LOCATION = _schema(
    "latitude",
    "longitude",
    "name",
    "address",
    latitude={"type": "number"},
    longitude={"type": "number"},
    name=_STRING,
    address=_STRING,
)
_CONTACT = {
    "type": "object",
    "properties": {
        "number": _NUMBER,
        "contact": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "fullName": _STRING,
                    "wuid": {
                        "type": "string",
                        "minLength": 10,
                        "pattern": r"\d+",
                        "description": '"wuid" must be a numeric string',
                    },
                    "phoneNumber": {"type": "string", "minLength": 10},
                    "organization": _STRING,
                    "email": _STRING,
                    "url": _STRING,
                },
                "required": ["fullName", "phoneNumber"],
                "notEmpty": ("fullName",),
            },
            "minItems": 1,
            "uniqueItems": True,
        },
    },
    "required": ["number", "contact"],
}
_REACTION = {
    "type": "object",
    "properties": {
        "key": {
            "type": "object",
            "properties": {"id": _STRING, "remoteJid": _STRING, "fromMe": _FLAG},
            "required": ["id", "remoteJid", "fromMe"],
            "notEmpty": ("id", "remoteJid"),
        },
        "reaction": _STRING,
    },
    "required": ["key", "reaction"],
}
_POLL = _schema(
    "name",
    "selectableCount",
    "values",
    name=_STRING,
    selectableCount={"type": "integer", "minimum": 0, "maximum": 10},
    values={"type": "array", "minItems": 2, "maxItems": 10, "uniqueItems": True, "items": _STRING},
)
_ROW = {
    "type": "object",
    "properties": {"title": _STRING, "description": _STRING, "rowId": _STRING},
    "required": ["title", "rowId"],
    "notEmpty": ("title", "description", "rowId"),
}
_SECTION = {
    "type": "object",
    "properties": {"title": _STRING, "rows": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _ROW}},
    "required": ["title", "rows"],
    "notEmpty": ("title",),
}
_LIST = _schema(
    "title",
    "footerText",
    "buttonText",
    "sections",
    title=_STRING,
    description=_STRING,
    footerText=_STRING,
    buttonText=_STRING,
    sections={"type": "array", "minItems": 1, "uniqueItems": True, "items": _SECTION},
)
_BUTTON = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["reply", "copy", "url", "call", "pix"]},
        "displayText": _STRING,
        "id": _STRING,
        "url": _STRING,
        "phoneNumber": _STRING,
        "currency": _STRING,
        "name": _STRING,
        "keyType": {"type": "string", "enum": ["phone", "email", "cpf", "cnpj", "random"]},
        "key": _STRING,
    },
    "required": ["type"],
    "notEmpty": ("id", "url", "phoneNumber"),
}
_BUTTONS = _schema(
    thumbnailUrl=_STRING,
    title=_STRING,
    description=_STRING,
    footer=_STRING,
    buttons={"type": "array", "items": _BUTTON},
)
_STATUS = {
    "type": "object",
    "properties": {
        "type": {"type": "string", "enum": ["text", "image", "audio", "video"]},
        "content": _STRING,
        "caption": _STRING,
        "backgroundColor": _STRING,
        "font": {"type": "integer", "minimum": 0, "maximum": 5},
        "statusJidList": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "string",
                "pattern": r"^\d+",
                "description": '"statusJidList" must be an array of numeric strings',
            },
        },
        "allContacts": _FLAG,
    },
    "required": ["type"],
}
_TEMPLATE = {
    "type": "object",
    "properties": {
        "number": _NUMBER,
        "name": _STRING,
        "language": _STRING,
        "components": {"type": "array"},
        "webhookUrl": _STRING,
    },
    "required": ["name", "language"],
}
_MEDIA_URL = "https://mmg.whatsapp.net/v/t62.0000-24/fake.enc?ccb=11-4&oh=01_stub"
_MEDIA_PATH = "/v/t62.0000-24/fake.enc?ccb=11-4&oh=01_stub"
_OWNED = "Owned media must be a url or base64"
# What JavaScript's `trim` takes away.
_BLANK = re.compile(r"[\t-\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*")


async def send_text(call: Call) -> Answer:
    body = call.valid(_TEXT)
    if _BLANK.fullmatch(body["text"]):
        raise bad_request("Text is required")
    return await _send(call, body, {"conversation": body["text"]}, "conversation", text=body["text"])


async def _send(
    call: Call,
    body: Mapping[str, Any],
    content: Mapping[str, Any],
    kind: str,
    *,
    text: str | None = None,
    options: Mapping[str, Any] | None = None,
    method: str = "textMessage",
    upload: bool = False,
    relayed: bool = False,
) -> Answer:
    """`options` replaces the body where the server does not pass on all that a body can say."""
    answer = await call.parts.outbound.send(
        call.known(method),
        body["number"],
        content,
        route=call.route,
        kind=kind,
        text=text,
        options=body if options is None else options,
        method=method,
        upload=upload,
        relayed=relayed,
    )
    return Answer(status=201, raw=answer) if isinstance(answer, bytes) else Answer(status=201, body=answer)


async def send_media(call: Call) -> Answer:
    body = call.valid(_MEDIA)
    media, kind = body.get("media"), body["mediatype"]
    if from_base64(media) is not None and not body.get("fileName") and kind == "document":
        raise bad_request("For base64 the file name must be informed.")
    data = _content(call, media, _OWNED)
    part = _uploaded(call, data)
    name = body.get("fileName") or {"image": "image.jpg", "video": "video.mp4"}.get(kind)
    if kind == "image":
        _refuse_what_is_no_image(call, media, data)
        part = {"interactiveAnnotations": [], "scanLengths": [], "annotations": [], **part, "height": 1, "width": 1}
        part["jpegThumbnail"] = b"\xff\xd8\xff\xd9"
    elif kind == "video":
        part = {"interactiveAnnotations": [], "annotations": [], "processedVideos": [], **part, "gifPlayback": False}
    elif kind == "document":
        # Of an address the server takes what lies between the last slash and the next dot.
        name = part["fileName"] = name or _name_in(str(media))
    part["mimetype"] = _mimetype_of(name) if name else body.get("mimetype") or "false"
    if body.get("caption") is not None and kind != "audio":
        part["caption"] = body["caption"]
    return await _send(
        call, body, {f"{kind}Message": part}, f"{kind}Message", text=body.get("caption"), method="mediaMessage", upload=True
    )


# Beyond what the standard library knows everywhere.
_EXTENSIONS = {
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".m4a": "audio/mp4",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".webp": "image/webp",
}
_KNOWN_TYPES = mimetypes.MimeTypes()


def _mimetype_of(name: str) -> str:
    """By the name's ending. One that says nothing is JavaScript's `false` as a text: the server does so."""
    ending = "." + name.rpartition(".")[2].lower()
    return _EXTENSIONS.get(ending) or _KNOWN_TYPES.types_map[1].get(ending) or "false"


def _name_in(address: str) -> str:
    found = re.search(r".*/(.+?)\.", address)
    if found is None:
        raise inner_crash("TypeError: Cannot read properties of null (reading '1')")
    return found[1]


_IMAGES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"<svg", b"<?xml")


def _refuse_what_is_no_image(call: Call, media: Any, data: bytes) -> None:
    """As the server's image library, which converts every image; what stands behind an address is taken for one."""
    if call.file is None and is_url(media):
        return
    if not data:
        raise inner_crash("Error: Input Buffer is empty")
    if not data.startswith(_IMAGES) and data[4:8] != b"ftyp":
        raise inner_crash("Error: Input buffer contains unsupported image format")


def is_url(text: Any) -> bool:
    """As the server's validator: a name with a top-level domain or an IP address, scheme or not; `localhost` is none."""
    if not isinstance(text, str) or not 0 < len(text) <= 2083 or re.search(r"[\s<>]", text):
        return False
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = parts.hostname
    except ValueError:
        return False
    if parts.scheme not in {"http", "https", "ftp"} or not host:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        label = r"(?!-)[a-z0-9\u00a1-\uffff-]{1,63}(?<!-)"
        return re.fullmatch(rf"(?:{label}\.)+(?:[a-z\u00a1-\uffff]{{2,}}|xn[a-z0-9-]{{2,}})", host) is not None
    return True


def from_base64(text: Any) -> bytes | None:
    """The bytes, or None for what the server's validator does not take for base64; an empty text it does."""
    if not isinstance(text, str) or len(text) % 4:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _fetched(media: str) -> bytes:
    """What stands behind the media; a URL is never fetched, a host that cannot exist fails as an unreachable one does."""
    if not is_url(media):
        return from_base64(media) or b""
    if "://" not in media:
        raise inner_crash("TypeError: Invalid URL")
    host = urlsplit(media).hostname or ""
    if "invalid" in host.split("."):
        raise inner_crash(f"Error: getaddrinfo ENOTFOUND {host}")
    return media.encode()


def _content(call: Call, media: Any, refused: str) -> bytes:
    """The file of a form, else what stands behind `media`; ApiError 400 with `refused` when there is neither."""
    if call.file is not None:
        return call.file
    if not is_url(media) and from_base64(media) is None:
        raise bad_request(refused)
    return _fetched(media)


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
    data = _content(call, body.get("audio"), "Owned media must be a url, base64, or valid file with buffer")
    part = {**_uploaded(call, data), "mimetype": "audio/ogg; codecs=opus", "ptt": True}
    # Neither quoted nor mentioned is passed on.
    options = {"delay": body.get("delay")}
    return await _send(call, body, {"audioMessage": part}, "audioMessage", options=options, method="audioWhatsapp")


async def send_sticker(call: Call) -> Answer:
    body = call.valid(_STICKER)
    part = {**_uploaded(call, _content(call, body.get("sticker"), _OWNED)), "mimetype": "image/webp"}
    return await _send(call, body, {"stickerMessage": part}, "stickerMessage", method="mediaSticker")


async def send_ptv(call: Call) -> Answer:
    body = call.valid(_PTV)
    part = {**_uploaded(call, _content(call, body.get("video"), _OWNED)), "mimetype": "video/mp4"}
    return await _send(call, body, {"ptvMessage": part}, "ptvMessage", method="ptvMessage", upload=True)


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
    kind, part = "contactMessage", cards[0]
    if len(cards) > 1:
        kind, part = "contactsArrayMessage", {"displayName": f"{len(cards)} contacts", "contacts": cards}
    # None of the options is passed on.
    return await _send(call, body, {kind: part}, kind, options={}, method="contactMessage")


def _card(person: Mapping[str, Any]) -> str:
    number = person.get("wuid") or number_to_jid(person["phoneNumber"])
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
    r"|(?:[\u00a9\u00ae\u203c-\u3299\U0001F000-\U0001FAFF]\ufe0f?[\U0001F3FB-\U0001F3FF]?[\U000E0020-\U000E007F]*)"
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
        **({"description": body["description"]} if "description" in body else {}),
        "buttonText": body["buttonText"],
        "listType": 2,
        "footerText": body["footerText"],
    }
    return await _send(call, body, {"listMessage": part}, "listMessage", text=body["title"], method="listMessage")


async def send_buttons(call: Call) -> Answer:
    body = call.valid(_BUTTONS)
    call.loaded("buttonMessage")
    buttons = body.get("buttons")
    if buttons is None:
        raise crash("Cannot read properties of undefined (reading 'length')")
    _refuse_mixed(buttons)
    identity, name = call.fake.store.identity, call.instance.id
    shown = {
        "nativeFlowMessage": {
            "buttons": [_button(call, button) for button in buttons],
            "messageParamsJson": _json({"from": "api", "templateId": identity.uuid("template", name)}),
        }
    }
    title = body.get("title", "undefined")
    if buttons[0]["type"] != "pix":
        description = f"\n\n{body['description']}\n" if body.get("description") else ""
        footer = {"text": body["footer"]} if "footer" in body else {}
        shown = {"body": {"text": f"*{title}*{description}"}, "footer": footer, **shown}
    content = {"viewOnceMessage": {"message": {"interactiveMessage": shown}}}
    return await _send(call, body, content, "viewOnceMessage", text=title, method="buttonMessage", relayed=True)


def _refuse_mixed(buttons: list[dict[str, Any]]) -> None:
    kinds = [button["type"] for button in buttons]
    if not kinds:
        raise bad_request("At least one button is required")
    others = set(kinds) - {"reply", "pix"}
    if "reply" in kinds:
        if len(kinds) > 3:
            raise bad_request("Maximum of 3 reply buttons allowed")
        if others:
            raise bad_request("Reply buttons cannot be mixed with other button types")
    if "pix" in kinds:
        if len(kinds) > 1:
            raise bad_request("Only one PIX button is allowed")
        if others:
            raise bad_request("PIX button cannot be mixed with other button types")


_PIX_KEYS = {"phone": "PHONE", "email": "EMAIL", "cpf": "CPF", "cnpj": "CNPJ", "random": "EVP"}


def _button(call: Call, button: Mapping[str, Any]) -> dict[str, str]:
    text = button.get("displayText")
    shapes = {
        "reply": ("quick_reply", {"display_text": text, "id": button.get("id")}),
        "url": ("cta_url", {"display_text": text, "url": button.get("url"), "merchant_url": button.get("url")}),
        "call": ("cta_call", {"display_text": text, "phone_number": button.get("phoneNumber")}),
        "copy": ("cta_copy", {"display_text": text, "copy_code": button.get("copyCode")}),
    }
    if button["type"] == "pix":
        return {"name": "payment_info", "buttonParamsJson": _json(_pix(call, button))}
    name, parameters = shapes[button["type"]]
    return {"name": name, "buttonParamsJson": _json({key: value for key, value in parameters.items() if value is not None})}


def _pix(call: Call, button: Mapping[str, Any]) -> dict[str, Any]:
    nothing = {"value": 0, "offset": 100}
    code = {"merchant_name": button.get("name"), "key": button.get("key"), "key_type": _PIX_KEYS.get(str(button.get("keyType")))}
    item = {"name": "", "amount": nothing, "quantity": 0, "sale_amount": nothing}
    reference = base64.b32encode(call.fake.store.identity.draw("pix", call.instance.id, 7)).decode()[:11]
    return {
        **({"currency": button["currency"]} if "currency" in button else {}),
        "total_amount": nothing,
        "reference_id": reference,
        "type": "physical-goods",
        "order": {"status": "pending", "subtotal": nothing, "order_type": "ORDER", "items": [item]},
        "payment_settings": [
            {"type": "pix_static_code", "pix_static_code": {name: value for name, value in code.items() if value is not None}}
        ],
        "share_payment_status": False,
    }


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def send_status(call: Call) -> Answer:
    body = call.valid(_STATUS)
    call.loaded("statusMessage")
    content = base64.b64encode(call.file).decode() if call.file is not None else body.get("content")
    kind = body["type"]
    if not content:
        raise bad_request("Content is required")
    if body.get("allContacts") and not call.instance.contacts:
        raise bad_request("Contacts not found")
    if not body.get("statusJidList") and not body.get("allContacts"):
        raise bad_request("StatusJidList is required")
    if kind == "text" and not body.get("backgroundColor"):
        raise bad_request("Background color is required")
    if kind == "text" and not body.get("font"):
        raise bad_request("Font is required")
    addressed = {"number": "status@broadcast"}
    if kind == "text":
        return await _send(call, addressed, {"conversation": content}, "conversation", text=content, method="statusMessage")
    part = {**_uploaded(call, from_base64(content) or content.encode()), "mimetype": _STATUS_TYPES[kind]}
    if body.get("caption") is not None and kind != "audio":
        part["caption"] = body["caption"]
    name = f"{kind}Message"
    return await _send(call, addressed, {name: part}, name, text=body.get("caption"), method="statusMessage")


# What the socket library assumes of an address without a type of its own.
_STATUS_TYPES = {"image": "image/jpeg", "video": "video/mp4", "audio": "audio/ogg; codecs=opus"}


async def send_template(call: Call) -> Answer:
    call.valid(_TEMPLATE)
    call.loaded("templateMessage")
    raise crash("Method not available in the Baileys service")


_SENDS = {
    "sendText": send_text,
    "sendMedia": send_media,
    "sendWhatsAppAudio": send_audio,
    "sendSticker": send_sticker,
    "sendPtv": send_ptv,
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
