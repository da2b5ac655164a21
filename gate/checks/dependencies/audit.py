"""No dependency has a known weakness, and every one of them was looked up.

Why: a library with a published weakness is found by everybody who looks; an audit that passes one over in silence says nothing.
Fix: raise the version to the one that mends it. Where there is no network, or for npm, run `pip-audit --strict --format json` or
`npm audit --json` where there is one, and name the report in golive.toml, dependencies.report.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.dependencies import Audit
from gate.facts.worlds import AuditReport
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=90)
def run(audit: Audit) -> Iterator[Evidence]:
    if audit.weak:
        more = f"; and {len(audit.weak) - 5} more" if len(audit.weak) > 5 else ""
        raise Failure("; ".join(audit.weak[:5]) + more)
    if audit.skipped:
        raise Inconclusive(f"not every dependency was looked up: {', '.join(audit.skipped[:5])}")
    if not audit.audited:
        raise Inconclusive(f"{audit.source}: no dependency was looked up, so nothing is known")
    yield Evidence(label="dependencies looked up", value=audit.audited)
    yield Evidence(label="of", value=audit.source)


@run.breaks
def a_known_weakness(report: AuditReport) -> None:
    report.add("jinja2", "2.4.1", "PYSEC-2019-217")


@run.breaks
def a_weakness_beside_one_passed_over(report: AuditReport) -> None:
    report.skip("golive", "not on the index")
    report.add("urllib3", "1.24.1", "PYSEC-2019-132")
