"""`/chat`, `/group`, `/label` and `/call` (section 4.9 of the contract)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.content import in_database, on_wire
from harness.evolution.errors import ApiError, bad_request, crash, inner_crash, not_found
from harness.evolution.jids import is_group, number_to_jid
from harness.evolution.outbound import SocketClosedError
from harness.evolution.schema import faults_of
from harness.evolution.state import PICTURE, Instance, Message, timestamp

__all__ = ["ENDPOINTS"]

_STRING = {"type": "string"}
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
    "required": ["readMessages"],
    "properties": {
        "readMessages": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "required": ["id", "fromMe", "remoteJid"],
                "properties": {"id": _STRING, "fromMe": {"type": "boolean"}, "remoteJid": _STRING},
            },
        }
    },
}
_KEY = {
    "type": "object",
    "required": ["id", "fromMe", "remoteJid"],
    "properties": {"id": _STRING, "fromMe": {"type": "boolean"}, "remoteJid": _STRING, "participant": _STRING},
}
_PRESENCE = {
    "type": "object",
    "required": ["number", "presence", "delay"],
    "properties": {
        "number": _STRING,
        "delay": {"type": "number"},
        "presence": {"type": "string", "enum": ["unavailable", "available", "composing", "recording", "paused"]},
    },
}
_UPDATE = {
    "type": "object",
    "required": ["number", "text", "key"],
    "properties": {"number": _STRING, "text": _STRING, "key": _KEY},
}
_NUMBER = {"type": "object", "required": ["number"], "properties": {"number": _STRING}}
_PAGE = 50


async def numbers(call: Call) -> Answer:
    """All its errors are 400 and none has the usual envelope."""
    body = call.body if isinstance(call.body, dict) else {}
    faults = faults_of(body, _NUMBERS)
    if faults:
        raise ApiError(400, {"status": 400, "error": "Bad Request", "message": [faults]})
    connection = call.fake.connection(call.instance)
    if connection is None or "numbers" not in body:
        raise ApiError(400, {})
    try:
        found = await call.parts.outbound.check(call.instance, connection, body["numbers"])
    except SocketClosedError as closed:
        raise ApiError(400, closed.as_boom()) from None
    return Answer(status=200, body=found)


async def find_messages(call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    where = body.get("where") or {}
    size, page = _positive(body.get("offset"), _PAGE), _positive(body.get("page"), 1)
    found = [message for message in _newest_first(call.instance) if _matches(message, where)]
    records = found[(page - 1) * size : page * size]
    return Answer(
        status=200,
        body={
            "messages": {
                "total": len(found),
                "pages": math.ceil(len(found) / size),
                "currentPage": page,
                "records": [_record(message) for message in records],
            }
        },
    )


def _positive(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default


def _newest_first(instance: Instance) -> list[Message]:
    newest = list(reversed(instance.messages))
    return sorted(newest, key=lambda message: message.raw["messageTimestamp"], reverse=True)


def _matches(message: Message, where: Mapping[str, Any]) -> bool:
    key = where.get("key") or {}
    if any(name in key and message.key.get(name) != key[name] for name in ("id", "remoteJid", "fromMe")):
        return False
    if where.get("id") and message.id != where["id"]:
        return False
    moment = where.get("messageTimestamp")
    if isinstance(moment, dict) and not _within(message.raw["messageTimestamp"], moment):
        return False
    return all(where.get(name) in {None, message.raw.get(name)} for name in ("source", "messageType"))


def _within(seconds: int, span: Mapping[str, Any]) -> bool:
    from datetime import datetime

    limits = {name: datetime.fromisoformat(str(span[name])).timestamp() for name in ("gte", "lte") if span.get(name)}
    return limits.get("gte", seconds) <= seconds <= limits.get("lte", seconds)


def _record(message: Message) -> dict[str, Any]:
    raw = message.raw
    record: dict[str, Any] = in_database(
        {
            "id": message.id,
            "key": raw["key"],
            "pushName": raw["pushName"],
            "messageType": raw["messageType"],
            "message": raw["message"],
            "messageTimestamp": raw["messageTimestamp"],
            "instanceId": raw["instanceId"],
            "source": raw["source"],
            "contextInfo": raw.get("contextInfo"),
            "MessageUpdate": [{"status": status} for status in message.updates],
        }
    )
    return record


async def find_contacts(call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    where = body.get("where") or {}
    rows = [
        {**contact, "isGroup": is_group(jid), "isSaved": True, "type": "group" if is_group(jid) else "contact"}
        for jid, contact in call.instance.contacts.items()
        if where.get("remoteJid", jid) == jid and where.get("id", contact["id"]) == contact["id"]
    ]
    return Answer(status=200, body=rows)


async def find_chats(call: Call) -> Answer:
    instance = call.instance
    newest: dict[str, Message] = {}
    for message in sorted(instance.messages, key=lambda row: int(row.raw["messageTimestamp"]), reverse=True):
        newest.setdefault(message.key["remoteJid"], message)
    return Answer(status=200, body=[_chat(instance, jid, message) for jid, message in newest.items()])


def _chat(instance: Instance, jid: str, message: Message) -> dict[str, Any]:
    from datetime import UTC, datetime

    contact = instance.contacts.get(jid, {})
    raw = message.raw
    last: dict[str, Any] = in_database(
        {
            "id": message.id,
            "key": raw["key"],
            "pushName": raw["pushName"],
            "participant": None,
            "messageType": raw["messageType"],
            "message": raw["message"],
            "contextInfo": raw.get("contextInfo"),
            "source": raw["source"],
            "messageTimestamp": raw["messageTimestamp"],
            "instanceId": raw["instanceId"],
            "sessionId": None,
            "status": raw["status"],
        }
    )
    return {
        "id": None,
        "remoteJid": jid,
        "pushName": contact.get("pushName"),
        "profilePicUrl": contact.get("profilePicUrl"),
        "updatedAt": timestamp(datetime.fromtimestamp(raw["messageTimestamp"], UTC)),
        "windowStart": None,
        "windowExpires": None,
        "windowActive": False,
        "lastMessage": last,
        "unreadCount": None,
        "isSaved": bool(contact),
    }


async def find_status_messages(call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    wanted = (body.get("where") or {}).get("id")
    rows = [
        {"id": message.id, "keyId": message.key["id"], "status": status, "instanceId": call.instance.id, "messageId": message.id}
        for message in call.instance.messages
        if wanted in {None, message.key["id"]}
        for status in message.updates
    ]
    return Answer(status=200, body=rows)


async def find_chat(call: Call) -> Answer:
    jid = call.query.get("remoteJid")
    if not jid:
        raise ApiError(400, {"error": "remoteJid is a required query parameter"})
    chat = call.instance.chats.get(jid)
    body = chat and {"remoteJid": jid, "createdAt": timestamp(chat["createdAt"]), "updatedAt": timestamp(chat["updatedAt"])}
    return Answer(status=200, body=body)


def _using_socket(call: Call, method: str, *said: str) -> None:
    """Raises ApiError 500 with `said` before the reason when the socket cannot be used."""
    instance = call.instance
    connection = call.parts.outbound.in_memory(instance, method)
    try:
        call.parts.outbound.socket(instance, connection, method)
    except SocketClosedError as closed:
        if not said:
            raise closed.uncaught() from None
        reason = (
            f"TypeError: Cannot read properties of undefined (reading '{method}')"
            if closed.missing
            else f"Error: {closed.reason}"
        )
        raise inner_crash(*said, reason) from None


async def mark_read(call: Call) -> Answer:
    call.valid(_READ)
    _using_socket(call, "readMessages", "Read messages fail")
    return Answer(status=201, body={"message": "Read messages", "read": "success"})


async def mark_unread(call: Call) -> Answer:
    _using_socket(call, "chatModify", "An error occurred while marking the chat as unread.")
    return Answer(status=201, body={"chatId": call.body.get("chat"), "markedChatUnread": True})


async def archive(call: Call) -> Answer:
    _using_socket(call, "chatModify", "An error occurred while archiving the chat. Open a calling.")
    jid = call.body.get("chat") or call.body.get("lastMessage", {}).get("key", {}).get("remoteJid")
    return Answer(status=201, body={"chatId": jid, "archived": True})


async def profile_picture(call: Call) -> Answer:
    body = call.valid(_NUMBER)
    connection = call.fake.connection(call.instance)
    reachable = connection is not None and connection.state == "open" and not call.fake.socket_is_dead(call.instance)
    return Answer(status=200, body={"wuid": number_to_jid(body["number"]), "profilePictureUrl": PICTURE if reachable else None})


async def profile(call: Call) -> Answer:
    body = call.valid(_NUMBER)
    jid = number_to_jid(body["number"])
    known = call.fake.store.whatsapp.look_up(jid)
    if known is None:
        return Answer(
            status=200,
            body={"wuid": jid, "name": None, "picture": None, "status": None, "os": None, "isBusiness": False},
        )
    return Answer(
        status=200,
        body={
            "wuid": known,
            "numberExists": True,
            "picture": PICTURE,
            "status": {"status": "Hey there", "setAt": "1970-01-01T00:00:00.000Z"},
            "isBusiness": False,
        },
    )


async def presence(call: Call) -> Answer:
    body = call.valid(_PRESENCE)
    _using_socket(call, "presenceSubscribe")
    await call.fake.pause(body["delay"] / 1000)
    return Answer(status=201, body={"presence": body["presence"]})


async def update_message(call: Call) -> Answer:
    body = call.valid(_UPDATE)
    instance = call.instance
    _using_socket(call, "sendMessage", "Error while updating message")
    known = instance.messages.get(body["key"]["id"])
    if known is None:
        raise not_found("Message not found")
    if known.raw["messageType"] != "conversation":
        raise bad_request("Message is not compatible")
    known.raw["message"] = {"conversation": body["text"]}
    known.updates.append("EDITED")
    now = call.fake.clock.now()
    edit = {
        "key": body["key"],
        "type": "MESSAGE_EDIT",
        "editedMessage": {"conversation": body["text"]},
        "timestampMs": str(int(now.timestamp() * 1000)),
    }
    answer = _protocol_answer(call, number_to_jid(body["number"]), {"editedMessage": {"message": {"protocolMessage": edit}}})
    call.fake.emit(instance, "send.message.update", on_wire(answer))
    return Answer(status=200, body=answer)


async def delete_message(call: Call) -> Answer:
    body = call.valid(_KEY)
    instance = call.instance
    _using_socket(call, "sendMessage", "Error while deleting message for everyone")
    known = instance.messages.get(body["id"])
    key = {name: body[name] for name in ("remoteJid", "fromMe", "id")}
    answer = _protocol_answer(call, body["remoteJid"], {"protocolMessage": {"key": key, "type": "REVOKE"}})
    if known is not None:
        known.raw["status"] = "DELETED"
        known.raw["key"] = {**known.key, "deleted": True}
        raw = known.raw
        row = {
            "id": known.id,
            "instanceId": instance.id,
            "key": raw["key"],
            "messageType": raw["messageType"],
            "status": "DELETED",
            "source": raw["source"],
            "messageTimestamp": int(call.fake.clock.now().timestamp()),
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


async def media_as_base64(call: Call) -> Answer:
    body = call.body if isinstance(call.body, dict) else {}
    key_id = ((body.get("message") or {}).get("key") or {}).get("id")
    known = call.instance.messages.get(key_id)
    if known is None:
        raise bad_request("Message not found")
    media = known.raw["message"].get(known.raw["messageType"])
    if not isinstance(media, dict) or "mimetype" not in media:
        raise bad_request("The message is not of the media type")
    content = call.fake.store.whatsapp.media_base64
    if not content:
        raise bad_request("TypeError: fetch failed")
    return Answer(
        status=201,
        body={
            "mediaType": known.raw["messageType"],
            "fileName": media.get("fileName", f"{key_id}"),
            "caption": media.get("caption"),
            "size": {"fileLength": media.get("fileLength")},
            "mimetype": media["mimetype"],
            "base64": content,
            "buffer": None,
        },
    )


async def block(call: Call) -> Answer:
    _using_socket(call, "updateBlockStatus", "Error blocking user")
    return Answer(status=201, body={"block": "success"})


_PRIVACY = {"readreceipts": "all", "profile": "all", "status": "all", "online": "all", "last": "all", "groupadd": "all"}


async def fetch_privacy(call: Call) -> Answer:
    _using_socket(call, "fetchPrivacySettings")
    return Answer(status=200, body=_PRIVACY)


async def update_privacy(call: Call) -> Answer:
    _using_socket(call, "updateReadReceiptsPrivacy", "Error updating privacy settings")
    return Answer(status=201, body={"update": "success", "data": {**_PRIVACY, **call.body}})


async def group(call: Call) -> Answer:
    jid = call.query.get("groupJid", "")
    _using_socket(call, "groupMetadata", "Error fetching group")
    if not jid or call.fake.store.whatsapp.look_up(jid) is None:
        raise not_found("Error fetching group", "Error: item-not-found")
    return Answer(status=200, body=_group(call, jid))


async def groups(call: Call) -> Answer:
    if "getParticipants" not in call.query:
        raise bad_request("The getParticipants needs to be informed in the query")
    _using_socket(call, "groupFetchAllParticipating", "Error fetching group")
    jids = dict.fromkeys(jid for message in call.instance.messages if is_group(jid := message.key["remoteJid"]))
    return Answer(status=200, body=[_group(call, jid) for jid in jids])


def _group(call: Call, jid: str) -> dict[str, Any]:
    owner = call.instance.owner_jid
    people = [{"id": "5511988887777@s.whatsapp.net", "admin": None}, {"id": owner, "admin": "superadmin"}]
    return {"id": jid, "subject": "Group", "owner": owner, "size": len(people), "participants": people}


async def labels(_: Call) -> Answer:
    return Answer(status=200, body=[])


async def offer_call(call: Call) -> Answer:
    _using_socket(call, "offerCall")
    if "number" not in (call.body if isinstance(call.body, dict) else {}):
        raise crash("Cannot read properties of undefined (reading 'replace')")
    identity = call.fake.store.identity
    return Answer(
        status=200,
        body={"id": identity.draw("call", call.instance.id, 16).hex().upper(), "jid": number_to_jid(call.body["number"])},
    )


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
        sendPresence=presence,
        updateMessage=update_message,
        getBase64FromMediaMessage=media_as_base64,
        updateBlockStatus=block,
        updatePrivacySettings=update_privacy,
    ),
    Endpoint(method="DELETE", path="chat/deleteMessageForEveryone", handler=delete_message),
    Endpoint(method="GET", path="chat/findChatByRemoteJid", handler=find_chat),
    Endpoint(method="GET", path="chat/fetchPrivacySettings", handler=fetch_privacy),
    Endpoint(method="GET", path="group/findGroupInfos", handler=group),
    Endpoint(method="GET", path="group/fetchAllGroups", handler=groups),
    Endpoint(method="GET", path="label/findLabels", handler=labels),
    Endpoint(method="POST", path="call/offer", handler=offer_call),
]
