"""Refused log-ins and tokens (401, 403) stay rare.

Why: a jump after a deploy means that tokens of the old release are refused, or that a webhook secret does not match.
Fix: compare JWT_ACCESS_SECRET and the registered webhook secret with the old release; look at which route refuses.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_count

LIMITS = CountLimits(ok=19, warning=50, unit="responses")


@signal(order=30, kind="count", reads=("auth_refused",), first=5)
def assess(series: Series) -> Assessment:
    return assess_count(series, "auth_refused", LIMITS)
