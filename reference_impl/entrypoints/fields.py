"""The kinds of text that requests carry."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

__all__ = [
    "CAMEL",
    "ClientMessageId",
    "ContactName",
    "Cursor",
    "Email",
    "Identity",
    "Limit",
    "Moment",
    "Name",
    "Printable",
    "Text",
]

CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=False, str_strip_whitespace=False, extra="ignore", strict=False)


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a NUL")
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds control characters")
    return text


def _one_line(text: str) -> str:
    # Joiners of emoji and marks of direction are part of names; line breaks, escapes and NUL are not.
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise ValueError("holds control characters")
    return text


def _text_only(value: Any) -> Any:
    # pydantic would take a number for a time and bytes for an id; on the wire both are text.
    return value if isinstance(value, str) else None


def _written_time(value: Any) -> Any:
    # pydantic takes digits for seconds or milliseconds since 1970 also when they are a text.
    return value if isinstance(value, str) and value[4:5] == "-" else None


Printable = AfterValidator(_printable)
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_one_line)]
# Customers choose theirs in WhatsApp, and whoever imports contacts brings what he has.
ContactName = Annotated[str, StringConstraints(min_length=1, max_length=16_384), AfterValidator(_one_line)]
# Longer ones than the rules of messages allow are refused there, in the words of the rule.
Text = Annotated[str, StringConstraints(max_length=200_000), AfterValidator(_storable)]
Email = Annotated[str, StringConstraints(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+$"), AfterValidator(_printable)]
ClientMessageId = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_printable)]
Identity = Annotated[UUID, BeforeValidator(_text_only)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written_time)]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=200)]
