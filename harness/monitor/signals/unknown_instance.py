"""Webhooks for instances that nobody knows stay rare.

Why: they are customers' messages that arrive nowhere, because Evolution and the backend disagree about who is connected.
Fix: compare `GET /instance/fetchInstances` of Evolution with the units' connections; connect the unit again or
  delete the instance.
"""

from __future__ import annotations

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, assess_count

LIMITS = CountLimits(ok=2, warning=5, unit="webhooks")


@signal(order=40, kind="count", reads=("unknown_instance",), first=5)
def assess(series: Series) -> Assessment:
    return assess_count(series, "unknown_instance", LIMITS)
