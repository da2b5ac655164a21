"""Events that do not belong to any connection."""

from __future__ import annotations

import secrets
import uuid

from features.backend import Answer
from features.expectations import same
from features.matching import expect_json
from features.provider import Courier
from features.recording import Observe
from features.steps import given, then, when
from features.steps.messaging import await_marker
from features.tenants import Customer, Tenant, Tenants, digits_in
from harness.evolution.client import EvolutionControl


@given(
    "a second unit that has never connected WhatsApp",
    "uma segunda unidade que nunca conectou o WhatsApp",
    target_fixture="second_unit",
)
def second_unit(tenants: Tenants) -> Tenant:
    return tenants.create()


@when(
    "a customer's message arrives under the name of a provider that does not exist",
    "uma mensagem de cliente chega em nome de um provedor que não existe",
    target_fixture="answer",
)
def under_unknown_provider(unit: Tenant, stranger: Customer, courier: Courier) -> Answer:
    url = courier.address(unit.instance).url(provider=f"evolution{secrets.token_hex(2)}")
    return courier.deliver_text(url, instance=unit.instance, phone=stranger.phone, text="lost", name=stranger.name)


@when(
    "a customer's message arrives for an instance that does not exist",
    "uma mensagem de cliente chega para uma instância que não existe",
    target_fixture="answer",
)
def for_unknown_instance(unit: Tenant, stranger: Customer, courier: Courier) -> Answer:
    url = courier.address(unit.instance).url()
    return courier.deliver_text(url, instance=f"unit_{uuid.uuid4()}", phone=stranger.phone, text="lost", name=stranger.name)


@when(
    "a customer's message arrives for the second unit, which has no connection",
    "uma mensagem de cliente chega para a segunda unidade, que não tem conexão",
    target_fixture="answer",
)
def for_unconnected_unit(unit: Tenant, second_unit: Tenant, stranger: Customer, courier: Courier) -> Answer:
    url = courier.address(unit.instance).url()
    return courier.deliver_text(url, instance=second_unit.instance, phone=stranger.phone, text="lost", name=stranger.name)


@when(
    "a customer's message arrives for an instance that does not exist, with a wrong secret",
    "uma mensagem de cliente chega para uma instância que não existe, com um segredo errado",
    target_fixture="answer",
)
def for_unknown_instance_wrong_secret(unit: Tenant, stranger: Customer, courier: Courier) -> Answer:
    address = courier.address(unit.instance)
    url = address.url(secret=address.wrong_secret())
    return courier.deliver_text(url, instance=f"unit_{uuid.uuid4()}", phone=stranger.phone, text="lost", name=stranger.name)


@then("the answer is 400 with an error", "a resposta é 400 com um erro")
def refused_with_error(answer: Answer, evidence: Observe) -> None:
    answer.expect(400).text("error")
    evidence("answer", answer.status)


@then("the answer is 200 with the warning {string}", "a resposta é 200 com o aviso {string}")
def tolerated(warning: str, answer: Answer, evidence: Observe) -> None:
    answer.expect(200)
    same("received", expected=True, seen=answer.value("received"), request_id=answer.request_id)
    same("warning", expected=warning, seen=answer.value("warning"), request_id=answer.request_id)
    evidence("answer", answer.status)


@then("the answer holds", "a resposta contém")
def answer_holds(docstring: str, answer: Answer, evidence: Observe) -> None:
    expect_json(docstring, answer.body, what=f"{answer.request}, answer {answer.status}", request_id=answer.request_id)
    evidence("answer", answer.status)


@then("the message is stored nowhere", "a mensagem não é guardada em lugar nenhum")
def stored_nowhere(unit: Tenant, stranger: Customer, tenants: Tenants, evolution: EvolutionControl, evidence: Observe) -> None:
    await_marker(unit, tenants, evolution)
    nothing_from(stranger, unit)
    evidence("messages stored", 0)


@then("none of these messages is stored in either unit", "nenhuma destas mensagens é guardada em nenhuma das unidades")
def stored_in_neither(
    unit: Tenant, second_unit: Tenant, stranger: Customer, tenants: Tenants, evolution: EvolutionControl, evidence: Observe
) -> None:
    # A connection of the second unit must not bring to light what arrived before there was one.
    second_unit.connect().expect(201)
    tenants.scan(second_unit)
    for each in (unit, second_unit):
        await_marker(each, tenants, evolution)
        nothing_from(stranger, each)
    evidence("messages stored", 0)


def nothing_from(stranger: Customer, unit: Tenant) -> None:
    """Raises Mismatch when the unit shows a contact, a conversation or a message of this person."""
    same(f"messages of {stranger.masked} shown to the unit", expected=0, seen=len(unit.messages_with(stranger.phone)))
    contacts = [entry for entry in unit.member.every("/contacts") if stranger.phone in digits_in(entry)]
    same(f"contacts with the number {stranger.masked}", expected=0, seen=len(contacts))
