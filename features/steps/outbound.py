"""A unit writes to a customer, and the provider does what providers do."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from features.backend import Answer, Member
from features.expectations import Eventually, Mismatch, same
from features.expressions import chosen
from features.operations import Operations
from features.recording import Observe
from features.steps import given, then, when
from features.steps.messaging import SUBTLE_TEXT, same_text, sends_to
from features.steps.resilience import at_once
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

ATTEMPTS = 3
# The waits before the second and the third attempt are 1 s and 2 s; jitter may shorten them, not do away with them.
WAITS_S = 1.0
# Grace before a doubtful message is looked up, the look-ups themselves, and the sweeps in between.
SETTLES_WITHIN_S = 400.0
# A 429 that asks for more than a client would wait leaves the message to a worker.
WORKER_S = 600.0
ANSWERS_MEANWHILE_S = 8.0
JUMPS = 4
# A backend's background work is done at least once in so many seconds.
SWEEP_S = 6.0
SENT = ("sent", "delivered", "read")
# What may happen to a call to send, in words: the fault of the fake with its options.
HAPPENINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "is answered with 400 and goes out": ("send-error-after-sending", {"status": 400, "message": "Bad Request"}),
    "is answered with 500 and goes out": ("send-error-after-sending", {"status": 500}),
    "is cut off and goes out": ("connection-reset-after-sending", {}),
    "is not answered in time and goes out": ("send-timeout-after-sending", {"seconds": 120}),
    "is answered with 400 and does not go out": ("send-error", {"status": 400}),
    "is answered with 500 and does not go out": ("send-error", {"status": 500}),
    "is cut off and does not go out": ("connection-reset", {}),
    "is answered with 201 in HTML and goes out": ("not-json", {}),
    "is answered with 429": ("rate-limited", {"seconds": 1}),
    "is answered with 429 for 5 seconds": ("rate-limited", {"seconds": 5}),
    "is answered with 429 for 30 seconds": ("rate-limited", {"seconds": 30}),
    "is answered with 429 that names no time": ("rate-limited", {"retry_after": "absent"}),
    "takes 12 seconds": ("slow-send", {"seconds": 12}),
    "is answered and never acknowledged": ("no-ack", {}),
}


@given("the unit's next send {string}", "o próximo envio da unidade {string}", target_fixture="order")
def next_send(happening: str, unit: Tenant, customer: Customer, evolution: EvolutionControl) -> dict[str, str]:
    let_happen(happening, unit, evolution, count=1)
    return new_order(customer)


@given("every send of the unit {string}", "todo envio da unidade {string}", target_fixture="order")
def every_send(happening: str, unit: Tenant, customer: Customer, evolution: EvolutionControl) -> dict[str, str]:
    let_happen(happening, unit, evolution)
    return new_order(customer)


@given("a customer whose number is not on WhatsApp", "um cliente cujo número não está no WhatsApp", target_fixture="customer")
def not_on_whatsapp(tenants: Tenants) -> Customer:
    real = tenants.customer()
    # The fake, as WhatsApp, knows no number that ends so.
    return Customer(phone=f"{real.phone[:-4]}0000", name=real.name)


@given(
    "a customer whom WhatsApp knows without the ninth digit",
    "um cliente que o WhatsApp conhece sem o nono dígito",
    target_fixture="customer",
)
def without_ninth_digit(tenants: Tenants) -> Customer:
    real = tenants.customer()
    # In Minas Gerais, as everywhere but around São Paulo, the ids of old accounts have eight digits, the first of them 7 to 9.
    return Customer(phone=f"553198{real.phone[6:]}", name=real.name)


@given("a message for the customer", "uma mensagem para o cliente", target_fixture="order")
def message_for(customer: Customer) -> dict[str, str]:
    return new_order(customer)


@given("the provider does not know the unit any more", "o provedor não conhece mais a unidade")
def provider_forgets(unit: Tenant, evolution: EvolutionControl) -> None:
    number = evolution.inject("send-error", instance=unit.instance, status=404, message="The instance does not exist")
    same("faults that are on", expected=True, seen=number > 0)


@when(
    "the unit sends the customer the message {int} times at once",
    "a unidade envia a mensagem ao cliente {int} vezes ao mesmo tempo",
    target_fixture="sendings",
)
def sends_at_once(count: int, unit: Tenant, order: dict[str, str], time_of_target: TargetTime) -> list[Answer]:
    return at_once([lambda: unit.member.post("/messages", order)] * count)


@when(
    "the unit sends another text with a key that {string}",
    "a unidade envia outro texto com uma chave que {string}",
    target_fixture="replay",
)
def sends_similar_key(kind: str, unit: Tenant, order: dict[str, str]) -> Answer:
    key = order["clientMessageId"]
    similar = {
        "differs in its last letter": f"{key[:-1]}{'g' if key[-1] != 'g' else 'h'}",
        "is in the other case": key.swapcase(),
    }
    if kind not in similar:
        raise LookupError(f"{kind!r}: a similar key is one that {' or '.join(similar)}")
    other = {"message": f"{order['message']}, another", "clientMessageId": similar[kind]}
    return unit.member.post("/messages", order | other, waits=True)


@when(
    "the unit sends the same text once more, and that send {string}",
    "a unidade envia o mesmo texto mais uma vez, e esse envio {string}",
    target_fixture="sending",
)
def sends_twin(happening: str, unit: Tenant, order: dict[str, str], evolution: EvolutionControl) -> Answer:
    let_happen(happening, unit, evolution, count=1)
    return unit.member.post("/messages", order | {"clientMessageId": new_key()}, waits=True)


@when(
    "the unit sends the customer a message while the database loses what is committed",
    "a unidade envia uma mensagem ao cliente enquanto o banco de dados perde o que é gravado",
    target_fixture="sending",
)
def sends_without_database(unit: Tenant, order: dict[str, str], operations: Operations) -> Answer:
    with operations.database("loses-commits"):
        return unit.member.post("/messages", order, waits=True)


@when(
    "the super_admin sends the customer the message in the unit's name",
    "o super_admin envia a mensagem ao cliente em nome da unidade",
    target_fixture="sending",
)
def super_admin_sends(unit: Tenant, order: dict[str, str], super_admin: Member) -> Answer:
    return super_admin.post("/messages", order | {"unitId": unit.id}, waits=True)


@when(
    "the super_admin sends the customer the message and names no unit",
    "o super_admin envia a mensagem ao cliente sem citar unidade",
    target_fixture="answer",
)
def super_admin_names_none(order: dict[str, str], super_admin: Member) -> Answer:
    return super_admin.post("/messages", order | {"clientMessageId": new_key()}, waits=True)


@when("the unit sends another text with the same key", "a unidade envia outro texto com a mesma chave", target_fixture="replay")
def sends_other_text(unit: Tenant, order: dict[str, str]) -> Answer:
    return unit.member.post("/messages", order | {"message": f"{order['message']}, changed"}, waits=True)


@when(
    "the unit sends another customer the same text with the same key",
    "a unidade envia a outro cliente o mesmo texto com a mesma chave",
    target_fixture="replay",
)
def sends_other_phone(unit: Tenant, order: dict[str, str], tenants: Tenants) -> Answer:
    return unit.member.post("/messages", order | {"phone": tenants.customer().phone}, waits=True)


@when(
    "a second connected unit sends with the same key",
    "uma segunda unidade conectada envia com a mesma chave",
    target_fixture="others_sending",
)
def second_unit_sends(order: dict[str, str], tenants: Tenants, evolution: EvolutionControl, customer: Customer) -> Answer:
    other = tenants.create_connected()
    answer = other.member.post("/messages", order, waits=True).expect(200)
    same(
        "sends of the second unit",
        expected=[order["message"]],
        seen=[send["text"] for send in sends_to(evolution, other, customer.phone)],
    )
    return answer


@when("the unit sends {string} to the phone {string}", "a unidade envia {string} ao telefone {string}", target_fixture="answer")
def sends_to_phone(text: str, phone: str, unit: Tenant) -> Answer:
    return unit.member.post("/messages", {"phone": phone, "message": text}, waits=True)


@when("the unit sends a text of {int} characters", "a unidade envia um texto de {int} caracteres", target_fixture="answer")
def sends_long(length: int, unit: Tenant, customer: Customer) -> Answer:
    return unit.member.post("/messages", {"phone": customer.phone, "message": "x" * length}, waits=True)


@when(
    "the unit sends the message to the customer's number as people write it, {string}",
    "a unidade envia a mensagem ao número do cliente como as pessoas o escrevem, {string}",
    target_fixture="sending",
)
def sends_formatted(form: str, unit: Tenant, order: dict[str, str], customer: Customer) -> Answer:
    national = written_nationally(customer)
    written = {"with the country": f"+{customer.phone[:2]} {national}", "without the country": national}[form]
    return unit.member.post("/messages", order | {"phone": written}, waits=True).expect(200)


@when("the unit sends a subtle text", "a unidade envia um texto sutil", target_fixture="order")
def sends_subtle(unit: Tenant, customer: Customer) -> dict[str, str]:
    order = new_order(customer) | {"message": SUBTLE_TEXT}
    unit.member.post("/messages", order, waits=True).expect(200)
    return order


@then("the customer got the text, byte for byte", "o cliente recebeu o texto, byte por byte")
def got_bytes(unit: Tenant, customer: Customer, order: dict[str, str], evolution: EvolutionControl, evidence: Observe) -> None:
    (send,) = sends_to(evolution, unit, customer.phone) or [{"text": ""}]
    same_text(send["text"], order["message"])
    evidence("bytes of text, each equal", len(order["message"].encode()))


@then("the answer says that the outcome is not known yet", "a resposta diz que o resultado ainda não é conhecido")
def outcome_unknown(sending: Answer, evidence: Observe) -> None:
    # Proof may come by an event while the call still hangs: then the outcome is known.
    sending.expect(200, 202)
    same("success", expected=True, seen=sending.value("success"), request_id=sending.request_id)
    sending.identifier("internalId")
    if sending.status == 202 and sending.value("status") not in ("unknown", "queued"):
        raise Mismatch("status in the answer", expected="unknown", seen=sending.value("status"), request_id=sending.request_id)
    evidence("answer to a send of unknown outcome", sending.status)


@then("the message failed after {int} attempt/attempts", "a mensagem falhou após {int} tentativa/tentativas")
def failed_after(attempts: int, sending: Answer, evidence: Observe) -> None:
    sending.expect(502)
    same("attempts", expected=attempts, seen=sending.value("attempts"), request_id=sending.request_id)
    sending.identifier("internalId")
    if not sending.error:
        raise Mismatch(sending.request, expected="an error", seen=sending.body, request_id=sending.request_id)
    evidence("attempts", attempts)


@then("the message failed", "a mensagem falhou")
def failed(sending: Answer, evidence: Observe) -> None:
    sending.expect(502)
    evidence("answer to a send that failed", sending.status)


@then("the message is accepted", "a mensagem é aceita")
def accepted(sending: Answer, evidence: Observe) -> None:
    sending.expect(200)
    same("success", expected=True, seen=sending.value("success"), request_id=sending.request_id)
    sending.text("messageId")
    evidence("attempts", sending.value("attempts"))


@then("the provider was called {times} to send", "o provedor foi chamado {vezes} para enviar")
def called_times(count: int, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    same("calls to the provider to send", expected=count, seen=len(calls_to_send(evolution, unit)))
    evidence("calls to send", count)


@then(
    "the second call came at least {int} seconds after the first",
    "a segunda chamada veio pelo menos {int} segundos após a primeira",
)
def second_call_later(seconds: int, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    calls = calls_to_send(evolution, unit)
    same("calls to the provider to send", expected=2, seen=len(calls))
    gap = float(calls[1]["monotonic"]) - float(calls[0]["monotonic"])
    if gap < seconds:
        raise Mismatch("time between the two calls", expected=f"at least {seconds} s", seen=f"{gap:.3f} s")
    evidence("time between the two calls", round(gap, 3), "s")


@when(
    "the unit sends the customer a message, and nobody hurries its clock",
    "a unidade envia uma mensagem ao cliente, e ninguém adianta o relógio dela",
    target_fixture="sending",
)
def sends_unhurried(unit: Tenant, order: dict[str, str]) -> Answer:
    # Whoever moves time on meanwhile would make a wait where there is none.
    return unit.member.post("/messages", order)


@then("the three calls were not made at once", "as três chamadas não foram feitas de uma vez")
def calls_apart(unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    moments = [float(call["monotonic"]) for call in calls_to_send(evolution, unit)]
    same("calls to the provider to send", expected=ATTEMPTS, seen=len(moments))
    if moments[-1] - moments[0] < WAITS_S:
        what = "time from the first call to the third"
        raise Mismatch(what, expected=f"at least {WAITS_S:g} s", seen=f"{moments[-1] - moments[0]:.3f} s")
    evidence("time from the first call to the third", round(moments[-1] - moments[0], 3), "s")


@then("the send is an error, and nothing went out", "o envio é um erro, e nada saiu")
def error_and_nothing(sending: Answer, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    sending.expect(500, 503)
    same("calls to the provider to send", expected=0, seen=len(calls_to_send(evolution, unit)))
    evidence("answer to a send that could not be stored", sending.status)


@then(
    "however long one waits, that message is not shown as sent", "por mais que se espere, essa mensagem não aparece como enviada"
)
def never_sent(unit: Tenant, sending: Answer, evolution: EvolutionControl, time_of_target: TargetTime, evidence: Observe) -> None:
    elapse(time_of_target, SETTLES_WITHIN_S)
    evolution.quiesce()
    status = status_of(unit, sending)
    if status in SENT:
        raise Mismatch("status of a message that never went out", expected="unknown or failed", seen=status)
    evidence("status shown in the end", status)


@then(
    "however long one waits, the provider is called at most {int} times, and the message shown as it is",
    "por mais que se espere, o provedor é chamado no máximo {int} vezes, e a mensagem aparece como está",
)
def at_most_calls(
    most: int,
    unit: Tenant,
    sending: Answer,
    customer: Customer,
    evolution: EvolutionControl,
    time_of_target: TargetTime,
    evidence: Observe,
) -> None:
    elapse(time_of_target, WORKER_S)
    calls = few_calls(evolution, unit, most)
    shown_as_it_is(unit, sending, customer, evolution)
    evidence("calls to send", calls)


@then("what the unit is shown of the message becomes {word}", "o que a unidade vê da mensagem passa a {word}")
def becomes_shown(status: str, unit: Tenant, sending: Answer, eventually: Eventually, evidence: Observe) -> None:
    wanted = SENT if status == "sent" else (status,)
    seen = eventually(
        lambda: status_of(unit, sending),
        lambda found: found in wanted,
        within_s=SETTLES_WITHIN_S,
        what=f"status of the message, {status}",
    )
    evidence("status shown", str(seen))


@then("what the unit is shown of the message stays {word}", "o que a unidade vê da mensagem continua {word}")
def stays_shown(
    status: str, unit: Tenant, sending: Answer, time_of_target: TargetTime, evolution: EvolutionControl, evidence: Observe
) -> None:
    same("status of the message", expected=status, seen=status_of(unit, sending))
    elapse(time_of_target, 60.0)
    evolution.quiesce()
    same("status of the message", expected=status, seen=status_of(unit, sending))
    evidence("status shown", status)


@then(
    "however long one waits, the customer gets the message at most once, and it is shown as it is",
    "por mais que se espere, o cliente recebe a mensagem no máximo uma vez, e ela aparece como está",
)
def settles(
    unit: Tenant, sending: Answer, customer: Customer, evolution: EvolutionControl, time_of_target: TargetTime, evidence: Observe
) -> None:
    elapse(time_of_target, SETTLES_WITHIN_S)
    evolution.quiesce()
    status = shown_as_it_is(unit, sending, customer, evolution)
    few_calls(evolution, unit)
    evidence("status shown in the end", status)


@then("the customer got nothing", "o cliente não recebeu nada")
def got_nothing(unit: Tenant, customer: Customer, evolution: EvolutionControl, evidence: Observe) -> None:
    evolution.quiesce()
    same("texts the customer got", expected=0, seen=len(sends_to(evolution, unit, customer.phone)))
    evidence("texts the customer got", 0)


@then("it is refused, and the customer got the first text alone", "ela é recusada, e o cliente recebeu só o primeiro texto")
def refused_other(
    unit: Tenant, replay: Answer, customer: Customer, order: dict[str, str], evolution: EvolutionControl, evidence: Observe
) -> None:
    replay.expect(422)
    evolution.quiesce()
    texts = [send["text"] for send in evolution.ledger(instance=unit.instance)]
    same("texts that went out", expected=[order["message"]], seen=texts)
    evidence("answer to another request with the same key", replay.status)


@then("each unit has a message of its own", "cada unidade tem uma mensagem própria")
def own_messages(
    unit: Tenant,
    sending: Answer,
    others_sending: Answer,
    customer: Customer,
    order: dict[str, str],
    evolution: EvolutionControl,
    evidence: Observe,
) -> None:
    if sending.identifier("internalId") == others_sending.identifier("internalId"):
        raise Mismatch("internalId of the second unit's message", expected="another one", seen="the first unit's")
    if others_sending.body.get("deduplicated"):
        raise Mismatch("the second unit's message", expected="a message of its own", seen="deduplicated")
    same(
        "texts of the first unit",
        expected=[order["message"]],
        seen=texts_to(evolution, unit, customer),
    )
    evidence("messages with one key in two units", 2)


@then("all of them are one message", "todas são uma só mensagem")
def all_one(
    sendings: list[Answer],
    unit: Tenant,
    customer: Customer,
    order: dict[str, str],
    evolution: EvolutionControl,
    evidence: Observe,
) -> None:
    for answer in sendings:
        if answer.expect(200, 202, 409).status == 409 and not answer.headers.get("retry-after", "").isdigit():
            seen = answer.headers.get("retry-after")
            raise Mismatch("Retry-After of a 409", expected="seconds", seen=seen, request_id=answer.request_id)
    ids = {answer.identifier("internalId") for answer in sendings if answer.status != 409}
    same("messages", expected=1, seen=len(ids))
    evolution.quiesce()
    same("texts the customer got", expected=[order["message"]], seen=texts_to(evolution, unit, customer))
    evidence("requests with one key", len(sendings))


@then("the repetition says that it failed, and nothing more was tried", "a repetição diz que falhou, e nada mais foi tentado")
def replay_failed(unit: Tenant, sending: Answer, replay: Answer, evolution: EvolutionControl, evidence: Observe) -> None:
    replay.expect(200, 502)
    if replay.status == 200:
        same("success", expected=False, seen=replay.value("success"), request_id=replay.request_id)
        same("deduplicated", expected=True, seen=replay.value("deduplicated"), request_id=replay.request_id)
    same(
        "internalId",
        expected=sending.identifier("internalId"),
        seen=replay.identifier("internalId"),
        request_id=replay.request_id,
    )
    few_calls(evolution, unit)
    evidence("answer to the repetition of a failure", replay.status)


@then("the send is refused, because the unit is not connected", "o envio é recusado, porque a unidade não está conectada")
def refused_unconnected(sending: Answer, evidence: Observe) -> None:
    sending.expect(400, 409)
    evidence("answer without a connection", sending.status)


@then("that send is accepted, and not as a repetition", "esse envio é aceito, e não como repetição")
def first_of_its_key(replay: Answer, evidence: Observe) -> None:
    replay.expect(200)
    if replay.body.get("deduplicated"):
        raise Mismatch(replay.request, expected="a first send", seen="deduplicated", request_id=replay.request_id)
    same("success", expected=True, seen=replay.value("success"), request_id=replay.request_id)
    evidence("attempts", replay.value("attempts"))


@then("the answer is a refusal of bad input", "a resposta é uma recusa de dados inválidos")
def refused_input(answer: Answer, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    answer.expect(400, 422)
    same("sends of the unit", expected=0, seen=len(evolution.ledger(instance=unit.instance)))
    evidence("answer to bad input", answer.status)


@then("the answer is a refusal, and the customer got nothing more", "a resposta é uma recusa, e o cliente não recebeu mais nada")
def refused_and_nothing_more(
    answer: Answer, unit: Tenant, customer: Customer, order: dict[str, str], evolution: EvolutionControl, evidence: Observe
) -> None:
    answer.expect(400, 403, 422)
    evolution.quiesce()
    same("texts the customer got", expected=[order["message"]], seen=texts_to(evolution, unit, customer))
    evidence("answer without a unit", answer.status)


@dataclass(slots=True, kw_only=True)
class Meanwhile:
    """What was answered while a send was still under way, and how long that took on the target's clock."""

    took_s: dict[str, float]
    sending: Answer | None = None


@when(
    "the unit sends the message, and meanwhile the unit is asked for and written to",
    "a unidade envia a mensagem, e enquanto isso é consultada e recebe outra",
    target_fixture="meanwhile",
)
def ask_meanwhile(
    unit: Tenant, order: dict[str, str], tenants: Tenants, evolution: EvolutionControl, time_of_target: TargetTime
) -> Meanwhile:
    meanwhile = Meanwhile(took_s={})
    before = len(calls_to_send(evolution, unit))

    def send() -> None:
        meanwhile.sending = unit.member.post("/messages", order)

    sender = threading.Thread(target=send, name="sender", daemon=True)
    sender.start()
    # In real time: what is awaited is a request on its way, and nobody's clock brings it sooner.
    _await(lambda: len(evolution.requests(instance=unit.instance, path="/message/sendText")) > before or not sender.is_alive())
    writer = tenants.customer()
    for name, ask in (
        ("status", unit.status),
        ("conversations", lambda: unit.member.get("/conversations").expect(200)),
        (
            "inbound message",
            lambda: evolution.incoming(unit.instance, sender=writer.phone, text="meanwhile") and evolution.quiesce(),
        ),
    ):
        began = time_of_target.monotonic()
        time_of_target.pace.call(ask)
        meanwhile.took_s[name] = time_of_target.monotonic() - began
    time_of_target.pace.call(sender.join)
    return meanwhile


@then(
    "everything else was answered while the provider was still thinking",
    "todo o resto foi respondido enquanto o provedor ainda pensava",
)
def answered_meanwhile(meanwhile: Meanwhile, evidence: Observe) -> None:
    for name, took_s in meanwhile.took_s.items():
        if took_s >= ANSWERS_MEANWHILE_S:
            raise Mismatch(
                f"{name}, while a send was under way", expected=f"within {ANSWERS_MEANWHILE_S:g} s", seen=f"{took_s:.1f} s"
            )
        evidence(f"{name} took", round(took_s, 3), "s")


def elapse(time_of_target: TargetTime, seconds: float) -> None:
    """Lets minutes pass in a few jumps; after each, whoever works at intervals has worked."""
    jump = max(0.0, seconds / JUMPS - SWEEP_S)
    for _ in range(JUMPS):
        time_of_target.let_pass(jump)
        time_of_target.pace.let_pass(SWEEP_S)


def new_order(customer: Customer) -> dict[str, str]:
    return {
        "phone": customer.phone,
        "message": f"Your order {secrets.token_hex(4)} is ready ✅",
        "clientMessageId": new_key(),
    }


def written_nationally(customer: Customer) -> str:
    """The number without its country, as people write it."""
    return f"({customer.phone[2:4]}) {customer.phone[4:9]}-{customer.phone[9:]}"


def new_key() -> str:
    """A key of a client, longer than a UUID."""
    return f"order-{secrets.token_hex(16)}"


def calls_to_send(evolution: EvolutionControl, unit: Tenant) -> list[dict[str, Any]]:
    return evolution.requests(method="POST", path=f"/message/sendText/{unit.instance}")


def texts_to(evolution: EvolutionControl, unit: Tenant, customer: Customer) -> list[str]:
    return [str(send["text"]) for send in sends_to(evolution, unit, customer.phone)]


def few_calls(evolution: EvolutionControl, unit: Tenant, most: int = ATTEMPTS) -> int:
    """How many calls to send there were. Raises Mismatch when there were too many, or none."""
    calls = len(calls_to_send(evolution, unit))
    if not 0 < calls <= most:
        raise Mismatch("calls to the provider to send", expected=f"1 to {most}", seen=calls)
    return calls


def status_of(unit: Tenant, sending: Answer) -> str:
    return str(unit.member.get(f"/messages/{sending.identifier('internalId')}").expect(200).value("status"))


def shown_as_it_is(unit: Tenant, sending: Answer, customer: Customer, evolution: EvolutionControl) -> str:
    """The status of the message. Raises Mismatch when it does not agree with what really went out: `sent` needs a send, `failed`
    none, and more than one send is never right.
    """
    status, sends = status_of(unit, sending), len(sends_to(evolution, unit, customer.phone))
    if sends > 1:
        raise Mismatch("texts the customer got", expected="at most 1", seen=sends)
    allowed = ("unknown", *SENT) if sends else ("unknown", "failed", "queued", "sending")
    if status not in allowed:
        raise Mismatch(f"status of a message of which the customer got {sends}", expected=" or ".join(allowed), seen=status)
    return status


def let_happen(happening: str, unit: Tenant, evolution: EvolutionControl, **scope: Any) -> None:
    fault, options = chosen(HAPPENINGS, happening)
    # Others strike at sending itself, whatever the route.
    route = {"route": "message/sendText"} if fault in ("connection-reset", "not-json", "rate-limited") else {}
    evolution.inject(fault, instance=unit.instance, **route, **options, **scope)


def _receive(unit: Tenant, writer: Customer, evolution: EvolutionControl) -> None:
    evolution.incoming(unit.instance, sender=writer.phone, text="meanwhile")
    evolution.quiesce()


def _await(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise Mismatch("the call to the provider", expected=f"within {within_s:g} s", seen="none")
        time.sleep(0.01)
