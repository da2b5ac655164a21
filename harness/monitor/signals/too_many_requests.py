"""Rate limits (429) are rarely met.

Why: WhatsApp bans numbers that send too fast; our own limits hit real people when they are set too low.
Fix: see whether the provider or the backend answered 429; slow the campaigns down or raise the limit.
"""

from __future__ import annotations

from dataclasses import replace

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Level, Series, assess_count

LIMITS = CountLimits(ok=5, warning=20, unit="responses")


@signal(order=170, kind="count", reads=("http_429", "provider_429"), first=30)
def assess(series: Series) -> Assessment:
    both = [assess_count(series, name, LIMITS) for name in ("http_429", "provider_429")]
    worst = max(both, key=lambda one: list(Level).index(one.level))
    return replace(worst, evidence=tuple(piece for one in both for piece in one.evidence))
