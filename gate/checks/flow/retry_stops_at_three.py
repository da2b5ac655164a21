"""A message that the provider refuses is tried three times, and then never again.

Why: without retries a moment's outage loses messages; with one too many the customer gets them twice, and the number is banned.
Fix: count the calls in the message's row before each call, and stop at three, also across workers and restarts.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations
from gate.facts.worlds import PlantedFlow
from gate.model import Evidence, Severity
from gate.registry import check

CALLS = 3
# The waits between tries are 0, 1 and 2 s with jitter: a fourth would come within this.
LEAST_WATCH_S = 10.0


@check(severity=Severity.CRITICAL, order=52, tags={"seed"})
def run(flow: FlowObservations) -> Iterator[Evidence]:
    if flow.failing_calls is None:
        raise Inconclusive("no message was sent to a provider that refuses")
    if flow.failing_calls == 0:
        raise Failure("the provider got no call for a message that was accepted for sending, expected 3")
    if flow.failing_calls != CALLS:
        raise Failure(f"the provider got {flow.failing_calls} calls for one message, expected {CALLS}")
    if flow.failing_status == 200:
        raise Failure("the backend answered 200 for a message that was never sent, expected 502 with the attempts")
    if flow.failing_attempts is not None and flow.failing_attempts != CALLS:
        raise Failure(f"the backend tells of {flow.failing_attempts} attempts, expected {CALLS}")
    if flow.watched_s < LEAST_WATCH_S:
        raise Inconclusive(f"watched for {flow.watched_s:g} s after the third call, expected at least {LEAST_WATCH_S:g} s")
    yield Evidence(label="provider calls for one message", value=flow.failing_calls)
    yield Evidence(label="then nothing more for", value=flow.watched_s, unit="s")


@run.breaks
def a_fourth_attempt(flow: PlantedFlow) -> None:
    flow.plant("fourth-attempt")
