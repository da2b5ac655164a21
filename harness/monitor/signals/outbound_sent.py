"""Messages leave.

Why: without one there is nothing that the failure rate could be a rate of.
Fix: send a test message to a number of your own; schedule synthetic sends for the watch.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, Series, assess_presence


@signal(order=140, kind="count", reads=("outbound_sent",), first=30)
def assess(series: Series) -> Assessment:
    return assess_presence(series, "outbound_sent")
