"""WhatsApp addresses: how the server turns what a client sends as `number` into a jid (`createJid` of release 2.3.7)."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["digits_of", "is_broadcast", "is_group", "is_lid", "number_to_jid", "other_form", "same_subscriber"]

_THIRTEEN = re.compile(r"([0-9]{2})([0-9]{2})[0-9]([0-9]{8})")
_FORMS = {"55": (4, "9"), "52": (2, "1"), "54": (2, "9")}


@lru_cache(maxsize=65_536)
def number_to_jid(number: str) -> str:
    """Never guesses a country, drops the ninth digit where Brazil's south and north do, and passes garbage on."""
    number = re.sub(r":[0-9]+", "", number, count=1)
    if any(mark in number for mark in ("@g.us", "@s.whatsapp.net", "@lid", "@broadcast")):
        return number
    local = re.sub(r"[\s\ufeff+()]", "", number).split(":")[0].split("@")[0]
    if "-" in local and len(local) >= 24:
        return re.sub(r"[^0-9-]", "", local) + "@g.us"
    digits = re.sub(r"[^0-9]", "", local)
    if len(digits) >= 18:
        return f"{digits}@g.us"
    return f"{_brazil(_mexico_or_argentina(digits))}@s.whatsapp.net"


def _mexico_or_argentina(digits: str) -> str:
    return digits[:2] + digits[3:] if len(digits) == 13 and digits[:2] in {"52", "54"} else digits


def _brazil(digits: str) -> str:
    found = _THIRTEEN.fullmatch(digits)
    if found is None or found[1] != "55" or int(found[3][0]) < 7 or int(found[2]) < 31:
        return digits
    return found[1] + found[2] + found[3]


@lru_cache(maxsize=65_536)
def other_form(jid: str) -> str | None:
    """The same telephone with the extra digit of Brazil, Mexico or Argentina added or taken away; None for any other jid."""
    digits, _, server = jid.partition("@")
    if server != "s.whatsapp.net" or digits[:2] not in _FORMS:
        return None
    place, extra = _FORMS[digits[:2]]
    if len(digits) == 13:
        return f"{digits[:place]}{digits[place + 1 :]}@{server}"
    return f"{digits[:place]}{extra}{digits[place:]}@{server}" if len(digits) == 12 else None


def digits_of(jid: str) -> str:
    """The digits before the `@`, without the device."""
    return re.sub(r"[^0-9]", "", jid.partition("@")[0].partition(":")[0])


def is_group(jid: str) -> bool:
    return jid.endswith("@g.us")


def is_lid(jid: str) -> bool:
    return jid.endswith("@lid")


def is_broadcast(jid: str) -> bool:
    return jid.endswith("@broadcast")


def same_subscriber(one: str, other: str) -> bool:
    """Whether two jids or numbers are one telephone: equal digits, or Brazil's forms with and without the ninth digit."""
    first, second = sorted((digits_of(one), digits_of(other)), key=len)
    if first == second:
        return bool(first)
    return first.startswith("55") and len(first) == 12 and len(second) == 13 and first == second[:4] + second[5:]
