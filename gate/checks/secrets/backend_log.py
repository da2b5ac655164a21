"""The backend's log holds no secret and no phone number.

Why: logs are copied, shipped and read by people who may not see either; one line is enough for a breach.
Fix: mask by key and by value where the log is written, also in access logs, exceptions and the HTTP client's debug output.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.logs import LogScan
from gate.facts.worlds import BackendLog
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=80)
def run(logs: LogScan) -> Iterator[Evidence]:
    if logs.leaks:
        more = f"; and {logs.leaks_in_all - 5} more" if logs.leaks_in_all > 5 else ""
        raise Failure("; ".join(str(leak) for leak in logs.leaks[:5]) + more)
    if not logs.lines:
        raise Inconclusive(f"{', '.join(logs.files)} is empty: a log in which nothing was written shows nothing")
    yield Evidence(label="lines looked through", value=logs.lines)
    yield Evidence(label="lines in which something was masked", value=logs.masked)
    yield Evidence(label="values looked for by themselves", value=logs.canaries)


@run.breaks
def a_phone(log: BackendLog) -> None:
    log.write(level="info", event="message accepted", detail="to +55 (11) 99999-8888")


@run.breaks
def a_bearer_token(log: BackendLog) -> None:
    log.write(level="debug", event="request", headers="Authorization: Bearer c2VjcmV0LXRva2VuLXZhbHVl")


@run.breaks
def a_secret_by_its_key(log: BackendLog) -> None:
    log.write(level="info", event="settings", apiKey="5f1c0b1e9d")


@run.breaks
def a_known_value(log: BackendLog) -> None:
    log.write(level="error", event="provider refused", detail=f"with {log.canary}")
