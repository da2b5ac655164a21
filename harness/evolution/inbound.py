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
from harness.evolution.state import PICTURE, Instance, Message, Update, timestamp

if TYPE_CHECKING:
    from harness.evolution.fake import Fake

__all__ = ["STATUSES", "Inbound", "message_from"]

STATUSES = ("ERROR", "PENDING", "SERVER_ACK", "DELIVERY_ACK", "READ", "PLAYED")
# What the socket library says of a message that it could not decrypt.
_UNDECRYPTABLE = (
    "No matching sessions found for message",
    "Bad MAC",
    "failed to decrypt message",
    "SessionError",
    "Invalid PreKey ID",
    "No session record",
    "No session found to decrypt message",
    "Message absent from node",
)
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
        "document-with-caption": {
            "documentWithCaptionMessage": {
                "message": {
                    "documentMessage": {**_LONELY_MEDIA, "mimetype": "application/pdf", "fileName": "a.pdf", "caption": text}
                }
            }
        },
        "sticker": {"stickerMessage": {**_LONELY_MEDIA, "mimetype": "image/webp", "isAnimated": False}},
        "location": {"locationMessage": {"degreesLatitude": -23.5, "degreesLongitude": -46.6}},
        "live-location": {"liveLocationMessage": {"degreesLatitude": -23.5, "degreesLongitude": -46.6, "caption": text}},
        "contact": {"contactMessage": {"displayName": text or "Ana", "vcard": "BEGIN:VCARD\nEND:VCARD"}},
        "contacts": {
            "contactsArrayMessage": {
                "displayName": "1 contact",
                "contacts": [{"displayName": text or "Ana", "vcard": "BEGIN:VCARD\nEND:VCARD"}],
            }
        },
        "poll": {
            "pollCreationMessageV3": {
                "name": text,
                "options": [{"optionName": "Yes"}, {"optionName": "No"}],
                "selectableOptionsCount": 1,
            }
        },
        "ephemeral": {"ephemeralMessage": {"message": {"extendedTextMessage": {"text": text}}}},
        "view-once": {"viewOnceMessageV2": {"message": {"imageMessage": {**image, "viewOnce": True}}}},
        "list-response": {"listResponseMessage": {"title": text, "listType": 1, "singleSelectReply": {"selectedRowId": "1"}}},
        "buttons-response": {"buttonsResponseMessage": {"selectedButtonId": "1", "selectedDisplayText": text, "type": 1}},
    }


def message_from(fake: Fake, instance: Instance, wish: Mapping[str, Any]) -> dict[str, Any]:
    """The socket library's message that the control plane describes, or `raw`, which is one.

    Described by: from, text, id, pushName, kind, messageTimestamp, fromMe, participant, and target, the id that a reaction, an
    edit or a revoke means.

    Raises ControlError for a missing sender, an unknown kind, or a `raw` that the socket library could not have given.
    """
    raw = wish.get("raw")
    if raw is not None:
        return _as_received(fake, instance, raw)
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


def _as_received(fake: Fake, instance: Instance, raw: Mapping[str, Any]) -> dict[str, Any]:
    """A message of the socket library as JSON shows it, with its number types: what would fail later is refused now."""
    key, content, status = raw.get("key"), raw.get("message"), raw.get("status")
    if not isinstance(key, Mapping) or not isinstance(key.get("remoteJid"), str) or not key["remoteJid"]:
        raise ControlError("incoming: raw.key.remoteJid is missing")
    if content is not None and not isinstance(content, Mapping):
        raise ControlError(f"incoming: raw.message must be an object, not {content!r}")
    if status is not None and status not in STATUSES and status not in range(len(STATUSES)):
        raise ControlError(f"incoming: raw.status must be one of {', '.join(STATUSES)}, or its number; not {status!r}")
    try:
        prepared(decoded(content or {}))
        _protocol_in(content)
        seconds = _seconds(raw.get("messageTimestamp") or int(fake.clock.now().timestamp()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ControlError(f"incoming: raw is no message: {type(error).__name__}: {error}") from None
    message = {
        **raw,
        "key": {"fromMe": False, "id": fake.store.identity.incoming(instance.id), **key},
        "messageTimestamp": seconds,
    }
    return message if status is None or status not in STATUSES else {**message, "status": STATUSES.index(status)}


def _seconds(value: Any) -> int:
    """A 64-bit number in any of the three forms in which the socket library's JSON shows one."""
    return int(value["low"]) % 2**32 + (int(value["high"]) << 32) if isinstance(value, Mapping) else int(value)


def _protocol_in(content: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What an edit or a revoke that arrives as a message says."""
    found: Mapping[str, Any] | None = (content or {}).get("protocolMessage")
    if found is None:
        found = (((content or {}).get("editedMessage") or {}).get("message") or {}).get("protocolMessage")
    if found is not None and not isinstance(found, Mapping):
        raise TypeError(f"protocolMessage must be an object, not {found!r}")
    return found or None


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
        content = message.get("message")
        if any(reason in str(said) for said in message.get("messageStubParameters") or () for reason in _UNDECRYPTABLE):
            return
        protocol = _protocol_in(content)
        if protocol is not None:
            await self._edited(instance, protocol, int(message["messageTimestamp"]))
            return
        jid = str(message["key"]["remoteJid"])
        if not content or (instance.settings.values["groupsIgnore"] and is_group(jid)):
            return
        self._rename_chat(instance, message)
        raw = self._row(instance, message)
        row = Message(row=self._fake.store.identity.later_row("message", instance.id), content=raw)
        instance.messages.add(row)
        if not raw["key"].get("fromMe"):
            self._count_unread(instance, jid)
        told = {**raw, "key": _delivered_key(raw["key"])}
        if media and self.has_media(instance, raw["message"]):
            told["message"] = {**raw["message"], "base64": self._fake.store.whatsapp.media_base64}
        self._fake.emit(instance, "messages.upsert", on_wire(told))
        self._note_contact(instance, told["key"], message)

    def _row(self, instance: Instance, message: Mapping[str, Any]) -> dict[str, Any]:
        """The server's row of a message of the socket library, whose key is kept as it came."""
        key = {**message["key"], "fromMe": bool(message["key"].get("fromMe", False))}
        shown, kind, context = prepared(decoded(message["message"]))
        status = STATUSES[message["status"]] if message.get("status") is not None else None if key["fromMe"] else "DELIVERY_ACK"
        return {
            "key": key,
            "pushName": message.get("pushName") or _own_or_participant(message, key),
            **({"status": status} if status else {}),
            "message": shown,
            **context,
            "messageType": kind,
            "messageTimestamp": int(message["messageTimestamp"]),
            "instanceId": instance.id,
            "source": source_of(str(key["id"])),
        }

    def has_media(self, instance: Instance, content: Mapping[str, Any]) -> bool:
        """Whether `message.base64` accompanies this content: media, asked for when the connection began, and downloadable."""
        wanted = instance.connection is not None and instance.connection.base64
        return wanted and bool(self._fake.store.whatsapp.media_base64) and _is_media(content)

    def _rename_chat(self, instance: Instance, message: Mapping[str, Any]) -> None:
        """Who writes under another name than the chat's changes the chat's."""
        key, name = message["key"], message.get("pushName") or ""
        chat = instance.chats.get(key["remoteJid"])
        if chat is None or not name.strip() or chat["name"] == name or key.get("fromMe") or is_group(key["remoteJid"]):
            return
        self._fake.emit(instance, "chats.upsert", [{"id": chat["id"], "name": name}])
        self.note_chat(instance, key["remoteJid"], name=name)

    def _count_unread(self, instance: Instance, jid: str) -> None:
        if jid in instance.chats:
            unread = [
                row
                for row in instance.messages
                if row.key["remoteJid"] == jid and not row.key.get("fromMe") and row.raw.get("status") == "DELIVERY_ACK"
            ]
            self.note_chat(instance, jid, unread=len(unread))

    async def _edited(self, instance: Instance, protocol: Mapping[str, Any], seconds: int) -> None:
        """An edit, and a revoke that arrives as a message: awaited, so that it holds up every later message of the instance."""
        data = {**protocol, "type": protocol_type(protocol.get("type"))}
        await self._fake.emit_and_wait(instance, "messages.edited", data)
        key = protocol.get("key", {})
        known = instance.messages.get(key.get("id"))
        if known is None:
            return
        if protocol.get("editedMessage"):
            known.raw["message"] = dict(protocol["editedMessage"])
        known.raw.update(messageTimestamp=seconds, status="EDITED")
        self.note_update(instance, known, "EDITED", key=key)

    def note_update(
        self, instance: Instance, known: Message, status: str, *, key: Mapping[str, Any], second: int | None = None
    ) -> None:
        """Adds a row to what has become of a message."""
        update = Update(
            self._fake.store.identity.later_row("message-update", instance.id),
            status,
            key["remoteJid"] if "remoteJid" in key else known.key["remoteJid"],
            bool(key["fromMe"] if "fromMe" in key else known.key.get("fromMe")),
            key.get("participant"),
            second,
        )
        known.updates = (*known.updates, update)

    def _note_contact(self, instance: Instance, key: Mapping[str, Any], message: Mapping[str, Any]) -> None:
        jid = key["remoteJid"]
        if jid == "status@broadcast":
            return
        known = jid in instance.contacts
        contact = {
            "remoteJid": jid,
            "pushName": "" if key["fromMe"] else message.get("pushName"),
            "profilePicUrl": PICTURE,
            "instanceId": instance.id,
        }
        self.keep_contact(instance, contact)
        self._fake.emit(instance, "contacts.update" if known else "contacts.upsert", contact)
        if jid.endswith("@s.whatsapp.net"):
            self._fake.store.numbers.add(jid)

    def keep_contact(self, instance: Instance, contact: Mapping[str, Any]) -> None:
        """Adds or changes a contact's row."""
        now = timestamp(self._fake.clock.now())
        blank = {"pushName": None, "profilePicUrl": None, "createdAt": now}
        known = instance.contacts.setdefault(
            contact["remoteJid"], {"id": self._fake.store.identity.row("contact", instance.id), **blank}
        )
        known.update({**contact, "updatedAt": now})

    def note_chat(self, instance: Instance, jid: str, *, name: str | None = None, unread: int | None = None) -> None:
        """Adds a chat's row, or changes its name or its number of unread messages."""
        now = timestamp(self._fake.clock.now())
        chat = instance.chats.get(jid)
        if chat is None:
            chat = instance.chats[jid] = {
                "id": self._fake.store.identity.row("chat", instance.id),
                "remoteJid": jid,
                "name": None,
                "labels": None,
                "createdAt": now,
                "updatedAt": now,
                "instanceId": instance.id,
                "unreadMessages": 0,
            }
        chat["updatedAt"] = now
        if name is not None:
            chat["name"] = name
        if unread is not None:
            chat["unreadMessages"] = unread

    def acknowledge(self, instance: Instance, key: Mapping[str, Any], status: str, *, stamp: Any = None) -> bool:
        """A receipt from WhatsApp. False when the server keeps it to itself: unknown message, same status in the same second.

        `stamp` is the receipt's own time, which then decides instead of the second.
        """
        fake = self._fake
        known = instance.messages.get(key.get("id"))
        if known is None:
            return False
        second = int(stamp or fake.clock.now().timestamp())
        for told in known.updates:
            if told.second == second and told.status == status:
                return False
        jid = key["remoteJid"] if "remoteJid" in key else known.key["remoteJid"]
        from_me = key["fromMe"] if "fromMe" in key else known.key["fromMe"]
        if fake.webhooks.listens(instance, "messages.update"):
            data = {
                "keyId": key["id"],
                "remoteJid": jid,
                "fromMe": from_me,
                **({"participant": key["participant"]} if key.get("participant") else {}),
                "status": status,
                "instanceId": instance.id,
                "messageId": known.id,
            }
            fake.emit(instance, "messages.update", data)
        self.note_update(instance, known, status, key=key, second=second)
        if not from_me:
            known.raw["status"] = status
        if jid in instance.chats:
            fake.emit(instance, "chats.upsert", [{"remoteJid": jid, "instanceId": instance.id, "unreadMessages": 0}])
            self.note_chat(instance, jid, unread=0)
        return True

    def happen(self, instance: Instance, name: str, payload: Any) -> None:
        """Any other event of the socket library, in its own form. Raises ControlError for a name the server does not handle."""
        handlers: dict[str, Callable[[Instance, Any], object]] = {
            "messages.update": self._messages_updated,
            "message-receipt.update": self._ignored,
            "presence.update": self._presence,
            "contacts.update": self._contacts_updated,
            "contacts.upsert": self._contacts_upserted,
            "chats.upsert": self._chats_upserted,
            "chats.update": self._chats_updated,
            "chats.delete": self._chats_deleted,
            "groups.upsert": lambda instance, payload: self._about_groups(instance, "groups.upsert", payload),
            "groups.update": lambda instance, payload: self._about_groups(instance, "groups.update", payload),
            "group-participants.update": self._participants,
            "call": self._call,
            "labels.edit": lambda instance, label: self._fake.emit(instance, "labels.edit", {**label, "instance": instance.name}),
            "labels.association": self._label_moved,
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
            if key.get("remoteJid") == "status@broadcast" or (
                instance.settings.values["groupsIgnore"] and is_group(str(key.get("remoteJid")))
            ):
                continue
            known = instance.messages.get(key.get("id"))
            if update.get("message", 0) is None and update.get("status") is None:
                if known is not None:
                    self._fake.emit(instance, "messages.delete", {**key, "status": "DELETED"})
                    self.note_update(instance, known, "SERVER_ACK", key=key)
                continue
            status = update.get("status")
            name = STATUSES[status] if isinstance(status, int) and 0 <= status < len(STATUSES) else "SERVER_ACK"
            self.acknowledge(instance, key, name, stamp=update.get("messageTimestamp"))

    def _presence(self, instance: Instance, payload: Any) -> None:
        if not (instance.settings.values["groupsIgnore"] and is_group(str(payload.get("id")))):
            self._fake.emit(instance, "presence.update", payload)

    def _contacts_updated(self, instance: Instance, payload: Any) -> None:
        rows = []
        for part in payload:
            name = part.get("name") or part.get("verifiedName")
            row = {"remoteJid": part["id"], **({"pushName": name} if name is not None else {})}
            row |= {"profilePicUrl": PICTURE, "instanceId": instance.id}
            self.keep_contact(instance, row)
            rows.append(row)
        self._fake.emit(instance, "contacts.update", rows)

    def _contacts_upserted(self, instance: Instance, payload: Any) -> None:
        rows = []
        for part in payload:
            row = {"remoteJid": part["id"], "pushName": part.get("name") or part.get("verifiedName") or part["id"].split("@")[0]}
            row |= {"profilePicUrl": None, "instanceId": instance.id}
            known = instance.contacts.get(part["id"])
            self.keep_contact(instance, {"remoteJid": part["id"]} if known is not None else row)
            instance.contacts[part["id"]]["profilePicUrl"] = PICTURE
            if part["id"].endswith("@s.whatsapp.net"):
                self._fake.store.numbers.add(part["id"])
            rows.append(row)
        if rows:
            self._fake.emit(instance, "contacts.upsert", rows)
            self._fake.emit(instance, "contacts.update", [{**row, "profilePicUrl": PICTURE} for row in rows])

    def _chats_upserted(self, instance: Instance, payload: Any) -> None:
        rows = []
        for part in payload:
            if part["id"] in instance.chats:
                continue
            unread = part.get("unreadCount") or 0
            self.note_chat(instance, part["id"], name=part.get("name"), unread=unread)
            named = {"name": part["name"]} if "name" in part else {}
            rows.append({"remoteJid": part["id"], "instanceId": instance.id, **named, "unreadMessages": unread})
        self._fake.emit(instance, "chats.upsert", rows)

    def _chats_updated(self, instance: Instance, payload: Any) -> None:
        self._fake.emit(instance, "chats.update", [{"remoteJid": part["id"], "instanceId": instance.id} for part in payload])

    def _chats_deleted(self, instance: Instance, payload: Any) -> None:
        for jid in payload:
            instance.chats.pop(jid, None)
        self._fake.emit(instance, "chats.delete", list(payload))

    def _about_groups(self, instance: Instance, event: str, payload: Any) -> None:
        if not instance.settings.values["groupsIgnore"]:
            self._fake.emit(instance, event, payload)

    def _label_moved(self, instance: Instance, payload: Any) -> None:
        moved = payload["association"]
        told = {"instance": instance.name, "type": payload["type"], "chatId": moved["chatId"], "labelId": moved["labelId"]}
        self._fake.emit(instance, "labels.association", told)

    def _participants(self, instance: Instance, payload: Any) -> None:
        people = [
            {
                "jid": jid,
                "phoneNumber": jid.split("@")[0],
                **self._known_as(instance, jid),
            }
            for jid in payload["participants"]
        ]
        self._about_groups(instance, "group-participants.update", {**payload, "participantsData": people})

    def _known_as(self, instance: Instance, jid: str) -> dict[str, Any]:
        contact = instance.contacts.get(jid)
        return {"name": contact["pushName"], "imgUrl": contact["profilePicUrl"]} if contact is not None else {}

    def _call(self, instance: Instance, payload: Any) -> None:
        # The server looks at the first call of a batch alone.
        self._fake.emit(instance, "call", payload[0])

    def history(self, instance: Instance, payload: Mapping[str, Any]) -> None:
        """The flood after pairing: chats, contacts and old messages."""
        fake = self._fake
        chats = []
        for chat in payload.get("chats", ()):
            if chat["id"] in instance.chats:
                continue
            self.note_chat(instance, chat["id"], name=chat.get("name"))
            chats.append(
                {"remoteJid": chat["id"], "instanceId": instance.id, **({"name": chat["name"]} if "name" in chat else {})}
            )
        fake.emit(instance, "chats.set", chats)
        names = {one["id"]: one.get("name") or one.get("notify") for one in payload.get("contacts", ())}
        rows = []
        for message in payload.get("messages", ()):
            key = message["key"]
            if not message.get("message") or not message.get("messageTimestamp") or instance.messages.get(key["id"]) is not None:
                continue
            author = message.get("participant") or key.get("participant") or key["remoteJid"]
            name = message.get("pushName") or (None if key.get("fromMe") else names.get(author) or author.split("@")[0])
            raw = self._row(instance, {**message, "pushName": name})
            instance.messages.add(Message(row=fake.store.identity.later_row("message", instance.id), content=raw))
            rows.append(on_wire(raw))
        extra = {name: payload[name] for name in ("isLatest", "progress") if name in payload}
        fake.emit(instance, "messages.set", rows, extra=extra)
        known_by_name = [{"id": jid, "name": name} for jid, name in names.items() if name]
        self._contacts_upserted(instance, known_by_name)


def _own_or_participant(message: Mapping[str, Any], key: Mapping[str, Any]) -> str | None:
    if key["fromMe"]:
        return "Você"
    author = message.get("participant") or (str(key["participant"]).split("@")[0] if key.get("participant") else None)
    return str(author) if author else None


def _delivered_key(key: Mapping[str, Any]) -> dict[str, Any]:
    """The key as the webhook shows it: a lid whose telephone is known is replaced by the telephone, and lost."""
    shown = dict(key)
    if str(shown.get("remoteJid", "")).endswith("@lid") and shown.get("remoteJidAlt"):
        shown["remoteJid"] = shown["remoteJidAlt"]
    return shown


def _is_media(content: Mapping[str, Any]) -> bool:
    return any(f"{kind}Message" in content for kind in ("image", "video", "audio", "document", "sticker", "ptv"))
