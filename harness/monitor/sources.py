"""Where the readings of a watch come from: the backend's /metrics, its log, its health probe.

A source that is missing, empty, stale or reset gives errors, never zeros.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.monitor.assess import MISSING_IN_A_ROW
from harness.monitor.leaks import LeakDetector
from harness.smoke.session import Session

__all__ = ["MAPPING", "HealthSource", "LogSource", "Mapped", "MetricsSource", "Readings", "load_mapping"]

MAPPING = Path(__file__).with_name("metrics.toml")
_KINDS = ("counter", "gauge", "histogram")
_AGGREGATES = ("sum", "max")
_LOG_READINGS = ("log_lines", "log_leaks")
# A log is read in pieces of this size at most, so that a runaway one cannot fill the memory.
_LONGEST_READ = 64 * 1024 * 1024

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class Readings:
    """What one look at a source gave; see `Sample`."""

    values: dict[str, float] = field(default_factory=dict)
    buckets: dict[str, dict[float, float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, other: Readings) -> None:
        self.values |= other.values
        self.buckets |= other.buckets
        self.errors |= other.errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One reading of the mapping: which metric, of what kind, which label sets, how they are put together."""

    metric: str
    kind: str
    where: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    aggregate: str = "sum"

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(pattern.fullmatch(labels.get(name, "")) for name, pattern in self.where.items())


def load_mapping(path: Path = MAPPING) -> dict[str, Mapped]:
    """Reads the mapping of readings to metrics. Raises HarnessError with file and entry for whatever is not understood."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise HarnessError(f"{path}: the mapping of metrics cannot be read ({error})") from error
    return {name: _mapped(entry, where=f"{path}: [{name}]") for name, entry in document.items()}


def _mapped(entry: Any, *, where: str) -> Mapped:
    if not isinstance(entry, dict) or set(entry) - {"metric", "kind", "where", "aggregate"}:
        raise HarnessError(f"{where} may hold metric, kind, where and aggregate, nothing else")
    metric, kind, aggregate = entry.get("metric"), entry.get("kind"), entry.get("aggregate", "sum")
    labels = entry.get("where", {})
    if not isinstance(metric, str) or not metric:
        raise HarnessError(f"{where} needs a metric")
    if kind not in _KINDS or aggregate not in _AGGREGATES:
        raise HarnessError(f"{where}: kind is one of {', '.join(_KINDS)}, aggregate one of {', '.join(_AGGREGATES)}")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise HarnessError(f"{where}: where is a table of label = regular expression")
    try:
        patterns = {label: re.compile(expression) for label, expression in labels.items()}
    except re.error as error:
        raise HarnessError(f"{where}: {error} is not a regular expression") from error
    return Mapped(metric=metric, kind=kind, where=patterns, aggregate=aggregate)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposition:
    """/metrics, parsed: names that were declared, and the values under each sample name by label set."""

    declared: frozenset[str]
    samples: Mapping[str, Mapping[Labels, float]]


def _parse(text: str, metrics: Iterable[str]) -> _Exposition:
    """Raises HarnessError. Only lines of the named metrics are parsed: of a large exposition most is of no use here."""
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as error:
        raise HarnessError("reading /metrics needs prometheus-client: install golive[rehearse]") from error
    heads = tuple(f"{lead}{name}" for name in metrics for lead in ("", "# TYPE "))
    wanted = "".join(line for line in text.splitlines(keepends=True) if line.startswith(heads))
    declared: set[str] = set()
    samples: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(wanted):
            declared |= {family.name, f"{family.name}_total"} if family.type == "counter" else {family.name}
            for sample in family.samples:
                if sample.name.endswith("_bucket"):
                    float(sample.labels["le"])
                samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = float(sample.value)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise HarnessError(f"/metrics is not Prometheus text ({error})") from error
    return _Exposition(declared=frozenset(declared), samples=samples)


class MetricsSource:
    """Reads the backend's /metrics. Counters and histograms are given as their increase since `begin`."""

    def __init__(self, session: Session, mapping: Mapping[str, Mapped], *, token: str = "") -> None:
        self._session = session
        self._mapping = mapping
        self._token = token
        self._baseline: _Exposition | None = None
        self._before: _Exposition | None = None
        self._reset: dict[str, str] = {}
        self._unmoved = 0

    def begin(self) -> None:
        """Counts from here on. Raises HarnessError when /metrics cannot be read."""
        self._baseline = self._before = self._fetch()
        self._reset, self._unmoved = {}, 0

    def read(self, *, active: bool = True) -> Readings:
        """One look. `active`: requests were sent since the last one, so that counters that all stand still are stale."""
        try:
            now = self._fetch()
        except HarnessError as error:
            return Readings(errors=dict.fromkeys(self._mapping, str(error)))
        if self._baseline is None or self._before is None:
            self._baseline = self._before = now
        elif active:
            moved = any(self._counters(now, one) != self._counters(self._before, one) for one in self._mapping.values())
            self._unmoved = 0 if moved else self._unmoved + 1
        self._note_resets(self._before, now)
        self._before = now
        readings = Readings()
        for name, mapped in self._mapping.items():
            if self._unmoved > MISSING_IN_A_ROW:
                readings.errors[name] = f"/metrics is stale: nothing moved in {self._unmoved} looks although requests were sent"
            elif name in self._reset:
                readings.errors[name] = self._reset[name]
            else:
                self._read_one(name, mapped, now, readings)
        return readings

    def _fetch(self) -> _Exposition:
        status, text = self._session.text("/metrics", token=self._token)
        if status != 200:
            raise HarnessError(f"GET /metrics answered {status}")
        if not text.strip():
            raise HarnessError("GET /metrics is empty")
        return _parse(text, {mapped.metric for mapped in self._mapping.values()})

    def _read_one(self, name: str, mapped: Mapped, now: _Exposition, readings: Readings) -> None:
        if mapped.metric not in now.declared and not self._found(now, mapped, mapped.metric):
            readings.errors[name] = f"/metrics has no {mapped.metric}; map the name that the backend uses"
            return
        baseline = self._baseline if self._baseline is not None else now
        if mapped.kind == "histogram":
            buckets = self._histogram(mapped, baseline, now)
            if all(math.isfinite(count) for count in buckets.values()):
                readings.buckets[name] = buckets
            else:
                readings.errors[name] = f"{mapped.metric} is not a finite number"
            return
        found = self._found(now, mapped, mapped.metric)
        if mapped.kind == "gauge":
            if not found:
                readings.errors[name] = f"{mapped.metric} is declared and has no value"
                return
            values: Iterable[float] = found.values()
        else:
            began = self._found(baseline, mapped, mapped.metric)
            values = [value - began.get(labels, 0.0) for labels, value in found.items()]
        value = max(values, default=0.0) if mapped.aggregate == "max" else sum(values)
        if math.isfinite(value):
            readings.values[name] = value
        else:
            readings.errors[name] = f"{mapped.metric} is not a finite number"

    def _note_resets(self, before: _Exposition, now: _Exposition) -> None:
        for name, mapped in self._mapping.items():
            if mapped.kind == "gauge" or name in self._reset:
                continue
            after = self._counters(now, mapped)
            for labels, value in self._counters(before, mapped).items():
                if labels not in after:
                    self._reset[name] = f"{mapped.metric} lost a series: the backend was restarted or another one answers"
                elif after[labels] < value:
                    fell = f"from {value:g} to {after[labels]:g}"
                    self._reset[name] = f"{mapped.metric} was reset, {fell}: the backend was restarted or another one answers"

    def _counters(self, exposition: _Exposition, mapped: Mapped) -> Mapping[Labels, float]:
        if mapped.kind == "gauge":
            return {}
        return self._found(exposition, mapped, f"{mapped.metric}_count" if mapped.kind == "histogram" else mapped.metric)

    def _histogram(self, mapped: Mapped, baseline: _Exposition, now: _Exposition) -> dict[float, float]:
        began = self._found(baseline, mapped, f"{mapped.metric}_bucket")
        buckets: dict[float, float] = {}
        for labels, value in self._found(now, mapped, f"{mapped.metric}_bucket").items():
            bound = float(dict(labels)["le"])
            buckets[bound] = buckets.get(bound, 0.0) + value - began.get(labels, 0.0)
        return buckets

    def _found(self, exposition: _Exposition, mapped: Mapped, name: str) -> dict[Labels, float]:
        return {labels: value for labels, value in exposition.samples.get(name, {}).items() if mapped.matches(dict(labels))}


class LogSource:
    """Follows the backend's log from where it ends now, counting lines and lines that show what must be masked."""

    def __init__(self, path: Path | None, detector: LeakDetector) -> None:
        self._path = path
        self._name = path.name if path is not None else "log"
        self._detector = detector
        self._offset = 0
        self._inode = 0
        self._lines = self._leaks = self._quiet = 0
        self._broken = ""
        self.rules: list[str] = []

    def begin(self) -> None:
        """Counts from here on. Raises HarnessError when there is no log."""
        if self._path is None:
            raise HarnessError("the backend's log cannot be read here; give its path")
        try:
            state = self._path.stat()
        except OSError as error:
            raise HarnessError(f"{self._name}: the backend's log cannot be read ({error.strerror})") from error
        self._offset, self._inode = state.st_size, state.st_ino
        self._lines = self._leaks = self._quiet = 0
        self._broken = ""

    def contains(self, *marks: str) -> bool:
        """Whether a whole line since `begin` holds one of the marks; does not move the place of reading."""
        return any(mark and mark in line for line in self._new_lines()[0] for mark in marks)

    def read(self, *, active: bool = True) -> Readings:
        """One look. `active`: requests were sent since the last one, so that a log that stands still is stale."""
        try:
            lines, end = self._new_lines()
        except HarnessError as error:
            self._broken = str(error)
            lines, end = [], self._offset
        self._offset = end
        self._quiet = 0 if lines or not active else self._quiet + 1
        for line in lines:
            self._lines += 1
            broken = self._detector.find(line)
            self._leaks += bool(broken)
            self.rules += [rule for rule in broken if rule not in self.rules]
        values = {"log_lines": float(self._lines), "log_leaks": float(self._leaks)}
        why = self._broken
        if not why and self._quiet > MISSING_IN_A_ROW:
            why = f"{self._name}: the log is stale, no line in {self._quiet} looks although requests were sent"
        if not why:
            return Readings(values=values)
        # A leak that was seen stays seen, whatever became of the log afterwards.
        return Readings(values=values) if self._leaks else Readings(errors=dict.fromkeys(_LOG_READINGS, why))

    def _new_lines(self) -> tuple[list[str], int]:
        if self._path is None:
            raise HarnessError("the backend's log cannot be read here; give its path")
        if self._broken:
            raise HarnessError(self._broken)
        try:
            with self._path.open("rb") as file:
                state = os.fstat(file.fileno())
                if state.st_ino != self._inode or state.st_size < self._offset:
                    raise HarnessError(f"{self._name}: the log was rotated or cut; what stood between is not known")
                file.seek(self._offset)
                data = file.read(_LONGEST_READ)
        except OSError as error:
            raise HarnessError(f"{self._name}: the backend's log cannot be read ({error.strerror})") from error
        whole = data.rfind(b"\n") + 1
        return [line.decode("utf-8", "replace") for line in data[:whole].splitlines()], self._offset + whole


class HealthSource:
    """Asks `GET /health`: `down` is 0 when it answers 200 with status ok, else 1. No answer is an observation, not an error."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self) -> Readings:
        try:
            answer = self._session.request("GET", "/health")
        except HarnessError:
            return Readings(values={"down": 1.0})
        return Readings(values={"down": 0.0 if answer.status == 200 and answer.field("status") == "ok" else 1.0})
