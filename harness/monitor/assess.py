"""Judges the readings of a watch against limits. Pure: no input, no output, no third party.

A reading that is missing is never taken for zero: it makes its signal MISSING. Counts carry limits for the whole hour and are
compared, earlier, with the share that the decision rule allows; rates are judged by the rule; gauges by consecutive limits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gate.model import Evidence
from harness.monitor.decision import HOUR_MIN, Call, Rate, Tally, allowed, call, log_harm, log_safe, required_sample

__all__ = [
    "MISSING_IN_A_ROW",
    "Assessment",
    "CountLimits",
    "Level",
    "QuantileLimits",
    "RateLimits",
    "Sample",
    "Series",
    "ShareLimits",
    "assess_count",
    "assess_events",
    "assess_gauge",
    "assess_presence",
    "assess_quantile",
    "assess_rate",
    "assess_ratio",
    "assess_share",
    "quantile",
]

# A scrape may be lost; more than this many in a row, or the last one, and nobody knows what happened meanwhile.
MISSING_IN_A_ROW = 2

Buckets = Mapping[float, float]


class Level(StrEnum):
    """How a signal stands. LITTLE: looked, but saw too little to tell; MISSING: could not look."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    LITTLE = "little"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was read at a minute since the watch began.

    `values` holds counters as their increase since the watch began, and gauges as they are; `buckets` the increase of histograms
    (upper bound to cumulative count, the last bound is infinity); `errors` why a reading is not there.
    """

    minute: float
    values: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[str, Buckets] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The samples of a watch up to now, oldest first; `at_end` when its last minute is over."""

    samples: tuple[Sample, ...]
    at_end: bool = False

    @property
    def minute(self) -> float:
        return self.samples[-1].minute if self.samples else 0.0

    def missing(self, name: str) -> str:
        """Why the reading cannot be judged, or an empty text."""
        if not self.samples:
            return f"{name}: nothing was read"
        row = 0
        for sample in self.samples:
            there = name in sample.values or name in sample.buckets
            row = 0 if there else row + 1
            if row > MISSING_IN_A_ROW or (not there and sample is self.samples[-1]):
                why = sample.errors.get(name, "no source gives it")
                return f"{name}: {why} (minute {sample.minute:g})"
        return ""

    def points(self, name: str) -> list[tuple[float, float]]:
        """(minute, value) wherever the reading is there."""
        return [(sample.minute, sample.values[name]) for sample in self.samples if name in sample.values]

    def last(self, name: str) -> float:
        """Raises KeyError when the last sample lacks it; ask `missing` first."""
        return self.samples[-1].values[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """How one signal stands at one minute. `limit` quotes the rule; `reason` is empty only for OK; `roll_back` ends the watch."""

    level: Level
    limit: str
    value: float | None = None
    unit: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    roll_back: bool = False

    def __post_init__(self) -> None:
        if self.level is not Level.OK and not self.reason:
            raise ValueError(f"level {self.level} needs a reason")
        if self.level is Level.OK and not self.evidence:
            raise ValueError("level ok needs evidence")


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLimits:
    """OK up to `ok` in the hour, a warning up to `warning`, critical above."""

    ok: int
    warning: int
    unit: str = ""

    def __str__(self) -> str:
        return f"ok ≤ {self.ok}, critical > {self.warning} an hour"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareLimits:
    """Critical from `critical` on (a part of 1) once `trials` are enough to resolve it."""

    critical: float
    trials: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """A rate that is decided by the rule: OK below `rate.ok`, critical above `rate.unacceptable`, a warning between."""

    rate: Rate
    # More than this part failing in `window_min` minutes with at least `window_trials` trials ends the watch.
    collapse: float = 0.5
    window_min: int = 5
    window_trials: int = 6

    def __str__(self) -> str:
        return f"ok < {self.rate.ok:.0%}, critical > {self.rate.unacceptable:.0%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileLimits:
    """The `q` quantile is OK below `ok_s` seconds, a warning below twice that, critical from there on."""

    q: float
    ok_s: float
    trials: int

    def __str__(self) -> str:
        return f"p{self.q * 100:g} ok < {self.ok_s:g} s, critical ≥ {2 * self.ok_s:g} s"


def assess_count(series: Series, name: str, limits: CountLimits) -> Assessment:
    """Events since the watch began against limits of the whole hour."""
    limit = str(limits)
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, unit=limits.unit, reason=why)
    seen = series.last(name)
    fine, bearable = allowed(limits.ok, series.minute), allowed(limits.warning, series.minute)
    by = "" if series.minute >= HOUR_MIN else f" by minute {series.minute:g}"
    level, rule = Level.OK, ""
    if seen > bearable:
        level, rule = Level.CRITICAL, f"{seen:g} > {bearable} allowed{by} (critical > {limits.warning} an hour)"
    elif seen > fine:
        level, rule = Level.WARNING, f"{seen:g} > {fine} allowed{by} (ok ≤ {limits.ok} an hour)"
    return Assessment(
        level=level,
        limit=limit,
        value=seen,
        unit=limits.unit,
        reason=rule and f"{name.replace('_', ' ')}: {rule}",
        evidence=(
            Evidence(label=name.replace("_", " "), value=seen, unit=limits.unit),
            Evidence(label="limit", value=limit),
            Evidence(label="samples", value=len(series.points(name))),
        ),
    )


def assess_share(series: Series, assessment: Assessment, bad: str, trials: str, limits: ShareLimits) -> Assessment:
    """The same assessment, made critical when at the end the share of `bad` in `trials` reaches its limit."""
    if assessment.level is Level.MISSING or not series.at_end:
        return assessment
    if why := series.missing(trials):
        return Assessment(level=Level.MISSING, limit=assessment.limit, unit=assessment.unit, reason=why)
    seen, of = series.last(bad), series.last(trials)
    evidence = (*assessment.evidence, Evidence(label=trials.replace("_", " "), value=of))
    level, reason = assessment.level, assessment.reason
    if of >= limits.trials and seen / of >= limits.critical:
        level = Level.CRITICAL
        reason = f"{bad.replace('_', ' ')}: {seen:g} of {of:g} = {seen / of:.1%} ≥ {limits.critical:.0%} of requests"
    return Assessment(
        level=level, limit=assessment.limit, value=assessment.value, unit=assessment.unit, reason=reason, evidence=evidence
    )


def assess_rate(series: Series, bad: str, trials: str, limits: RateLimits) -> Assessment:
    """A failure rate by the anytime-valid rule; NO-GO of the rule and a collapse end the watch."""
    limit = str(limits)
    if why := series.missing(bad) or series.missing(trials):
        return Assessment(level=Level.MISSING, limit=limit, unit="%", reason=why)
    tallies = [
        Tally(minute=sample.minute, bad=round(sample.values[bad]), trials=round(sample.values[trials]))
        for sample in series.samples
        if bad in sample.values and trials in sample.values
    ]
    last, rate = tallies[-1], limits.rate
    share = last.bad / last.trials if last.trials else 0.0
    needed = required_sample(rate)
    harm = _number(log_harm(tallies, rate))
    safe = _number(max(log_safe(tally, rate) for tally in tallies))
    told = f"{last.bad} of {last.trials} failed ({share:.1%})"
    evidence = (
        Evidence(label=bad.replace("_", " "), value=last.bad),
        Evidence(label=trials.replace("_", " "), value=last.trials),
        Evidence(label="failure rate", value=round(100 * share, 2), unit="%"),
        Evidence(label="E_harm", value=harm),
        Evidence(label="E_safe reached", value=safe),
        Evidence(label="limit", value=limit),
    )

    def found(level: Level, reason: str = "", *, roll_back: bool = False) -> Assessment:
        return Assessment(
            level=level,
            limit=limit,
            value=round(100 * share, 2),
            unit="%",
            reason=reason,
            evidence=evidence,
            roll_back=roll_back,
        )

    if reason := _collapse(tallies, limits):
        return found(Level.CRITICAL, reason, roll_back=True)
    called = call(tallies, rate, at_end=series.at_end)
    if called is Call.NO_GO:
        return found(Level.CRITICAL, f"{told}: E_harm {harm:g} ≥ {1 / rate.alpha:g}, worse than {rate.ok:.0%}", roll_back=True)
    if last.trials < needed and not series.at_end:
        return found(Level.LITTLE, f"{told}; {needed} without a failure are needed to tell")
    if share > rate.unacceptable:
        return found(Level.CRITICAL, f"{told}, more than {rate.unacceptable:.0%}")
    if share >= rate.ok:
        return found(Level.WARNING, f"{told}, not below {rate.ok:.0%}")
    if series.at_end and called is not Call.GO:
        return found(
            Level.LITTLE,
            f"{told}: not enough to decide, E_safe reached {safe:g} < {1 / rate.beta:g} or E_harm {harm:g} is left;"
            f" {needed} without a failure are needed",
        )
    return found(Level.OK)


def assess_events(series: Series, name: str, *, over: float, limits: CountLimits) -> Assessment:
    """A gauge against consecutive limits: in how many samples in a row it was over `over`, at the worst."""
    limit = f"over {over:g}{' ' if limits.unit else ''}{limits.unit}: ok {limits.ok} times in a row, critical > {limits.warning}"
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, unit=limits.unit, reason=why)
    points = series.points(name)
    row = longest = 0
    for _, value in points:
        row = row + 1 if value > over else 0
        longest = max(longest, row)
    worst = max(value for _, value in points)
    level = Level.OK if longest <= limits.ok else Level.WARNING if longest <= limits.warning else Level.CRITICAL
    rule = f"{name.replace('_', ' ')} over {over:g} in {longest} samples in a row, worst {worst:g}"
    return Assessment(
        level=level,
        limit=limit,
        value=worst,
        unit=limits.unit,
        reason="" if level is Level.OK else rule,
        evidence=(
            Evidence(label=f"worst {name.replace('_', ' ')}", value=worst, unit=limits.unit),
            Evidence(label="limit", value=limit),
            Evidence(label="samples", value=len(points)),
        ),
    )


def assess_gauge(series: Series, name: str, limits: CountLimits) -> Assessment:
    """A gauge by its worst sample."""
    limit = f"ok ≤ {limits.ok}, critical > {limits.warning} at any time"
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, unit=limits.unit, reason=why)
    points = series.points(name)
    minute, worst = max(points, key=lambda point: point[1])
    level = Level.OK if worst <= limits.ok else Level.WARNING if worst <= limits.warning else Level.CRITICAL
    broken = limits.warning if level is Level.CRITICAL else limits.ok
    return Assessment(
        level=level,
        limit=limit,
        value=worst,
        unit=limits.unit,
        reason="" if level is Level.OK else f"{name.replace('_', ' ')}: {worst:g} > {broken} at minute {minute:g}",
        evidence=(
            Evidence(label=f"worst {name.replace('_', ' ')}", value=worst, unit=limits.unit),
            Evidence(label="limit", value=limit),
            Evidence(label="samples", value=len(points)),
        ),
    )


def assess_ratio(series: Series, name: str, *, below: float, warning_below: float) -> Assessment:
    """A part of 1 by its worst sample."""
    limit = f"ok < {below:.0%}, critical ≥ {warning_below:.0%}"
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, unit="%", reason=why)
    minute, worst = max(series.points(name), key=lambda point: point[1])
    level = Level.OK if worst < below else Level.WARNING if worst < warning_below else Level.CRITICAL
    broken = warning_below if level is Level.CRITICAL else below
    return Assessment(
        level=level,
        limit=limit,
        value=round(100 * worst, 1),
        unit="%",
        reason="" if level is Level.OK else f"{name.replace('_', ' ')}: {worst:.0%} ≥ {broken:.0%} at minute {minute:g}",
        evidence=(
            Evidence(label=f"worst {name.replace('_', ' ')}", value=round(100 * worst, 1), unit="%"),
            Evidence(label="limit", value=limit),
        ),
    )


def assess_presence(series: Series, name: str) -> Assessment:
    """At least one must have been seen by the end; none is too little, not a failure."""
    limit = "at least 1"
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, reason=why)
    seen = series.last(name)
    evidence = (Evidence(label=name.replace("_", " "), value=seen),)
    if seen < 1:
        return Assessment(
            level=Level.LITTLE, limit=limit, value=seen, reason=f"{name.replace('_', ' ')}: none by minute {series.minute:g}"
        )
    return Assessment(level=Level.OK, limit=limit, value=seen, evidence=evidence)


def assess_quantile(series: Series, name: str, limits: QuantileLimits) -> Assessment:
    """A quantile of a histogram's increase since the watch began."""
    limit = str(limits)
    if why := series.missing(name):
        return Assessment(level=Level.MISSING, limit=limit, unit="s", reason=why)
    buckets = series.samples[-1].buckets[name]
    seen = max(buckets.values(), default=0.0)
    if seen < limits.trials:
        return Assessment(
            level=Level.LITTLE,
            limit=limit,
            unit="s",
            reason=f"{name.replace('_', ' ')}: {seen:g} observations, at least {limits.trials} are needed",
        )
    value = quantile(buckets, limits.q)
    shown = f"> {max(bound for bound in buckets if math.isfinite(bound)):g}" if math.isinf(value) else f"{value:.3g}"
    level = Level.OK if value < limits.ok_s else Level.WARNING if value < 2 * limits.ok_s else Level.CRITICAL
    rule = f"{name.replace('_', ' ')} p{limits.q * 100:g}: {shown} s ≥ {limits.ok_s * (2 if level is Level.CRITICAL else 1):g} s"
    return Assessment(
        level=level,
        limit=limit,
        value=None if math.isinf(value) else round(value, 4),
        unit="s",
        reason="" if level is Level.OK else rule,
        evidence=(
            Evidence(label=f"{name.replace('_', ' ')} p{limits.q * 100:g}", value=shown, unit="s"),
            Evidence(label="observations", value=seen),
            Evidence(label="limit", value=limit),
        ),
    )


def quantile(buckets: Buckets, q: float) -> float:
    """The `q` quantile, linear within its bucket; infinity when it lies above the last finite bound.

    Raises ValueError for a histogram without observations or whose counts fall.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        raise ValueError("a histogram without observations has no quantile")
    rank, below, lower = q * total, 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count < below:
            raise ValueError(f"the cumulative count falls at bound {bound:g}")
        if count >= rank and count > below:
            return bound if math.isinf(bound) else lower + (bound - lower) * (rank - below) / (count - below)
        below, lower = count, bound
    return math.inf


def _collapse(tallies: Sequence[Tally], limits: RateLimits) -> str:
    last = tallies[-1]
    before = max((t for t in tallies if t.minute <= last.minute - limits.window_min), key=lambda t: t.minute, default=None)
    bad = last.bad - (before.bad if before else 0)
    trials = last.trials - (before.trials if before else 0)
    if trials >= limits.window_trials and bad / trials > limits.collapse:
        return f"{bad} of {trials} failed in {limits.window_min} minutes, more than {limits.collapse:.0%}: roll back"
    return ""


def _number(log_value: float) -> float:
    # A float cannot hold the e-value of a disaster; nobody reads the difference above this.
    return float(f"{math.exp(min(log_value, 200.0)):.4g}")
