"""The decision rule of the first hour: an anytime-valid test of *x* bad out of *n* trials.

For a true rate up to `ok`, `E_harm` is a nonnegative supermartingale that starts at 1, so by Ville's inequality the chance that
it ever reaches 1/alpha is at most alpha, however often one looks; `E_safe` is its mirror image at `unacceptable` and bounds a
false GO by beta. A mixture over start minutes keeps the test quick when a release that was fine goes bad late.

Sources: Wald 1945; Ville 1939; Robbins 1970; Lindon and Malek 2022 (arXiv 2011.03567); Shin, Ramdas and Rinaldo, E-detectors.
Everything is computed in logarithms: the likelihood ratios of a busy hour do not fit into a float.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

__all__ = [
    "HARM_CLEARED",
    "HOUR_MIN",
    "Call",
    "Rate",
    "Tally",
    "allowed",
    "call",
    "log_harm",
    "log_safe",
    "odds_times",
    "required_sample",
]

HOUR_MIN = 60
# E_harm must have fallen below this at the end, or a suspicion is left.
HARM_CLEARED = 5.0

# p_k of E_harm: half of the weight on `unacceptable`, the rest on odds that are this many times as bad. q_k of E_safe: half of
# the weight on `ok`, the rest on these parts of it. Chosen so that the sample sizes and the simulated table of the design hold.
_WORSE_ODDS = ((1.0, 1 / 2), (2.0, 1 / 6), (4.0, 1 / 6), (16.0, 1 / 6))
_PARTS_OF_OK = ((1.0, 1 / 2), (0.5, 1 / 6), (0.1, 1 / 6), (0.0, 1 / 6))
_STARTS_MIN = tuple(range(5, HOUR_MIN, 5))


class Call(StrEnum):
    """What the rule says of one rate signal. GO is only ever said at the end."""

    GO = "GO"
    NO_GO = "NO-GO"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The two rates set before the release: `ok` is still fine, `unacceptable` is not; and the two error chances.

    Raises ValueError unless 0 < ok < unacceptable < 1 and both chances are between 0 and 1.
    """

    ok: float
    unacceptable: float
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        if not 0 < self.ok < self.unacceptable < 1:
            raise ValueError(f"rates must be 0 < ok < unacceptable < 1, not ok {self.ok} and unacceptable {self.unacceptable}")
        if not (0 < self.alpha < 1 and 0 < self.beta < 1):
            raise ValueError(f"alpha {self.alpha} and beta {self.beta} must lie between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Bad ones and trials since the watch began, at a minute. Raises ValueError for more bad ones than trials."""

    minute: float
    bad: int
    trials: int

    def __post_init__(self) -> None:
        if not 0 <= self.bad <= self.trials:
            raise ValueError(f"{self.bad} bad out of {self.trials} trials at minute {self.minute:g} cannot be")


def log_harm(tallies: Sequence[Tally], rate: Rate) -> float:
    """ln E_harm at the last of `tallies` (cumulative, in order of minutes)."""
    return _log_harm(tuple(tallies), rate)


# Each minute asks for all minutes before it again.
@lru_cache(maxsize=4096)
def _log_harm(tallies: tuple[Tally, ...], rate: Rate) -> float:
    if not tallies:
        return 0.0
    last = tallies[-1]
    # The grid depends on `unacceptable` only; each p_k is above `ok` because `unacceptable` is.
    grid = [(math.log(weight), odds_times(rate.unacceptable, worse)) for worse, weight in _WORSE_ODDS]
    since_start = _log_mixture(grid, rate.ok, last.bad, last.trials)
    late = []
    for start in _STARTS_MIN:
        before = max((tally for tally in tallies if tally.minute <= start), key=lambda tally: tally.minute, default=None)
        bad, trials = (before.bad, before.trials) if before is not None else (0, 0)
        late.append(_log_mixture(grid, rate.ok, last.bad - bad, last.trials - trials) if start < last.minute else 0.0)
    return _log_sum([math.log(1 / 2) + since_start, *(math.log(1 / 2 / len(late)) + value for value in late)])


def log_safe(tally: Tally, rate: Rate) -> float:
    """ln E_safe at one tally."""
    grid = [(math.log(weight), part * rate.ok) for part, weight in _PARTS_OF_OK]
    return _log_mixture(grid, rate.unacceptable, tally.bad, tally.trials)


def call(tallies: Sequence[Tally], rate: Rate, *, at_end: bool) -> Call:
    """NO-GO when E_harm reached 1/alpha at any tally; GO at the end when E_safe ever reached 1/beta and E_harm is below 5."""
    if any(log_harm(tallies[: index + 1], rate) >= math.log(1 / rate.alpha) for index in range(len(tallies))):
        return Call.NO_GO
    safe = any(log_safe(tally, rate) >= math.log(1 / rate.beta) for tally in tallies)
    if at_end and safe and log_harm(tallies, rate) < math.log(HARM_CLEARED):
        return Call.GO
    return Call.HOLD


def required_sample(rate: Rate, *, bad: int = 0) -> int:
    """How many trials, `bad` of them bad, E_safe needs to reach 1/beta: the least traffic for a GO."""
    trials = bad + 1
    while log_safe(Tally(minute=0, bad=bad, trials=trials), rate) < math.log(1 / rate.beta):
        trials += 1
    return trials


def allowed(limit: int, minute: float, *, alpha: float = 0.05) -> int:
    """How many events of a count whose limit is `limit` for the whole hour may have been seen by `minute`.

    The same rule in its Poisson limit (many trials, each rarely bad): with expectation `limit` over the hour, more than this
    has M_0 / 2 >= 1/alpha. Never more than the limit itself, which is what holds from the end of the hour on.
    """
    if limit < 0:
        raise ValueError(f"a limit of {limit} events cannot be kept")
    if minute >= HOUR_MIN or limit == 0:
        return limit
    expected = limit * max(minute, 0.0) / HOUR_MIN

    def log_half_m0(seen: int) -> float:
        # Twice the expectation is to a count what `unacceptable` is to a rate.
        terms = [math.log(weight) + seen * math.log(2 * m) - (2 * m - 1) * expected for m, weight in _WORSE_ODDS]
        return math.log(1 / 2) + _log_sum(terms)

    seen = 0
    while seen < limit and log_half_m0(seen + 1) < math.log(1 / alpha):
        seen += 1
    return seen


def odds_times(rate: float, factor: float) -> float:
    """The rate whose odds are `factor` times those of `rate`; stays below 1."""
    odds = rate / (1 - rate) * factor
    return odds / (1 + odds)


def _log_mixture(grid: Iterable[tuple[float, float]], null: float, bad: int, trials: int) -> float:
    return _log_sum([log_weight + _log_ratio(rate, null, bad, trials) for log_weight, rate in grid])


def _log_ratio(rate: float, null: float, bad: int, trials: int) -> float:
    if bad and rate == 0:
        return -math.inf
    hits = bad * math.log(rate / null) if bad else 0.0
    return hits + (trials - bad) * (math.log1p(-rate) - math.log1p(-null))


def _log_sum(terms: Sequence[float]) -> float:
    highest = max(terms)
    return highest if math.isinf(highest) else highest + math.log(sum(math.exp(term - highest) for term in terms))
