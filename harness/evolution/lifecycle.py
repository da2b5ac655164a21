"""The life of a connection: QR codes, pairing, silent drops, log-outs, and what a server restart leaves of them.

Source: sections 4.3 and 5.4 of the contract. Every wait runs on the injected clock.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import io
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from harness.evolution.errors import ControlError, boom
from harness.evolution.injection import Deleting, Opened, Pairing, QrCode, Reconnecting, Starting
from harness.evolution.jids import digits_of
from harness.evolution.state import PICTURE, Connection, Instance, timestamp

if TYPE_CHECKING:
    from harness.evolution.fake import Fake
    from harness.evolution.inbound import Inbound

__all__ = ["LOGGED_OUT", "Lifecycle", "qr_image"]

LOGGED_OUT = frozenset({401, 402, 403, 406})
_ROW_OUTLIVES_MEMORY = 0.02
# Seconds that the real server waits before it asks for a pairing code.
_PAIRING_CODE_TAKES = 1.0
_LIMIT_REACHED = {"message": "QR code limit reached, please login again", "statusCode": 500}


@functools.lru_cache(maxsize=256)
def qr_image(code: str) -> str:
    """The QR code as a PNG in a data URL, as clients put it into an `img`."""
    import segno

    picture = io.BytesIO()
    segno.make_qr(code, error="m", boost_error=False).save(picture, kind="png", scale=4, border=3)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


class Lifecycle:
    """Moves instances between close, connecting and open, and tells the webhooks."""

    def __init__(self, fake: Fake, inbound: Inbound) -> None:
        self._fake = fake
        self._inbound = inbound

    def connect(self, instance: Instance, *, phone: str | None = None) -> None:
        """Starts one more socket, for a pairing code when it is given a `phone`.

        Those that live already go on: the real server does not notice them.
        """
        connection = self._loaded(instance)
        connection.phone = phone
        self._start(instance, connection, self._reserve(connection))

    def reconnect(self, instance: Instance) -> None:
        """Replaces every socket of the instance by a new one."""
        connection = self._loaded(instance)
        connection.sockets.clear()
        self.connect(instance, phone=connection.phone)

    def reload(self, instance: Instance) -> None:
        """What a change of the profile ends in: the server starts a second socket on the same credentials."""
        self.connect(instance, phone=self._loaded(instance).phone)

    def _loaded(self, instance: Instance) -> Connection:
        if instance.connection is None:
            instance.connection = Connection()
        return instance.connection

    def _reserve(self, connection: Connection) -> int:
        connection.opened += 1
        connection.sockets.add(connection.opened)
        return connection.opened

    def _start(self, instance: Instance, connection: Connection, number: int) -> None:
        connection.started = True
        connection.state = "connecting"
        connection.base64 = bool(instance.webhook and instance.webhook.enabled and instance.webhook.base64)
        self._fake.emit(instance, "connection.update", {"instance": instance.name, "state": "connecting", "statusReason": 200})
        self._fake.spawn(self._run(instance, connection, number))

    async def _run(self, instance: Instance, connection: Connection, number: int) -> None:
        whatsapp = self._fake.store.whatsapp
        seam = Starting(instance=instance.name)
        self._fake.faults.strike(seam)
        if seam.lives is not None:
            await self._fake.clock.sleep(seam.lives)
            if number in connection.sockets:
                connection.sockets.discard(number)
                self._come_back(instance, connection)
            return
        if instance.paired:
            await self._fake.clock.sleep(whatsapp.open_delay)
            if number in connection.sockets:
                self._open(instance, connection)
            return
        wait = whatsapp.qr_delay
        for _ in range(whatsapp.qr_references):
            await self._fake.clock.sleep(wait)
            if number not in connection.sockets or not self._may_show_code(instance, connection):
                return
            if connection.phone:
                await self._fake.clock.sleep(_PAIRING_CODE_TAKES)
                if number not in connection.sockets:
                    return
            self._show_code(instance, connection)
            wait = self._fake.store.whatsapp.qr_lifetime
        await self._fake.clock.sleep(wait)
        if number in connection.sockets:
            connection.sockets.discard(number)
            self._come_back(instance, connection)

    def _may_show_code(self, instance: Instance, connection: Connection) -> bool:
        """Whether the socket goes on showing codes; counts the one that comes."""
        fake = self._fake
        seam = QrCode(instance=instance.name)
        fake.faults.strike(seam)
        if seam.withheld:
            connection.qr = connection.remembered = None
            return False
        if connection.qr_count >= fake.store.settings.qrcode_limit:
            # The database is not told.
            connection.qr_count, connection.qr, connection.remembered, connection.state = 0, None, None, "close"
            connection.sockets.clear()
            fake.emit(instance, "qrcode.updated", _LIMIT_REACHED)
            fake.emit(instance, "connection.update", {"instance": instance.name, "state": "refused", "statusReason": 428})
            return False
        connection.qr_count += 1
        return True

    def _show_code(self, instance: Instance, connection: Connection) -> None:
        fake = self._fake
        code = f"{fake.store.identity.qr_reference(instance.id)},{instance.qr_keys}"
        pairing = fake.store.identity.pairing_code(instance.id) if connection.phone else None
        shown = {"pairingCode": pairing, "code": code, "base64": qr_image(code)}
        connection.qr = connection.remembered = {**shown, "count": connection.qr_count}
        self._touch(instance, status="connecting")
        fake.emit(instance, "qrcode.updated", {"qrcode": {"instance": instance.name, **shown}})

    def current_code(self, instance: Instance) -> dict[str, Any]:
        """What connect, create and restart show: the newest QR code, scanned or not, or only its count when there was none."""
        connection = instance.connection
        if connection is None:
            return {"count": 0}
        return {**(connection.remembered or {}), "count": connection.qr_count}

    def scan(self, instance: Instance, *, phone: str | None, profile: str | None) -> str:
        """Someone scans the QR code: the socket restarts (515) and opens. The telephone's digits.

        Raises ControlError when no QR code is on show.
        """
        connection = instance.connection
        if connection is None or connection.state != "connecting" or connection.qr is None or instance.paired:
            state = connection.state if connection else "not in memory"
            raise ControlError(f"instance {instance.name!r} shows no QR code to scan: its state is {state}; connect it first")
        if connection.scanned:
            raise ControlError(f"instance {instance.name!r}: its QR code has just been scanned; wait until it is open")
        digits = digits_of(phone or instance.number or connection.phone or "") or self._invented_number(instance)
        connection.scanned = True
        self._fake.spawn(self._pair(instance, connection, digits, profile))
        return digits

    def _invented_number(self, instance: Instance) -> str:
        return f"55119{10_000_000 + int(self._fake.store.identity.unit('phone', instance.name) * 89_999_999):08d}"[:12] + "7"

    async def _pair(self, instance: Instance, connection: Connection, digits: str, profile: str | None) -> None:
        await self._fake.clock.sleep(self._fake.store.whatsapp.pairing_delay)
        connection.scanned = False
        if connection is not instance.connection or connection.state == "open" or not connection.sockets:
            return
        seam = Pairing(instance=instance.name)
        self._fake.faults.strike(seam)
        if seam.refused:
            return
        instance.paired = True
        instance.owner_jid = f"{digits}@s.whatsapp.net"
        instance.profile_name = profile or "Shop"
        instance.picture = PICTURE
        connection.qr = None
        self.drop(instance)

    def _open(self, instance: Instance, connection: Connection) -> None:
        fake = self._fake
        connection.state = "open"
        connection.wuid = instance.owner_jid
        self._touch(instance, status="open")
        fake.emit(
            instance,
            "connection.update",
            {
                "instance": instance.name,
                "wuid": instance.owner_jid,
                "profileName": instance.profile_name,
                "profilePictureUrl": instance.picture,
                "state": "open",
                "statusReason": 200,
            },
        )
        seam = Opened(instance=instance.name)
        fake.faults.strike(seam)
        if seam.history is not None:
            self._inbound.history(instance, seam.history)
        for message in seam.backlog:
            fake.spawn(self._inbound.receive(instance, message))
        if seam.close is not None:
            fake.spawn(self._close_later(instance, connection, connection.opened, seam))

    async def _close_later(self, instance: Instance, connection: Connection, number: int, seam: Opened) -> None:
        await self._fake.clock.sleep(seam.seconds)
        if number in connection.sockets and seam.close is not None:
            self.close(instance, seam.close, seam.message)

    def close(self, instance: Instance, code: int, message: str = "") -> None:
        """WhatsApp closes the connection: a log-out or ban is final, every other code reconnects by itself and without an event.

        Raises ControlError when there is no socket to close.
        """
        connection = instance.connection
        if connection is None or not connection.started or connection.state == "close":
            raise ControlError(f"instance {instance.name!r} has no connection that could be closed; connect it first")
        if code in LOGGED_OUT:
            self.log_out(instance, code, message or _closing_words(code))
        else:
            self.drop(instance)

    def drop(self, instance: Instance) -> None:
        """The connection is gone and comes back by itself; the database keeps its opinion."""
        connection = self._loaded(instance)
        connection.sockets.clear()
        self._come_back(instance, connection)

    def _come_back(self, instance: Instance, connection: Connection) -> None:
        connection.state = "close"
        self._fake.spawn(self._reconnect(instance, connection, self._reserve(connection)))

    async def _reconnect(self, instance: Instance, connection: Connection, number: int) -> None:
        seam = Reconnecting(instance=instance.name)
        self._fake.faults.strike(seam)
        await self._fake.clock.sleep(self._fake.store.whatsapp.reconnect_delay + seam.hold)
        if number in connection.sockets:
            self._start(instance, connection, number)

    def log_out(self, instance: Instance, code: int, message: str) -> asyncio.Task[None] | None:
        """Ends the pairing; the task of the log-out event, for whoever must await its delivery."""
        fake = self._fake
        connection = self._loaded(instance)
        connection.sockets.clear()
        connection.state = "close"
        connection.qr = None
        instance.paired = False
        instance.qr_keys = fake.store.identity.qr_keys(instance.id)
        now = fake.clock.now()
        cause = {"error": boom(code, HTTPStatus(code).phrase, message), "date": timestamp(now)}
        instance.reason_code = code
        instance.reason = msgspec.json.encode(cause).decode()
        instance.disconnected_at = now
        self._touch(instance, status="close")
        fake.emit(
            instance,
            "status.instance",
            {
                "instance": instance.name,
                "status": "closed",
                "disconnectionAt": timestamp(now),
                "disconnectionReasonCode": code,
                "disconnectionObject": instance.reason,
            },
        )
        task = fake.emit(instance, "logout.instance", None)
        fake.emit(instance, "connection.update", {"instance": instance.name, "state": "close", "statusReason": code})
        return task

    def delete(self, instance: Instance) -> None:
        """Logs out, then removes the instance once the events that are awaited have been delivered or given up.

        Of an instance that is not in memory nobody is told.
        """
        fake = self._fake
        connection = instance.connection
        if connection is None:
            self._remove(instance)
            return
        awaited = []
        if connection.state != "close":
            awaited.append(self.log_out(instance, 401, f"Log out instance: {instance.name}"))
        connection.sockets.clear()
        fake.emit(instance, "instance.delete", {"instanceName": instance.name, "instanceId": instance.id})
        awaited.append(fake.emit(instance, "remove.instance", None))
        tasks = {task for task in awaited if task is not None}
        if tasks:
            fake.spawn(self._remove_after(instance, tasks))
        else:
            self._remove(instance)

    def forgets_to_delete(self, instance: Instance) -> bool:
        """Whether a delete that was answered with success leaves everything as it is."""
        seam = Deleting(instance=instance.name)
        self._fake.faults.strike(seam)
        return seam.kept

    async def _remove_after(self, instance: Instance, tasks: set[asyncio.Task[None]]) -> None:
        await asyncio.wait(tasks)
        self._remove(instance)

    def discard(self, instance: Instance) -> None:
        """What the error path of a failed create does: the memory forgets at once, the row goes a moment later."""
        if instance.connection is not None:
            instance.connection.sockets.clear()
        instance.connection = None
        self._fake.spawn(self._remove_soon(instance))

    async def _remove_soon(self, instance: Instance) -> None:
        await self._fake.clock.sleep(_ROW_OUTLIVES_MEMORY)
        self._remove(instance)

    def _remove(self, instance: Instance) -> None:
        instances = self._fake.store.instances
        if instances.get(instance.name) is instance:
            del instances[instance.name]
            self._fake.faults.cure(instance.name)

    async def boot(self, *, loading: float = 0.0) -> None:
        """The server's process starts again: memory and pending retries are gone, what was open or connecting connects by itself.

        `loading`: seconds in which the rows are there and the connections are not.
        """
        await self._fake.forget_work()
        for instance in self._fake.store.instances.values():
            instance.connection = None
            self._fake.faults.cure(instance.name)
        self._fake.spawn(self._load(loading))
        if loading <= 0:
            await asyncio.sleep(0)

    async def _load(self, loading: float) -> None:
        if loading > 0:
            await self._fake.clock.sleep(loading)
        for instance in self._fake.store.instances.values():
            instance.connection = Connection()
            if instance.integration != "WHATSAPP-BAILEYS":
                instance.connection.state = "open"
            elif instance.status in {"open", "connecting"}:
                self.connect(instance)

    def take_up(self, instance: Instance) -> None:
        """Goes on with a connection as a snapshot left it: what was open is open, what was on its way sets out again.

        A scan that had not been confirmed is forgotten: its code is on show and can be scanned again.
        """
        connection = instance.connection
        if connection is None:
            return
        connection.scanned = False
        for number in sorted(connection.sockets):
            if connection.state == "connecting":
                self._fake.spawn(self._go_on(instance, connection, number))
            elif connection.state == "close":
                self._fake.spawn(self._reconnect(instance, connection, number))

    async def _go_on(self, instance: Instance, connection: Connection, number: int) -> None:
        if connection.qr is not None and not instance.paired:
            # The code on show keeps its whole time.
            await self._fake.clock.sleep(self._fake.store.whatsapp.qr_lifetime)
        if number in connection.sockets:
            await self._run(instance, connection, number)

    def _touch(self, instance: Instance, *, status: str) -> None:
        instance.status = status
        instance.updated_at = self._fake.clock.now()


def _closing_words(code: int) -> str:
    return (
        "Stream Errored (conflict) device_removed"
        if code == 401
        else "Stream Errored (forbidden)"
        if code == 403
        else "Connection Failure"
    )
