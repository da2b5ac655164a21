"""Makes texts of the world under test harmless where they are shown: one line, nothing that steers a terminal or a CI's log."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["as_json", "printable", "shortened"]

# What a CI takes for an order to itself: `::error::` at the start of a line, `##[group]` and `##vso[…]` anywhere in one.
_ORDER_AT_START = re.compile(r"^(\s*):(?=:)")
_ORDER_ANYWHERE = re.compile(r"##(?=\w*\[)")


def printable(text: str) -> str:
    """The text in one line, with what would steer a terminal or a CI's log shown as an escape."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode()
        for character in " ".join(text.splitlines())
    )
    return _ORDER_ANYWHERE.sub(r"#\\x23", _ORDER_AT_START.sub(r"\1\\x3a", line))


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters; says how many were cut."""
    if len(text) <= limit:
        return text
    note = f" … ({len(text) - limit + 40} characters cut)"
    return text[: limit - len(note)] + note


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII: the same in whatever encoding it is read, lone surrogates survive, and no CI takes it for an order."""
    # A number sign stands only in strings, where it may be written in either way.
    return json.dumps(value, indent=indent, allow_nan=False).replace("##", "#\\u0023")
