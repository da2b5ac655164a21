"""The provider as the backend meets it: events as Evolution API 2.3.7 sends them, and where it was told to send them."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from features.backend import Answer, Backend
from features.expectations import Mismatch
from features.secrecy import Secrecy
from features.timing import TargetTime
from harness.errors import HarnessError
from harness.evolution.client import EvolutionControl

__all__ = ["Courier", "WebhookAddress", "at_provider", "code_on_show"]

_HEADERS = {
    "Accept": "application/json, text/plain, */*",
    "Content-Type": "application/json",
    "User-Agent": "axios/1.13.2",
    "Accept-Encoding": "gzip, compress, deflate, br",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAddress:
    """`…/webhooks/whatsapp/{provider}/{secret}`, as it was registered at the provider."""

    base: str
    provider: str
    secret: str = field(repr=False)

    @classmethod
    def parse(cls, url: str) -> WebhookAddress:
        """Raises Mismatch for an address that is not the contract's; the secret is not named in it."""
        parts = urlsplit(url)
        *prefix, webhooks, whatsapp, provider, secret = ["", "", "", "", *parts.path.split("/")]
        if (webhooks, whatsapp) != ("webhooks", "whatsapp") or not provider or not secret or parts.query:
            raise Mismatch("the registered webhook", expected="…/webhooks/whatsapp/{provider}/{secret}", seen="another form")
        path = "/".join(part for part in prefix if part)
        return cls(
            base=urlunsplit((parts.scheme, parts.netloc, f"/{path}" if path else "", "", "")),
            provider=unquote(provider),
            secret=unquote(secret),
        )

    def url(self, *, provider: str = "", secret: str = "") -> str:
        """The address, or the one that another provider or secret would have."""
        named, kept = quote(provider or self.provider, safe=""), quote(secret or self.secret, safe="")
        return f"{self.base}/webhooks/whatsapp/{named}/{kept}"

    def wrong_secret(self) -> str:
        """Another secret of the same length and alphabet."""
        last = "A" if self.secret[-1] != "A" else "B"
        return self.secret[:-1] + last


class Courier:
    """Delivers events as the provider does, straight to the backend, and knows where they are to be delivered."""

    def __init__(self, *, backend: Backend, control: EvolutionControl, time: TargetTime, secrecy: Secrecy) -> None:
        self._backend = backend
        self._control = control
        self._time = time
        self._secrecy = secrecy

    def registered(self, instance: str) -> tuple[WebhookAddress, set[str]]:
        """Where the provider delivers an instance's events, and which. Raises Mismatch when nothing sound is registered."""
        webhook: dict[str, Any] = at_provider(self._control, instance).get("webhook") or {}
        if not webhook.get("url") or not webhook.get("enabled"):
            raise Mismatch("webhook of the unit's instance at the provider", expected="one that is enabled", seen="none")
        address = WebhookAddress.parse(str(webhook["url"]))
        self._secrecy.learn(address.secret)
        self._secrecy.learn(address.wrong_secret())
        return address, set(webhook.get("events") or ())

    def address(self, instance: str) -> WebhookAddress:
        return self.registered(instance)[0]

    def deliver(self, url: str, *, instance: str, event: str, data: Any, seconds_ago: float = 0.0) -> Answer:
        """Posts one event, of now or of so many seconds ago on the provider's clock.

        It carries no signature and no delivery id: the real one has none. Raises Mismatch when nobody listens at an address that
        the backend itself registered.
        """
        at = self._time.now() - timedelta(seconds=seconds_ago)
        body = {
            "event": event,
            "instance": instance,
            "data": data,
            "destination": url,
            "date_time": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
            "sender": "5511999990000@s.whatsapp.net",
            "server_url": "http://evolution.example",
            "apikey": "00000000-0000-0000-0000-000000000000",
        }
        return self.deliver_bytes(url, json.dumps(body, ensure_ascii=False).encode())

    def deliver_bytes(self, url: str, body: bytes) -> Answer:
        """Posts whatever this is, as the provider posts an event. Raises as `deliver`."""
        try:
            return self._backend.request("POST", url, content=body, headers=_HEADERS)
        except HarnessError as error:
            raise Mismatch("the registered webhook address", expected="an answer", seen=str(error)) from None

    def deliver_text(self, url: str, *, instance: str, phone: str, text: str, key: str = "", name: str = "Maria") -> Answer:
        """Posts a customer's text, written now; `key` is its id (default: a new one)."""
        data = {
            "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False, "id": key or f"3A{secrets.token_hex(9).upper()}"},
            "pushName": name,
            "status": "DELIVERY_ACK",
            "message": {"conversation": text},
            "messageType": "conversation",
            "messageTimestamp": int(self._time.now().timestamp()),
            "instanceId": "00000000-0000-4000-8000-000000000000",
            "source": "ios",
        }
        return self.deliver(url, instance=instance, event="messages.upsert", data=data)

    def deliver_qr_code(self, url: str, *, instance: str, code: str, picture: str, seconds_ago: float = 0.0) -> Answer:
        """Posts a QR code, new or of so many seconds ago; `picture` is a data URL."""
        qrcode = {"instance": instance, "pairingCode": None, "code": code, "base64": picture}
        return self.deliver(url, instance=instance, event="qrcode.updated", data={"qrcode": qrcode}, seconds_ago=seconds_ago)


def at_provider(control: EvolutionControl, name: str) -> dict[str, Any]:
    """The provider's one instance of this name. Raises Mismatch when there is none, or more."""
    found = [instance for instance in control.instances() if instance["name"] == name]
    if len(found) != 1:
        raise Mismatch("instances of the unit's name at the provider", expected=1, seen=len(found))
    return found[0]


def code_on_show(control: EvolutionControl, instance: str) -> str:
    """The code that the provider waits for now; empty when it waits for none."""
    return str((at_provider(control, instance).get("qr") or {}).get("code", ""))
