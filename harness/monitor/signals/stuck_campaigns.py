"""No campaign stands still for more than ten minutes.

Why: a stuck campaign is not an error anywhere, and its owner believes that it was sent.
Fix: look at the campaign's status and its unit's connection; resume it, and find what stopped its worker.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_gauge

LIMITS = CountLimits(ok=0, warning=2, unit="campaigns")


@signal(order=100, kind="gauge", reads=("stuck_campaigns",), first=20)
def assess(series: Series) -> Assessment:
    return assess_gauge(series, "stuck_campaigns", LIMITS)
