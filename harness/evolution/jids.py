"""WhatsApp addresses: how the server turns what a client sends as `number` into a jid (`createJid` of release 2.3.7)."""

from __future__ import annotations

import re

__all__ = ["digits_of", "is_broadcast", "is_group", "is_lid", "number_to_jid", "other_brazilian_form", "same_subscriber"]

_THIRTEEN = re.compile(r"(\d{2})(\d{2})\d(\d{8})")


def number_to_jid(number: str) -> str:
    """Never guesses a country, drops the ninth digit where Brazil's south and north do, and passes garbage on."""
    number = re.sub(r":\d+", "", number)
    if any(mark in number for mark in ("@g.us", "@s.whatsapp.net", "@lid", "@broadcast")):
        return number
    local = re.sub(r"[\s+()]", "", number).split(":")[0].split("@")[0]
    if "-" in local and len(local) >= 24:
        return re.sub(r"[^\d-]", "", local) + "@g.us"
    digits = re.sub(r"\D", "", local)
    if len(digits) >= 18:
        return f"{digits}@g.us"
    return f"{_brazil(_mexico_or_argentina(digits))}@s.whatsapp.net"


def _mexico_or_argentina(digits: str) -> str:
    found = _THIRTEEN.fullmatch(digits)
    return digits[:2] + digits[3:] if found and found[1] in {"52", "54"} else digits


def _brazil(digits: str) -> str:
    found = _THIRTEEN.fullmatch(digits)
    if found is None or found[1] != "55" or int(found[3][0]) < 7 or int(found[2]) < 31:
        return digits
    return found[1] + found[2] + found[3]


def other_brazilian_form(jid: str) -> str | None:
    """The same Brazilian telephone with the ninth digit added or taken away; None for any other jid."""
    digits, _, server = jid.partition("@")
    if server != "s.whatsapp.net" or not digits.startswith("55"):
        return None
    if len(digits) == 13:
        return f"{digits[:4]}{digits[5:]}@{server}"
    return f"{digits[:4]}9{digits[4:]}@{server}" if len(digits) == 12 else None


def digits_of(jid: str) -> str:
    """The digits before the `@`, without the device."""
    return re.sub(r"\D", "", jid.partition("@")[0].partition(":")[0])


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
