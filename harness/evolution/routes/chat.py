"""`/chat`, `/label` and `/call` (section 4.9 of the contract)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.content import in_database, on_wire
from harness.evolution.errors import ApiError, bad_request, crash, inner_crash, not_found
from harness.evolution.inbound import STATUSES
from harness.evolution.jids import is_broadcast, is_group, number_to_jid
from harness.evolution.outbound import SocketClosedError
from harness.evolution.routes.message import from_base64, is_url
from harness.evolution.schema import faults_of
from harness.evolution.state import PICTURE, Connection, Instance, Message, Update, timestamp

__all__ = ["ENDPOINTS"]

_STRING = {"type": "string"}
_FLAG = {"type": "boolean", "enum": [True, False]}
_NUMBER = {"type": "string", "description": "Invalid format"}
_NUMBERS = {
    "type": "object",
    "properties": {
        "numbers": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "description": '"numbers" must be an array of numeric strings'},
        }
    },
}
_READ = {
    "type": "object",
    "properties": {
        "readMessages": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "properties": {"id": _STRING, "fromMe": _FLAG, "remoteJid": _STRING},
                "required": ["id", "fromMe", "remoteJid"],
                "notEmpty": ("id", "remoteJid"),
            },
        }
    },
    "required": ["readMessages"],
}
_KEY = {
    "type": "object",
    "properties": {"id": _STRING, "remoteJid": _STRING, "fromMe": _FLAG},
    "required": ["id", "fromMe", "remoteJid"],
    "notEmpty": ("id", "remoteJid"),
}
_LAST_MESSAGE = {
    "type": "object",
    "properties": {"key": _KEY, "messageTimestamp": {"type": "integer", "minLength": 1}},
    "required": ["key"],
    "notEmpty": ("messageTimestamp",),
}
_ARCHIVE = {
    "type": "object",
    "properties": {"chat": _STRING, "lastMessage": _LAST_MESSAGE, "archive": _FLAG},
    "required": ["archive"],
}
_UNREAD = {"type": "object", "properties": {"chat": _STRING, "lastMessage": _LAST_MESSAGE}, "required": ["lastMessage"]}
_DELETE = {
    "type": "object",
    "properties": {"id": _STRING, "fromMe": _FLAG, "remoteJid": _STRING, "participant": _STRING},
    "required": ["id", "fromMe", "remoteJid"],
    "notEmpty": ("id", "remoteJid", "participant"),
}
_PRESENCE = {
    "type": "object",
    "properties": {
        "number": _NUMBER,
        "delay": {"type": "number"},
        "presence": {"type": "string", "enum": ["unavailable", "available", "composing", "recording", "paused"]},
    },
    "required": ["number", "presence", "delay"],
}
_UPDATE = {
    "type": "object",
    "properties": {"number": _STRING, "text": _STRING, "key": _KEY},
    "notEmpty": ("number", "text", "key"),
}
_BLOCK = {
    "type": "object",
    "properties": {"number": _STRING, "status": {"type": "string", "enum": ["block", "unblock"]}},
    "required": ["number", "status"],
    "notEmpty": ("number", "status"),
}
_PICTURE = {"type": "object", "properties": {"number": _STRING, "picture": _STRING}}
_PROFILE = {
    "type": "object",
    "properties": {
        "wuid": _STRING,
        "name": _STRING,
        "picture": _STRING,
        "status": _STRING,
        "isBusiness": {"type": "boolean"},
    },
}
_FILLED = {"type": "string", "minLength": 1}
_CONTACTS = {
    "type": "object",
    "properties": {
        "where": {
            "type": "object",
            "properties": {"_id": _FILLED, "pushName": _FILLED, "id": _FILLED, "remoteJid": _FILLED},
            "notEmpty": ("_id", "id", "pushName", "remoteJid"),
        }
    },
}
_MESSAGES = {
    "type": "object",
    "properties": {
        "where": {
            "type": "object",
            "properties": {"_id": _FILLED, "key": {"type": "object"}, "message": {"type": "object"}},
            "notEmpty": ("_id",),
        },
        "limit": {"type": "integer"},
    },
}
_UPDATES = {
    "type": "object",
    "properties": {
        "where": {
            "type": "object",
            "properties": {
                "_id": _STRING,
                "remoteJid": _STRING,
                "id": _STRING,
                "fromMe": _FLAG,
                "participant": _STRING,
                "status": {"type": "string", "enum": list(STATUSES)},
            },
            "notEmpty": ("_id", "remoteJid", "id", "status"),
        },
        "limit": {"type": "integer"},
    },
}
_AUDIENCES = {"type": "string", "enum": ["all", "contacts", "contact_blacklist", "none"]}
_PRIVACY_NAMES = ("readreceipts", "profile", "status", "online", "last", "groupadd")
_PRIVACY_SETTINGS = {
    "type": "object",
    "properties": {
        "readreceipts": {"type": "string", "enum": ["all", "none"]},
        "profile": _AUDIENCES,
        "status": _AUDIENCES,
        "online": {"type": "string", "enum": ["all", "match_last_seen"]},
        "last": _AUDIENCES,
        "groupadd": _AUDIENCES,
    },
    "required": list(_PRIVACY_NAMES),
    "notEmpty": _PRIVACY_NAMES,
}
_NAME = {"type": "object", "properties": {"name": _STRING}, "notEmpty": ("name",)}
_ABOUT = {"type": "object", "properties": {"status": _STRING}, "notEmpty": ("status",)}
_CALL = {
    "type": "object",
    "properties": {
        "number": _NUMBER,
        "isVideo": _FLAG,
        "callDuration": {"type": "integer", "minimum": 1, "maximum": 15},
    },
    "required": ["number", "callDuration"],
}
_LABEL = {
    "type": "object",
    "properties": {
        "number": _NUMBER,
        "labelId": _STRING,
        "action": {"type": "string", "enum": ["add", "remove"]},
    },
    "required": ["number", "labelId", "action"],
    "notEmpty": ("number", "labelId", "action"),
}
_PAGE = 50
# Seconds before the second attempt to download media.
_SECOND_DOWNLOAD = 5.0


async def numbers(call: Call) -> Answer:
    """All its errors are 400 and none has the usual envelope."""
    body = call.body if isinstance(call.body, dict) else {}
    faults = faults_of(body, _NUMBERS)
    if faults:
        raise ApiError(400, {"status": 400, "error": "Bad Request", "message": [faults]})
    instance = call.fake.store.find(call.name)
    connection = call.fake.connection(instance) if instance is not None else None
    if instance is None or connection is None or "numbers" not in body:
        raise ApiError(400, {})
    try:
        found = await call.parts.outbound.check(instance, connection, body["numbers"])
    except SocketClosedError as closed:
        raise ApiError(400, closed.as_boom()) from None
    return Answer(status=200, body=found)


async def find_messages(call: Call) -> Answer:
    body = call.valid(_MESSAGES)
    call.loaded("fetchMessages")
    where = body.get("where") or {}
    page, size = body.get("page") or 1, body.get("offset") or _PAGE
    found = [message for message in _newest_first(call.instance) if _matches(message, where)]
    return Answer(
        status=200,
        body={
            "messages": {
                "total": len(found),
                "pages": math.ceil(len(found) / _positive(size, _PAGE)),
                "currentPage": page,
                "records": [_record(message) for message in _page(found, page, size)],
            }
        },
    )


def _page(rows: list[Any], page: Any, size: Any) -> list[Any]:
    length, number = _positive(size, _PAGE), _positive(page, 1)
    return rows[(number - 1) * length : number * length]


def _positive(value: Any, default: int) -> int:
    number = int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
    return number or default


def _newest_first(instance: Instance) -> list[Message]:
    newest = list(reversed(instance.messages))
    return sorted(newest, key=lambda message: message.raw["messageTimestamp"], reverse=True)


def _matches(message: Message, where: Mapping[str, Any]) -> bool:
    """A filter that is empty or false is none, so that nobody can ask for the messages that are not from oneself."""
    key = where.get("key") or {}
    if any(key.get(name) and message.key.get(name) != key[name] for name in ("id", "fromMe", "participant")):
        return False
    addresses = [name for name in ("remoteJid", "remoteJidAlt") if key.get(name)]
    if addresses and not any(message.key.get(name) == key[name] for name in addresses):
        return False
    if where.get("id", message.id) != message.id:
        return False
    moment = where.get("messageTimestamp")
    if isinstance(moment, dict) and not _within(message.raw["messageTimestamp"], moment):
        return False
    return all(where.get(name, message.raw.get(name)) == message.raw.get(name) for name in ("source", "messageType"))


def _within(seconds: int, span: Mapping[str, Any]) -> bool:
    """Only a span with both ends is one."""
    from datetime import UTC, datetime

    if not span.get("gte") or not span.get("lte"):
        return True
    try:
        first, last = (datetime.fromisoformat(str(span[name])) for name in ("gte", "lte"))
    except ValueError:
        raise crash("\nInvalid `prisma.message.count()` invocation:\n\n\nProvided Date object is invalid.") from None
    begin, end = (one if one.tzinfo else one.replace(tzinfo=UTC) for one in (first, last))
    return int(begin.timestamp()) <= seconds <= int(end.timestamp())


def _record(message: Message) -> dict[str, Any]:
    raw = message.raw
    record: dict[str, Any] = in_database(
        {
            "id": message.id,
            "key": raw["key"],
            "pushName": raw["pushName"] or _author_in(raw),
            "messageType": raw["messageType"],
            "message": raw["message"],
            "messageTimestamp": raw["messageTimestamp"],
            "instanceId": raw["instanceId"],
            "source": raw["source"],
            "contextInfo": raw.get("contextInfo"),
            "MessageUpdate": [{"status": update.status} for update in message.updates],
        }
    )
    return record


def _author_in(raw: Mapping[str, Any]) -> str | None:
    context = raw.get("contextInfo")
    author = (context.get("participant") or raw["key"].get("participant")) if context else None
    return str(author).split("@")[0] if author else None


async def find_contacts(call: Call) -> Answer:
    body = call.valid(_CONTACTS)
    call.loaded("fetchContacts")
    where = body.get("where") or {}
    if where.get("remoteJid"):
        where = {**where, "remoteJid": _address(where["remoteJid"])}
    names = [name for name in ("remoteJid", "id", "pushName") if where.get(name)]
    rows = [row for row in call.instance.contacts.values() if all(row[name] == where[name] for name in names)]
    if body.get("offset"):
        rows = _page(rows, body.get("page") or 1, body["offset"])
    return Answer(status=200, body=[_contact(row) for row in rows])


def _address(text: str) -> str:
    return text if "@" in text else number_to_jid(text)


def _contact(row: Mapping[str, Any]) -> dict[str, Any]:
    among_groups, saved = is_group(row["remoteJid"]), bool(row["pushName"] or row["profilePicUrl"])
    kind = "group" if among_groups else "contact" if saved else "group_member"
    return {**row, "isGroup": among_groups, "isSaved": saved, "type": kind}


async def find_chats(call: Call) -> Answer:
    body = call.valid(_CONTACTS)
    call.loaded("fetchChats")
    where = body.get("where") or {}
    wanted = _address(where["remoteJid"]) if where.get("remoteJid") else None
    moment = where["messageTimestamp"] if isinstance(where.get("messageTimestamp"), dict) else {}
    newest: dict[str, Message] = {}
    # Of messages of the same second the query picks the one that was stored first.
    for message in sorted(call.instance.messages, key=lambda row: int(row.raw["messageTimestamp"]), reverse=True):
        jid = message.key["remoteJid"]
        if wanted in {None, jid} and _within(message.raw["messageTimestamp"], moment):
            newest.setdefault(jid, message)
    begin, length = _positive(body.get("skip"), 0), _positive(body.get("take"), len(newest))
    rows = [_chat(call, jid, message) for jid, message in newest.items()]
    return Answer(status=200, body=rows[begin : begin + length])


def _chat(call: Call, jid: str, message: Message) -> dict[str, Any]:
    from datetime import UTC, datetime, timedelta

    contact, chat = call.instance.contacts.get(jid), call.instance.chats.get(jid)
    raw = message.raw
    last: dict[str, Any] = in_database(
        {
            "id": message.id,
            "key": raw["key"],
            "pushName": "Você" if raw["key"].get("fromMe") else raw["pushName"],
            "participant": None,
            "messageType": raw["messageType"],
            "message": _without_content(raw["message"]),
            "contextInfo": raw.get("contextInfo"),
            "source": raw["source"],
            "messageTimestamp": raw["messageTimestamp"],
            "instanceId": raw["instanceId"],
            "sessionId": None,
            "status": raw.get("status"),
        }
    )
    ends = datetime.fromisoformat(chat["createdAt"]) + timedelta(hours=24) if chat else None
    return {
        "id": contact["id"] if contact else None,
        "remoteJid": jid,
        # The query asks for two columns of this name and gets the second: the chat's own name.
        "pushName": chat["name"] if chat else None,
        "profilePicUrl": contact["profilePicUrl"] if contact else None,
        "updatedAt": timestamp(datetime.fromtimestamp(raw["messageTimestamp"], UTC)),
        "windowStart": chat["createdAt"] if chat else None,
        "windowExpires": timestamp(ends) if ends else None,
        "windowActive": bool(ends and ends > call.fake.clock.now()),
        "lastMessage": last,
        "unreadCount": chat["unreadMessages"] if chat else None,
        "isSaved": contact is not None,
    }


_KEPT_OF_MEDIA: Mapping[str, tuple[str, ...]] = {
    "imageMessage": ("caption",),
    "videoMessage": ("caption",),
    "audioMessage": ("seconds",),
    "stickerMessage": (),
    "documentMessage": ("caption", "name"),
    "documentWithCaptionMessage": ("caption", "name"),
}


def _without_content(message: Mapping[str, Any]) -> dict[str, Any]:
    """Media shrink to what a list of chats shows."""
    return {
        name: {kept: part[kept] for kept in _KEPT_OF_MEDIA[name] if kept in part} if name in _KEPT_OF_MEDIA else part
        for name, part in message.items()
    }


async def find_status_messages(call: Call) -> Answer:
    body = call.valid(_UPDATES)
    call.loaded("fetchStatusMessage")
    where = body.get("where") or {}
    jid, key_id = where.get("remoteJid"), where.get("id")
    rows = [
        (message, update)
        for message in call.instance.messages
        if key_id in {None, message.key_id}
        for update in message.updates
        if jid in {None, update.remote_jid}
    ]
    page = _page(rows, body.get("page") or 1, body.get("offset") or _PAGE)
    return Answer(status=200, body=[_update_row(call.instance, message, update) for message, update in page])


def _update_row(instance: Instance, message: Message, update: Update) -> dict[str, Any]:
    return {
        "id": str(update.row),
        "keyId": message.key_id,
        "remoteJid": update.remote_jid,
        "fromMe": update.from_me,
        "participant": update.participant,
        "pollUpdates": None,
        "status": update.status,
        "messageId": message.id,
        "instanceId": instance.id,
    }


async def find_chat(call: Call) -> Answer:
    jid = call.query.get("remoteJid")
    if not jid:
        raise ApiError(400, {"error": "remoteJid is a required query parameter"})
    call.loaded("findChatByRemoteJid")
    return Answer(status=200, body=call.instance.chats.get(jid))


def _socket_says(call: Call, connection: Connection, method: str) -> str | None:
    """Why the socket cannot be used, as an error reads when it becomes a text; None when it can."""
    try:
        call.parts.outbound.socket(call.instance, connection, method)
    except SocketClosedError as closed:
        return closed.wrapped()
    return None


def _use(call: Call, connection: Connection, method: str) -> None:
    """Raises ApiError 500 with a plain text when the socket cannot be used and nothing wraps its error."""
    try:
        call.parts.outbound.socket(call.instance, connection, method)
    except SocketClosedError as closed:
        raise closed.uncaught() from None


async def mark_read(call: Call) -> Answer:
    call.valid(_READ)
    connection = call.loaded("markMessageAsRead")
    if reason := _socket_says(call, connection, "readMessages"):
        raise inner_crash("Read messages fail", reason)
    return Answer(status=201, body={"message": "Read messages", "read": "success"})


async def mark_unread(call: Call) -> Answer:
    body = call.valid(_UNREAD)
    jid, reason = _last_of(call, call.loaded("markChatUnread"), body)
    if reason:
        said = "An error occurred while marked unread the chat. Open a calling."
        raise inner_crash({"markedChatUnread": False, "message": [said, reason]})
    return Answer(status=201, body={"chatId": jid, "markedChatUnread": True})


async def archive(call: Call) -> Answer:
    body = call.valid(_ARCHIVE)
    jid, reason = _last_of(call, call.loaded("archiveChat"), body)
    if reason:
        said = "An error occurred while archiving the chat. Open a calling."
        raise inner_crash({"archived": False, "message": [said, reason]})
    return Answer(status=201, body={"chatId": jid, "archived": True})


def _last_of(call: Call, connection: Connection, body: Mapping[str, Any]) -> tuple[Any, str | None]:
    """The chat that is meant, and why it cannot be changed."""
    last = body.get("lastMessage")
    if last is None and body.get("chat"):
        # The server looks for a key that consists of the jid alone, and there is none; what it then throws is an object.
        return body["chat"], "[object Object]"
    if last is None:
        return None, "TypeError: Cannot set properties of undefined (setting 'messageTimestamp')"
    return last["key"]["remoteJid"], _socket_says(call, connection, "chatModify")


async def profile_picture(call: Call) -> Answer:
    body = call.valid(_PICTURE)
    connection = call.loaded("profilePicture")
    jid = _jid_of(body.get("number"))
    reachable = _socket_says(call, connection, "profilePictureUrl") is None
    return Answer(status=200, body={"wuid": jid, "profilePictureUrl": PICTURE if reachable else None})


def _jid_of(number: Any) -> str:
    """The jid, or the crash of a server that takes anything for a text."""
    if number is None:
        raise crash("Cannot read properties of undefined (reading 'replace')")
    if not isinstance(number, str):
        raise crash("number.replace is not a function")
    return number_to_jid(number)


async def profile(call: Call) -> Answer:
    body = call.valid(_PROFILE)
    connection = call.loaded("fetchProfile")
    instance, number = call.instance, body.get("number")
    if not number and connection.wuid is not None:
        return Answer(status=200, body={"wuid": connection.wuid, "numberExists": True, "isBusiness": False})
    jid = _jid_of(number or None)
    try:
        found = (await call.parts.outbound.check(instance, connection, [jid]))[0]
    except SocketClosedError as closed:
        raise closed.uncaught() from None
    if not found["exists"]:
        raise bad_request(found)
    if _socket_says(call, connection, "getBusinessProfile"):
        blank = {"name": None, "picture": None, "status": None, "os": None, "isBusiness": False}
        return Answer(status=200, body={"wuid": jid, **blank})
    return Answer(
        status=200,
        body={
            "wuid": found["jid"],
            **({"name": found["name"]} if "name" in found else {}),
            "numberExists": True,
            "picture": PICTURE,
            "status": {"status": "Hey there", "setAt": "1970-01-01T00:00:00.000Z"},
            "isBusiness": False,
        },
    )


async def business_profile(call: Call) -> Answer:
    body = call.valid(_PICTURE)
    connection = call.loaded("fetchBusinessProfile")
    jid = number_to_jid(body["number"]) if body.get("number") else connection.wuid
    # The server says so although it only fetches.
    said = "Error updating profile name"
    if reason := _socket_says(call, connection, "getBusinessProfile"):
        raise inner_crash(said, reason)
    if jid is None:
        raise inner_crash(said, "TypeError: Cannot read properties of undefined (reading 'replace')")
    found = (await call.parts.outbound.check(call.instance, connection, [jid]))[0]
    return Answer(status=200, body={"isBusiness": False, "message": "Not is business profile", **found})


async def rename_profile(call: Call) -> Answer:
    call.valid(_NAME)
    return _updated(call, "updateProfileName", "Error updating profile name")


async def describe_profile(call: Call) -> Answer:
    call.valid(_ABOUT)
    return _updated(call, "updateProfileStatus", "Error updating profile status")


async def picture_profile(call: Call) -> Answer:
    body = call.valid(_PICTURE)
    call.known("updateProfilePicture")
    if not is_url(body.get("picture")) and from_base64(body.get("picture")) is None:
        raise inner_crash("Error updating profile picture", "[object Object]")
    return _updated(call, "updateProfilePicture", "Error updating profile picture", reconnects=True)


async def unpicture_profile(call: Call) -> Answer:
    call.valid(_PICTURE)
    return _updated(call, "removeProfilePicture", "Error removing profile picture", reconnects=True)


def _updated(call: Call, method: str, said: str, *, reconnects: bool = False) -> Answer:
    connection = call.loaded(method)
    if reason := _socket_says(call, connection, method):
        raise inner_crash(said, reason)
    if reconnects:
        call.parts.lifecycle.reload(call.instance)
    return Answer(status=200, body={"update": "success"})


async def presence(call: Call) -> Answer:
    body = call.valid(_PRESENCE)
    connection = call.loaded("sendPresence")
    try:
        found = (await call.parts.outbound.check(call.instance, connection, [body["number"]]))[0]
    except SocketClosedError as closed:
        raise bad_request(closed.wrapped()) from None
    if not _reachable(found):
        raise bad_request("[object Object]")
    if reason := _socket_says(call, connection, "presenceSubscribe"):
        raise bad_request(reason)
    await call.fake.pause(body["delay"] / 1000)
    return Answer(status=201, body={"presence": body["presence"]})


def _reachable(found: Mapping[str, Any]) -> bool:
    return found["exists"] or is_group(found["jid"]) or is_broadcast(found["jid"])


async def update_message(call: Call) -> Answer:
    body = call.valid(_UPDATE)
    connection = call.loaded("updateMessage")
    instance, jid = call.instance, _jid_of(body.get("number"))
    known = instance.messages.get((body.get("key") or {}).get("id"))
    kind = known.raw["messageType"] if known is not None else ""
    if known is None or kind not in {"conversation", "imageMessage", "videoMessage"}:
        raise bad_request("Message not compatible")
    if known.key["remoteJid"] != jid:
        raise bad_request("RemoteJid does not match")
    _use(call, connection, "sendMessage")
    now, text = call.fake.clock.now(), body.get("text", "")
    part = known.raw["message"].get(kind)
    changed = {kind: {**part, "caption": text}} if isinstance(part, Mapping) else {"extendedTextMessage": {"text": text}}
    edit = {
        "key": body["key"],
        "type": "MESSAGE_EDIT",
        "editedMessage": changed,
        "timestampMs": str(int(now.timestamp() * 1000)),
    }
    answer = _protocol_answer(call, jid, {"protocolMessage": edit})
    call.fake.emit(instance, "send.message.update", on_wire(edit))
    known.raw["message"] = {**known.raw["message"], kind: text if kind == "conversation" else changed[kind]}
    known.raw.update(status="EDITED", messageTimestamp=int(now.timestamp()))
    call.parts.inbound.note_update(instance, known, "EDITED", key=answer["key"])
    return Answer(status=200, body=on_wire(answer))


async def delete_message(call: Call) -> Answer:
    body = call.valid(_DELETE)
    connection = call.loaded("deleteMessage")
    instance = call.instance
    if reason := _socket_says(call, connection, "sendMessage"):
        raise inner_crash("Error while deleting message for everyone", reason)
    known = instance.messages.get(body["id"])
    key = {name: body[name] for name in ("remoteJid", "fromMe", "id", "participant") if name in body}
    answer = _protocol_answer(call, body["remoteJid"], {"protocolMessage": {"key": key, "type": "REVOKE"}})
    if known is not None:
        raw = known.raw
        raw |= {"status": "DELETED", "key": {**known.key, "deleted": True}}
        call.parts.inbound.note_update(instance, known, "DELETED", key=answer["key"])
        row = {
            "id": known.id,
            "instanceId": instance.id,
            "key": raw["key"],
            "messageType": raw["messageType"],
            "status": "DELETED",
            "source": raw["source"],
            "messageTimestamp": raw["messageTimestamp"],
            "pushName": raw["pushName"],
            "participant": None,
            "message": raw["message"],
        }
        call.fake.emit(instance, "messages.delete", in_database(row))
    return Answer(status=201, body=answer)


def _protocol_answer(call: Call, jid: str, message: Mapping[str, Any]) -> dict[str, Any]:
    """A raw message of the socket library: its timestamp is a string."""
    return {
        "key": {"remoteJid": jid, "fromMe": True, "id": call.fake.store.identity.message(call.instance.id)},
        "message": message,
        "messageTimestamp": str(int(call.fake.clock.now().timestamp())),
        "status": "PENDING",
    }


_WRAPPINGS = ("ephemeralMessage", "documentWithCaptionMessage", "viewOnceMessage", "viewOnceMessageV2")
_MEDIA = ("imageMessage", "documentMessage", "audioMessage", "videoMessage", "stickerMessage", "ptvMessage")
_ENDINGS = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "video/mp4": "mp4",
    "audio/ogg": "oga",
    "audio/mpeg": "mpga",
    "audio/mp4": "m4a",
    "application/pdf": "pdf",
}


async def media_as_base64(call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    call.loaded("getBase64FromMediaMessage")
    key, content = _message_of(call, body.get("message"))
    for name in _WRAPPINGS:
        if content.get(name):
            content = content[name].get("message", {})
    kind = next((name for name in _MEDIA if content.get(name)), None)
    if kind is None:
        raise bad_request("The message is not of the media type")
    media = in_database(content[kind])
    data = call.fake.store.whatsapp.media_base64
    if not data:
        await call.fake.pause(_SECOND_DOWNLOAD)
        raise bad_request("TypeError: fetch failed")
    mimetype = str(media.get("mimetype", ""))
    ending = _ENDINGS.get(mimetype.partition(";")[0], "false")
    return Answer(
        status=201,
        body={
            "mediaType": kind,
            "fileName": media.get("fileName") or f"{key.get('id')}.{ending}",
            **({"caption": media["caption"]} if "caption" in media else {}),
            "size": {name: media[name] for name in ("fileLength", "height", "width") if name in media},
            "mimetype": "audio/mp4" if body.get("convertToMp4") and kind == "audioMessage" else mimetype,
            "base64": data,
            "buffer": None,
        },
    )


def _message_of(call: Call, wish: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Key and content of the message that is meant: given in full, or by its id."""
    if not isinstance(wish, dict):
        raise bad_request("TypeError: Cannot read properties of undefined (reading 'key')")
    if wish.get("message"):
        return wish.get("key") or {}, wish["message"]
    if not wish.get("key"):
        # The server takes what stands for a message that cannot be looked for as one.
        raise bad_request("TypeError: Cannot read properties of undefined (reading 'ephemeralMessage')")
    known = call.instance.messages.get(wish["key"].get("id"))
    if known is None:
        raise bad_request("Message not found")
    return known.key, known.raw["message"]


async def block(call: Call) -> Answer:
    body = call.valid(_BLOCK)
    connection = call.loaded("blockUser")
    said = "Error blocking user"
    try:
        found = (await call.parts.outbound.check(call.instance, connection, [body["number"]]))[0]
    except SocketClosedError as closed:
        raise inner_crash(said, closed.wrapped()) from None
    if not _reachable(found):
        raise inner_crash(said, "[object Object]")
    if reason := _socket_says(call, connection, "updateBlockStatus"):
        raise inner_crash(said, reason)
    return Answer(status=201, body={"block": "success"})


async def fetch_privacy(call: Call) -> Answer:
    _use(call, call.loaded("fetchPrivacySettings"), "fetchPrivacySettings")
    return Answer(status=200, body=dict.fromkeys(_PRIVACY_NAMES, "all"))


async def update_privacy(call: Call) -> Answer:
    body = call.valid(_PRIVACY_SETTINGS)
    connection = call.loaded("updatePrivacySettings")
    if reason := _socket_says(call, connection, "updateReadReceiptsPrivacy"):
        raise inner_crash("Error updating privacy settings", reason)
    call.parts.lifecycle.reload(call.instance)
    return Answer(status=201, body={"update": "success", "data": {name: body[name] for name in _PRIVACY_NAMES}})


async def offer_call(call: Call) -> Answer:
    """The release calls nobody: it answers with what it was asked for."""
    body = call.valid(_CALL)
    call.loaded("offerCall")
    asked = {name: body[name] for name in ("isVideo", "callDuration") if name in body}
    return Answer(status=201, body={"id": "123", "jid": number_to_jid(body["number"]), **asked})


async def labels(call: Call) -> Answer:
    call.loaded("fetchLabels")
    return Answer(status=200, body=[])


async def handle_label(call: Call) -> Answer:
    body = call.valid(_LABEL)
    connection = call.loaded("handleLabel")
    try:
        found = (await call.parts.outbound.check(call.instance, connection, [body["number"]]))[0]
    except SocketClosedError as closed:
        raise closed.uncaught() from None
    if not found["exists"]:
        raise not_found("Number is not on WhatsApp")
    action = body["action"]
    if reason := _socket_says(call, connection, f"{action}ChatLabel"):
        raise bad_request(f"Unable to {action} label to chat", reason)
    return Answer(status=200, body={"numberJid": found["jid"], "labelId": body["labelId"], action: True})


def _posts(**handlers: Any) -> list[Endpoint]:
    return [Endpoint(method="POST", path=f"chat/{name}", handler=handler) for name, handler in handlers.items()]


ENDPOINTS = [
    *_posts(
        whatsappNumbers=numbers,
        findMessages=find_messages,
        findContacts=find_contacts,
        findChats=find_chats,
        findStatusMessage=find_status_messages,
        markMessageAsRead=mark_read,
        markChatUnread=mark_unread,
        archiveChat=archive,
        fetchProfilePictureUrl=profile_picture,
        fetchProfile=profile,
        fetchBusinessProfile=business_profile,
        sendPresence=presence,
        updateMessage=update_message,
        getBase64FromMediaMessage=media_as_base64,
        updateBlockStatus=block,
        updatePrivacySettings=update_privacy,
        updateProfileName=rename_profile,
        updateProfileStatus=describe_profile,
        updateProfilePicture=picture_profile,
    ),
    Endpoint(method="DELETE", path="chat/deleteMessageForEveryone", handler=delete_message),
    Endpoint(method="DELETE", path="chat/removeProfilePicture", handler=unpicture_profile),
    Endpoint(method="GET", path="chat/findChatByRemoteJid", handler=find_chat, follows_query=False),
    Endpoint(method="GET", path="chat/fetchPrivacySettings", handler=fetch_privacy),
    Endpoint(method="GET", path="label/findLabels", handler=labels),
    Endpoint(method="POST", path="label/handleLabel", handler=handle_label),
    Endpoint(method="POST", path="call/offer", handler=offer_call),
]
