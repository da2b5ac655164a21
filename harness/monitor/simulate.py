"""Simulates first hours and prints how the decision rule calls them: `python -m harness.monitor.simulate [hours]`.

Traffic is Poisson by the minute; each message fails independently. The cells are the expected behaviour in the design.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.monitor.decision import HARM_CLEARED, HOUR_MIN, Call, Rate, Tally, log_harm, log_safe

__all__ = ["CELLS", "Cell", "Result", "simulate", "simulate_hour"]

RATE = Rate(ok=0.01, unacceptable=0.03)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One line of the table: messages an hour, and the true failure rate at a minute."""

    name: str
    per_hour: int
    truth: Callable[[int], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Shares of the simulated hours in percent, and the median minute of the NO-GO calls (None: there was none)."""

    no_go: float
    go: float
    hold: float
    median_minute: float | None


CELLS = (
    Cell(name="60/h, 0.5 %", per_hour=60, truth=lambda _: 0.005),
    Cell(name="300/h, 0.5 %", per_hour=300, truth=lambda _: 0.005),
    Cell(name="300/h, 3 %", per_hour=300, truth=lambda _: 0.03),
    Cell(name="1200/h, 0.5 %", per_hour=1200, truth=lambda _: 0.005),
    Cell(name="1200/h, 3 %", per_hour=1200, truth=lambda _: 0.03),
    Cell(name="300/h, 0.5 % until minute 30 then 10 %", per_hour=300, truth=lambda minute: 0.005 if minute < 30 else 0.1),
)


def simulate(cell: Cell, *, hours: int, seed: int, rate: Rate = RATE) -> Result:
    """Calls `hours` simulated hours of one cell."""
    source = random.Random(f"{seed} {cell.name}")  # noqa: S311 – a simulation, nothing secret
    calls: Counter[Call] = Counter()
    stopped_at = []
    for _ in range(hours):
        _, called, minute = simulate_hour(source, cell, rate)
        calls[called] += 1
        if called is Call.NO_GO:
            stopped_at.append(minute)

    def share(which: Call) -> float:
        return 100 * calls[which] / hours

    return Result(
        no_go=share(Call.NO_GO),
        go=share(Call.GO),
        hold=share(Call.HOLD),
        median_minute=statistics.median(stopped_at) if stopped_at else None,
    )


def simulate_hour(source: random.Random, cell: Cell, rate: Rate) -> tuple[list[Tally], Call, int]:
    """One hour: its tallies, how it was called, and at which minute."""
    # The same rule as `decision.call`, stopping at the first NO-GO instead of looking back over the whole hour at its end.
    tallies: list[Tally] = []
    bad = trials = 0
    safe, harm = False, 0.0
    for minute in range(1, HOUR_MIN + 1):
        arrivals = _poisson(source, cell.per_hour / HOUR_MIN)
        trials += arrivals
        bad += sum(source.random() < cell.truth(minute - 1) for _ in range(arrivals))
        tallies.append(Tally(minute=minute, bad=bad, trials=trials))
        harm = log_harm(tallies, rate)
        if harm >= math.log(1 / rate.alpha):
            return tallies, Call.NO_GO, minute
        safe = safe or log_safe(tallies[-1], rate) >= math.log(1 / rate.beta)
    return tallies, Call.GO if safe and harm < math.log(HARM_CLEARED) else Call.HOLD, HOUR_MIN


def _poisson(source: random.Random, mean: float) -> int:
    count, product, floor = 0, source.random(), math.exp(-mean)
    while product > floor:
        count += 1
        product *= source.random()
    return count


def main() -> None:
    hours = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    sys.stdout.write(f"{hours} hours a cell, ok {RATE.ok:.0%}, unacceptable {RATE.unacceptable:.0%}, ")
    sys.stdout.write(f"alpha {RATE.alpha:.0%}, beta {RATE.beta:.0%}\n")
    for cell in CELLS:
        result = simulate(cell, hours=hours, seed=1)
        at = "" if result.median_minute is None else f", median minute of NO-GO {result.median_minute:g}"
        sys.stdout.write(f"{cell.name:40} NO-GO {result.no_go:5.1f}  GO {result.go:5.1f}  HOLD {result.hold:5.1f} %{at}\n")


if __name__ == "__main__":
    main()
