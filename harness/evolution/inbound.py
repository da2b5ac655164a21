"""What comes from WhatsApp: messages, receipts and the socket library's other events, turned into rows and webhooks.

Source: sections 5.1 to 5.3 and 6.5 of the contract.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from harness.evolution.content import decoded, on_wire, prepared, protocol_type, source_of
from harness.evolution.errors import ControlError
from harness.evolution.injection import Incoming
from harness.evolution.jids import digits_of, is_group, number_to_jid
from harness.evolution.state import PICTURE, Instance, Message

if TYPE_CHECKING:
    from harness.evolution.fake import Fake

__all__ = ["STATUSES", "Inbound", "message_from"]

STATUSES = ("ERROR", "PENDING", "SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED")
_LONELY_MEDIA = {
    "url": "https://mmg.whatsapp.net/v/t62.7118-24/1.enc?ccb=11-4&oh=01_x&oe=0&mms3=true",
    "fileSha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "fileLength": "12345",
    "mediaKey": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "fileEncSha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    "directPath": "/v/t62.7118-24/1.enc",
}


def _contents(text: str) -> Mapping[str, Mapping[str, Any]]:
    image = {**_LONELY_MEDIA, "mimetype": "image/jpeg", "caption": text, "height": 100, "width": 100, "jpegThumbnail": "/9j/"}
    return {
        "text": {"conversation": text},
        "extended-text": {"extendedTextMessage": {"text": text}},
        "image": {"imageMessage": image},
        "video": {"videoMessage": {**_LONELY_MEDIA, "mimetype": "video/mp4", "caption": text, "seconds": 3}},
        "audio": {"audioMessage": {**_LONELY_MEDIA, "mimetype": "audio/ogg; codecs=opus", "seconds": 4, "ptt": True}},
        "document": {"documentMessage": {**_LONELY_MEDIA, "mimetype": "application/pdf", "fileName": "a.pdf", "caption": text}},
        "sticker": {"stickerMessage": {**_LONELY_MEDIA, "mimetype": "image/webp", "isAnimated": False}},
        "location": {"locationMessage": {"degreesLatitude": -23.5, "degreesLongitude": -46.6}},
        "contact": {"contactMessage": {"displayName": text or "Ana", "vcard": "BEGIN:VCARD\nEND:VCARD"}},
        "ephemeral": {"ephemeralMessage": {"message": {"extendedTextMessage": {"text": text}}}},
        "view-once": {"viewOnceMessageV2": {"message": {"imageMessage": {**image, "viewOnce": True}}}},
        "list-response": {"listResponseMessage": {"title": text, "listType": 1, "singleSelectReply": {"selectedRowId": "1"}}},
        "buttons-response": {"buttonsResponseMessage": {"selectedButtonId": "1", "selectedDisplayText": text, "type": 1}},
    }


def message_from(fake: Fake, instance: Instance, wish: Mapping[str, Any]) -> dict[str, Any]:
    """The socket library's message that the control plane describes, or `raw`, which is one.

    Described by: from, text, id, pushName, kind, messageTimestamp, fromMe, participant, and target, the id that a reaction, an
    edit or a revoke means.

    Raises ControlError for a missing sender or an unknown kind.
    """
    raw = wish.get("raw")
    if raw is not None:
        message: dict[str, Any] = {**raw, "key": {"fromMe": False, **raw.get("key", {})}}
        if not message["key"].get("remoteJid"):
            raise ControlError("incoming: raw.key.remoteJid is missing")
        message["key"].setdefault("id", fake.store.identity.incoming(instance.id))
        message.setdefault("messageTimestamp", int(fake.clock.now().timestamp()))
        return message
    sender = wish.get("from")
    if not isinstance(sender, str) or not sender:
        raise ControlError("incoming: `from` is missing: give a number or a jid")
    jid = sender if "@" in sender else f"{digits_of(sender)}@s.whatsapp.net"
    kind, text = wish.get("kind") or "text", wish.get("text") or ""
    target = {"remoteJid": jid, "fromMe": bool(wish.get("targetFromMe", False)), "id": wish.get("target")}
    now = fake.clock.now().timestamp()
    about = {
        "reaction": {
            "reactionMessage": {"key": {**target, "fromMe": True}, "text": text, "senderTimestampMs": str(int(now * 1000))}
        },
        "revoke": {"protocolMessage": {"key": target, "type": 0}},
        "edit": {
            "editedMessage": {
                "message": {
                    "protocolMessage": {
                        "key": target,
                        "type": 14,
                        "editedMessage": {"conversation": text},
                        "timestampMs": str(int(now * 1000)),
                    }
                }
            }
        },
    }
    contents = {**_contents(text), **about}
    if kind not in contents:
        raise ControlError(f"incoming: there is no kind {kind!r}; there are {', '.join(contents)}")
    if kind in about and not wish.get("target"):
        raise ControlError(f"incoming: a {kind} needs `target`, the id of the message it means")
    from_me = bool(wish.get("fromMe", False))
    key = {"remoteJid": jid, "fromMe": from_me, "id": wish.get("id") or fake.store.identity.incoming(instance.id)}
    if wish.get("participant"):
        key["participant"] = number_to_jid(str(wish["participant"]))
    built = {
        "key": key,
        "pushName": wish.get("pushName"),
        "messageTimestamp": wish.get("messageTimestamp") or int(now),
        "message": contents[kind],
    }
    if from_me:
        built |= {"status": 2, "pushName": wish.get("pushName") or instance.profile_name}
    return built


class Inbound:
    """Handles what the socket delivers, one message after the other for each instance."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake

    async def receive(self, instance: Instance, message: Mapping[str, Any]) -> None:
        """One message from WhatsApp, on its way to the webhooks."""
        connection = instance.connection
        if connection is None:
            return
        async with connection.inbox:
            seam = Incoming(instance=instance.name, number=message["key"].get("remoteJid"), message={**message})
            self._fake.faults.strike(seam)
            if seam.hold > 0:
                await self._fake.clock.sleep(seam.hold)
            if not seam.lost:
                await self._upsert(instance, seam.message, media=seam.media)

    async def _upsert(self, instance: Instance, message: Mapping[str, Any], *, media: bool) -> None:
        fake = self._fake
        content = message.get("message")
        if not content or (instance.settings.values["groupsIgnore"] and is_group(message["key"]["remoteJid"])):
            return
        protocol = content.get("protocolMessage") or (content.get("editedMessage") or {}).get("message", {}).get(
            "protocolMessage"
        )
        if protocol is not None:
            await self._edited(instance, protocol)
            return
        key = _delivered_key(message["key"])
        shown, kind, context = prepared(decoded(content))
        if media and fake.store.whatsapp.media_base64 and instance.connection and instance.connection.base64 and _is_media(shown):
            shown["base64"] = fake.store.whatsapp.media_base64
        status = STATUSES[message.get("status", 1)] if key["fromMe"] else "DELIVERY_ACK"
        raw = {
            "key": key,
            "pushName": message.get("pushName"),
            "status": status,
            "message": shown,
            **context,
            "messageType": kind,
            "messageTimestamp": int(message["messageTimestamp"]),
            "instanceId": instance.id,
            "source": source_of(str(key["id"])),
        }
        instance.messages.add(Message(id=fake.store.identity.row("message", instance.id), raw=raw))
        fake.emit(instance, "messages.upsert", on_wire(raw))
        self._note_contact(instance, key, message.get("pushName"))

    async def _edited(self, instance: Instance, protocol: Mapping[str, Any]) -> None:
        """An edit, and a revoke that arrives as a message: awaited, so that it holds up every later message of the instance."""
        data = {**protocol, "type": protocol_type(protocol.get("type"))}
        await self._fake.emit_and_wait(instance, "messages.edited", data)
        known = instance.messages.get(protocol.get("key", {}).get("id"))
        if known is not None and protocol.get("editedMessage"):
            known.raw["message"] = dict(protocol["editedMessage"])
            known.updates.append("EDITED")

    def _note_contact(self, instance: Instance, key: Mapping[str, Any], name: Any) -> None:
        jid = key["remoteJid"]
        if jid == "status@broadcast":
            return
        known = jid in instance.contacts
        contact = {
            "remoteJid": jid,
            "pushName": "" if key["fromMe"] else name,
            "profilePicUrl": PICTURE,
            "instanceId": instance.id,
        }
        self.keep_contact(instance, contact)
        self._fake.emit(instance, "contacts.update" if known else "contacts.upsert", contact)
        if jid.endswith("@s.whatsapp.net"):
            self._fake.store.numbers.add(jid)

    def keep_contact(self, instance: Instance, contact: Mapping[str, Any]) -> None:
        """Adds or changes a contact's row; an empty name keeps the old one."""
        known = instance.contacts.setdefault(contact["remoteJid"], {"id": self._fake.store.identity.row("contact", instance.id)})
        known.update({name: value for name, value in contact.items() if name != "pushName" or value or "pushName" not in known})

    def note_chat(self, instance: Instance, jid: str) -> None:
        now = self._fake.clock.now()
        chat = instance.chats.setdefault(jid, {"remoteJid": jid, "createdAt": now})
        chat["updatedAt"] = now

    def acknowledge(self, instance: Instance, key: Mapping[str, Any], status: str) -> bool:
        """A receipt from WhatsApp. False when the server keeps it to itself: unknown message, same status in the same second."""
        fake = self._fake
        known = instance.messages.get(key.get("id"))
        if known is None:
            return False
        mark = (int(fake.clock.now().timestamp()), status)
        if mark in known.acknowledged:
            return False
        known.acknowledged.add(mark)
        known.updates.append(status)
        data = {
            "keyId": key["id"],
            "remoteJid": key.get("remoteJid", known.key["remoteJid"]),
            "fromMe": key.get("fromMe", known.key["fromMe"]),
            **({"participant": key["participant"]} if key.get("participant") else {}),
            "status": status,
            "instanceId": instance.id,
            "messageId": known.id,
        }
        fake.emit(instance, "messages.update", data)
        return True

    def happen(self, instance: Instance, name: str, payload: Any) -> None:
        """Any other event of the socket library, in its own form. Raises ControlError for a name the server does not handle."""
        handlers: dict[str, Callable[[Instance, Any], object]] = {
            "messages.update": self._messages_updated,
            "message-receipt.update": self._ignored,
            "presence.update": lambda instance, payload: self._fake.emit(instance, "presence.update", payload),
            "contacts.update": lambda instance, payload: self._contacts(instance, payload, event="contacts.update"),
            "contacts.upsert": lambda instance, payload: self._contacts(instance, payload, event="contacts.upsert"),
            "chats.upsert": self._chats_upserted,
            "chats.update": self._chats_updated,
            "chats.delete": self._chats_deleted,
            "groups.upsert": lambda instance, payload: self._fake.emit(instance, "groups.upsert", payload),
            "groups.update": lambda instance, payload: self._fake.emit(instance, "groups.update", payload),
            "group-participants.update": self._participants,
            "call": self._call,
            "messaging-history.set": self.history,
        }
        if name not in handlers:
            raise ControlError(f"emit: the server handles no event {name!r}; it handles {', '.join(handlers)}")
        handlers[name](instance, payload)

    def _ignored(self, instance: Instance, payload: Any) -> None:
        """Receipts of group messages: release 2.3.7 tells nobody."""

    def _messages_updated(self, instance: Instance, payload: Any) -> None:
        for part in payload:
            key, update = part["key"], part["update"]
            if update.get("message", 0) is None:
                known = instance.messages.get(key.get("id"))
                if known is not None:
                    known.raw["status"] = "DELETED"
                self._fake.emit(
                    instance,
                    "messages.delete",
                    {
                        **{name: key[name] for name in ("remoteJid", "fromMe", "participant", "id") if name in key},
                        "status": "DELETED",
                    },
                )
            elif "status" in update:
                self.acknowledge(instance, key, STATUSES[update["status"]])

    def _contacts(self, instance: Instance, payload: Any, *, event: str) -> None:
        rows = []
        for part in payload:
            row = {"remoteJid": part["id"], "pushName": part.get("name") or part.get("notify") or digits_of(part["id"])}
            row |= {"profilePicUrl": PICTURE if event == "contacts.update" else None, "instanceId": instance.id}
            if event == "contacts.update" or part["id"] not in instance.contacts:
                self.keep_contact(instance, row)
            rows.append(row)
        self._fake.emit(instance, event, rows)
        if event == "contacts.upsert":
            self._fake.emit(instance, "contacts.update", [{**row, "profilePicUrl": PICTURE} for row in rows])

    def _chats_upserted(self, instance: Instance, payload: Any) -> None:
        rows = []
        for part in payload:
            self.note_chat(instance, part["id"])
            rows.append({"remoteJid": part["id"], "instanceId": instance.id, "unreadMessages": part.get("unreadCount", 0)})
        self._fake.emit(instance, "chats.upsert", rows)

    def _chats_updated(self, instance: Instance, payload: Any) -> None:
        self._fake.emit(instance, "chats.update", [{"remoteJid": part["id"], "instanceId": instance.id} for part in payload])

    def _chats_deleted(self, instance: Instance, payload: Any) -> None:
        for jid in payload:
            instance.chats.pop(jid, None)
        self._fake.emit(instance, "chats.delete", list(payload))

    def _participants(self, instance: Instance, payload: Any) -> None:
        people = [
            {
                "jid": jid,
                "phoneNumber": digits_of(jid),
                "name": instance.contacts.get(jid, {}).get("pushName"),
                "imgUrl": PICTURE,
            }
            for jid in payload["participants"]
        ]
        self._fake.emit(instance, "group-participants.update", {**payload, "participantsData": people})

    def _call(self, instance: Instance, payload: Any) -> None:
        for call in payload:
            self._fake.emit(instance, "call", call)

    def history(self, instance: Instance, payload: Mapping[str, Any]) -> None:
        """The flood after pairing: chats, contacts and old messages."""
        fake = self._fake
        chats = []
        for chat in payload.get("chats", ()):
            self.note_chat(instance, chat["id"])
            chats.append({"remoteJid": chat["id"], "instanceId": instance.id, "name": chat.get("name")})
        fake.emit(instance, "chats.set", chats)
        rows = []
        for message in payload.get("messages", ()):
            shown, kind, context = prepared(decoded(message["message"]))
            raw = {
                "key": _delivered_key(message["key"]),
                "pushName": message.get("pushName") or digits_of(message["key"]["remoteJid"]),
                "status": "DELIVERY_ACK" if not message["key"].get("fromMe") else "SERVER_ACK",
                "message": shown,
                **context,
                "messageType": kind,
                "messageTimestamp": int(message["messageTimestamp"]),
                "instanceId": instance.id,
                "source": source_of(str(message["key"]["id"])),
            }
            instance.messages.add(Message(id=fake.store.identity.row("message", instance.id), raw=raw))
            rows.append(on_wire(raw))
        extra = {"isLatest": payload.get("isLatest", True), "progress": payload.get("progress", 100)}
        fake.emit(instance, "messages.set", rows, extra=extra)
        if payload.get("contacts"):
            self._contacts(instance, payload["contacts"], event="contacts.upsert")


def _delivered_key(key: Mapping[str, Any]) -> dict[str, Any]:
    """The key as the webhook shows it: a lid whose telephone is known is replaced by the telephone, and lost."""
    shown = dict(key)
    if str(shown.get("remoteJid", "")).endswith("@lid") and shown.get("remoteJidAlt"):
        shown["remoteJid"] = shown["remoteJidAlt"]
    shown.setdefault("fromMe", False)
    return shown


def _is_media(content: Mapping[str, Any]) -> bool:
    return any(f"{kind}Message" in content for kind in ("image", "video", "audio", "document", "sticker"))
