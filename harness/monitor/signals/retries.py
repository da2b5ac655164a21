"""Few sends need a second attempt.

Why: retries are the first thing to rise when the provider or the network degrades, before messages fail.
Fix: look at the class of the failed attempts in the log; a refused connection is the network, a 429 the provider's limit.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_count

LIMITS = CountLimits(ok=10, warning=30, unit="attempts")


@signal(order=70, kind="count", reads=("retries",), first=20)
def assess(series: Series) -> Assessment:
    return assess_count(series, "retries", LIMITS)
