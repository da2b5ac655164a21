"""Questions to the journals: which records are meant, and, when none is, what keeps the nearest ones from being it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gate.masking import Masker
from harness.evolution.errors import ControlError, ExpectationError
from harness.evolution.jids import same_subscriber
from harness.evolution.ledger import Delivery, RequestRecord, Send

__all__ = ["DELIVERIES", "REQUESTS", "SENDS", "Count", "Journal", "Question", "nearest_name"]

_SHOWN_AT_MOST = 3
_LONGEST_SHOWN = 160
_ABSENT = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Criterion:
    """One thing that a record must have. `misses` says what is wrong with a record, nothing when it has it."""

    name: str
    wanted: str
    misses: Callable[[Any], list[str]]


_Builder = Callable[[str, Any], _Criterion]


def nearest_name(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or, when nothing is near, what there is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(names)}" if names else ""


def _shown(value: Any) -> str:
    text = "nothing" if value is None or value is _ABSENT else repr(value) if isinstance(value, str) else _json(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _compared(
    read: Callable[[Any], Any], holds: Callable[[Any, Any], bool], convert: Callable[[str, Any], Any] = lambda _, value: value
) -> _Builder:
    def build(name: str, given: Any) -> _Criterion:
        wanted = convert(name, given)

        def misses(record: Any) -> list[str]:
            actual = read(record)
            return [] if holds(actual, wanted) else [f"{name} was {_shown(actual)}"]

        return _Criterion(name=name, wanted=f"{name} {_shown(given)}", misses=misses)

    return build


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ControlError(f"{name} must be a text, not {value!r}")
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isdigit():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ControlError(f"{name} must be a whole number from 0, not {value!r}")
    return value


def _flag(name: str, value: Any) -> bool:
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ControlError(f"{name} must be true or false, not {value!r}")


def _equal(attribute: str) -> _Builder:
    return _compared(lambda record: getattr(record, attribute), lambda actual, wanted: actual == wanted, _text)


def _prefix(attribute: str) -> _Builder:
    return _compared(lambda record: getattr(record, attribute), lambda actual, wanted: actual.startswith(wanted), _text)


def _subscriber(read: Callable[[Any], Any]) -> _Builder:
    def holds(actual: Any, wanted: str) -> bool:
        return isinstance(actual, str) and (actual == wanted or same_subscriber(actual, wanted))

    return _compared(read, holds, _text)


def _status(name: str, value: Any) -> str:
    text = str(value).lower()
    classes = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
    if isinstance(value, bool) or not (text in classes or (text.isdigit() and len(text) == 3)):
        raise ControlError(f"{name} must be a status such as 201, a class such as 4xx, or none; not {value!r}")
    return text


def _has_status(actual: int | None, wanted: str) -> bool:
    if actual is None:
        return wanted == "none"
    return wanted in {str(actual), f"{actual // 100}xx"}


def _route_of(request: RequestRecord) -> str:
    return "/".join(request.path.strip("/").split("/")[:2])


def _on_route(actual: str, wanted: str) -> bool:
    """`message/sendText`, `sendText` or `message/*`; as Express, without regard to case."""
    here, meant = actual.lower(), wanted.strip("/").lower()
    return here == meant or here.endswith(f"/{meant}") or (meant.endswith("*") and here.startswith(meant[:-1]))


def _moment(direction: int) -> _Builder:
    """From (1) or until (-1) a moment: ISO 8601 with a zone on the wall clock, or a number of seconds on the monotonic one."""

    def build(name: str, given: Any) -> _Criterion:
        seconds = _seconds(given)
        if seconds is not None:
            limit = seconds

            def reading(record: Any) -> float:
                return float(record.monotonic)
        else:
            limit = _instant(name, given)

            def reading(record: Any) -> float:
                # As it is shown, so that a record lies within what was read off it.
                return datetime.fromisoformat(record.time).timestamp()

        def misses(record: Any) -> list[str]:
            return [] if (reading(record) - limit) * direction >= 0 else [f"it was at {record.time}"]

        return _Criterion(name=name, wanted=f"{name} {given}", misses=misses)

    return build


def _seconds(given: Any) -> float | None:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        return None
    return seconds if math.isfinite(seconds) and not isinstance(given, bool) else None


def _instant(name: str, given: Any) -> float:
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ControlError(f"{name} must be ISO 8601 with a zone, or seconds of the clock's `monotonic`; not {given!r}")
    return moment.timestamp()


def _body(decode: Callable[[Any], Any]) -> _Builder:
    """A JSON document that the record's body must contain: objects may have more fields, arrays may not have more items."""

    def build(name: str, given: Any) -> _Criterion:
        wanted = given
        if isinstance(given, str):
            try:
                wanted = msgspec.json.decode(given)
            except msgspec.DecodeError as error:
                raise ControlError(f"{name} must be JSON: {error}") from None
        return _Criterion(
            name=name, wanted=f"{name} {_shown(wanted)}", misses=lambda record: _differences(wanted, decode(record.body), name)
        )

    return build


def _differences(wanted: Any, actual: Any, where: str) -> list[str]:
    if isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return [line for key, part in wanted.items() for line in _differences(part, actual.get(key, _ABSENT), f"{where}.{key}")]
    if isinstance(wanted, list) and isinstance(actual, list) and len(wanted) == len(actual):
        return [
            line
            for index, (part, here) in enumerate(zip(wanted, actual, strict=True))
            for line in _differences(part, here, f"{where}[{index}]")
        ]
    # In Python true is 1; in JSON it is not.
    same = actual is not _ABSENT and wanted == actual and isinstance(wanted, bool) == isinstance(actual, bool)
    return [] if same else [f"{where} was {_shown(actual)}"]


def _number_of(request: RequestRecord) -> Any:
    return request.body.get("number") if isinstance(request.body, Mapping) else None


def _tell_request(request: RequestRecord) -> str:
    return f"{request.method} {request.path} → {request.status or 'no answer'}"


def _tell_delivery(delivery: Delivery) -> str:
    return f"{delivery.event} to {delivery.url}, attempt {delivery.attempt} → {delivery.status or delivery.error}"


def _tell_send(send: Send) -> str:
    return f"{send.messageType} from {send.instance} to {send.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What one journal can be asked, and how one of its records is told."""

    noun: str
    builders: Mapping[str, _Builder]
    tell: Callable[[Any], str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.builders)


REQUESTS = Journal(
    noun="requests",
    builders={
        "method": _compared(lambda record: record.method, lambda actual, wanted: actual == wanted.upper(), _text),
        "path": _prefix("path"),
        "route": _compared(_route_of, _on_route, _text),
        "instance": _equal("instance"),
        "number": _subscriber(_number_of),
        "status": _compared(lambda record: record.status, _has_status, _status),
        "credential": _equal("credential"),
        "body": _body(lambda body: body),
        "since": _moment(1),
        "until": _moment(-1),
    },
    tell=_tell_request,
)
DELIVERIES = Journal(
    noun="deliveries",
    builders={
        "instance": _equal("instance"),
        "event": _equal("event"),
        "url": _prefix("url"),
        "status": _compared(lambda record: record.status, _has_status, _status),
        "attempt": _compared(lambda record: record.attempt, lambda actual, wanted: actual == wanted, _whole),
        "final": _compared(lambda record: record.final, lambda actual, wanted: actual is wanted, _flag),
        "keyId": _equal("keyId"),
        "body": _body(msgspec.json.decode),
        "since": _moment(1),
        "until": _moment(-1),
    },
    tell=_tell_delivery,
)
SENDS = Journal(
    noun="sends",
    builders={
        "instance": _equal("instance"),
        "number": _subscriber(lambda record: record.number),
        "remoteJid": _equal("remoteJid"),
        "text": _equal("text"),
        "messageType": _equal("messageType"),
        "keyId": _equal("keyId"),
        "since": _moment(1),
        "until": _moment(-1),
    },
    tell=_tell_send,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many are expected, both ends included."""

    least: int
    most: float

    @classmethod
    def from_wish(cls, wish: Mapping[str, Any]) -> Count:
        """From `count`, or `atLeast` and `atMost`; without any of them at least one.

        Raises ControlError for a wish that nobody can meet.
        """
        count, least, most = (
            None if wish.get(name) is None else _whole(name, wish[name]) for name in ("count", "atLeast", "atMost")
        )
        if count is not None:
            if least is not None or most is not None:
                raise ControlError("count says it all: give count, or atLeast and atMost")
            return cls(least=count, most=count)
        if least is not None and most is not None and least > most:
            raise ControlError(f"atLeast {least} is more than atMost {most}")
        return cls(least=least if least is not None else 0 if most is not None else 1, most=math.inf if most is None else most)

    def admits(self, number: int) -> bool:
        return self.least <= number <= self.most

    def __str__(self) -> str:
        if self.least == self.most:
            return f"exactly {self.least}"
        if self.most == math.inf:
            return f"at least {self.least}"
        return f"at most {self.most:g}" if self.least == 0 else f"{self.least} to {self.most:g}"


class Question:
    """Which records of a journal are meant; `wish` maps names of the journal to what they must be. None means anything.

    Raises ControlError for a name that the journal does not know, with the nearest that it does, and for an impossible value.
    """

    def __init__(self, journal: Journal, wish: Mapping[str, Any]) -> None:
        self._journal = journal
        self._criteria: list[_Criterion] = []
        for name, value in wish.items():
            builder = journal.builders.get(name)
            if builder is None:
                raise ControlError(f"{journal.noun} cannot be asked by {name!r}{nearest_name(name, journal.builders)}")
            if value is not None:
                self._criteria.append(builder(name, value))

    def admits(self, record: Any) -> bool:
        return not any(criterion.misses(record) for criterion in self._criteria)

    def refuse(self, count: Count, records: Sequence[tuple[int, Any]], matched: Sequence[tuple[int, Any]]) -> ExpectationError:
        """The error that says what was expected, what was found, and what keeps the nearest records from matching."""
        noun = self._journal.noun
        asked = ", ".join(criterion.wanted for criterion in self._criteria)
        head = f"expected {count} {noun}{' with ' + asked if asked else ''}, found {len(matched)}"
        if len(matched) > count.most:
            surplus = matched[: _SHOWN_AT_MOST + 1]
            rest = f" and {len(matched) - len(surplus)} more" if len(matched) > len(surplus) else ""
            tail = "; ".join(f"#{number} {self._journal.tell(record)}" for number, record in surplus) + rest
        elif not records:
            tail = f"there were no {noun} at all"
        else:
            tail = self._nearest([entry for entry in records if not self.admits(entry[1])])
        return ExpectationError(Masker().text(f"{head}: {tail}"))

    def _nearest(self, others: Sequence[tuple[int, Any]]) -> str:
        if not others:
            return "there are no others"
        judged = [(number, record, [line for one in self._criteria for line in one.misses(record)]) for number, record in others]
        judged.sort(key=lambda entry: (len(entry[2]), -entry[0]))
        shown = [
            f"#{number} {self._journal.tell(record)} ({', '.join(lines)})" for number, record, lines in judged[:_SHOWN_AT_MOST]
        ]
        return f"nearest of {len(others)} others: " + "; ".join(shown)
