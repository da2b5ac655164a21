"""Repetition and passing failures."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from features.backend import Answer
from features.expectations import Mismatch, same
from features.provider import Courier
from features.recording import Observe
from features.steps import then, when
from features.steps.messaging import await_marker, same_text
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl


@dataclass(slots=True, kw_only=True)
class Repeated:
    """One message that keeps arriving: its id, its first text, and how each direct delivery was answered."""

    key: str
    text: str
    answers: list[Answer] = field(default_factory=list)


@when(
    "the provider delivers one message of the customer {times} at once",
    "o provedor entrega uma mensagem do cliente {vezes} ao mesmo tempo",
    target_fixture="repeated",
)
def delivered_at_once(times: int, unit: Tenant, customer: Customer, evolution: EvolutionControl) -> Repeated:
    text = f"Olá, pedido {secrets.token_hex(4)} 🛵"
    key = evolution.incoming(unit.instance, sender=customer.phone, text=text, push_name=customer.name, times=times)
    return Repeated(key=key, text=text)


@when(
    "the same message arrives {times} at once at the webhook address",
    "a mesma mensagem chega {vezes} ao mesmo tempo ao endereço de webhook",
)
def arrives_at_once(times: int, unit: Tenant, customer: Customer, repeated: Repeated, courier: Courier) -> None:
    url = courier.address(unit.instance).url()

    def deliver() -> Answer:
        return courier.deliver_text(
            url, instance=unit.instance, phone=customer.phone, text=repeated.text, key=repeated.key, name=customer.name
        )

    repeated.answers += at_once([deliver] * times)


@when("the same message arrives again with another text and time", "a mesma mensagem chega de novo com outro texto e outra hora")
def arrives_again(unit: Tenant, customer: Customer, repeated: Repeated, courier: Courier) -> None:
    url, text = courier.address(unit.instance).url(), f"changed {secrets.token_hex(4)}"
    answer = courier.deliver_text(url, instance=unit.instance, phone=customer.phone, text=text, key=repeated.key, name="Other")
    repeated.answers.append(answer)


@when("{duration} pass/passes", "passa/passam {duração}")
def time_passes(seconds: float, time_of_target: TargetTime, evidence: Observe) -> None:
    time_of_target.let_pass(seconds)
    evidence("time that passed", seconds, "s")


@then("every delivery was accepted", "todas as entregas foram aceitas")
def every_delivery_accepted(unit: Tenant, repeated: Repeated, evolution: EvolutionControl) -> None:
    evolution.quiesce()
    refused = [answer.status for answer in repeated.answers if not 200 <= answer.status < 300]
    same("direct deliveries that were not answered with 2xx", expected=[], seen=refused)
    attempts = deliveries_of(evolution, unit, repeated)
    failed = [item["error"] or item["status"] for item in attempts if item["error"] or not 200 <= item["status"] < 300]
    same("the provider's deliveries that were not answered with 2xx", expected=[], seen=failed)
    if not attempts:
        raise Mismatch("the provider's deliveries of the message", expected="at least one", seen="none")


@then("the message is stored once", "a mensagem é guardada uma só vez")
def stored_once(
    unit: Tenant, customer: Customer, repeated: Repeated, tenants: Tenants, evolution: EvolutionControl, evidence: Observe
) -> None:
    unit.await_messages(customer.phone, at_least=1)
    await_marker(unit, tenants, evolution)
    messages = unit.messages_with(customer.phone)
    same("messages of the customer shown to the unit", expected=[repeated.text], seen=[message.text for message in messages])
    same("conversations with the customer", expected=1, seen=len(unit.conversations_with(customer.phone)))
    evidence("deliveries of the message so far", len(deliveries_of(evolution, unit, repeated)) + len(repeated.answers))
    evidence("messages stored", len(messages))


@then("the stored text is that of the first delivery", "o texto guardado é o da primeira entrega")
def first_text(unit: Tenant, customer: Customer, repeated: Repeated) -> None:
    for message in unit.messages_with(customer.phone):
        same_text(message.text, repeated.text)


def deliveries_of(evolution: EvolutionControl, unit: Tenant, repeated: Repeated) -> list[dict[str, Any]]:
    """Every attempt of the provider to deliver the message."""
    attempts = evolution.deliveries(instance=unit.instance, event="messages.upsert")
    return [attempt for attempt in attempts if attempt["keyId"] == repeated.key]


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Runs the calls in threads that start together. Raises what the first of them raised."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], Answer]) -> Answer:
        start.wait()
        return call()

    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return list(pool.map(run, calls))
