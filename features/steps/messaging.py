"""Customers write to a unit, and the unit writes to them."""

from __future__ import annotations

import secrets
from typing import Any

from features.backend import Answer
from features.expectations import Mismatch, same
from features.recording import Observe
from features.steps import given, then, when
from features.tenants import Customer, StoredMessage, Tenant, Tenants, digits_in
from harness.evolution.client import EvolutionControl

# A family joined by zero-width joiners, a skin tone, a letter with a combining accent beside its composed twin, right-to-left
# text, a variation selector, a trailing blank and line breaks: what a normalisation or a strip would change.
SUBTLE_TEXT = "Olá 👋🏽 família 👨‍👩‍👧‍👦 cafe\u0301 ≠ café שלום ❤️\nR$ 1.234,56 <b>&amp;</b> 'x' \\n %s {0}\r\n\tfim \u200d "
CUSTOMER_S = 30.0


@given("a customer who has never written", "um cliente que nunca escreveu", target_fixture="customer")
def new_customer(tenants: Tenants) -> Customer:
    return tenants.customer()


@when(
    "the customer writes a text with emoji, combining characters and line breaks",
    "o cliente escreve um texto com emoji, acentos combinados e quebras de linha",
    target_fixture="written",
)
def writes_subtle_text(unit: Tenant, customer: Customer, evolution: EvolutionControl) -> str:
    evolution.incoming(unit.instance, sender=customer.phone, text=SUBTLE_TEXT, push_name=customer.name)
    return SUBTLE_TEXT


@then(
    "the unit has exactly one contact with the customer's number",
    "a unidade tem exatamente um contato com o número do cliente",
)
def one_contact(unit: Tenant, customer: Customer, evidence: Observe) -> None:
    unit.await_messages(customer.phone, at_least=1)
    contacts = [entry for entry in unit.member.every("/contacts") if customer.phone in digits_in(entry)]
    same("contacts with the customer's number", expected=1, seen=len(contacts))
    evidence("contacts with the customer's number", len(contacts))


@then(
    "the unit has exactly one open conversation with the customer",
    "a unidade tem exatamente uma conversa aberta com o cliente",
    target_fixture="conversation",
)
def one_conversation(unit: Tenant, customer: Customer, evidence: Observe) -> dict[str, Any]:
    conversations = unit.conversations_with(customer.phone)
    same("conversations with the customer", expected=1, seen=len(conversations))
    same("status of the conversation", expected="open", seen=conversations[0].get("status"))
    evidence("conversations with the customer", len(conversations))
    return conversations[0]


@then(
    "the conversation holds exactly one message, from the customer, received",
    "a conversa contém exatamente uma mensagem, do cliente, recebida",
    target_fixture="message",
)
def one_message(unit: Tenant, conversation: dict[str, Any], evidence: Observe) -> StoredMessage:
    messages = unit.messages_in(conversation)
    same("messages in the conversation", expected=1, seen=len(messages))
    same("sender of the message", expected="customer", seen=messages[0].sender)
    same("status of the message", expected="received", seen=messages[0].status)
    evidence("messages in the conversation", len(messages))
    return messages[0]


@then("the message's text is the customer's, byte for byte", "o texto da mensagem é o do cliente, byte por byte")
def text_is_equal(message: StoredMessage, written: str, evidence: Observe) -> None:
    same_text(message.text, written)
    evidence("bytes of text, each equal", len(written.encode()))


@when("the unit sends the customer a message", "a unidade envia uma mensagem ao cliente", target_fixture="sending")
def unit_sends(unit: Tenant, order: dict[str, str]) -> Answer:
    return unit.member.post("/messages", order, waits=True)


@given(
    "the provider refuses the unit's next call to send",
    "o provedor recusa a próxima chamada de envio da unidade",
    target_fixture="order",
)
def provider_refuses_once(unit: Tenant, customer: Customer, evolution: EvolutionControl) -> dict[str, str]:
    # 429 without a send: the one refusal of which it is certain that nothing went out and that another try may succeed.
    evolution.inject("rate-limited", instance=unit.instance, route="message/sendText", count=1, seconds=1)
    return {
        "phone": customer.phone,
        "message": f"Your order {secrets.token_hex(4)} is ready ✅",
        "clientMessageId": secrets.token_hex(12),
    }


@then("the message was accepted with the second attempt", "a mensagem foi aceita na segunda tentativa")
def accepted_with_second_attempt(sending: Answer, evidence: Observe) -> None:
    sending.expect(200)
    same("success", expected=True, seen=sending.value("success"), request_id=sending.request_id)
    same("attempts", expected=2, seen=sending.value("attempts"), request_id=sending.request_id)
    sending.text("messageId")
    sending.identifier("internalId")
    evidence("attempts", sending.value("attempts"))


@then("the customer got the message exactly once", "o cliente recebeu a mensagem exatamente uma vez")
def got_it_once(unit: Tenant, customer: Customer, order: dict[str, str], evolution: EvolutionControl, evidence: Observe) -> None:
    evolution.quiesce()
    got = sends_to(evolution, unit, customer.phone)
    same("texts the customer got", expected=[order["message"]], seen=[send["text"] for send in got])
    evidence("sends in the provider's ledger", len(got))


@when(
    "the unit sends the same message with the same key again",
    "a unidade envia de novo a mesma mensagem com a mesma chave",
    target_fixture="replay",
)
def sends_again(unit: Tenant, order: dict[str, str]) -> Answer:
    return unit.member.post("/messages", order, waits=True)


@then("the first answer is given again, marked as deduplicated", "a primeira resposta é dada de novo, marcada como deduplicada")
def first_answer_again(sending: Answer, replay: Answer, evidence: Observe) -> None:
    replay.expect(200)
    same("deduplicated", expected=True, seen=replay.value("deduplicated"), request_id=replay.request_id)
    for name in ("success", "messageId", "internalId"):
        same(name, expected=sending.value(name), seen=replay.value(name), request_id=replay.request_id)
    evidence("deduplicated", True)


@then(
    "the provider was called twice to send, not a third time",
    "o provedor foi chamado duas vezes para enviar, e não uma terceira",
)
def called_twice(unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    calls = evolution.requests(method="POST", path=f"/message/sendText/{unit.instance}")
    same("how the provider answered each call to send", expected=[429, 201], seen=[call["status"] for call in calls])
    evidence("calls to send", len(calls))


def sends_to(evolution: EvolutionControl, unit: Tenant, phone: str) -> list[dict[str, Any]]:
    """What really went out to a number, in order."""
    return [send for send in evolution.ledger(instance=unit.instance) if phone in digits_in([send["number"], send["remoteJid"]])]


def same_text(seen: str, expected: str) -> None:
    """Raises Mismatch, with the place of the first difference, unless the bytes are equal."""
    wanted, got = expected.encode(), seen.encode("utf-8", "surrogatepass")
    if wanted == got:
        return
    place = next(
        (index for index, pair in enumerate(zip(wanted, got, strict=False)) if pair[0] != pair[1]), min(len(wanted), len(got))
    )
    raise Mismatch(
        f"the text, from byte {place} on",
        expected=f"{wanted[place : place + 12]!r} ({len(wanted)} bytes in all)",
        seen=f"{got[place : place + 12]!r} ({len(got)} bytes in all)",
    )


def await_marker(unit: Tenant, tenants: Tenants, evolution: EvolutionControl) -> None:
    """A further message that does arrive: when it is shown, whatever was sent before it would be shown as well."""
    customer = tenants.customer()
    evolution.incoming(unit.instance, sender=customer.phone, text=f"marker {secrets.token_hex(6)}")
    unit.await_messages(customer.phone, at_least=1)
