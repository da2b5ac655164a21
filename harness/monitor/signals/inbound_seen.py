"""Customers' messages arrive.

Why: a webhook that was never registered looks exactly like a quiet hour; only an arrival proves the way.
Fix: write to a connected number; then look at `GET /webhook/find/{instance}` of Evolution and the 4xx of the webhook route.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, Series, assess_presence


@signal(order=130, kind="count", reads=("inbound_seen",), first=30)
def assess(series: Series) -> Assessment:
    return assess_presence(series, "inbound_seen")
