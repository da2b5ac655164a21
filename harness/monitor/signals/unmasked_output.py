"""No secret and no phone number stands unmasked in the log.

Why: logs are copied to places with fewer locks; a secret in one is a leak the moment it is written.
Fix: roll back at once, rotate the secret, mask by key and by value at the logger, and purge the log.
"""

from __future__ import annotations

from dataclasses import replace

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Level, Series, assess_count, assess_presence

LIMITS = CountLimits(ok=0, warning=0, unit="lines")


@signal(severity=Severity.CRITICAL, order=50, kind="count", reads=("log_leaks", "log_lines"), first=5)
def assess(series: Series) -> Assessment:
    found = assess_count(series, "log_leaks", LIMITS)
    if found.level is Level.CRITICAL:
        return replace(found, reason=f"{found.value:g} log lines with an unmasked secret or phone: roll back", roll_back=True)
    # Nothing found in no lines proves nothing.
    read = assess_presence(series, "log_lines")
    if found.level is Level.OK and read.level is not Level.OK:
        return read
    return replace(found, evidence=(*found.evidence, *read.evidence)) if found.level is Level.OK else found
