"""Where a fault can strike, and the injections that are switched on.

A fault is one file below `faults/`: a function whose first parameter names the seam it strikes at and whose other parameters
are its options with their defaults; it returns False when it let the moment pass. An injection is a fault switched on with a
scope, a count and a probability.
"""

from __future__ import annotations

import difflib
import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import Any

from gate.registry import Item, Kind, registry
from harness.evolution.errors import ApiError, ControlError
from harness.evolution.identity import Identity
from harness.evolution.jids import same_subscriber

__all__ = [
    "Acknowledging",
    "Arrival",
    "Checking",
    "Creating",
    "Cut",
    "Deleting",
    "Emission",
    "Incoming",
    "Injection",
    "Injector",
    "Memory",
    "Opened",
    "QrCode",
    "Reconnecting",
    "Seam",
    "Sending",
    "Sent",
    "Socket",
    "Starting",
    "known_faults",
    "refusal",
]


class Cut(Exception):
    """The connection ends here: `reset` with RST and no answer, otherwise an answer that breaks off."""

    def __init__(self, *, reset: bool = True) -> None:
        super().__init__("the connection is cut")
        self.reset = reset


@dataclass(slots=True, kw_only=True)
class Seam:
    """A moment at which a fault can strike. What a seam does not know is None and matches no scope that asks for it."""

    instance: str | None = None
    number: str | None = None
    route: str | None = None
    event: str | None = None


@dataclass(slots=True, kw_only=True)
class Arrival(Seam):
    """A request has arrived, nothing has been looked at. `hold`: seconds to keep it open before going on."""

    method: str = ""
    path: str = ""
    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Sending(Seam):
    """A message is valid and about to go to WhatsApp. `hold`: seconds before it goes."""

    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Sent(Seam):
    """WhatsApp has the message, the client has no answer yet.

    `hold`: seconds to keep the client waiting; `close`: a code WhatsApp closes with; `echo`: the message also comes in.
    """

    key_id: str = ""
    hold: float = 0.0
    close: int | None = None
    echo: bool = False


@dataclass(slots=True, kw_only=True)
class Checking(Seam):
    """WhatsApp is about to be asked which of `numbers` numbers exist.

    `hold`: seconds its answer takes; `close`: a code it closes with afterwards; `other_form`: it knows Brazilian numbers by the
    other form.
    """

    numbers: int = 1
    hold: float = 0.0
    close: int | None = None
    other_form: bool = False


@dataclass(slots=True, kw_only=True)
class Acknowledging(Seam):
    """A message was sent; `plan` holds what WhatsApp will acknowledge: (seconds after the send, status)."""

    plan: list[tuple[float, str]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Emission(Seam):
    """An event is about to be delivered. `copies` holds the seconds to wait before each delivery: [0.0] is once, [] is never.

    `noise` is a number in [0, 1) to choose by.
    """

    data: Any = None
    noise: float = 0.0
    copies: list[float] = field(default_factory=lambda: [0.0])


@dataclass(slots=True, kw_only=True)
class Incoming(Seam):
    """A message has come from WhatsApp. `message` is the socket library's; `lost` means the server never tells anyone."""

    message: dict[str, Any] = field(default_factory=dict)
    lost: bool = False
    media: bool = True
    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Socket(Seam):
    """Something is about to use the socket. `dead`: it has silently gone."""

    dead: bool = False


@dataclass(slots=True, kw_only=True)
class Starting(Seam):
    """A socket has been started. `lives`: seconds after which it fails and the next one starts; None for as long as it should."""

    lives: float | None = None


@dataclass(slots=True, kw_only=True)
class Reconnecting(Seam):
    """The connection has dropped and will come back by itself. `hold`: additional seconds in which its state is close."""

    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class QrCode(Seam):
    """WhatsApp is about to hand out a QR code. `withheld`: it does not."""

    withheld: bool = False


@dataclass(slots=True, kw_only=True)
class Opened(Seam):
    """A connection has just opened. `close`: the code it closes with after `seconds`; `history`, `backlog`: what comes at once.

    `now` is the wall clock in whole seconds.
    """

    close: int | None = None
    seconds: float = 0.0
    message: str = ""
    now: int = 0
    history: Mapping[str, Any] | None = None
    backlog: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Memory(Seam):
    """The instance is looked up in memory. `missing`: only the database knows it."""

    missing: bool = False


@dataclass(slots=True, kw_only=True)
class Creating(Seam):
    """A name was found free and its row is about to be written. `hold`: seconds between the two."""

    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Deleting(Seam):
    """A delete was answered with success. `kept`: the instance stays nevertheless."""

    kept: bool = False


@dataclass(slots=True, kw_only=True)
class Injection:
    """A fault that is switched on. `left` None means until it is withdrawn."""

    id: int
    item: Item
    seam: type[Seam]
    options: dict[str, Any]
    scope: dict[str, str]
    left: int | None
    probability: float
    fired: int = 0

    def admits(self, seam: Seam) -> bool:
        if self.left == 0 or type(seam) is not self.seam:
            return False
        return all(_in_scope(name, wanted, getattr(seam, name)) for name, wanted in self.scope.items())

    def count(self) -> None:
        """It has struck once more."""
        self.fired += 1
        if self.left is not None:
            self.left -= 1

    def describe(self) -> dict[str, Any]:
        """For the control plane."""
        return {
            "id": self.id,
            "fault": self.item.id,
            **self.scope,
            "left": self.left,
            "probability": self.probability,
            "options": self.options,
            "fired": self.fired,
        }


def _in_scope(name: str, wanted: str, actual: str | None) -> bool:
    if actual is None:
        return False
    if name == "number":
        return same_subscriber(wanted, actual)
    if name == "route":
        wanted = wanted.strip("/")
        return actual == wanted or actual.endswith(f"/{wanted}") or (wanted.endswith("*") and actual.startswith(wanted[:-1]))
    return actual == wanted


_SCOPE = ("instance", "number", "route", "event")


def known_faults() -> list[Item]:
    """Every fault there is, found by walking `faults/`."""
    return list(registry(Kind.FAULT).load("harness.evolution.faults"))


class Injector:
    """The injections of one fake, struck in the order in which they were switched on."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._injections: list[Injection] = []
        self._number = 0

    def inject(self, wish: Mapping[str, Any]) -> Injection:
        """Switches a fault on: `fault`, optionally instance, number, route, event, count, probability, and the fault's options.

        Raises ControlError with one line for a name, an option or a value that cannot be.
        """
        rest = dict(wish)
        item = _item(rest.pop("fault", None))
        count, probability = rest.pop("count", None), rest.pop("probability", 1.0)
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise ControlError(f"fault {item.id}: count must be a whole number from 1, not {count!r}")
        if not isinstance(probability, int | float) or isinstance(probability, bool) or not 0 < probability <= 1:
            raise ControlError(f"fault {item.id}: probability must be above 0 and at most 1, not {probability!r}")
        seam, defaults = _signature(item)
        scope = {name: str(item.options[name]) for name in _SCOPE if name in item.options}
        scope |= {name: str(value) for name in _SCOPE if (value := rest.pop(name, None)) is not None}
        if "instance" in scope and scope["instance"] == "*":
            del scope["instance"]
        strangers = sorted(rest.keys() - defaults.keys())
        if strangers:
            known = ", ".join(("instance", "number", "route", "event", "count", "probability", *defaults))
            raise ControlError(f"fault {item.id} has no option {strangers[0]!r}; it takes {known}")
        options = {name: _converted(item, name, rest.get(name, default), default) for name, default in defaults.items()}
        self._number += 1
        injection = Injection(
            id=self._number,
            item=item,
            seam=seam,
            options=options,
            scope=scope,
            left=count,
            probability=float(probability),
        )
        self._injections.append(injection)
        return injection

    def strike(self, seam: Seam) -> None:
        """Lets every injection that admits this seam act on it. Raises what a fault raises: ApiError or Cut."""
        for injection in self._injections:
            if not injection.admits(seam):
                continue
            if injection.probability < 1 and self._identity.unit("fault", str(injection.id)) >= injection.probability:
                continue
            try:
                acted = injection.item(seam, **injection.options) is not False
            except (ApiError, Cut):
                injection.count()
                raise
            if acted:
                injection.count()

    def withdraw(self, *, number: int | None = None, fault: str | None = None) -> int:
        """Switches off one injection, all of a fault, or all; how many."""
        kept = [
            injection
            for injection in self._injections
            if (number is not None and injection.id != number) or (fault is not None and injection.item.id != fault)
        ]
        gone = len(self._injections) - len(kept)
        self._injections = kept
        return gone

    def __iter__(self) -> typing.Iterator[Injection]:
        return iter(list(self._injections))


def _item(name: Any) -> Item:
    known = {item.id: item for item in known_faults()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(str(name), known, n=1)
    raise ControlError(
        f"there is no fault {name!r}" + (f", did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}")
    )


def _signature(item: Item) -> tuple[type[Seam], dict[str, Any]]:
    """The seam a fault strikes at and its options with their defaults. Raises TypeError for a fault that is not well formed."""
    first, *options = inspect.signature(item.function).parameters.values()
    seam = typing.get_type_hints(item.function)[first.name]
    if not (isinstance(seam, type) and issubclass(seam, Seam)):
        raise TypeError(f"{item.module}: the first parameter of a fault is a seam, not {seam}")
    taken = {part.name for part in fields(Seam)}
    defaults = {option.name: option.default for option in options}
    if inspect.Parameter.empty in defaults.values() or taken & defaults.keys():
        raise TypeError(f"{item.module}: every option of a fault has a default and a name of its own")
    return seam, defaults


def _converted(item: Item, name: str, value: Any, default: Any) -> Any:
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise ControlError(f"fault {item.id}: {name} must be {type(default).__name__}, not {type(value).__name__}")
    return value


def refusal(status: int, message: str) -> ApiError:
    """An error in the server's usual envelope, for faults that answer instead of it; only 400 wraps its text in an array."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    said: Any = [message] if status == 400 else message
    return ApiError(status, {"status": status, "error": phrase, "response": {"message": said}})
