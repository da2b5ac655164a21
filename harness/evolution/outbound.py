"""Sends through the socket: number check, delay, the answer's exact shape, and what WhatsApp acknowledges afterwards.

Source: sections 4.6, 4.7 and 5.3 of the contract. Status 201 means that the socket has queued the message.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from harness.evolution.content import long, on_wire, source_of
from harness.evolution.errors import bad_request, boom, crash, inner_crash
from harness.evolution.inbound import Inbound
from harness.evolution.injection import Acknowledging, Checking, Sending, Sent
from harness.evolution.jids import is_broadcast, is_group, is_lid, number_to_jid, other_form
from harness.evolution.ledger import Send
from harness.evolution.state import Connection, Instance, Message

if TYPE_CHECKING:
    from datetime import datetime

    from harness.evolution.errors import ApiError
    from harness.evolution.fake import Fake
    from harness.evolution.lifecycle import Lifecycle

__all__ = ["GROUP", "Outbound", "SocketClosedError", "members_of_groups"]

GROUP = "Group"
# What goes out as a forwarded message, not as one that the socket library composes.
_FORWARDED = frozenset(
    f"{kind}Message" for kind in ("image", "video", "document", "ptv", "location", "contact", "contactsArray", "list")
)
_UNDEFINED = "Cannot read properties of undefined (reading '{}')"
_TWO_DAYS = 172_800


class SocketClosedError(Exception):
    """The socket library's own error, before anything wrapped it: `reason` is its text."""

    def __init__(self, reason: str, *, missing: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.missing = missing

    def uncaught(self, without_client: str = "") -> ApiError:
        """500 with a plain string; `without_client` is another than the usual one where no socket was ever started."""
        return crash((without_client or _UNDEFINED.format(self.missing)) if self.missing else self.reason)

    def wrapped(self) -> str:
        """As it reads in the text of another error."""
        return f"TypeError: {_UNDEFINED.format(self.missing)}" if self.missing else f"Error: {self.reason}"

    def as_boom(self) -> dict[str, Any]:
        """What `whatsappNumbers` answers: the exception as JSON, `{}` for a TypeError."""
        return {} if self.missing else boom(428, "Precondition Required", self.reason)


@lru_cache
def _in_order(plan: tuple[tuple[float, str], ...]) -> list[tuple[float, str]]:
    return sorted(plan, key=itemgetter(0))


def _is_quote_without_key(quoted: Any) -> bool:
    """Whether composing fails for want of `quoted.key`; the schema lets pass whatever JavaScript takes for true."""
    return not quoted.get("key") if isinstance(quoted, dict) else bool(quoted) or quoted == []


def members_of_groups(instance: Instance) -> list[dict[str, Any]]:
    """Who is in a group, in every group: WhatsApp's side is invented."""
    return [{"id": "5511988887777@s.whatsapp.net", "admin": None}, {"id": instance.owner_jid or "", "admin": "superadmin"}]


class Outbound:
    """Sends of every kind, for every instance."""

    def __init__(self, fake: Fake, inbound: Inbound, lifecycle: Lifecycle) -> None:
        self._fake = fake
        self._inbound = inbound
        self._lifecycle = lifecycle

    def in_memory(self, instance: Instance, method: str) -> Connection:
        """The connection, or the crash of a server that has only the row."""
        connection = self._fake.connection(instance)
        if connection is None:
            raise crash(_UNDEFINED.format(method))
        return connection

    def socket(self, instance: Instance, connection: Connection, call: str) -> None:
        """Raises SocketClosedError when `call` on the socket would fail."""
        if not connection.started:
            raise SocketClosedError("", missing=call)
        usable = connection.state == "open" or (connection.state == "connecting" and instance.paired)
        if not usable or self._fake.socket_is_dead(instance):
            raise SocketClosedError("Connection Closed")

    async def check(self, instance: Instance, connection: Connection, numbers: list[str]) -> list[dict[str, Any]]:
        """Which numbers exist: `{jid, exists, number, …}` in the order broadcast, groups, users.

        A group that cannot be asked for does not exist. Raises SocketClosedError when WhatsApp must be asked and cannot.
        """
        fake = self._fake
        whatsapp = fake.store.whatsapp
        found: dict[str, list[dict[str, Any]]] = {"broadcast": [], "group": [], "user": []}
        unknown = []
        for number in numbers:
            jid = number_to_jid(number)
            cached = fake.store.numbers.find(jid)
            if jid == "status@broadcast":
                found["broadcast"].append({"jid": jid, "exists": False, "number": number})
            elif is_group(jid):
                exists = self.knows_group(instance, connection, jid)
                found["group"].append({"jid": jid, "exists": exists, "number": number, **({"name": GROUP} if exists else {})})
            else:
                place = len(found["user"])
                if cached is not None:
                    found["user"].append(self._user(instance, cached, number))
                elif is_lid(jid):
                    found["user"].append({**self._user(instance, jid, number), "lid": "lid"})
                else:
                    found["user"].append({})
                    unknown.append((place, jid, number))
        if unknown:
            self.socket(instance, connection, "onWhatsApp")
            if whatsapp.check_failure:
                raise SocketClosedError(whatsapp.check_failure)
            seam = Checking(instance=instance.name, number=unknown[0][1], numbers=len(unknown), hold=whatsapp.check_delay)
            fake.faults.strike(seam)
            await fake.pause(seam.hold)
            for place, jid, number in unknown:
                known = whatsapp.look_up(jid)
                if known is not None and seam.other_form:
                    known = other_form(known) or known
                if known is None:
                    found["user"][place] = {"jid": jid, "exists": False, "number": number}
                    continue
                fake.store.numbers.add(known)
                found["user"][place] = self._user(instance, known, number)
            if seam.close is not None and connection.state == "open":
                self._lifecycle.close(instance, seam.close)
        return [*found["broadcast"], *found["group"], *found["user"]]

    def knows_group(self, instance: Instance, connection: Connection, jid: str) -> bool:
        """Whether WhatsApp, when it can be asked, knows this group."""
        try:
            self.socket(instance, connection, "groupMetadata")
        except SocketClosedError:
            return False
        return self._fake.store.whatsapp.look_up(jid) is not None

    def _user(self, instance: Instance, jid: str, number: str) -> dict[str, Any]:
        name = instance.contacts.get(jid, {}).get("pushName")
        return {"jid": jid, "exists": True, "number": number, **({"name": name} if name else {})}

    async def send(
        self,
        instance: Instance,
        number: str,
        content: Mapping[str, Any],
        *,
        route: str,
        kind: str,
        text: str | None = None,
        options: Mapping[str, Any],
        method: str = "textMessage",
        upload: bool = False,
        relayed: bool = False,
    ) -> dict[str, Any] | bytes:
        """Sends `content` and returns the answer's body, or that as JSON.

        `options` is the request's (delay, quoted, mentioned, mentionsEveryOne).

        `upload`: media goes to WhatsApp's servers first, so a dead socket shows as 500. `relayed`: sent past the library's
        own bookkeeping (buttons), which never acknowledges. Raises ApiError as the real server answers.
        """
        fake = self._fake
        connection = self.in_memory(instance, method)
        if fake.faults.switched_on:
            fake.faults.strike(arrival := Sending(instance=instance.name, number=number_to_jid(number), route=route))
            await fake.pause(arrival.hold)
        if upload:
            try:
                self.socket(instance, connection, "waUploadToServer")
            except SocketClosedError as closed:
                raise inner_crash(closed.wrapped()) from None
        jid = fake.store.numbers.find(number_to_jid(number)) or await self._checked(instance, connection, number)
        delay = (options.get("delay") or 0) / 1000
        if delay:
            # The contact sees somebody typing: that uses the socket before the wait.
            self._usable(instance, connection, "presenceSubscribe")
            await fake.pause(delay)
        quoted = options.get("quoted")
        if is_group(jid) and not self.knows_group(instance, connection, jid):
            # The server's own "Group not found" is thrown as an object, which then becomes a text.
            raise bad_request("[object Object]")
        if (connection.started or relayed) and _is_quote_without_key(quoted):
            # Composing needs a client unless the server composes itself, as it does what it relays.
            raise bad_request(f"TypeError: {_UNDEFINED.format('fromMe')}")
        self._usable(instance, connection, "relayMessage" if relayed else "sendMessage")
        if fake.store.whatsapp.send_failure:
            raise bad_request(f"Error: {fake.store.whatsapp.send_failure}")
        now = fake.clock.now()
        raw = self._message(instance, jid, content, kind, options, int(now.timestamp()), relayed=relayed)
        # What has no bytes in it is kept as it is answered.
        encoded = msgspec.json.encode(raw) if kind == "conversation" and not quoted else None
        self._record(instance, number, jid, raw, text, encoded, now)
        self._acknowledge_later(instance, raw["key"], relayed=relayed)
        if fake.faults.switched_on:
            await self._strike(
                Sent(instance=instance.name, number=jid, route=route, key_id=raw["key"]["id"]), instance, connection, raw
            )
        if encoded is not None:
            return encoded
        answer: dict[str, Any] = on_wire(self._told(instance, raw))
        return answer

    async def _strike(self, sent: Sent, instance: Instance, connection: Connection, raw: Mapping[str, Any]) -> None:
        fake = self._fake
        fake.faults.strike(sent)
        if sent.echo:
            fake.emit(instance, "messages.upsert", on_wire({**raw, "status": "SERVER_ACK", "pushName": instance.profile_name}))
        if sent.close is not None and connection.state == "open":
            self._lifecycle.close(instance, sent.close)
        await fake.pause(sent.hold)

    async def _checked(self, instance: Instance, connection: Connection, number: str) -> str:
        """The jid that WhatsApp knows this number by."""
        try:
            checked = (await self.check(instance, connection, [number]))[0]
        except SocketClosedError as closed:
            raise closed.uncaught() from None
        jid: str = checked["jid"]
        if not checked["exists"] and not is_group(jid) and not is_broadcast(jid):
            raise bad_request(checked)
        return jid

    def _usable(self, instance: Instance, connection: Connection, call: str) -> None:
        try:
            self.socket(instance, connection, call)
        except SocketClosedError as closed:
            raise bad_request(closed.wrapped()) from None

    def _told(self, instance: Instance, raw: dict[str, Any]) -> dict[str, Any]:
        """The row as the client and the webhook get it: media with its content when the webhook asks for that."""
        if not self._inbound.has_media(instance, raw["message"]):
            return raw
        return {**raw, "message": {**raw["message"], "base64": self._fake.store.whatsapp.media_base64}}

    def _message(
        self,
        instance: Instance,
        jid: str,
        content: Mapping[str, Any],
        kind: str,
        options: Mapping[str, Any],
        now: int,
        *,
        relayed: bool,
    ) -> dict[str, Any]:
        key_id = self._fake.store.identity.message(instance.id)
        key: dict[str, Any] = {"remoteJid": jid, "fromMe": True, "id": key_id}
        if relayed:
            to_whom = {} if is_group(jid) or is_lid(jid) else {"participant": jid}
            key = {"id": key_id, "remoteJid": jid, **to_whom, "fromMe": True}
        context = None if relayed else self._context(instance, jid, kind, options, now)
        shown = dict(content)
        carries = shown.get(kind)
        if context is not None and kind == "pollCreationMessageV3":
            shown["messageContextInfo"] = {**shown["messageContextInfo"], "contextInfo": context}
            context = None
        elif context is not None and isinstance(carries, dict):
            shown[kind] = {**carries, "contextInfo": context}
        return {
            "key": key,
            "pushName": "Você",
            "status": "PENDING",
            "message": shown,
            **({"contextInfo": context} if context is not None else {}),
            "messageType": kind,
            "messageTimestamp": now,
            "instanceId": instance.id,
            "source": source_of(key_id),
        }

    def _context(self, instance: Instance, jid: str, kind: str, options: Mapping[str, Any], now: int) -> dict[str, Any] | None:
        if kind == "reactionMessage" or is_broadcast(jid):
            return None
        quoted = self._quoted(instance, jid, options)
        if is_group(jid):
            mentioned = [one for number in options.get("mentioned") or () if not is_group(one := number_to_jid(number))]
            if options.get("mentionsEveryOne"):
                mentioned = [person["id"] for person in members_of_groups(instance)]
            context = {**({"mentionedJid": mentioned} if mentioned else {}), **quoted}
            # What the socket library forwards always has a context, what it composes only when there is something in it.
            return context if context or kind in _FORWARDED else None
        return {
            "mentionedJid": [],
            "groupMentions": [],
            **({"statusAttributions": []} if kind == "audioMessage" else {}),
            "ephemeralSettingTimestamp": long(now - _TWO_DAYS),
            "disappearingMode": {"initiator": 0},
            **quoted,
        }

    def _quoted(self, instance: Instance, jid: str, options: Mapping[str, Any]) -> dict[str, Any]:
        quoted = options.get("quoted")
        if not isinstance(quoted, dict):
            return {}
        key, message = quoted.get("key") or {}, quoted.get("message")
        known = instance.messages.get(key.get("id"))
        if message is None and known is not None:
            key, message = known.key, known.raw["message"]
        if message is None:
            return {}
        author = instance.owner_jid if key.get("fromMe") else key.get("participant") or key.get("remoteJid")
        elsewhere = key.get("remoteJid") not in {None, jid}
        return {
            "participant": author,
            "stanzaId": key.get("id"),
            "quotedMessage": message,
            **({"remoteJid": key["remoteJid"]} if elsewhere else {}),
        }

    def _record(
        self,
        instance: Instance,
        number: str,
        jid: str,
        raw: dict[str, Any],
        text: str | None,
        encoded: bytes | None,
        now: datetime,
    ) -> None:
        fake = self._fake
        row, key_id = fake.store.identity.later_row("message", instance.id), raw["key"]["id"]
        instance.messages.add(Message(row=row, content=encoded or raw, key_id=key_id))
        fake.sends.append(
            Send(
                instance=instance.name,
                number=number,
                remoteJid=jid,
                text=text,
                messageType=raw["messageType"],
                keyId=key_id,
                at=now,
                monotonic=fake.clock.monotonic(),
            )
        )
        if fake.webhooks.listens(instance, "send.message"):
            fake.emit(instance, "send.message", on_wire(self._told(instance, raw)))

    def _acknowledge_later(self, instance: Instance, key: Mapping[str, Any], *, relayed: bool) -> None:
        fake = self._fake
        jid = str(key["remoteJid"])
        silent = relayed or (is_group(jid) and not fake.store.whatsapp.group_acks)
        plan: Iterable[tuple[float, str]] = () if silent else fake.store.whatsapp.acks
        if fake.faults.switched_on:
            seam = Acknowledging(
                instance=instance.name, number=jid, plan=list(plan), acquainted=is_group(jid) or jid in instance.contacts
            )
            fake.faults.strike(seam)
            plan = seam.plan
        for moment, status in _in_order(tuple(plan)):
            fake.agenda.add(moment, self._acknowledge, instance, key, status)

    def _acknowledge(self, instance: Instance, key: Mapping[str, Any], status: str) -> None:
        if self._fake.store.find(instance.name) is instance:
            self._inbound.acknowledge(instance, key, status)
