"""What went over the wire in a step: requests with their answers, webhooks, and what the fake provider had noted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from features.secrecy import Secrecy
from gate.masking import MASK
from harness.evolution.client import EvolutionControl

__all__ = ["Exchange", "ObservedControl", "Tape", "Witness"]

_MOST_KEPT = 16
_LONGEST = 2_000
_WEBHOOK = re.compile(r"(/webhooks/whatsapp/[^/\s\"]{1,64}/)[^/\s\"\\?]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One exchange, or several alike in a row (`times`).

    `kind` is request, webhook, ledger, delivery or call: the last three are what the provider noted of messages sent, events
    delivered and requests received. `status` is 0 where there is none. `sent` and `seen` are JSON documents or texts, not masked.
    """

    kind: str
    what: str
    status: int = 0
    request_id: str = ""
    sent: Any = field(default=None, repr=False)
    seen: Any = field(default=None, repr=False)
    times: int = 1

    def is_like(self, other: Exchange) -> bool:
        return (self.kind, self.what, self.status, self.sent, self.seen) == (
            other.kind,
            other.what,
            other.status,
            other.sent,
            other.seen,
        )

    def as_json(self, secrecy: Secrecy) -> dict[str, Any]:
        """Everything masked; bodies as texts, cut where they are long."""
        document: dict[str, Any] = {"kind": self.kind, "what": secrecy.text(self.what), "times": self.times}
        document |= {"status": self.status} if self.status else {}
        document |= {"requestId": secrecy.text(self.request_id)} if self.request_id else {}
        return document | {
            name: _shown(body, secrecy) for name, body in (("sent", self.sent), ("seen", self.seen)) if body is not None
        }


class Witness(Protocol):
    """Takes note of an exchange."""

    def __call__(self, exchange: Exchange) -> None: ...


class Tape:
    """The exchanges of one step: the first ones and the last ones of many, repetitions counted."""

    def __init__(self) -> None:
        self._kept: list[Exchange] = []

    def take(self, exchange: Exchange) -> None:
        if self._kept and self._kept[-1].is_like(exchange):
            self._kept[-1] = replace(exchange, times=self._kept[-1].times + 1)
            return
        if len(self._kept) == _MOST_KEPT:
            del self._kept[_MOST_KEPT // 2]
        self._kept.append(exchange)

    @property
    def last_request_id(self) -> str:
        """The id of the last request that had one; empty when none had."""
        return next((item.request_id for item in reversed(self._kept) if item.request_id), "")

    def as_json(self, secrecy: Secrecy) -> list[dict[str, Any]]:
        return [item.as_json(secrecy) for item in list(self._kept)]


class ObservedControl(EvolutionControl):
    """The control plane of the fake provider, with a witness to what it tells of messages, deliveries and calls."""

    def __init__(self, url: str, token: str, *, witness: Witness) -> None:
        super().__init__(url, token)
        self._witness = witness

    def ledger(self, **question: Any) -> list[dict[str, Any]]:
        return self._told("ledger", "what WhatsApp really got", question, super().ledger(**question))

    def deliveries(self, **question: Any) -> list[dict[str, Any]]:
        return self._told("delivery", "events delivered to the backend", question, super().deliveries(**question))

    def requests(self, **question: Any) -> list[dict[str, Any]]:
        return self._told("call", "requests that the provider received", question, super().requests(**question))

    def _told(self, kind: str, what: str, question: Mapping[str, Any], entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked = {name: value for name, value in question.items() if value is not None}
        self._witness(Exchange(kind=kind, what=what, sent=asked, seen=entries))
        return entries


def _shown(body: Any, secrecy: Secrecy) -> str:
    masked = secrecy.value(body)
    text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False, default=str)
    # The secret of a unit's webhook is a part of its address, and known to nobody until the provider is asked for it.
    text = _WEBHOOK.sub(rf"\1{MASK}", text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
