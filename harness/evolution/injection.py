"""Where a fault can strike, and the injections that are switched on.

A fault is one file below `faults/`: a function whose first parameter names the seam it strikes at and whose other parameters
are its options, each with a default and an `Option` that documents it; it returns False when it let the moment pass. An
injection is a fault switched on with a scope, a window of time, a count, a probability and a seed.
"""

from __future__ import annotations

import asyncio
import difflib
import inspect
import math
import typing
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Literal

from gate.registry import Item, Kind, registry
from harness.clock import Clock
from harness.evolution.errors import ApiError, ControlError
from harness.evolution.identity import Identity
from harness.evolution.jids import same_subscriber

__all__ = [
    "Acknowledging",
    "Answering",
    "Arrival",
    "Checking",
    "Creating",
    "Cut",
    "Deleting",
    "Emission",
    "Incoming",
    "Injection",
    "Injector",
    "Listening",
    "Memory",
    "Opened",
    "Option",
    "OptionForm",
    "Pairing",
    "QrCode",
    "Reconnecting",
    "Seam",
    "Sending",
    "Sent",
    "Socket",
    "Starting",
    "Talking",
    "documentation",
    "in_words",
    "known_faults",
    "options_of",
    "refusal",
    "scopes_of",
]


class Cut(Exception):
    """The connection ends here, with RST and without an answer."""

    def __init__(self) -> None:
        super().__init__("the connection is cut")


@dataclass(slots=True, kw_only=True)
class Seam:
    """A moment at which a fault can strike. What a seam does not know is None and matches no scope that asks for it.

    `scopes`: what this kind of moment can know; `by`: the injection that is striking; `now`: the fake's wall clock then.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance",)

    instance: str | None = None
    number: str | None = None
    route: str | None = None
    event: str | None = None
    by: Injection | None = field(default=None, repr=False)
    now: datetime = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Listening(Seam):
    """The server listens on its port.

    `refused`: the port is closed, for so many `seconds`, or with 0 for as long as the injection lasts.
    """

    scopes: ClassVar[tuple[str, ...]] = ()

    refused: bool = False
    seconds: float = 0.0


@dataclass(slots=True, kw_only=True)
class Talking(Seam):
    """A new connection has brought its first bytes. `tls`: they begin a TLS handshake.

    `reply`: bytes to answer with before the connection is closed; None to go on.
    """

    scopes: ClassVar[tuple[str, ...]] = ()

    tls: bool = False
    reply: bytes | None = None


@dataclass(slots=True, kw_only=True)
class Arrival(Seam):
    """A request has arrived, nothing has been looked at.

    `hold`: seconds to keep it open before going on; `held_by`: an injection that keeps it open as long as it lasts; `down`: the
    process ends here and is away for so many seconds; `loading`: seconds in which it then knows no instance.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number", "route")

    method: str = ""
    path: str = ""
    hold: float = 0.0
    held_by: Injection | None = field(default=None, repr=False)
    down: float | None = None
    loading: float = 0.0


@dataclass(slots=True, kw_only=True)
class Answering(Seam):
    """The request has been carried out and its answer is about to be written.

    `body`: other bytes instead of the answer's own; `excess`: how many bytes more (or less) than there are Content-Length
    promises, and `linger`: seconds for which the connection then stays open; `cut_at`: after how many bytes of the whole answer,
    head included, the connection ends, with RST when `reset`; `portion`: bytes of the body written at a time, 0 for all, with
    `pause` seconds between.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number", "route")

    status: int = 200
    head_bytes: int = 0
    body_bytes: int = 0
    body: bytes | None = None
    excess: int = 0
    linger: float = 0.0
    cut_at: int | None = None
    reset: bool = False
    portion: int = 0
    pause: float = 0.0


@dataclass(slots=True, kw_only=True)
class Sending(Seam):
    """A message is valid and about to go to WhatsApp. `hold`: seconds before it goes."""

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number", "route")

    hold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Sent(Seam):
    """WhatsApp has the message, the client has no answer yet.

    `hold`: seconds to keep the client waiting; `close`: a code WhatsApp closes with; `echo`: the message also comes in.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number", "route")

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

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number")

    numbers: int = 1
    hold: float = 0.0
    close: int | None = None
    other_form: bool = False


@dataclass(slots=True, kw_only=True)
class Acknowledging(Seam):
    """A message was sent; `plan` holds what WhatsApp will acknowledge: (seconds after the send, status).

    `acquainted`: it went to a group or to somebody who has written before.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number")

    plan: list[tuple[float, str]] = field(default_factory=list)
    acquainted: bool = False


@dataclass(slots=True, kw_only=True)
class Emission(Seam):
    """An event is about to be delivered. `copies` holds the seconds to wait before each delivery: [0.0] is once, [] is never.

    `noise` is a number in [0, 1) to choose by.
    """

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number", "event")

    data: Any = None
    noise: float = 0.0
    copies: list[float] = field(default_factory=lambda: [0.0])


@dataclass(slots=True, kw_only=True)
class Incoming(Seam):
    """A message has come from WhatsApp. `message` is the socket library's; `lost` means the server never tells anyone."""

    scopes: ClassVar[tuple[str, ...]] = ("instance", "number")

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
class Pairing(Seam):
    """A telephone has scanned the QR code. `refused`: WhatsApp does not let it, and the code stays on show."""

    refused: bool = False


@dataclass(slots=True, kw_only=True)
class Opened(Seam):
    """A connection has just opened.

    `close`: the code it closes with after `seconds`, with this `message`; `history`, `backlog`: what comes at once.
    """

    close: int | None = None
    seconds: float = 0.0
    message: str = ""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What an option of a fault means, in one line, and its `unit`; numbers lie from `least` to `most`, both included."""

    text: str
    unit: str = ""
    least: float = 0
    most: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionForm:
    """An option of a fault as its function declares it; `choices` is empty unless only some texts are allowed."""

    name: str
    kind: type[Any]
    default: Any
    option: Option
    choices: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """For the control plane and the command line."""
        described = {
            "name": self.name,
            "type": self.kind.__name__,
            "default": self.default,
            "unit": self.option.unit,
            "text": self.option.text,
        }
        if self.choices:
            described["choices"] = list(self.choices)
        if self.kind in {int, float}:
            described["least"] = self.option.least
            described["most"] = None if math.isinf(self.option.most) else self.option.most
        return described

    def converted(self, given: Any) -> Any:
        """The value as the fault's function takes it. Raises ValueError with what it must be."""
        whole = isinstance(given, int) and not isinstance(given, bool)
        value: Any = float(given) if self.kind is float and whole else given
        if type(value) is not self.kind:
            raise ValueError(f"{self.name} must be {self.kind.__name__}, not {type(value).__name__}")
        if self.choices and value not in self.choices:
            raise ValueError(
                f"{self.name} must be one of {', '.join(self.choices)}, not {value!r}{_nearest(value, self.choices)}"
            )
        if self.kind in {int, float} and not self.option.least <= value <= self.option.most:
            upwards = "" if math.isinf(self.option.most) else f" to {self.option.most:g}"
            raise ValueError(f"{self.name} must be a number from {self.option.least:g}{upwards}, not {value!r}")
        return value


@dataclass(slots=True, kw_only=True)
class Injection:
    """A fault that is switched on.

    `left`: how often it may still fire, None for no limit; `starts`, `ends`: its window in seconds of the monotonic clock, the
    second excluded, and `window` the same as the control plane shows it; `draws`: where chance comes from; `chance`: its own
    source of it, when it has a seed; `cured`: instances on which it has no effect any more; `over`: set once it is withdrawn.
    """

    id: int
    item: Item
    seam: type[Seam]
    options: dict[str, Any]
    scope: dict[str, str]
    left: int | None
    probability: float
    draws: Callable[[], float]
    seed: int | None = None
    chance: Identity | None = field(default=None, repr=False)
    starts: float = -math.inf
    ends: float = math.inf
    window: dict[str, str] = field(default_factory=dict)
    fired: int = 0
    cured: set[str] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    def admits(self, seam: Seam, moment: float) -> bool:
        """Whether it may strike here, at this moment of the monotonic clock; chance aside."""
        if self.left == 0 or type(seam) is not self.seam or not self.starts <= moment < self.ends:
            return False
        if seam.instance is not None and seam.instance in self.cured:
            return False
        return all(_in_scope(name, wanted, getattr(seam, name)) for name, wanted in self.scope.items())

    def count(self) -> None:
        """It has struck once more."""
        self.fired += 1
        if self.left is not None:
            self.left -= 1

    def state(self, moment: float) -> str:
        """`waiting` for its window, `on`, `spent` (as often as it may), `over` (after its window) or `withdrawn`."""
        if self.over.is_set():
            return "withdrawn"
        if self.left == 0:
            return "spent"
        return "waiting" if moment < self.starts else "on" if moment < self.ends else "over"

    def describe(self, moment: float) -> dict[str, Any]:
        """For the control plane."""
        return {
            "id": self.id,
            "fault": self.item.id,
            **self.scope,
            **self.window,
            "left": self.left,
            "probability": self.probability,
            **({"seed": self.seed} if self.seed is not None else {}),
            "options": self.options,
            "fired": self.fired,
            "state": self.state(moment),
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
_LIMITS = ("count", "probability", "seed", "from", "until")
# Thirty years: a window beyond has no date any more.
_FARTHEST_S = 1e9
# How many injections that were withdrawn before they had fired are remembered for `unfired`.
_REMEMBERED = 1_000


def known_faults() -> list[Item]:
    """Every fault there is, found by walking `faults/`."""
    return list(registry(Kind.FAULT).load("harness.evolution.faults"))


class Injector:
    """The injections of one fake, struck in the order in which they were switched on.

    `on_change` is called, in the caller's thread, whenever one was switched on or off.
    """

    def __init__(self, identity: Identity, clock: Clock, on_change: Callable[[], object] = lambda: None) -> None:
        self._identity = identity
        self._clock = clock
        self._on_change = on_change
        self._injections: list[Injection] = []
        # Whether there is any injection, whatever its state: asked several times a request, hence no property.
        self.switched_on = False
        self._never_fired: deque[Injection] = deque(maxlen=_REMEMBERED)
        self._number = 0

    def inject(self, wish: Mapping[str, Any]) -> Injection:
        """Switches a fault on: `fault`, and optionally

        * instance, number, route, event: where it strikes;
        * count: how often at most; probability: above 0, at most 1; seed: a whole number that makes chance repeat itself;
        * from, until: when, as ISO 8601 on the fake's clock or in seconds from now;
        * the fault's own options.

        Raises ControlError with one line for a name, an option or a value that cannot be.
        """
        rest = {name: value for name, value in wish.items() if value is not None}
        item = _item(rest.pop("fault", None))
        seam, forms = _signature(item)
        strangers = sorted(rest.keys() - forms.keys() - {*_SCOPE, *_LIMITS})
        if strangers:
            takes = (*seam.scopes, *_LIMITS, *forms)
            raise ControlError(
                f"fault {item.id} has no option {strangers[0]!r}{_nearest(strangers[0], takes)}; it takes {', '.join(takes)}"
            )
        try:
            options = {name: form.converted(rest.get(name, form.default)) for name, form in forms.items()}
            starts, ends = _window(rest.get("from"), rest.get("until"), self._clock)
            left, probability, seed = _count(rest.get("count")), _probability(rest.get("probability", 1)), _seed(rest.get("seed"))
            scope = _scope(item, seam, rest)
        except ValueError as error:
            raise ControlError(f"fault {item.id}: {error}") from None
        self._number += 1
        moment = self._clock.monotonic()
        chance = Identity(seed) if seed is not None else None
        injection = Injection(
            id=self._number,
            item=item,
            seam=seam,
            options=options,
            scope=scope,
            left=left,
            probability=probability,
            draws=_draws(chance, "") if chance is not None else _draws(self._identity, str(self._number)),
            seed=seed,
            chance=chance,
            starts=-math.inf if starts is None else moment + starts,
            ends=math.inf if ends is None else moment + ends,
            window={
                name: (self._clock.now() + timedelta(seconds=after)).isoformat(timespec="milliseconds")
                for name, after in (("from", starts), ("until", ends))
                if after is not None
            },
        )
        self._injections.append(injection)
        self.switched_on = True
        self._on_change()
        return injection

    def strike(self, seam: Seam) -> None:
        """Lets every injection that admits this seam act on it. Raises what a fault raises: ApiError or Cut."""
        if not self._injections:
            return
        moment = self._clock.monotonic()
        for injection in self._injections:
            if not injection.admits(seam, moment):
                continue
            if injection.probability < 1 and injection.draws() >= injection.probability:
                continue
            seam.by, seam.now = injection, self._clock.now()
            try:
                acted = injection.item(seam, **injection.options) is not False
            except (ApiError, Cut):
                injection.count()
                raise
            if acted:
                injection.count()

    def next_change(self, seam: type[Seam]) -> float | None:
        """Seconds until an injection at this kind of seam may begin to strike: 0 when one may now, None when none ever will."""
        moment = self._clock.monotonic()
        waits = [
            max(0.0, injection.starts - moment)
            for injection in self._injections
            if injection.seam is seam and injection.left != 0 and moment < injection.ends
        ]
        return min(waits, default=None)

    def cure(self, instance: str) -> None:
        """The instance was restarted or made anew, which ends the faults that say so (`cured_by_restart`) on it."""
        for injection in self._injections:
            if injection.item.options.get("cured_by_restart"):
                injection.cured.add(instance)

    def withdraw(self, *, number: int | None = None, fault: str | None = None) -> int:
        """Switches off one injection, all of a fault, or all; how many."""
        gone = [
            injection
            for injection in self._injections
            if (number is None or injection.id == number) and (fault is None or injection.item.id == fault)
        ]
        for injection in gone:
            self._injections.remove(injection)
            injection.over.set()
            if not injection.fired:
                self._never_fired.append(injection)
        if gone:
            self.switched_on = bool(self._injections)
            self._on_change()
        return len(gone)

    def clear(self, identity: Identity) -> None:
        """As it was at the beginning: everything is withdrawn and forgotten, chance comes from `identity`."""
        self.withdraw()
        self._never_fired.clear()
        self._identity = identity
        self._number = 0

    def position(self) -> dict[str, Any]:
        """What is switched on and how far it has come, in JSON's own types, for a snapshot; windows in seconds from now."""
        moment = self._clock.monotonic()
        rows = [
            {
                "id": one.id,
                "fault": one.item.id,
                "options": one.options,
                "scope": one.scope,
                "left": one.left,
                "probability": one.probability,
                "seed": one.seed,
                "chance": one.chance.position() if one.chance is not None else None,
                "starts": one.starts - moment if one.starts > -math.inf else None,
                "ends": one.ends - moment if one.ends < math.inf else None,
                "window": one.window,
                "fired": one.fired,
                "cured": sorted(one.cured),
            }
            for one in self._injections
        ]
        return {"number": self._number, "injections": rows}

    def go_to(self, position: Mapping[str, Any]) -> None:
        """Switches on what a `position` tells, as far as it had come. Nothing may be switched on before.

        Raises ControlError, KeyError, TypeError or ValueError for what is none.
        """
        moment = self._clock.monotonic()
        for row in position["injections"]:
            # An injection without a seed draws its chance by its number.
            self._number = row["id"] - 1
            wish = {"fault": row["fault"], **row["options"], "probability": row["probability"], "seed": row["seed"]}
            injection = self.inject(wish)
            injection.scope, injection.window = dict(row["scope"]), dict(row["window"])
            injection.left, injection.fired, injection.cured = row["left"], int(row["fired"]), set(row["cured"])
            injection.starts = -math.inf if row["starts"] is None else moment + row["starts"]
            injection.ends = math.inf if row["ends"] is None else moment + row["ends"]
            if injection.chance is not None:
                injection.chance.go_to(row["chance"])
        self._number = int(position["number"])
        # Windows count from the snapshot: only now is it known when they begin.
        self._on_change()

    def unfired(self) -> list[Injection]:
        """Those that have never fired since the beginning, also of those that were withdrawn meanwhile."""
        return [*self._never_fired, *(injection for injection in self._injections if not injection.fired)]

    def describe(self, injections: Iterable[Injection]) -> list[dict[str, Any]]:
        """For the control plane, as of now."""
        moment = self._clock.monotonic()
        return [injection.describe(moment) for injection in injections]

    def __iter__(self) -> typing.Iterator[Injection]:
        return iter(list(self._injections))


def _item(name: Any) -> Item:
    known = {item.id: item for item in known_faults()}
    if name in known:
        return known[name]
    raise ControlError(f"there is no fault {name!r}" + (_nearest(str(name), known) or f"; there are {', '.join(known)}"))


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def options_of(item: Item) -> list[OptionForm]:
    """The options of a fault in the order of its function's parameters."""
    return list(_signature(item)[1].values())


def scopes_of(item: Item) -> tuple[str, ...]:
    """By what a fault can be scoped."""
    return _signature(item)[0].scopes


def documentation(item: Item) -> dict[str, Any]:
    """All that is known of a fault: `id`, `title`, `Why`, `Evidence`, `scopes`, and `options` as `OptionForm` describes them."""
    seam, forms = _signature(item)
    options = [form.describe() for form in forms.values()]
    return {"id": item.id, "title": item.title, **item.paragraphs, "scopes": list(seam.scopes), "options": options}


def in_words(item: Item) -> list[str]:
    """The same for a person, line by line."""
    seam, forms = _signature(item)
    lines = [item.id, f"  {item.title}", f"  Why: {item.paragraphs['Why']}", f"  Evidence: {item.paragraphs['Evidence']}"]
    lines.append(f"  Scope: {', '.join(seam.scopes) or 'none'}")
    for form in forms.values():
        unit = f" {form.option.unit}" if form.option.unit else ""
        choices = f"; one of {', '.join(form.choices)}" if form.choices else ""
        lines.append(f"  Option {form.name} = {form.default}{unit}: {form.option.text}{choices}")
    return lines


def _signature(item: Item) -> tuple[type[Seam], dict[str, OptionForm]]:
    """The seam a fault strikes at and its options. Raises TypeError for a fault that is not well formed."""
    first, *parameters = inspect.signature(item.function).parameters.values()
    hints = typing.get_type_hints(item.function, include_extras=True)
    seam = hints[first.name]
    if not (isinstance(seam, type) and issubclass(seam, Seam)):
        raise TypeError(f"{item.module}: the first parameter of a fault is a seam, not {seam}")
    forms = {}
    for parameter in parameters:
        kind, *notes = typing.get_args(hints[parameter.name]) or (None,)
        documented = [note for note in notes if isinstance(note, Option)]
        if parameter.default is inspect.Parameter.empty or parameter.name in {"fault", *_SCOPE, *_LIMITS} or not documented:
            raise TypeError(f"{item.module}: every option of a fault has a default, an Option and a name of its own")
        choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
        forms[parameter.name] = OptionForm(
            name=parameter.name,
            kind=type(parameter.default),
            default=parameter.default,
            option=documented[0],
            choices=choices,
        )
    return seam, forms


def _scope(item: Item, seam: type[Seam], wish: Mapping[str, Any]) -> dict[str, str]:
    scope = {name: str(item.options[name]) for name in _SCOPE if name in item.options}
    for name in _SCOPE:
        if name not in wish or (name == "instance" and wish[name] == "*"):
            continue
        if name not in seam.scopes:
            raise ValueError(f"it cannot be scoped by {name}, {_scopes_in_words(seam)}")
        value = wish[name]
        if not (isinstance(value, str) and value):
            raise ValueError(f"{name} must be a text that is not empty, not {value!r}")
        scope[name] = value
    return scope


def _scopes_in_words(seam: type[Seam]) -> str:
    return f"only by {', '.join(seam.scopes)}" if seam.scopes else "since it strikes before anything is known of a request"


def _count(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ValueError(f"count must be a whole number from 1, not {value!r}")
    return value


def _probability(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise ValueError(f"probability must be above 0 and at most 1, not {value!r}")
    return float(value)


def _seed(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(f"seed must be a whole number, not {value!r}")
    return value


def _window(begin: Any, end: Any, clock: Clock) -> tuple[float | None, float | None]:
    """Seconds from now at which a window begins and ends; None where it is open."""
    starts, ends = _seconds_from_now("from", begin, clock), _seconds_from_now("until", end, clock)
    if ends is not None and ends <= max(0.0, starts or 0.0):
        raise ValueError(f"until must be later than {'now' if starts is None or starts <= 0 else 'from'}, not {end!r}")
    return starts, ends


def _seconds_from_now(name: str, value: Any, clock: Clock) -> float | None:
    if value is None:
        return None
    form = f"{name} must be seconds from now or a time such as 2026-11-22T14:00:00Z, not {value!r}"
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(form) from None
        if moment.tzinfo is None:
            raise ValueError(f"{name} must have a time zone, such as the Z of 2026-11-22T14:00:00Z, not {value!r}")
        return (moment - clock.now()).total_seconds()
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _FARTHEST_S:
        raise ValueError(form)
    return float(value)


def _draws(identity: Identity, owner: str) -> Callable[[], float]:
    return lambda: identity.unit("fault", owner)


def refusal(status: int, message: str) -> ApiError:
    """An error in the server's usual envelope, for faults that answer instead of it; only 400 wraps its text in an array."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    said: Any = [message] if status == 400 else message
    return ApiError(status, {"status": status, "error": phrase, "response": {"message": said}})
