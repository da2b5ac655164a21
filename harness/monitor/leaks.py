"""Finds secrets and phone numbers that stand unmasked in a line of a log. Says which rule was broken, never what it found.

Two nets: values that are known to be secret, and shapes. A shape must not match what a healthy log is full of: UUIDs, digests,
request ids and times.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

__all__ = ["LeakDetector"]

_SHORTEST_SECRET = 6
_MASKED = re.compile(r"\[MASKED\]|%5BMASKED%5D|\*{3,}", re.IGNORECASE)
_SECRET_KEY = re.compile(r"pass(word|wd)?$|secret|token$|api_?key|authorization|private_?key|credential|cookie", re.IGNORECASE)
_PHONE_KEY = re.compile(r"(^|_)(phone|number|msisdn|jid|remote_?jid|sender|recipient)(_|$)", re.IGNORECASE)
_DIGITS = re.compile(r"\+?\d{8,15}")
_RULES = (
    ("a JSON Web Token", re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    ("credentials of an Authorization header", re.compile(r"\b(?:Bearer|Basic)\s+(?!\[MASKED\])[\w.~+/=-]{8,}", re.IGNORECASE)),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:(?!\[MASKED\]|\*{3})[^\s@/]+@", re.IGNORECASE)),
    (
        "the secret of a webhook URL",
        re.compile(r"/webhooks/whatsapp/[\w-]+/(?!\[MASKED\]|%5BMASKED%5D|\*{3}|[{<:])[^\s\"'/?#]{6,}"),
    ),
    ("a QR code", re.compile(r"data:image/png;base64,[\w+/]{40,}")),
    (
        "a value of a name that says it is secret",
        re.compile(r"\b[\w-]*(?:password|passwd|secret|api_?key|token)\s*=\s*(?!\[MASKED\]|\*{3})[^\s\"',;&]{6,}", re.IGNORECASE),
    ),
    ("a WhatsApp address", re.compile(r"(?<!\d)\d{8,15}@(?:s\.whatsapp\.net|c\.us)")),
    ("a phone number", re.compile(r"(?<![\w.+-])(?:\+\d{10,15}|55[1-9][1-9]9?\d{8})(?![\w.-]|\.\d)")),
)


class LeakDetector:
    """`secrets` and `phones` are values that must never appear, whatever their surroundings."""

    def __init__(self, *, secrets: Iterable[str] = (), phones: Iterable[str] = ()) -> None:
        known = {form for value in secrets if len(value) >= _SHORTEST_SECRET for form in (value, quote(value, safe=""))}
        numbers = {form for phone in phones for form in _forms(re.sub(r"\D", "", phone))}
        self._secrets = re.compile("|".join(map(re.escape, sorted(known, key=len, reverse=True)))) if known else None
        self._phones = re.compile("|".join(f"(?<!\\d){number}(?!\\d)" for number in sorted(numbers))) if numbers else None

    def find(self, line: str) -> list[str]:
        """The rules that a line of a log breaks, each once; empty for a clean line."""
        found = list(dict.fromkeys(self._in_text(line)))
        try:
            record = json.loads(line)
        except ValueError:
            return found
        return list(dict.fromkeys([*found, *self._in_record(record)]))

    def _in_text(self, text: str) -> Iterator[str]:
        if self._secrets is not None and self._secrets.search(text):
            yield "a known secret"
        if self._phones is not None and self._phones.search(text):
            yield "a known phone number"
        for rule, shape in _RULES:
            if shape.search(text):
                yield rule

    def _in_record(self, value: Any, key: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for name, item in value.items():
                yield from self._in_record(item, str(name))
        elif isinstance(value, list):
            for item in value:
                yield from self._in_record(item, key)
        elif isinstance(value, str):
            if _SECRET_KEY.search(key) and len(value) >= _SHORTEST_SECRET and not _MASKED.search(value):
                yield f"a value under the key {key!r}"
            if _PHONE_KEY.search(key) and _DIGITS.fullmatch(value):
                yield f"a phone number under the key {key!r}"
            # Escapes of JSON may hide from a look at the raw line what stands in its texts.
            yield from self._in_text(value)
        elif isinstance(value, int) and not isinstance(value, bool) and _PHONE_KEY.search(key) and _DIGITS.fullmatch(str(value)):
            yield f"a phone number under the key {key!r}"


def _forms(digits: str) -> set[str]:
    # A Brazilian mobile number is also known without its ninth digit, and both without the country.
    forms = {digits} if len(digits) >= 8 else set()
    if digits.startswith("55") and len(digits) == 13:
        forms |= {digits[:4] + digits[5:], digits[2:]}
    if digits.startswith("55") and len(digits) == 12:
        forms |= {digits[:4] + "9" + digits[4:], digits[2:]}
    return forms
