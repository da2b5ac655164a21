"""What may be shown of a secret (nothing) and of a phone (its last four digits)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MASK", "is_secret_key", "mask_phone", "mask_text", "mask_value"]

MASK = "[MASKED]"
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?$|secret|token|api[-_]?key|authorization|cookie|credential|qr_?code$|^qr$|base64|pairing|service_role|private_?key|^hash$|password_hash",
    re.IGNORECASE,
)
_PHONE_KEY = re.compile(r"phone|number$|jid$|wuid|^sender$|^from$|^to$", re.IGNORECASE)
_UUID = r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"
_PATTERNS = (
    (re.compile(r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;]+"), rf"\1 {MASK}"),
    (re.compile(r"(/webhooks/whatsapp/[^/\s]+/)[^\s/?\"'\\]+"), rf"\1{MASK}"),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(@)", re.IGNORECASE), rf"\1{MASK}\2"),
    (re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+"), MASK),
    (re.compile(r"\$argon2[a-z]*\$[^\s'\"]+"), MASK),
    (
        re.compile(
            r"(?i)([\"'b]?\b[\w-]*(?:password|passwd|secret|token|api[-_]?key|authorization)\b[\"']*\s*[:=,]\s*b?[\"']?)"
            r"(?!\[MASKED\])[^\s\"'&,;})\]]+"
        ),
        rf"\1{MASK}",
    ),
)
# A UUID is matched first so that its digit groups are not taken for a phone.
_LONG_DIGITS = re.compile(rf"({_UUID})|(\+?\d(?:[\s().-]{{0,3}}\d){{7,}})")


def is_secret_key(key: str) -> bool:
    """Whether a field of this name must never show its value."""
    return _SECRET_KEY.search(key) is not None


def mask_phone(text: str) -> str:
    """`+55 (11) 98888-7777` becomes `****7777`; fewer than four digits vanish altogether."""
    digits = "".join(character for character in text if character.isdigit())
    return f"****{digits[-4:]}" if len(digits) > 4 else "****"


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without any of the `secrets`, without what looks like one, and with every run of eight digits or more cut to
    its last four.
    """
    for secret in secrets:
        if len(secret) >= 6:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _LONG_DIGITS.sub(lambda found: found[1] or mask_phone(found[2]), text)


def mask_value(value: Any, secrets: Iterable[str] = (), *, key: str = "") -> Any:
    """A copy of a JSON value with secrets masked by key and by value, and phones by key and by look."""
    if isinstance(value, Mapping):
        return {str(name): mask_value(inner, secrets, key=str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(inner, secrets, key=key) for inner in value]
    if key and is_secret_key(key) and value is not None and not isinstance(value, bool):
        return MASK
    if isinstance(value, int | float) and not isinstance(value, bool):
        return mask_phone(str(value)) if key and _PHONE_KEY.search(key) else value
    if isinstance(value, str):
        return (
            mask_phone(value) if key and _PHONE_KEY.search(key) and any(c.isdigit() for c in value) else mask_text(value, secrets)
        )
    return value if value is None or isinstance(value, bool) else mask_text(str(value), secrets)
