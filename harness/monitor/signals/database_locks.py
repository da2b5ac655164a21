"""Nobody waits long for a database lock, and connections are left.

Why: a lock that is held while a provider call runs, or a pool that leaks, stops every tenant at once.
Fix: look at pg_stat_activity for the blocker (`pg_blocking_pids`); end it, then find why a transaction stayed open.
"""

from __future__ import annotations

from dataclasses import replace

from gate.registry import signal
from harness.monitor.assess import Assessment, CountLimits, Level, Series, assess_count, assess_ratio

LOCKS = CountLimits(ok=0, warning=3, unit="waits over 1 s")
CONNECTIONS_OK, CONNECTIONS_WARNING = 0.70, 0.90


@signal(order=110, kind="gauge", reads=("lock_waits", "connections_used"), first=20)
def assess(series: Series) -> Assessment:
    locks = assess_count(series, "lock_waits", LOCKS)
    connections = assess_ratio(series, "connections_used", below=CONNECTIONS_OK, warning_below=CONNECTIONS_WARNING)
    worst = max((locks, connections), key=lambda one: list(Level).index(one.level))
    both = [one.reason for one in (locks, connections) if one.reason]
    return replace(
        worst,
        limit=f"{locks.limit}; connections {connections.limit}",
        reason="; ".join(both) if worst.level is not Level.OK else "",
        evidence=(*locks.evidence, *connections.evidence),
        value=locks.value,
        unit=locks.unit,
    )
