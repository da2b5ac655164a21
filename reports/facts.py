"""Facts of the journal as records.

Each reader takes the JSON value that some part of the run wrote and gives frozen records, or raises TypeError or ValueError
saying what is out of shape; the view then prints "not measured" and that reason. A missing optional field is None, never a zero.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "Checkpoint",
    "Endpoint",
    "Environment",
    "LoadPoint",
    "LoadSummary",
    "Migration",
    "NotApplicable",
    "PackageFile",
    "Plan",
    "Platform",
    "ProofTrial",
    "Reading",
    "ScenarioStep",
    "Statement",
    "Step",
    "Target",
    "checkpoints",
    "commands",
    "environment",
    "load_series",
    "load_summary",
    "migration",
    "not_applicable",
    "package",
    "plan",
    "platforms",
    "proof_matrix",
    "scenario_steps",
    "steps",
    "target",
    "watch_series",
]

_LARGEST = 1e15
_NAMED_LIMIT = re.compile(r"\b(?:ok|warning|critical)\s*(?:<=|>=|[≤≥<>=])\s*(?P<number>\d+(?:\.\d+)?)")
_SINGLE_LIMIT = re.compile(r"(?:<=|>=|[≤≥<>=])?\s*(?P<number>\d+(?:\.\d+)?)\s*[%\w]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    python: str
    platform: str
    golive_version: str
    commit: str
    backend: str
    origin: str
    server_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    path: str
    sha256: str
    size_bytes: int
    lines: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    text: str
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    statements: tuple[Statement, ...]
    notices: tuple[str, ...]

    @property
    def duration_s(self) -> float | None:
        """Seconds over all statements; None when one was not timed."""
        known = [item.duration_s for item in self.statements if item.duration_s is not None]
        return sum(known) if known and len(known) == len(self.statements) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    name: str
    status: str
    duration_s: float | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioStep:
    keyword: str
    text: str
    status: str
    duration_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    name: str
    requests: float | None
    failures: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSummary:
    requests: float
    failures: float
    rps: float | None
    latency_ms: tuple[tuple[str, float], ...]
    duration_s: float | None
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    t_s: float
    rps: float | None
    failures: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One signal at one checkpoint; `limit` in words, `limits` are those that can be drawn, (words, number in `unit`)."""

    id: str
    value: float | None
    unit: str
    level: str
    limit: str
    limits: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    minute: float
    signals: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    url: str
    evolution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """How one platform goes back: the commands that list deployments, roll back and check, and what to mind."""

    name: str
    list: str
    rollback: str
    check: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotApplicable:
    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    entries: tuple[tuple[str, str], ...]


def environment(value: object) -> Environment:
    record = _mapping(value, "the fact")
    database = _mapping(record.get("database", {}), "database")
    return Environment(
        python=_text(record, "python"),
        platform=_text(record, "platform"),
        golive_version=_text(record, "golive_version"),
        commit=_text(record, "commit"),
        backend=_text(database, "backend"),
        origin=_text(database, "origin"),
        server_version=_text(database, "server_version"),
    )


def package(value: object) -> tuple[PackageFile, ...]:
    files = []
    for record in _records(value):
        size = _needed(record, "bytes")
        lines = _number(record, "lines")
        path, sha256 = _text(record, "path"), _text(record, "sha256")
        if not path or not sha256:
            raise ValueError("a file without path or sha256")
        files.append(PackageFile(path=path, sha256=sha256, size_bytes=int(size), lines=None if lines is None else int(lines)))
    return tuple(files)


def migration(value: object) -> Migration:
    record = _mapping(value, "the fact")
    notices = record.get("notices", [])
    return Migration(
        statements=tuple(
            Statement(text=_text(item, "statement"), duration_s=_number(item, "duration_s"))
            for item in _records(record.get("statements"))
        ),
        notices=tuple(str(notice) for notice in _list(notices, "notices")),
    )


def steps(value: object) -> tuple[Step, ...]:
    return tuple(
        Step(
            name=_text(item, "name"),
            status=_text(item, "status"),
            duration_s=_number(item, "duration_s"),
            detail=_text(item, "detail"),
        )
        for item in _records(value)
    )


def scenario_steps(value: object) -> Mapping[str, tuple[ScenarioStep, ...]]:
    return {
        str(name): tuple(
            ScenarioStep(
                keyword=_text(item, "keyword"),
                text=_text(item, "text"),
                status=_text(item, "status"),
                duration_s=_number(item, "duration_s"),
            )
            for item in _records(items)
        )
        for name, items in _mapping(value, "the fact").items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofTrial:
    """One planted bug or other right backend, how it ended, and what failed of so many scenarios that ran."""

    name: str
    title: str
    end: str
    named: tuple[str, ...]
    failed: tuple[str, ...]
    ran: int


def proof_matrix(value: object) -> tuple[ProofTrial, ...]:
    trials = []
    for name, item in _mapping(value, "the fact").items():
        record = _mapping(item, str(name))
        found = _mapping(record.get("found", {}), "found")
        named = record.get("named", [])
        trials.append(
            ProofTrial(
                name=str(name),
                title=_text(record, "title"),
                end=_text(record, "end"),
                named=tuple(map(str, named)) if isinstance(named, list) else (),
                failed=tuple(sorted(str(scenario) for scenario, status in found.items() if status == "fail")),
                ran=len(found),
            )
        )
    return tuple(trials)


def load_summary(value: object) -> LoadSummary:
    record = _mapping(value, "the fact")
    latency = _mapping(record.get("latency_ms", {}), "latency_ms")
    endpoints = []
    for item in _records(record.get("endpoints", [])):
        inner = item.get("latency_ms")
        p95 = _number(inner, "p95") if isinstance(inner, Mapping) else _number(item, "p95_ms")
        name = " ".join(filter(None, (_text(item, "method"), _text(item, "name") or _text(item, "path"))))
        endpoints.append(Endpoint(name=name, requests=_number(item, "requests"), failures=_number(item, "failures"), p95_ms=p95))
    quantiles = ((str(name), _number(latency, name)) for name in latency)
    return LoadSummary(
        requests=_needed(record, "requests"),
        failures=_needed(record, "failures"),
        rps=_number(record, "rps"),
        latency_ms=tuple((name, number) for name, number in quantiles if number is not None),
        duration_s=_number(record, "duration_s"),
        endpoints=tuple(endpoints),
    )


def load_series(value: object) -> tuple[LoadPoint, ...]:
    points = [
        LoadPoint(
            t_s=_needed(item, "t_s"), rps=_number(item, "rps"), failures=_number(item, "failures"), p95_ms=_number(item, "p95_ms")
        )
        for item in _records(value)
    ]
    return tuple(sorted(points, key=lambda point: point.t_s))


def checkpoints(value: object) -> tuple[Checkpoint, ...]:
    found = []
    for record in _records(value):
        readings = tuple(
            Reading(
                id=_text(item, "id").removeprefix("watch."),
                value=_number(item, "value"),
                unit=_text(item, "unit"),
                level=_text(item, "level").lower(),
                limit=_limit_words(item.get("limit"), _text(item, "unit")),
                limits=_limits(item.get("limit"), _text(item, "unit")),
            )
            for item in _records(record.get("signals"))
        )
        found.append(Checkpoint(minute=_needed(record, "minute"), signals=readings))
    return tuple(sorted(found, key=lambda checkpoint: checkpoint.minute))


def watch_series(value: object) -> Mapping[str, tuple[tuple[float, float], ...]]:
    series = {}
    for name, points in _mapping(value, "the fact").items():
        pairs = []
        for point in _list(points, str(name)):
            pair = _list(point, f"a point of {name}")
            if len(pair) != 2:
                raise ValueError(f"a point of {name} is not [minute, value]")
            if pair[1] is not None:
                pairs.append((_finite(pair[0], "minute"), _finite(pair[1], str(name))))
        series[str(name).removeprefix("watch.")] = tuple(sorted(pairs))
    return series


def commands(value: object) -> tuple[str, ...]:
    return tuple(_one_line({"command": item}, "command") for item in _list(value, "the fact"))


def platforms(value: object) -> tuple[Platform, ...]:
    found = []
    for item in _mapping(value, "the fact").values():
        record = _mapping(item, "a platform")
        words = {name: _one_line(record, name) for name in ("name", "list", "rollback", "check", "note")}
        found.append(Platform(**words))
    return tuple(found)


def target(value: object) -> Target:
    record = _mapping(value, "the fact")
    return Target(url=_text(record, "url"), evolution=_text(record, "evolution"))


def not_applicable(value: object) -> tuple[NotApplicable, ...]:
    return tuple(NotApplicable(id=_text(item, "id"), reason=_text(item, "reason")) for item in _records(value))


def plan(value: object) -> Plan:
    record = _mapping(value, "the fact")
    return Plan(
        entries=tuple(
            (str(name).replace("_", " "), f"{item:g}" if isinstance(item, float) else str(item))
            for name, item in record.items()
            if isinstance(item, str | int | float)
        )
    )


def _limit_words(value: object, unit: str) -> str:
    """A limit as it reads: a text as it is, a number with its unit, several by name."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_limit_words(item, unit)}" for name, item in value.items())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{_finite(value, 'limit'):g}{' ' if unit else ''}{unit}"
    if value is None or isinstance(value, str):
        return value or ""
    raise TypeError(f"limit is {type(value).__name__}")


def _limits(value: object, unit: str) -> tuple[tuple[str, float], ...]:
    """The limits that can be drawn: numbers in the signal's own unit, each with its words, no value twice."""
    found: dict[float, str] = {}
    if isinstance(value, Mapping):
        for name, item in value.items():
            for words, number in _limits(item, unit):
                found.setdefault(number, f"{name} {words}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found[_finite(value, "limit")] = _limit_words(value, unit)
    elif isinstance(value, str) and len(value) <= 200 and ("%" in value) == (unit == "%"):
        matches = list(_NAMED_LIMIT.finditer(value)) or [item for item in [_SINGLE_LIMIT.fullmatch(value.strip())] if item]
        for match in matches:
            number = float(match["number"])
            if number < _LARGEST:
                found.setdefault(number, match[0])
    return tuple((words, number) for number, words in found.items())


def _mapping(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{where} is {type(value).__name__}, not an object")
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{where} is {type(value).__name__}, not a list")
    return value


def _records(value: object) -> list[Mapping[str, object]]:
    return [_mapping(item, "an entry") for item in _list(value, "the list")]


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise TypeError(f"{name} is {type(value).__name__}, not a text")


def _one_line(record: Mapping[str, object], name: str) -> str:
    """A command stays one line, so that nothing hides below it."""
    return " ".join(_text(record, name).splitlines())


def _number(record: Mapping[str, object], name: str) -> float | None:
    value = record.get(name)
    return None if value is None else _finite(value, name)


def _needed(record: Mapping[str, object], name: str) -> float:
    number = _number(record, name)
    if number is None:
        raise ValueError(f"{name} is missing")
    return number


def _finite(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} is {type(value).__name__}, not a number")
    if not -_LARGEST < value < _LARGEST:
        raise ValueError(f"{name} is out of range")
    return float(value)
