"""What was expected and what was seen instead, in one sentence that a person can act on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.errors import NotInTimeError
from harness.target import Pace

__all__ = ["Eventually", "Mismatch", "becomes", "same"]

S = TypeVar("S")

_LONGEST = 300


class Mismatch(AssertionError):
    """The backend did something else than the contract says. `request_id` is that of the answer that showed it."""

    def __init__(self, what: str, *, expected: object, seen: object, request_id: str = "") -> None:
        super().__init__(
            f"{what}: expected {_shown(expected)}, saw {_shown(seen)}" + (f" (request {request_id})" if request_id else "")
        )


def same(what: str, *, expected: object, seen: object, request_id: str = "") -> None:
    """Raises Mismatch unless the two are equal."""
    if expected != seen:
        raise Mismatch(what, expected=expected, seen=seen, request_id=request_id)


def becomes(
    pace: Pace,
    look: Callable[[], S],
    accept: Callable[[S], bool],
    *,
    within_s: float,
    what: str,
    expected: object,
) -> S:
    """What `look` shows as soon as `accept` takes it; Mismatch with the last thing seen after `within_s` s of the target."""
    seen: list[S] = []

    def look_again() -> bool:
        seen[:] = [look()]
        return accept(seen[0])

    try:
        pace.eventually(look_again, within_s=within_s, what=what)
    except NotInTimeError:
        raise Mismatch(what, expected=f"{_shown(expected)} within {within_s:g} s", seen=seen[0]) from None
    return seen[0]


class Eventually:
    """Waits on the target's clock until what is looked at is as it should be.

    eventually(lambda: unit.status().value("status"), "connected", within_s=5, what="status of the unit")
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def __call__(self, look: Callable[[], S], expected: S | Callable[[S], bool], *, within_s: float, what: str) -> S:
        """What `look` shows as soon as it equals `expected`, or as `expected` says yes to it.

        Raises Mismatch, with the last thing seen, when `within_s` seconds have passed.
        """
        if callable(expected):
            return becomes(self._pace, look, expected, within_s=within_s, what=what, expected="what was awaited")
        return becomes(self._pace, look, lambda seen: bool(seen == expected), within_s=within_s, what=what, expected=expected)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
