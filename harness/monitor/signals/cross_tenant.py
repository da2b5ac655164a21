"""What was sent for one unit leaves through that unit's connection alone.

Why: a message that leaves through another tenant's number shows one customer's words to another's customers.
Fix: roll back at once; find how the instance of a send is derived from the unit.
"""

from __future__ import annotations

from dataclasses import replace

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Level, Series, assess_count, assess_presence

LIMITS = CountLimits(ok=0, warning=0, unit="messages")


@signal(severity=Severity.CRITICAL, order=60, kind="count", reads=("cross_tenant", "sends_in_ledger"), first=20)
def assess(series: Series) -> Assessment:
    found = assess_count(series, "cross_tenant", LIMITS)
    if found.level is Level.CRITICAL:
        told = f"{found.value:g} messages left through another unit's connection: roll back"
        return replace(found, reason=told, roll_back=True)
    accounted = assess_presence(series, "sends_in_ledger")
    if found.level is Level.OK and accounted.level is not Level.OK:
        return accounted
    return replace(found, evidence=(*found.evidence, *accounted.evidence)) if found.level is Level.OK else found
