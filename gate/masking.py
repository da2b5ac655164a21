"""Keeps secrets and phone numbers out of everything that is written: journals, reports, errors.

Two nets: values that are known to be secret, and shapes that look like one. A phone keeps its last four digits (`****9999`),
a secret nothing (`[MASKED]`).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MASK", "Masker"]

MASK = "[MASKED]"
_SHORTEST_SECRET = 6

_SECRET_KEY = re.compile(r"pass(word|wd)?$|secret|token|api_?key|authorization|private_?key|credential", re.IGNORECASE)
# Every repetition is bounded: a long text without a secret must not cost the square of its length.
_SHAPES = (
    # A JSON Web Token; a value behind Bearer or Basic; a password in a URL; `name=value` of a name that says it is secret.
    (re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), MASK),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/@]{0,200}:)[^\s@/]+@", re.IGNORECASE), rf"\1{MASK}@"),
    (
        re.compile(
            r"((?:password|passwd|secret|token|api_?key)[\w-]{0,40}[\"']?\s{0,5}[:=]\s{0,5}[\"']?)(?!\[MASKED\])[^\s\"',;&]{6,}",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)
# 10 to 15 digits by themselves (E.164 without punctuation); not a part of a UUID, a digest or a decimal number.
_PHONE = re.compile(r"(?<![A-Za-z0-9_])(?<!-[0-9A-Fa-f]{4}-)(?<!\d\.)\+?\d{6,11}(\d{4})(?![A-Za-z0-9_]|\.\d)")


class Masker:
    """Masks texts and JSON-like values. `secrets` are values that must never appear, whatever their shape.

    Safe to use from several threads.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        # Longest first: one secret may be the beginning of another.
        self._secrets: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Masks these too from now on. Values shorter than six characters are not taken: they would blot out ordinary text."""
        with self._lock:
            known = {*self._secrets, *(value for value in secrets if len(value) >= _SHORTEST_SECRET and value not in MASK)}
            self._secrets = tuple(sorted(known, key=lambda value: (-len(value), value)))

    def text(self, text: str) -> str:
        # One search for each: a pattern of them all is compiled anew with every secret that is learned, and slower than that.
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        for pattern, replacement in _SHAPES:
            text = pattern.sub(replacement, text)
        return _PHONE.sub(r"****\1", text)

    def value(self, value: Any) -> Any:
        """The same value with every text in it masked, and every value under a secret's key replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                str(key): MASK if isinstance(item, str) and item and _SECRET_KEY.search(str(key)) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return value
