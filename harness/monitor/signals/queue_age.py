"""No message waits in the queue for more than ten minutes.

Why: a queue that ages while the backend looks healthy means that the worker is gone or stuck behind one job.
Fix: look whether a worker runs and what the oldest job waits for; messages are picked up again by a restarted worker.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_events

OVER_S = 600
LIMITS = CountLimits(ok=0, warning=2, unit="s")


@signal(order=90, kind="gauge", reads=("queue_age_s",), first=20)
def assess(series: Series) -> Assessment:
    return assess_events(series, "queue_age_s", over=OVER_S, limits=LIMITS)
