"""Connection status changes become visible quickly, and at all.

Why: people scan a code and wait at the screen; a status that never updates makes them scan again and start over.
Fix: look whether `connection.update` is subscribed and its webhook answered 200; the poll must correct what was missed.
"""

from __future__ import annotations

from dataclasses import replace

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, Level, QuantileLimits, Series, assess_quantile

# Status changes are rare in an hour; one is seen or the hour says nothing about them.
LIMITS = QuantileLimits(q=0.99, ok_s=5.0, trials=1)
NEVER_MIN = 5


@signal(severity=Severity.CRITICAL, order=160, kind="quantile", reads=("status_latency", "status_unseen_min"), first=30)
def assess(series: Series) -> Assessment:
    found = assess_quantile(series, "status_latency", LIMITS)
    unseen = series.points("status_unseen_min")
    if unseen and unseen[-1][1] > NEVER_MIN:
        return replace(
            found,
            level=Level.CRITICAL,
            reason=f"a status change is not visible after {unseen[-1][1]:g} > {NEVER_MIN} minutes: roll back",
            roll_back=True,
        )
    return found
