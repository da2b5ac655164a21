"""WhatsApp connections stay up.

Why: a connection that drops again and again ends in a log-out or a ban of the number.
Fix: look whether two deployments use one instance (a `conflict`), then at Evolution's own log.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_count

LIMITS = CountLimits(ok=1, warning=3, unit="drops of the worst unit")


@signal(order=120, kind="count", reads=("connection_flaps",), first=20)
def assess(series: Series) -> Assessment:
    return assess_count(series, "connection_flaps", LIMITS)
