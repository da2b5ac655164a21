"""Inbound messages are stored quickly.

Why: an agent who sees a question late answers late; a rising latency is a database or lock problem before it is an error.
Fix: compare with the database's slow statements; look at the webhook route's own duration in the log.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, QuantileLimits, Series, assess_quantile

# Twenty observations are the least of which one in twenty can lie above the p95.
LIMITS = QuantileLimits(q=0.95, ok_s=2.0, trials=20)


@signal(order=150, kind="quantile", reads=("inbound_latency",), first=30)
def assess(series: Series) -> Assessment:
    return assess_quantile(series, "inbound_latency", LIMITS)
