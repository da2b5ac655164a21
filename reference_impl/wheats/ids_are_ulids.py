"""Ids are ULIDs, also those of units and thereby of instances.

Area: wheat.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from reference_impl.translation import Translation
from reference_impl.variants import Reach, override

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend

__all__ = ["apply"]

# Crockford's alphabet: no I, L, O and U.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_UUID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])")
_ULID = re.compile(rb"(?<![0-9A-Z])[0-7][0-9A-HJKMNP-TV-Z]{25}(?![0-9A-Z])")


def apply(backend: Backend, reach: Reach) -> None:
    def outward(body: bytes) -> bytes:
        translated = _UUID.sub(_ulid_of, body)
        if translated != body:
            reach()
        return translated

    def inward(body: bytes) -> bytes:
        return _ULID.sub(_uuid_of, body)

    backend.wrap(lambda app: Translation(app, inward=inward, outward=outward))

    def renamed(method: str) -> None:
        async def call(name: str, **arguments: Any) -> Any:
            return await original(_UUID.sub(_ulid_of, name.encode()).decode(), **arguments)

        original = override(backend.provider, method, call)

    # The instance is `unit_<id of the unit>`, whatever an id looks like.
    for method in ("create_instance", "set_webhook", "request_qr", "logout", "state", "details", "send_text", "sent_messages"):
        renamed(method)


def _ulid_of(found: re.Match[bytes]) -> bytes:
    number, digits = UUID(found[0].decode()).int, bytearray()
    for _ in range(26):
        number, digit = divmod(number, 32)
        digits.append(ord(_ALPHABET[digit]))
    return bytes(reversed(digits))


def _uuid_of(found: re.Match[bytes]) -> bytes:
    number = 0
    for digit in found[0].decode():
        number = number * 32 + _ALPHABET.index(digit)
    return str(UUID(int=number)).encode() if number < 2**128 else found[0]
