"""Phone numbers as WhatsApp wants them: digits, with the country, no plus."""

from __future__ import annotations

import re

__all__ = ["PhoneError", "is_customer_jid", "jid_digits", "normalise_phone", "phone_variants"]

_FORMATTING = re.compile(r"[ ().\-\u2010-\u2015\u00a0]")
_DIGITS = re.compile(r"[0-9]+")
# E.164 allows fifteen digits; seven is the shortest national plan with its country code.
_SHORTEST, _LONGEST = 8, 15
# Hidden ids are longer than phones, yet no number of thirty digits is either; a device may follow.
_CUSTOMER = re.compile(r"[0-9]{1,30}(?::[0-9]{1,5})?@(?:s\.whatsapp\.net|c\.us|lid)")


class PhoneError(ValueError):
    """The text is no phone number that a message may be sent to."""


def normalise_phone(text: str) -> str:
    """Digits with the country code.

    A number written without `+` or `00` that has the shape of a Brazilian one (area code and eight digits, or area code and nine
    digits of which the first is 9) gets 55; anything else is taken as international already, because a country is never guessed.
    `normalise_phone("+" + digits)` gives `digits` back for every result. Raises PhoneError for letters, foreign numerals, JIDs
    and lengths outside 8..15.
    """
    compact = _FORMATTING.sub("", text.strip())
    international = compact.startswith(("+", "00"))
    digits = compact.removeprefix("+").removeprefix("00") if international else compact
    if not _DIGITS.fullmatch(digits) or digits.startswith("0"):
        raise PhoneError("a phone number is digits with country and area code, for example +55 11 98888-7777")
    if not international and _is_brazilian_national(digits):
        digits = "55" + digits
    if not _SHORTEST <= len(digits) <= _LONGEST or (not international and len(digits) < 10):
        raise PhoneError("a phone number has 8 to 15 digits with country and area code")
    return digits


def _is_brazilian_national(digits: str) -> bool:
    area_code_possible = len(digits) >= 2 and "0" not in digits[:2]
    return area_code_possible and (len(digits) == 10 or (len(digits) == 11 and digits[2] == "9"))


def phone_variants(digits: str) -> tuple[str, ...]:
    """The number first, then its other Brazilian form, with or without the ninth digit: WhatsApp may answer with either."""
    if digits.startswith("55") and len(digits) == 13 and digits[4] == "9":
        return digits, digits[:4] + digits[5:]
    if digits.startswith("55") and len(digits) == 12 and digits[4] in "6789":
        return digits, f"{digits[:4]}9{digits[4:]}"
    return (digits,)


def jid_digits(jid: str) -> str:
    """The number in `5511988887777:12@s.whatsapp.net`, without device and domain."""
    return jid.partition("@")[0].partition(":")[0]


def is_customer_jid(jid: str) -> bool:
    """One person, by phone or by hidden id; not a group, broadcast list, status or channel."""
    return _CUSTOMER.fullmatch(jid) is not None
