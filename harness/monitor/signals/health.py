"""The backend answers its health probe.

Why: while it is down no message is received, and after its retries Evolution gives up for good.
Fix: look at the platform's deploy log and the backend's last log lines; down for more than 5 minutes means roll back.
"""

from __future__ import annotations

from dataclasses import replace

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Level, Series, assess_events

# Consecutive samples, one a minute.
LIMITS = CountLimits(ok=0, warning=2)
DOWN_MIN = 5


@signal(severity=Severity.CRITICAL, order=10, kind="gauge", reads=("down",), first=5)
def assess(series: Series) -> Assessment:
    found = assess_events(series, "down", over=0, limits=LIMITS)
    if found.level is Level.MISSING:
        return found
    points = series.points("down")
    row = next((index for index, (_, down) in enumerate(reversed(points)) if not down), len(points))
    if row > DOWN_MIN:
        return replace(found, level=Level.CRITICAL, reason=f"down for {row} > {DOWN_MIN} minutes: roll back", roll_back=True)
    return found
