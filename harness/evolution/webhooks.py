"""Webhook delivery: concurrent, unordered, at least once, in memory only.

Source: sections 5 and 6 of the contract. Every wait, the listener's time limit included, runs on the injected clock.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from harness.evolution.events import configuration_name, path_suffix
from harness.evolution.injection import Emission
from harness.evolution.ledger import Delivery
from harness.evolution.posting import Poster, PostingError
from harness.evolution.state import Instance, timestamp

if TYPE_CHECKING:
    from harness.evolution.fake import Fake

__all__ = ["Webhooks", "webhook_token"]

# A jump of the clock must not cut off a listener whose answer is on its way: it always has this many real seconds.
_GRACE = 0.25
_USER_AGENT = "axios/1.13.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    url: str
    headers: Mapping[str, str]


def webhook_token(key: str, now: datetime) -> str:
    """The JSON Web Token that a configured `jwt_key` becomes: HS256, ten minutes."""
    issued = int(now.timestamp())
    parts = (
        {"alg": "HS256", "typ": "JWT"},
        {"iat": issued, "exp": issued + 600, "app": "evolution", "action": "webhook"},
    )
    signed = b".".join(_base64url(msgspec.json.encode(part)) for part in parts)
    return (signed + b"." + _base64url(hmac.new(key.encode(), signed, hashlib.sha256).digest())).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Webhooks:
    """Delivers events of one fake.

    `number` is that of the newest delivery; `under_way` counts those that wait for a listener, `pending` those that wait for a
    retry.
    """

    def __init__(self, fake: Fake, spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]) -> None:
        self._fake = fake
        self._spawn = spawn
        self._poster = Poster()
        self.number = 0
        self._changed = asyncio.Event()
        self.begun = 0
        self.under_way = 0
        self.pending = 0
        self.expiring: set[asyncio.Future[Any]] = set()

    def listens(self, instance: Instance, event: str) -> bool:
        """Whether anybody would be told of this event."""
        name, settings, hook = configuration_name(event), self._fake.store.settings, instance.webhook
        if settings.global_webhook_url and name in settings.global_events:
            return True
        return hook is not None and hook.wants(name)

    def emit(
        self, instance: Instance, event: str, data: Any, *, extra: Mapping[str, Any] | None = None
    ) -> asyncio.Task[None] | None:
        """Sends an event to the instance's webhook and then to the global one; None when nobody listens.

        The envelope is fixed now: what changes later does not change what is delivered. The task ends with the last retry.
        """
        name = configuration_name(event)
        settings = self._fake.store.settings
        hook = instance.webhook
        local = hook is not None and hook.wants(name)
        wide = bool(settings.global_webhook_url) and name in settings.global_events
        if not (local or wide):
            return None
        seam = Emission(instance=instance.name, event=event, data=data, number=_number_in(data))
        if any(True for _ in self._fake.faults):
            seam.noise = self._fake.store.identity.unit("emission", instance.name)
        self._fake.faults.strike(seam)
        if not seam.copies:
            return None
        targets = []
        if local and hook is not None:
            url = hook.url + path_suffix(event) if hook.by_events else hook.url
            targets.append(_Target(url=url, headers=self._custom_headers(hook.headers)))
        if wide:
            suffix = path_suffix(event) if settings.global_webhook_by_events else ""
            targets.append(_Target(url=settings.global_webhook_url + suffix, headers={}))
        destination = (hook.url if hook is not None else "") or settings.global_webhook_url + path_suffix(event)
        body = msgspec.json.encode({**(extra or {}), **self._envelope(instance, event, seam.data, destination)})
        key_id = _key_id_in(seam.data)
        tasks = [self._start(self._deliver_to_all(targets, instance.name, event, body, delay, key_id)) for delay in seam.copies]
        return tasks[0]

    def report_error(self, status: int, error: str, message: Any) -> None:
        """Tells the errors webhook about an error answer, once; the real server leaks its global key here."""
        url = self._fake.store.settings.errors_webhook_url
        if not url:
            return
        body = {
            "event": "error",
            "data": {"error": error, "message": message, "status": status, "response": {"message": message}},
            "date_time": self._local_time(),
            "api_key": self._fake.store.key,
            "server_url": self._fake.server_url,
        }
        target = _Target(url=url, headers={})
        self._start(self._deliver_to_all([target], "", "error", msgspec.json.encode(body), 0.0, None, attempts=1))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.under_way += 1
        self.begun += 1

        def finished(_: asyncio.Task[None]) -> None:
            self.under_way -= 1
            self._changed.set()

        task = self._spawn(work)
        task.add_done_callback(finished)
        return task

    async def _pause(self, seconds: float) -> None:
        self.under_way -= 1
        self._changed.set()
        self.pending += 1
        try:
            await self._fake.clock.sleep(seconds)
        finally:
            self.pending -= 1
            self.under_way += 1

    async def wait_for_one(self, seconds: float) -> None:
        """Returns when a delivery that is under way has ended or has gone to wait for its retry, or after `seconds` real ones."""
        self._changed.clear()
        if self.under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), max(0.0, seconds))
        else:
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Closes the connections to the listeners."""
        await self._poster.close()

    def _envelope(self, instance: Instance, event: str, data: Any, destination: str) -> dict[str, Any]:
        fake = self._fake
        envelope = {
            "event": event,
            "instance": instance.name,
            "data": data,
            "destination": destination,
            "date_time": self._local_time(),
            "sender": instance.connection.wuid if instance.connection else None,
            "server_url": fake.server_url,
            "apikey": instance.token if fake.store.settings.expose_token else None,
        }
        if envelope["sender"] is None:
            del envelope["sender"]
        return envelope

    def _local_time(self) -> str:
        # The real server prints its local time with a `Z` that is only true in UTC.
        return timestamp(self._fake.clock.now().astimezone(ZoneInfo(self._fake.store.settings.timezone)))

    def _custom_headers(self, configured: Any) -> dict[str, str]:
        headers = _spread(configured)
        key = headers.pop("jwt_key", None)
        if key is not None:
            headers["Authorization"] = f"Bearer {webhook_token(str(key), self._fake.clock.now())}"
        return {name: _as_javascript_says(value) for name, value in headers.items()}

    async def _deliver_to_all(
        self,
        targets: list[_Target],
        instance: str,
        event: str,
        body: bytes,
        delay: float,
        key_id: str | None,
        *,
        attempts: int | None = None,
    ) -> None:
        if delay > 0:
            await self._pause(delay)
        self.number += 1
        number, most = self.number, attempts or self._fake.store.settings.retry.attempts
        for target in targets:
            await self._deliver(target, instance, event, body, number, key_id, most)

    async def _deliver(
        self, target: _Target, instance: str, event: str, body: bytes, number: int, key_id: str | None, attempts: int
    ) -> None:
        fake = self._fake
        retry = fake.store.settings.retry
        for attempt in range(1, attempts + 1):
            at, since = fake.clock.now(), fake.clock.monotonic()
            status, error = await self._attempt(target, body, retry.timeout)
            succeeded = status is not None and 200 <= status < 300
            final = succeeded or status in retry.final_statuses or attempt == attempts
            fake.deliveries.append(
                Delivery(
                    url=target.url,
                    instance=instance,
                    event=event,
                    number=number,
                    attempt=attempt,
                    status=status,
                    error=error,
                    final=final,
                    keyId=key_id,
                    at=at,
                    monotonic=since,
                    seconds=fake.clock.monotonic() - since,
                    body=body,
                )
            )
            if final:
                return
            noise = 2 * fake.store.identity.unit("jitter", f"{instance}:{event}:{number}") - 1
            await self._pause(retry.delay(attempt, noise))

    async def _attempt(self, target: _Target, body: bytes, limit: float) -> tuple[int | None, str | None]:
        started = time.monotonic()
        answer = asyncio.ensure_future(self._poster.post(target.url, _headers(target.headers, len(body)), body))
        deadline = asyncio.ensure_future(self._fake.clock.limit(limit))
        try:
            await asyncio.wait({answer, deadline}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                await self._last_chance(answer, _GRACE - (time.monotonic() - started))
            if not answer.done():
                return None, f"no answer within {limit:g} s"
            return answer.result(), None
        except PostingError as error:
            return None, error.reason
        except ValueError as error:
            return None, f"cannot be sent: {type(error).__name__}"
        finally:
            answer.cancel()
            deadline.cancel()

    async def _last_chance(self, answer: asyncio.Future[int], seconds: float) -> None:
        waiting = asyncio.ensure_future(asyncio.wait({answer}, timeout=max(0.0, seconds)))
        self.expiring.add(waiting)
        try:
            await waiting
        finally:
            self.expiring.discard(waiting)


def _spread(value: Any) -> dict[str, Any]:
    """The properties that JavaScript copies out of a value: a text's and a list's are numbered."""
    if isinstance(value, Mapping):
        return dict(value)
    return {str(number): part for number, part in enumerate(value)} if isinstance(value, str | list) else {}


def _as_javascript_says(value: Any) -> str:
    """A configured header's value as text; what is null or false is no header, and takes away the default one."""
    if value is None or value is False:
        return ""
    if isinstance(value, list):
        return ",".join(_as_javascript_says(part) for part in value)
    return "true" if value is True else "[object Object]" if isinstance(value, dict) else str(value)


def _headers(custom: Mapping[str, str], length: int) -> list[tuple[str, str]]:
    headers = {
        "accept": ("Accept", "application/json, text/plain, */*"),
        "content-type": ("Content-Type", "application/json"),
    }
    headers |= {name.lower(): (name, value) for name, value in custom.items()}
    fixed = (
        ("User-Agent", _USER_AGENT),
        ("Content-Length", str(length)),
        ("Accept-Encoding", "gzip, compress, deflate, br"),
        ("Connection", "keep-alive"),
    )
    for name, value in fixed:
        headers.setdefault(name.lower(), (name, value))
    return [(name, value) for name, value in headers.values() if value]


def _key_id_in(data: Any) -> str | None:
    if not isinstance(data, Mapping):
        return None
    key = data.get("key")
    found = data.get("keyId") or (key.get("id") if isinstance(key, Mapping) else None)
    return found if isinstance(found, str) else None


def _number_in(data: Any) -> str | None:
    if not isinstance(data, Mapping):
        return None
    key = data.get("key")
    found = data.get("remoteJid") or (key.get("remoteJid") if isinstance(key, Mapping) else None)
    return found if isinstance(found, str) else None
