"""What the provider delivers to the webhook: every form it may have, and what must not be taken for a customer's message."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from features.backend import Answer, Backend
from features.expectations import Eventually, Mismatch, same
from features.expressions import chosen
from features.operations import Operations
from features.provider import Courier, WebhookAddress
from features.recording import Observe
from features.steps import given, then, when
from features.steps.messaging import await_marker, sends_to
from features.steps.outbound import status_of
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl
from harness.operations import DatabaseState

ACK_S = 10.0
# Longer than any window for a rotated secret that the contract's configuration allows by default.
AFTER_THE_WINDOW_S = 25 * 3600.0
FAILING: dict[str, DatabaseState] = {"is down": "down", "loses what is committed": "loses-commits"}
MARK = "must not be stored"
POISON: dict[str, bytes] = {
    "is no JSON": b"{not json",
    "is cut off": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"key": {"id": "3A',
    "is no UTF-8": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"x": "\xff\xfe"}}',
    "is a list": b'[{"event": "messages.upsert", "instance": "%INSTANCE%"}]',
    "names no known event": b'{"event": "messages.teleported", "instance": "%INSTANCE%", "data": {}}',
    "has no key": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"message": {"conversation": "x"}}}',
    "holds a number out of range": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"messageTimestamp": 1e400}}',
    "holds NaN": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"messageTimestamp": NaN}}',
    "holds a NUL": (
        b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"key": {"remoteJid": "5511999990001@s.whatsapp.net",'
        b' "fromMe": false, "id": "3APOISON0000000001"}, "message": {"conversation": "a\\u0000b"}}}'
    ),
    "holds half a character": (
        b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"key": {"remoteJid": "5511999990001@s.whatsapp.net",'
        b' "fromMe": false, "id": "3APOISON0000000002"}, "message": {"conversation": "a\\ud800b"}}}'
    ),
    "is nested without end": b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": '
    + b"[" * 5000
    + b"]" * 5000
    + b"}",
    "has a text that is a list": (
        b'{"event": "messages.upsert", "instance": "%INSTANCE%", "data": {"key": {"remoteJid": "5511999990001@s.whatsapp.net",'
        b' "fromMe": false, "id": "3APOISON0000000003"}, "message": {"conversation": ["x"]}}}'
    ),
}


@dataclass(slots=True, kw_only=True)
class Delivered:
    """What was delivered: texts that must be stored, in order, and how each delivery was answered."""

    texts: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)


@given("a second unit that is connected to WhatsApp", "uma segunda unidade conectada ao WhatsApp", target_fixture="second_unit")
def second_connected(tenants: Tenants) -> Tenant:
    return tenants.create_connected()


@when(
    "{int} messages of the customer arrive, and each is looked for as soon as it is answered",
    "chegam {int} mensagens do cliente, e cada uma é procurada assim que respondida",
    target_fixture="looked",
)
def looked_for_at_once(count: int, unit: Tenant, customer: Customer, courier: Courier) -> list[tuple[bool, Answer]]:
    url, looked = courier.address(unit.instance).url(), []
    for number in range(count):
        text = f"{number}: {secrets.token_hex(4)}"
        answer = courier.deliver_text(url, instance=unit.instance, phone=customer.phone, text=text, name=customer.name)
        looked.append((text in [message.text for message in unit.messages_with(customer.phone)], answer.expect(200)))
    return looked


@then("each was there", "cada uma estava lá")
def each_was_there(looked: list[tuple[bool, Answer]], evidence: Observe) -> None:
    for found, answer in looked:
        if not found:
            what = "a message whose delivery was answered with 200"
            raise Mismatch(what, expected="stored", seen="not there", request_id=answer.request_id)
    evidence("messages that were there when they were answered", len(looked))


@when(
    "{int} messages of the customer arrive as {string}",
    "chegam {int} mensagens do cliente como {string}",
    target_fixture="delivered",
)
def arrive_as(count: int, form: str, unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    texts = [f"{number}: {secrets.token_hex(4)}" for number in range(count)]
    entries = [entry_of(customer.phone, text) for text in texts]
    data: Any = {"a list": entries, "an object with messages": {"messages": entries}}[form]
    answer = courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.upsert", data=data)
    return Delivered(texts=texts, answers=[answer.expect(200)])


@when(
    "a list arrives in which one entry cannot be read",
    "chega uma lista em que um item não pode ser lido",
    target_fixture="delivered",
)
def arrive_with_poison(unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    texts = [f"{number}: {secrets.token_hex(4)}" for number in range(2)]
    entries = [entry_of(customer.phone, texts[0]), {"key": {"fromMe": False}}, entry_of(customer.phone, texts[1])]
    answer = courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.upsert", data=entries)
    return Delivered(texts=texts, answers=[answer.expect(200)])


@when(
    "the customer writes the same words {int} times, each time under another name",
    "o cliente escreve as mesmas palavras {int} vezes, cada vez com outro nome",
    target_fixture="delivered",
)
def same_words(count: int, unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    url, text = courier.address(unit.instance).url(), f"ok {secrets.token_hex(2)}"
    names = [f"{customer.name} {number}" for number in range(count)]
    answers = [courier.deliver_text(url, instance=unit.instance, phone=customer.phone, text=text, name=name) for name in names]
    return Delivered(texts=[text] * count, answers=[answer.expect(200) for answer in answers])


@when("the customer sends a picture without a word", "o cliente manda uma foto sem palavra alguma")
def sends_picture(unit: Tenant, customer: Customer, courier: Courier) -> None:
    content = {"imageMessage": {"mimetype": "image/jpeg", "url": "https://mmg.example/x"}}
    data = entry_of(customer.phone, "") | {"message": content, "messageType": "imageMessage"}
    courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.upsert", data=data).expect(200)


@then("each of them is stored once", "cada uma delas é guardada uma só vez")
def each_stored(unit: Tenant, customer: Customer, delivered: Delivered, evidence: Observe) -> None:
    unit.await_messages(customer.phone, at_least=len(delivered.texts))
    seen = sorted(message.text for message in unit.messages_with(customer.phone))
    same("texts of the customer", expected=sorted(delivered.texts), seen=seen)
    evidence("messages stored", len(seen))


@when("a delivery arrives that {string}", "chega uma entrega que {string}", target_fixture="answer")
def poison_arrives(kind: str, unit: Tenant, courier: Courier) -> Answer:
    body = chosen(POISON, kind).replace(b"%INSTANCE%", unit.instance.encode())
    return courier.deliver_bytes(courier.address(unit.instance).url(), body)


@then("it is answered with 200 and kept for a person to look at", "a resposta é 200 e ela fica guardada para uma pessoa examinar")
def quarantined(answer: Answer, evidence: Observe) -> None:
    answer.expect(200)
    same("received", expected=True, seen=answer.value("received"), request_id=answer.request_id)
    same("warning", expected="quarantined", seen=answer.value("warning"), request_id=answer.request_id)
    evidence("answer to what cannot be read", answer.status)


@then("the next message of a customer is stored", "a próxima mensagem de um cliente é guardada")
def next_is_stored(unit: Tenant, tenants: Tenants, evolution: EvolutionControl, evidence: Observe) -> None:
    await_marker(unit, tenants, evolution)
    evidence("messages stored afterwards", 1)


@when("{string} arrives", "chega {string}", target_fixture="answer")
def something_arrives(kind: str, unit: Tenant, customer: Customer, courier: Courier) -> Answer:
    key: dict[str, Any] = {"remoteJid": f"{customer.phone}@s.whatsapp.net", "fromMe": False, "id": new_key()}
    content: dict[str, Any] = {"conversation": MARK}
    match kind:
        case "what the unit's own telephone wrote":
            key["fromMe"] = True
        case "what was said in a group":
            key |= {"remoteJid": "120363025246125486@g.us", "participant": key["remoteJid"]}
        case "somebody's status":
            key |= {"remoteJid": "status@broadcast", "participant": key["remoteJid"]}
        case "a reaction":
            content = {"reactionMessage": {"key": dict(key), "text": "👍"}}
        case "the deletion of a message":
            content = {"protocolMessage": {"key": dict(key), "type": "REVOKE"}}
        case _:
            raise LookupError(f"{kind!r} is nothing that a provider delivers")
    data: dict[str, Any] = {"key": key, "pushName": customer.name, "message": content, "messageType": next(iter(content))}
    return courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.upsert", data=data)


@then("it is answered with 200 and is no message of a customer", "a resposta é 200 e não é mensagem de cliente")
def no_customer_message(
    answer: Answer, unit: Tenant, customer: Customer, tenants: Tenants, evolution: EvolutionControl, evidence: Observe
) -> None:
    answer.expect(200)
    await_marker(unit, tenants, evolution)
    stored = [message for message in every_message(unit) if message.get("sender") == "customer" and "marker" not in str(message)]
    same("messages from customers", expected=[], seen=[message.get("status") for message in stored])
    evidence("answer", answer.status)


@when("the customer writes {string} as {string}", "o cliente escreve {string} como {string}", target_fixture="delivered")
def writes_as(text: str, form: str, unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    forms: dict[str, dict[str, Any]] = {
        "a plain text": {"conversation": text},
        "an extended text": {"extendedTextMessage": {"text": text}},
        "a vanishing text": {"ephemeralMessage": {"message": {"extendedTextMessage": {"text": text}}}},
        "a picture's caption": {"imageMessage": {"caption": text, "mimetype": "image/jpeg", "url": "https://mmg.example/x"}},
        "a document's caption": {
            "documentWithCaptionMessage": {"message": {"documentMessage": {"caption": text, "mimetype": "application/pdf"}}}
        },
    }
    content = chosen(forms, form)
    data = entry_of(customer.phone, text) | {"message": content, "messageType": next(iter(content))}
    answer = courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.upsert", data=data)
    return Delivered(texts=[text], answers=[answer.expect(200)])


@when("the same message arrives for both units", "a mesma mensagem chega para as duas unidades", target_fixture="delivered")
def arrives_for_both(unit: Tenant, second_unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    text, key = f"for both: {secrets.token_hex(4)}", new_key()
    answers = [
        courier.deliver_text(courier.address(one.instance).url(), instance=one.instance, phone=customer.phone, text=text, key=key)
        for one in (unit, second_unit)
    ]
    return Delivered(texts=[text], answers=[answer.expect(200) for answer in answers])


@then("each unit has it once", "cada unidade a tem uma só vez")
def each_unit_once(unit: Tenant, second_unit: Tenant, customer: Customer, delivered: Delivered, evidence: Observe) -> None:
    for one in (unit, second_unit):
        messages = one.await_messages(customer.phone, at_least=1)
        same("texts of the customer", expected=delivered.texts, seen=[message.text for message in messages])
    evidence("units that have the message", 2)


@when(
    "the same message arrives under the customer's hidden identity",
    "a mesma mensagem chega com a identidade oculta do cliente",
    target_fixture="delivered",
)
def arrives_hidden(unit: Tenant, customer: Customer, courier: Courier) -> Delivered:
    text, url = f"twin: {secrets.token_hex(4)}", courier.address(unit.instance).url()
    plain = entry_of(customer.phone, text)
    twin = plain | {"key": plain["key"] | {"remoteJid": "184467440737@lid", "remoteJidAlt": plain["key"]["remoteJid"]}}
    answers = [courier.deliver(url, instance=unit.instance, event="messages.upsert", data=data) for data in (plain, twin)]
    return Delivered(texts=[text], answers=[answer.expect(200) for answer in answers])


@then("the unit has it once, from one contact", "a unidade a tem uma só vez, de um só contato")
def once_from_one(
    unit: Tenant, customer: Customer, delivered: Delivered, tenants: Tenants, evolution: EvolutionControl, evidence: Observe
) -> None:
    same("contacts of the unit", expected=1, seen=len(unit.member.every("/contacts")))
    await_marker(unit, tenants, evolution)
    texts = [text for text in texts_in(every_message(unit)) if text in delivered.texts]
    same("messages with the text", expected=delivered.texts, seen=texts)
    evidence("messages stored", len(texts))


@when("a delivery arrives that names no instance", "chega uma entrega que não cita instância", target_fixture="answer")
def no_instance(unit: Tenant, courier: Courier) -> Answer:
    body = {"event": "messages.upsert", "data": entry_of("5511999990002", MARK)}
    return courier.deliver_bytes(courier.address(unit.instance).url(), json.dumps(body).encode())


@then("it is answered with 200 and the warning {string}", "a resposta a ela é 200 com o aviso {string}")
def warned(warning: str, answer: Answer, evidence: Observe) -> None:
    answer.expect(200)
    same("received", expected=True, seen=answer.value("received"), request_id=answer.request_id)
    same("warning", expected=warning, seen=answer.value("warning"), request_id=answer.request_id)
    evidence("warning", warning)


@when(
    "the customer's message arrives with a secret that is {string}",
    "a mensagem do cliente chega com um segredo que é {string}",
    target_fixture="forged",
)
def wrong_secret(kind: str, unit: Tenant, customer: Customer, courier: Courier, tenants: Tenants) -> Answer:
    address = courier.address(unit.instance)
    if kind == "another unit's":
        secret = courier.address(tenants.create_connected().instance).secret
    else:
        secret = {
            "another one": address.wrong_secret(),
            "longer": f"{address.secret}x",
            "shorter": address.secret[:-1],
            "written in the other case": address.secret.swapcase(),
        }[kind]
    if secret == address.secret:
        if kind == "another unit's":
            raise Mismatch("the webhook's secret", expected="the unit's own", seen="another unit's")
        # A secret of digits alone has no other case.
        secret = f"{secret}A"
    return courier.deliver_text(address.url(secret=secret), instance=unit.instance, phone=customer.phone, text=MARK)


@then("the customer's message is stored nowhere", "a mensagem do cliente não é guardada em lugar nenhum")
def stored_nowhere(unit: Tenant, customer: Customer, tenants: Tenants, evolution: EvolutionControl, evidence: Observe) -> None:
    await_marker(unit, tenants, evolution)
    same("messages with the customer", expected=0, seen=len(unit.messages_with(customer.phone)))
    evidence("messages stored", 0)


@when("the webhook's secret is rotated", "o segredo do webhook é trocado", target_fixture="old_address")
def rotated(unit: Tenant, courier: Courier, operations: Operations) -> WebhookAddress:
    old = courier.address(unit.instance)
    operations.rotate_webhook_secrets()
    if courier.address(unit.instance).secret == old.secret:
        raise Mismatch("the webhook's secret at the provider", expected="a new one", seen="the old one")
    return old


@then("a message with the {word} secret is stored", "uma mensagem com o segredo {word} é guardada")
def stored_with(
    which: str, unit: Tenant, old_address: WebhookAddress, tenants: Tenants, courier: Courier, evidence: Observe
) -> None:
    address = {"old": old_address, "new": courier.address(unit.instance)}[which]
    writer = tenants.customer()
    courier.deliver_text(address.url(), instance=unit.instance, phone=writer.phone, text="rotated").expect(200)
    unit.await_messages(writer.phone, at_least=1)
    evidence(f"messages with the {which} secret", 1)


@when("the window for the old secret is over", "o prazo do segredo antigo termina")
def window_over(time_of_target: TargetTime) -> None:
    time_of_target.let_pass(AFTER_THE_WINDOW_S)


@when(
    "the customer's message arrives with the old secret",
    "a mensagem do cliente chega com o segredo antigo",
    target_fixture="forged",
)
def arrives_with_old(unit: Tenant, customer: Customer, old_address: WebhookAddress, courier: Courier) -> Answer:
    return courier.deliver_text(old_address.url(), instance=unit.instance, phone=customer.phone, text=MARK)


@when(
    "the customer's message arrives while the database {string}",
    "a mensagem do cliente chega enquanto o banco de dados {string}",
    target_fixture="repeated_delivery",
)
def arrives_while(state: str, unit: Tenant, customer: Customer, courier: Courier, operations: Operations) -> Delivered:
    text, key = f"while it fails: {secrets.token_hex(4)}", new_key()
    url = courier.address(unit.instance).url()

    def deliver() -> Answer:
        return courier.deliver_text(url, instance=unit.instance, phone=customer.phone, text=text, key=key)

    with operations.database(chosen(FAILING, state)):
        first = deliver()
    return Delivered(texts=[text], answers=[first, deliver()])


@then(
    "it is answered with 503 first, and is stored when it comes again",
    "a primeira resposta é 503, e ela é guardada quando chega de novo",
)
def stored_when_again(unit: Tenant, customer: Customer, repeated_delivery: Delivered, evidence: Observe) -> None:
    first, again = repeated_delivery.answers
    first.expect(503)
    again.expect(200)
    messages = unit.await_messages(customer.phone, at_least=1)
    same("texts of the customer", expected=repeated_delivery.texts, seen=[message.text for message in messages])
    evidence("answers", f"{first.status}, then {again.status}")


@when("a delivery of {int} MB arrives", "chega uma entrega de {int} MB", target_fixture="answer")
def oversized(megabytes: int, unit: Tenant, courier: Courier, api: Backend) -> Answer:
    body = b'{"event": "messages.upsert", "instance": "%s", "data": "%s"}' % (unit.instance.encode(), b"x" * (megabytes * 2**20))
    try:
        return courier.deliver_bytes(courier.address(unit.instance).url(), body)
    except Mismatch:
        # A server may answer early and close, before all of the body was taken.
        return Answer(request="POST /webhooks/…", status=413, body={}, headers=httpx.Headers())


# acknowledgements


@given(
    "a message that the unit has sent to the customer",
    "uma mensagem que a unidade enviou ao cliente",
    target_fixture="sending",
)
def has_sent(unit: Tenant, customer: Customer, evolution: EvolutionControl) -> Answer:
    evolution.inject("no-ack", instance=unit.instance)
    order = {"phone": customer.phone, "message": f"To be acknowledged: {secrets.token_hex(4)}"}
    return unit.member.post("/messages", order, waits=True).expect(200)


@when("the acknowledgement {word} arrives in the form with {string}", "a confirmação {word} chega na forma com {string}")
def ack_in_form(status: str, form: str, unit: Tenant, sending: Answer, customer: Customer, courier: Courier) -> None:
    acknowledge(courier, unit, sending.text("messageId"), customer, status, nested=form == "key.id")


@when("the acknowledgement {word} arrives", "a confirmação {word} chega")
def ack_arrives(status: str, unit: Tenant, sending: Answer, customer: Customer, courier: Courier) -> None:
    acknowledge(courier, unit, sending.text("messageId"), customer, status)


@when(
    "the acknowledgement {word} of that message arrives for the second unit",
    "a confirmação {word} dessa mensagem chega para a segunda unidade",
)
def ack_for_another(
    status: str, sending: Answer, second_unit: Tenant, customer: Customer, courier: Courier, evolution: EvolutionControl
) -> None:
    acknowledge(courier, second_unit, sending.text("messageId"), customer, status)
    evolution.quiesce()


@then("the message is shown as {word}", "a mensagem aparece como {word}")
def shown_as(status: str, unit: Tenant, sending: Answer, eventually: Eventually, evidence: Observe) -> None:
    eventually(lambda: status_of(unit, sending), status, within_s=ACK_S, what="status of the message")
    evidence("status shown", status)


@then("the message is still shown as {word}", "a mensagem continua aparecendo como {word}")
def still_shown_as(status: str, unit: Tenant, sending: Answer, evolution: EvolutionControl, evidence: Observe) -> None:
    evolution.quiesce()
    same("status of the message", expected=status, seen=status_of(unit, sending))
    evidence("status shown", status)


@when(
    "the unit sends a message that is acknowledged as read before the provider answers",
    "a unidade envia uma mensagem confirmada como lida antes da resposta do provedor",
    target_fixture="sending",
)
def acknowledged_early(
    unit: Tenant, customer: Customer, courier: Courier, evolution: EvolutionControl, time_of_target: TargetTime
) -> Answer:
    evolution.inject("no-ack", instance=unit.instance)
    evolution.inject("send-timeout-after-sending", instance=unit.instance, seconds=8, count=1)
    order = {"phone": customer.phone, "message": f"Overtaken: {secrets.token_hex(4)}"}
    answers: list[Answer] = []
    sender = threading.Thread(target=lambda: answers.append(unit.member.post("/messages", order)), daemon=True)
    sender.start()
    while not (sends := sends_to(evolution, unit, customer.phone)):
        if not sender.is_alive():
            raise Mismatch("the send", expected="to go out before it is answered", seen="an answer first")
        sender.join(0.01)
    acknowledge(courier, unit, str(sends[0]["keyId"]), customer, "READ")
    time_of_target.pace.call(sender.join)
    (answer,) = answers
    return answer.expect(200, 202)


def acknowledge(courier: Courier, unit: Tenant, key: str, customer: Customer, status: str, *, nested: bool = False) -> None:
    """The provider's `messages.update`, in either of its forms."""
    jid = f"{customer.phone}@s.whatsapp.net"
    data: dict[str, Any] = (
        {"key": {"id": key, "remoteJid": jid, "fromMe": True}, "update": {"status": status}}
        if nested
        else {"keyId": key, "remoteJid": jid, "fromMe": True, "status": status}
    )
    courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="messages.update", data=data).expect(200)


def entry_of(phone: str, text: str) -> dict[str, Any]:
    """One entry of a `messages.upsert`."""
    return {
        "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False, "id": new_key()},
        "pushName": "Maria",
        "message": {"conversation": text},
        "messageType": "conversation",
        "messageTimestamp": 1_795_357_299,
    }


def new_key() -> str:
    return f"3A{secrets.token_hex(9).upper()}"


def every_message(unit: Tenant) -> list[dict[str, Any]]:
    """Every message that the unit is shown, as it is shown."""
    return [
        message
        for conversation in unit.member.every("/conversations")
        for message in unit.member.every(f"/conversations/{conversation['id']}/messages")
    ]


def texts_in(messages: list[dict[str, Any]]) -> list[str]:
    return [
        str(value) for message in messages for name, value in message.items() if name in ("content", "text", "body", "message")
    ]
