"""Ids, tokens and QR contents: the same seed and the same calls give the same values, however deliveries interleave."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Identity", "RowId"]

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_TO_BASE36 = bytes(ord(_BASE36[byte % 36]) for byte in range(256))
# Key ids are drawn so many at a time: drawing one alone would cost more than the rest of its message.
_BLOCK = 64
_PAIRING = "123456789ABCDEFGHJKLMNPQRSTVWXYZ"


class RowId(msgspec.Struct, frozen=True, gc=False):
    """An id that is given out now and written when somebody reads it: most rows of a run under load are never read."""

    identity: Identity
    table: str
    owner: str
    number: int

    def __str__(self) -> str:
        return self.identity.row_at(self)


class Identity:
    """Draws from one stream for each purpose and owner, so that what happens to one instance never shifts another's values."""

    def __init__(self, seed: int | None = None) -> None:
        self._key = b""
        self._drawn: Counter[tuple[str, str]] = Counter()
        self._begun: dict[tuple[str, str], Any] = {}
        self._block: dict[str, tuple[int, bytes]] = {}
        self.sow(seed)

    def sow(self, seed: int | None) -> None:
        """Begins all streams anew; without a seed at a place that nobody knows."""
        self._key = secrets.token_bytes(16) if seed is None else str(seed).encode()
        self._drawn.clear()
        self._begun.clear()
        self._block.clear()

    def position(self) -> dict[str, Any]:
        """Where the streams are, for a snapshot: `key` in hexadecimal, `drawn` as [purpose, owner, how many]."""
        return {"key": self._key.hex(), "drawn": [[*stream, count] for stream, count in self._drawn.items()]}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Takes up the streams at a `position`. Raises KeyError, TypeError or ValueError for what is none."""
        key = bytes.fromhex(position["key"])
        drawn = Counter({(str(purpose), str(owner)): int(count) for purpose, owner, count in position["drawn"]})
        self._key, self._drawn = key, drawn
        self._begun.clear()
        self._block.clear()

    def draw(self, purpose: str, owner: str, size: int = 32) -> bytes:
        """`size` bytes, the next of this purpose and owner."""
        stream = purpose, owner
        self._drawn[stream] = number = self._drawn[stream] + 1
        return self._value(stream, number, size)

    def _value(self, stream: tuple[str, str], number: int, size: int) -> bytes:
        begun = self._begun.get(stream)
        if begun is None:
            begun = self._begun[stream] = hashlib.shake_256(self._key + "\0{}\0{}\0".format(*stream).encode())
        drawing = begun.copy()
        drawing.update(b"%d" % number)
        drawn: bytes = drawing.digest(size)
        return drawn

    def unit(self, purpose: str, owner: str) -> float:
        """A float in [0, 1)."""
        return int.from_bytes(self.draw(purpose, owner, 6), "big") / 2**48

    def uuid(self, purpose: str, owner: str) -> str:
        return str(uuid.UUID(bytes=self.draw(purpose, owner, 16), version=4))

    def token(self, owner: str) -> str:
        return self.uuid("token", owner).upper()

    def row(self, table: str, owner: str) -> str:
        """Looks like the database's cuid: `c` and 24 characters of base 36."""
        return str(self.later_row(table, owner))

    def later_row(self, table: str, owner: str) -> RowId:
        """As `row`, whose id it takes."""
        stream = f"row:{table}", owner
        self._drawn[stream] = number = self._drawn[stream] + 1
        return RowId(self, table, owner, number)

    def row_at(self, row: RowId) -> str:
        return "c" + self._value((f"row:{row.table}", row.owner), row.number, 24).translate(_TO_BASE36).decode()

    def message(self, owner: str) -> str:
        """A key id of the server's own messages: `3EB0` and 18 hexadecimal digits."""
        stream = "message", owner
        self._drawn[stream] = number = self._drawn[stream] + 1
        block, place = divmod(number, _BLOCK)
        held = self._block.get(owner)
        if held is None or held[0] != block:
            held = self._block[owner] = block, self._value(stream, block, 9 * _BLOCK)
        return "3EB0" + held[1][9 * place : 9 * place + 9].hex().upper()

    def incoming(self, owner: str) -> str:
        """A key id as a telephone makes it: `3A` and 18 hexadecimal digits."""
        return "3A" + self.draw("incoming", owner, 9).hex().upper()

    def pairing_code(self, owner: str) -> str:
        return "".join(_PAIRING[byte % len(_PAIRING)] for byte in self.draw("pairing-code", owner, 8))

    def qr_reference(self, owner: str) -> str:
        """The part of a QR code that changes every time."""
        return "2@" + base64.b64encode(self.draw("qr-reference", owner, 88)).decode()

    def qr_keys(self, owner: str) -> str:
        """The three keys of a QR code, which stay as long as the instance's credentials do."""
        return ",".join(base64.b64encode(self.draw("qr-keys", owner, 32)).decode() for _ in range(3))
