"""The Evolution API as the provider: one httpx client, no redirects, no retries of its own, and honest about what is not
known.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal
from urllib.parse import quote

import httpx

from reference_impl.domain.connections import SUBSCRIBED_EVENTS
from reference_impl.domain.errors import ProviderFailedError, ProviderUnavailableError
from reference_impl.domain.invariants import existing
from reference_impl.domain.messages import CallOutcome, OutcomeClass
from reference_impl.domain.phones import is_customer_jid, jid_digits
from reference_impl.domain.webhooks import Echo, echo
from reference_impl.ports import Clock, InstanceDetails, Metrics

__all__ = ["EvolutionProvider", "classify_send", "retry_after_s"]

_ANSWER_LIMIT: Final = 2 * 1024 * 1024
# The server closes idle connections after five seconds; one reused at that moment would look like a reset in the middle of
# a send.
_KEEPALIVE_S: Final = 3.0
# After the deadline: a jump of the injected clock must not cut off an answer that is on its way.
_JUMP_GRACE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 86_400.0
_READINESS_INSTANCE: Final = "readiness-probe"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: Any
    retry_after_s: float | None


class _CallError(Exception):
    """No usable answer. `written` tells whether a byte of the request may have left."""

    def __init__(self, detail: str, *, written: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.written = written


class EvolutionProvider:
    """Talks to one Evolution API server with the global key. `open` and `close` belong to one event loop.

    `timeout_s` bounds each call on the injected clock, from its start to the end of the answer.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str,
        clock: Clock,
        metrics: Metrics,
        timeout_s: float = 15.0,
        webhook_jwt_key: str | None = None,
    ) -> None:
        self._webhook_jwt_key = webhook_jwt_key
        self._url = url.rstrip("/")
        self._key = key
        self._clock = clock
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        self._client = httpx.AsyncClient(
            base_url=self._url,
            headers={"apikey": self._key, "user-agent": "reference-backend"},
            timeout=httpx.Timeout(self._timeout_s, connect=5.0, pool=5.0),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=50, keepalive_expiry=_KEEPALIVE_S),
            follow_redirects=False,
            # Certificates take 30 ms to load; redirects are not followed, so only an https URL needs them.
            verify=self._url.startswith("https:"),
            trust_env=False,
        )

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def ping(self) -> None:
        answer = await self._ask("ping", "GET", f"/instance/fetchInstances?instanceName={_READINESS_INSTANCE}")
        if answer.status not in (200, 404):
            raise ProviderFailedError(
                "The provider refuses our key" if answer.status in (401, 403) else "The provider is not well"
            )

    async def create_instance(self, name: str, *, webhook_url: str) -> bool:
        body = {
            "instanceName": name,
            "integration": "WHATSAPP-BAILEYS",
            # With a QR the server holds the call for five seconds; asking for it afterwards takes two.
            "qrcode": False,
            "webhook": self._webhook(webhook_url),
        }
        answer = await self._ask("create", "POST", "/instance/create", body)
        if answer.status == 201:
            return True
        if answer.status == 403 and "already in use" in _text(answer.body):
            return False
        raise _refusal("create the instance", answer)

    async def set_webhook(self, name: str, *, webhook_url: str) -> None:
        webhook = {"enabled": True, **self._webhook(webhook_url)}
        answer = await self._ask("set_webhook", "POST", f"/webhook/set/{quote(name, safe='')}", {"webhook": webhook})
        if answer.status not in (200, 201):
            raise _refusal("register the webhook", answer)

    async def request_qr(self, name: str) -> str | None:
        answer = await self._ask("connect", "GET", f"/instance/connect/{quote(name, safe='')}")
        body = answer.body
        if answer.status != 200 or not isinstance(body, Mapping) or body.get("error"):
            raise _refusal("give a QR code", answer)
        nested = body.get("qrcode")
        qr = body.get("base64", nested.get("base64") if isinstance(nested, Mapping) else None)
        return qr if isinstance(qr, str) and qr.startswith("data:image/") else None

    async def logout(self, name: str) -> None:
        answer = await self._ask("logout", "DELETE", f"/instance/logout/{quote(name, safe='')}")
        closed_already = (answer.status == 400 and "is not connected" in _text(answer.body)) or (
            answer.status == 404 and _is_of_evolution(answer)
        )
        if answer.status != 200 and not closed_already:
            raise _refusal("confirm the disconnection", answer)
        if answer.status == 200 and isinstance(answer.body, Mapping) and answer.body.get("error"):
            raise _refusal("confirm the disconnection", answer)

    async def state(self, name: str) -> Literal["open", "connecting", "close", "missing"] | None:
        answer = await self._ask("state", "GET", f"/instance/connectionState/{quote(name, safe='')}")
        if answer.status == 404 and _is_of_evolution(answer):
            return "missing"
        instance = answer.body.get("instance") if isinstance(answer.body, Mapping) else None
        if answer.status != 200 or not isinstance(instance, Mapping):
            raise _refusal("tell the state", answer)
        match instance.get("state"):
            case "open":
                return "open"
            case "connecting":
                return "connecting"
            case "close" | "closed" | "refused":
                return "close"
            case _:
                return None

    async def details(self, name: str) -> InstanceDetails:
        answer = await self._ask("details", "GET", f"/instance/fetchInstances?instanceName={quote(name, safe='')}")
        row = answer.body[0] if answer.status == 200 and isinstance(answer.body, list) and answer.body else None
        if not isinstance(row, Mapping):
            raise _refusal("describe the instance", answer)
        owner, code = row.get("ownerJid"), row.get("disconnectionReasonCode")
        return InstanceDetails(
            phone=jid_digits(owner) if isinstance(owner, str) and is_customer_jid(owner) else None,
            disconnection_code=code if isinstance(code, int) else None,
        )

    async def send_text(self, name: str, *, number: str, text: str) -> CallOutcome:
        try:
            answer = await self._call("POST", f"/message/sendText/{quote(name, safe='')}", {"number": number, "text": text})
        except _CallError as error:
            kind = OutcomeClass.UNKNOWN if error.written else OutcomeClass.NOT_SENT
            outcome = CallOutcome(kind=kind, detail=error.detail)
        else:
            outcome = classify_send(answer.status, answer.body, answer.retry_after_s)
        self._metrics.count("provider_calls", operation="send", outcome=outcome.kind.value)
        return outcome

    async def sent_messages(self, name: str, *, remote_jid: str) -> list[Echo]:
        where = {"key": {"remoteJid": remote_jid, "fromMe": True}}
        answer = await self._ask(
            "find", "POST", f"/chat/findMessages/{quote(name, safe='')}", {"where": where, "page": 1, "offset": 100}
        )
        messages = answer.body.get("messages") if isinstance(answer.body, Mapping) else None
        records = messages.get("records") if isinstance(messages, Mapping) else None
        if answer.status != 200 or not isinstance(records, list):
            raise _refusal("list sent messages", answer)
        return [found for record in records if (found := echo(record)) is not None]

    def _webhook(self, url: str) -> dict[str, Any]:
        registered = {"url": url, "byEvents": False, "base64": False, "events": list(SUBSCRIBED_EVENTS)}
        # The server takes this header out and signs each delivery with it instead.
        return registered | ({"headers": {"jwt_key": self._webhook_jwt_key}} if self._webhook_jwt_key is not None else {})

    async def _ask(self, operation: str, method: str, path: str, body: Any = None) -> _Answer:
        try:
            answer = await self._call(method, path, body)
        except _CallError as error:
            self._metrics.count("provider_calls", operation=operation, outcome="unreachable")
            raise ProviderUnavailableError("The provider cannot be reached", details={"cause": error.detail}) from error
        self._metrics.count("provider_calls", operation=operation, outcome=f"{answer.status // 100}xx")
        return answer

    async def _call(self, method: str, path: str, body: Any = None) -> _Answer:
        """One exchange. Raises _CallError when no complete answer came."""
        if self._client is None:
            raise _CallError("client is closed", written=False)
        written = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal written
            written = written or event.endswith("send_request_headers.started")

        exchange = asyncio.ensure_future(self._exchange(method, path, body, trace))
        deadline = asyncio.ensure_future(self._clock.limit(self._timeout_s))
        waits: list[asyncio.Future[Any]] = [exchange, deadline]
        try:
            await asyncio.wait((exchange, deadline), return_when=asyncio.FIRST_COMPLETED)
            if not exchange.done():
                grace = asyncio.ensure_future(self._clock.sleep(_JUMP_GRACE_S))
                waits.append(grace)
                await asyncio.wait((exchange, grace), return_when=asyncio.FIRST_COMPLETED)
            if not exchange.done():
                raise _CallError("timeout", written=written)
            return exchange.result()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise _CallError(_describe(error), written=written) from error
        finally:
            for task in waits:
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task

    async def _exchange(self, method: str, path: str, body: Any, trace: Any) -> _Answer:
        client = existing(self._client, "checked by the caller")
        async with client.stream(method, path, json=body, extensions={"trace": trace}) as response:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > _ANSWER_LIMIT:
                    raise httpx.DecodingError("answer too large")
        try:
            parsed = json.loads(received.decode("utf-8"))
        except (ValueError, RecursionError):
            parsed = None
        pause_s = retry_after_s(response.headers.get("retry-after", ""), self._clock.now())
        return _Answer(status=response.status_code, body=parsed, retry_after_s=pause_s)


def classify_send(status: int, body: Any, pause_s: float | None) -> CallOutcome:
    """What one complete answer to `sendText` proves (contract, section 3); `pause_s` is its Retry-After. Details hold the status
    and no text of the provider.
    """
    if status in (200, 201) and (accepted := _accepted(body)) is not None:
        return CallOutcome(kind=OutcomeClass.ACCEPTED, detail="accepted", provider_id=accepted[0], remote_jid=accepted[1])
    if status == 429:
        return CallOutcome(kind=OutcomeClass.THROTTLED, detail="HTTP 429", retry_after_s=pause_s)
    if status == 400 and _says_number_does_not_exist(body):
        return CallOutcome(kind=OutcomeClass.REJECTED, detail="number is not on WhatsApp")
    if status == 400 and _is_schema_error(body):
        return CallOutcome(kind=OutcomeClass.REJECTED, detail="HTTP 400, schema")
    if status in (401, 403, 404) and isinstance(body, Mapping) and body.get("status") == status:
        return CallOutcome(kind=OutcomeClass.REFUSED, detail=f"HTTP {status}")
    return CallOutcome(kind=OutcomeClass.UNKNOWN, detail=f"HTTP {status}")


def _accepted(body: Any) -> tuple[str, str | None] | None:
    key = body.get("key") if isinstance(body, Mapping) else None
    if not isinstance(key, Mapping):
        return None
    provider_id, remote_jid = key.get("id"), key.get("remoteJid")
    if (
        not isinstance(provider_id, str)
        or not provider_id.isascii()
        or not provider_id.isprintable()
        or not 0 < len(provider_id) <= 128
    ):
        return None
    return provider_id, remote_jid if isinstance(remote_jid, str) and remote_jid.isprintable() else None


def _messages_of(body: Any) -> Any:
    if not isinstance(body, Mapping):
        return None
    response = body.get("response")
    return response.get("message") if isinstance(response, Mapping) else body.get("message")


def _says_number_does_not_exist(body: Any) -> bool:
    found = _messages_of(body)
    return isinstance(found, list) and any(isinstance(entry, Mapping) and entry.get("exists") is False for entry in found)


def _is_schema_error(body: Any) -> bool:
    found = _messages_of(body)
    return isinstance(found, list) and bool(found) and all(isinstance(entry, list) for entry in found)


def _is_of_evolution(answer: _Answer) -> bool:
    # A proxy in front of it answers 404 too, in HTML.
    return isinstance(answer.body, Mapping) and answer.body.get("status") == answer.status


def _text(body: Any) -> str:
    return json.dumps(body) if body is not None else ""


def retry_after_s(value: str, now: datetime) -> float | None:
    """Seconds that a Retry-After asks for, as seconds or as an HTTP date (RFC 9110); a day at most, so that a proxy's mistake
    stops nobody for ever. None when it is neither.
    """
    value = value.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return min(float(value), _LONGEST_PAUSE_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    # An HTTP date is in GMT, also where it does not say so.
    seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_PAUSE_S)


def _refusal(deed: str, answer: _Answer) -> ProviderFailedError:
    return ProviderFailedError(f"The provider did not {deed}", details={"providerStatus": answer.status})


def _describe(error: Exception) -> str:
    return {
        "ConnectError": "connection refused",
        "ConnectTimeout": "connection timeout",
        "PoolTimeout": "no free connection",
        "ReadTimeout": "timeout",
        "WriteTimeout": "timeout while writing",
        "ReadError": "connection reset",
        "WriteError": "connection reset while writing",
        "RemoteProtocolError": "connection closed in the middle",
        "DecodingError": "answer cannot be read",
    }.get(type(error).__name__, type(error).__name__)
