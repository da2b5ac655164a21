"""What a chaos run has to account for: each message and event against the provider's ledger. Pure functions of what was seen.

The oracle is what WhatsApp really got and what the API answers, never the backend's own tables. A run that did not see every kind
of trouble once proves nothing about it and is inconclusive.
"""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["SOMETIMES", "Account", "Accounting", "Asked", "Call", "End", "Event", "Seen", "assess"]

# The backend's fewest seconds between two sends of one number in campaigns.
GAP_S = 2.0
CALLS_ALLOWED = 3
# The trouble that each run has to have been through, by the names of the specification.
SOMETIMES = (
    "crash between provider send and commit",
    "timeout but sent",
    "timeout and not sent",
    "two workers want one row",
    "redelivery after more than 5 min",
    "redelivery after more than 24 h",
    "out-of-order open/close",
    "two campaigns of one unit ready in the same window",
    "429 from the provider",
    "webhook during migration",
    "SIGTERM with a request in flight",
)
_SENT = ("sent", "delivered", "read")
_REACHED = ("delivered", "read")


class End(enum.Enum):
    """How a run ends; the value is the exit status."""

    HELD = 0
    VIOLATED = 1
    INCONCLUSIVE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One message that a client asked for.

    `status` is the API's last word, "" when it was never accepted. `answered` are the ids that the answers to its key named.
    """

    number: str
    group: str
    status: str
    answered: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message of a customer: whether a delivery of it was answered with 2xx, and how often the API shows it."""

    text: str
    acknowledged: bool
    shown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to send that reached the provider. `status` None: it was never answered, and was cut after `seconds`."""

    number: str
    status: int | None
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that a run observed. `sends` are (number, monotonic seconds) of the ledger in its order."""

    asked: Sequence[Asked]
    events: Sequence[Event]
    strangers: Sequence[str]
    sends: Sequence[tuple[str, float]]
    calls: Sequence[Call]
    delivered: frozenset[str]
    paced: Mapping[str, Sequence[float]]
    campaigns: Sequence[Mapping[str, int]]
    server_errors: Mapping[str, int]
    kills: int
    timeout_s: float
    sightings: Mapping[str, int]
    connections: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    canaries_found: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One row of the table."""

    group: str
    accepted: int
    sent: int
    failed: int
    unknown: int
    pending: int
    ledger: int
    lost: int
    duplicated: int
    unexpected: int
    unexplained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """The table, what was violated in one line each, and how often each kind of trouble was seen."""

    rows: tuple[Account, ...]
    violations: tuple[str, ...]
    sightings: Mapping[str, int]

    @property
    def unseen(self) -> tuple[str, ...]:
        return tuple(name for name in SOMETIMES if not self.sightings.get(name))

    @property
    def end(self) -> End:
        if self.violations:
            return End.VIOLATED
        return End.INCONCLUSIVE if self.unseen else End.HELD


def assess(seen: Seen) -> Accounting:
    """Judges what was seen. Numbers are shown by their last four digits."""
    violations: list[str] = []
    sends = Counter(number for number, _ in seen.sends)
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in seen.calls:
        calls[call.number].append(call)
    rows = [
        _messages(group, [asked for asked in seen.asked if asked.group == group], sends, calls, seen.kills, violations)
        for group in dict.fromkeys(asked.group for asked in seen.asked)
    ]
    known = {asked.number for asked in seen.asked}
    strangers = sorted(sends.keys() - known)
    violations += [f"unexpected: {_shown(number)} got a message that nobody asked for" for number in strangers]
    if strangers:
        rows.append(_strangers(sum(sends[number] for number in strangers)))
    rows.append(_inbound(seen, violations))
    for number, made in calls.items():
        if len(made) > CALLS_ALLOWED:
            violations.append(
                f"attempts: {_shown(number)} was called {len(made)} times, and {CALLS_ALLOWED} are allowed for ever"
            )
        if any(_ambiguous(call) for call in made[:-1]):
            violations.append(f"blind retry: {_shown(number)} was called again after a call whose outcome nobody knew")
    violations += _acknowledgements(seen)
    for unit, moments in seen.paced.items():
        gaps = [later - earlier for earlier, later in pairwise(moments)]
        if gaps and min(gaps) < GAP_S:
            violations.append(f"pace: {unit} sent twice within {min(gaps):.3f} s, and {GAP_S:g} s have to lie between")
    for counts in seen.campaigns:
        if sum(count for name, count in counts.items() if name != "total") != counts["total"]:
            violations.append(f"campaign: its counts do not add up: {dict(counts)}")
        if counts.get("pending"):
            violations.append(f"campaign: {counts['pending']} recipients were still pending after the drain")
    for unit, (told, real) in seen.connections.items():
        if told != real:
            violations.append(f"connection: {unit} is {real} at the provider, and the API says {told}")
    violations += [f"server error: {count} times {answer}" for answer, count in sorted(seen.server_errors.items())]
    violations += [f"leak: a secret or a phone is in {place}" for place in seen.canaries_found]
    return Accounting(rows=tuple(rows), violations=tuple(violations), sightings=_sightings(seen, sends))


def _messages(
    group: str,
    asked: Sequence[Asked],
    sends: Counter[str],
    calls: Mapping[str, Sequence[Call]],
    kills: int,
    violations: list[str],
) -> Account:
    lost = duplicated = unexplained = 0
    for message in asked:
        got, number = sends[message.number], _shown(message.number)
        if len(message.answered) > 1:
            violations.append(f"idempotency: the key of {number} was answered with {len(message.answered)} messages")
        if not message.status:
            lost += 1
            violations.append(f"lost: {number} was never accepted, although everything was well again")
        elif message.status in _SENT and got == 0:
            lost += 1
            violations.append(f"lost: {number} is {message.status} and WhatsApp never got it")
        if message.status == "failed" and got:
            violations.append(f"unexpected: {number} is failed and WhatsApp got it")
        if message.status in ("queued", "sending"):
            violations.append(f"stuck: {number} is still {message.status} after the drain")
        if message.status == "unknown" and (reason := _unexplained(got, calls.get(message.number, ()), kills)):
            unexplained += 1
            violations.append(f"unknown: {number} {reason}")
        if got > 1:
            duplicated += got - 1
            violations.append(f"duplicated: {number} got {got} messages for one")
    statuses = Counter(message.status for message in asked)
    return Account(
        group=group,
        accepted=len(asked) - statuses[""],
        sent=sum(statuses[status] for status in _SENT),
        failed=statuses["failed"],
        unknown=statuses["unknown"],
        pending=statuses["queued"] + statuses["sending"],
        ledger=sum(sends[message.number] for message in asked),
        lost=lost,
        duplicated=duplicated,
        unexpected=sum(message.status == "failed" and sends[message.number] > 0 for message in asked),
        unexplained=unexplained,
    )


def _unexplained(got: int, calls: Sequence[Call], kills: int) -> str:
    """What is wrong about a message that stays unknown; "" when it must."""
    if got:
        return "is unknown, and WhatsApp has got it: looking it up would have told"
    if calls and not _ambiguous(calls[-1]):
        return f"is unknown, and its last call was answered with {calls[-1].status}"
    if not calls and not kills:
        return "is unknown, and nothing was ever called or killed"
    return ""


def _inbound(seen: Seen, violations: list[str]) -> Account:
    lost = duplicated = 0
    for event in seen.events:
        if event.acknowledged and not event.shown:
            lost += 1
            violations.append(f"lost: the inbound message {event.text!r} was acknowledged and is not there")
        if event.shown > 1:
            duplicated += event.shown - 1
            violations.append(f"duplicated: the inbound message {event.text!r} is there {event.shown} times")
    violations += [f"unexpected: {text!r} is shown as inbound, and no customer wrote it" for text in seen.strangers]
    return Account(
        group="inbound",
        accepted=sum(event.acknowledged for event in seen.events),
        sent=sum(event.shown > 0 for event in seen.events),
        failed=0,
        unknown=0,
        pending=sum(not event.acknowledged for event in seen.events),
        ledger=len(seen.events),
        lost=lost,
        duplicated=duplicated,
        unexpected=len(seen.strangers),
        unexplained=0,
    )


def _strangers(count: int) -> Account:
    zero = dict.fromkeys(("accepted", "sent", "failed", "unknown", "pending", "lost", "duplicated", "unexplained"), 0)
    return Account(group="nobody's", ledger=count, unexpected=count, **zero)


def _acknowledgements(seen: Seen) -> list[str]:
    return [
        f"acknowledgement: {_shown(message.number)} was delivered and acknowledged, and is still {message.status}"
        for message in seen.asked
        if message.number in seen.delivered and message.status in ("sent", "unknown")
    ]


def _ambiguous(call: Call) -> bool:
    """Whether the client could not know what became of it."""
    return call.status is None or call.status >= 500


def _sightings(seen: Seen, sends: Counter[str]) -> dict[str, int]:
    cut = [call for call in seen.calls if call.status is None]
    # The backend's own time limit ends a call no earlier; what was cut before was cut by a kill.
    early = [call for call in cut if call.seconds < 0.9 * seen.timeout_s]
    late = [call for call in cut if call.seconds >= 0.9 * seen.timeout_s]
    found = dict(seen.sightings)
    found["crash between provider send and commit"] = found.get("crash between provider send and commit", 0) + sum(
        sends[call.number] > 0 for call in early if seen.kills
    )
    found["timeout but sent"] = sum(sends[call.number] > 0 for call in late)
    found["timeout and not sent"] = sum(sends[call.number] == 0 for call in late)
    found["429 from the provider"] = sum(call.status == 429 for call in seen.calls)
    return {name: found.get(name, 0) for name in SOMETIMES}


def _shown(number: str) -> str:
    return f"****{number[-4:]}"
