"""Messages reach the provider.

Why: this is what the integration is for; a failure rate is judged by a test that may be looked at every minute.
Fix: group the failed messages by class; roll back when the rule says so, do not wait for the hour.
"""

from __future__ import annotations

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, RateLimits, Series, assess_rate
from harness.monitor.decision import Rate

LIMITS = RateLimits(rate=Rate(ok=0.05, unacceptable=0.10))


@signal(
    severity=Severity.CRITICAL, order=80, kind="rate", reads=("messages_failed", "messages_tried"), first=20, rate=LIMITS.rate
)
def assess(series: Series) -> Assessment:
    return assess_rate(series, "messages_failed", "messages_tried", LIMITS)
