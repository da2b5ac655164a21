"""Server errors stay rare.

Why: each one is a request that the backend promised to handle and did not.
Fix: find the request ids in the log, oldest first; a 503 with a database cause is the database, not the release.
"""

from __future__ import annotations

from gate.model import Severity
from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Series, ShareLimits, assess_count, assess_share

LIMITS = CountLimits(ok=5, warning=15, unit="responses")
# Of fewer than a hundred requests a single one would already be one percent.
SHARE = ShareLimits(critical=0.01, trials=100)


@signal(severity=Severity.CRITICAL, order=20, kind="count", reads=("http_5xx", "http_requests"), first=5)
def assess(series: Series) -> Assessment:
    return assess_share(series, assess_count(series, "http_5xx", LIMITS), "http_5xx", "http_requests", SHARE)
