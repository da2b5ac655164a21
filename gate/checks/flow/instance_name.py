"""The instance at the provider is called `unit_<unit id>`, and there is one.

Why: webhooks find their tenant by this name; one that a caller may choose lets a tenant receive another one's messages, and a
second instance sends everything twice.
Fix: derive the name from the unit's id, never from the request, and create the instance only when the provider has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive
from gate.facts.flow import FlowObservations
from gate.facts.worlds import PlantedFlow
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=50, tags={"seed"})
def run(flow: FlowObservations) -> Iterator[Evidence]:
    if not flow.unit_id:
        raise Inconclusive("no unit was connected, so no instance could be seen")
    wanted = f"unit_{flow.unit_id}"
    if not flow.instances:
        raise Failure(f"the provider has no instance after connect, expected {wanted}")
    if set(flow.instances) != {wanted}:
        raise Failure(f"the provider has {', '.join(sorted(flow.instances))}, expected {wanted} and nothing else")
    if flow.instances[wanted] != 1:
        raise Failure(f"{wanted} was created {flow.instances[wanted]} times, expected once")
    yield Evidence(label="instance", value=wanted)
    yield Evidence(label="times created", value=flow.instances[wanted])
    if flow.caller_name:
        yield Evidence(label="a name that the caller chose was not taken", value=flow.caller_name)


@run.breaks
def name_from_the_caller(flow: PlantedFlow) -> None:
    flow.plant("instance-name-from-caller")


@run.breaks
def created_twice(flow: PlantedFlow) -> None:
    flow.plant("connect-twice-two-instances")
