"""Campaigns that do not simply run through: pace over several, pauses, failures, refusals."""

from __future__ import annotations

import secrets
from datetime import timedelta, timezone
from itertools import pairwise
from typing import Any

from features.backend import Answer
from features.expectations import Eventually, Mismatch, same
from features.recording import Observe
from features.steps import given, then, when
from features.steps.campaigns import COUNTS, Mailing, counts_of, new_campaign
from features.steps.messaging import sends_to
from features.steps.outbound import calls_to_send, elapse, let_happen
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

SETTLES_S = 400.0
SAO_PAULO = timezone(timedelta(hours=-3))


@given("{int} campaigns for {int} customers each", "{int} campanhas para {int} clientes cada", target_fixture="mailings")
def several_campaigns(campaigns: int, customers: int, unit: Tenant, tenants: Tenants) -> tuple[Mailing, ...]:
    return tuple(new_campaign(unit, tuple(tenants.customer() for _ in range(customers))) for _ in range(campaigns))


@given(
    "a campaign for {int} customers, of whom number {int} is not on WhatsApp",
    "uma campanha para {int} clientes, dos quais o número {int} não está no WhatsApp",
    target_fixture="mailing",
)
def campaign_with_a_bad_one(count: int, bad: int, unit: Tenant, tenants: Tenants) -> Mailing:
    customers = [tenants.customer() for _ in range(count)]
    one = customers[bad - 1]
    customers[bad - 1] = Customer(phone=f"{one.phone[:-4]}0000", name=one.name)
    return new_campaign(unit, tuple(customers))


@given(
    "a campaign that names each of {int} customers twice",
    "uma campanha que cita cada um de {int} clientes duas vezes",
    target_fixture="mailing",
)
def campaign_named_twice(count: int, unit: Tenant, tenants: Tenants) -> Mailing:
    customers = tuple(tenants.customer() for _ in range(count))
    contacts = [unit.contact(customer) for customer in customers]
    text = f"Once: {secrets.token_hex(4)}"
    made = unit.member.post("/api/campaigns", {"name": "twice", "content": text, "contactIds": [*contacts, *contacts]}).expect(
        201
    )
    return Mailing(id=made.identifier("id"), text=text, customers=customers)


@given(
    "a campaign for {int} customers that begins in {int} minutes",
    "uma campanha para {int} clientes que começa em {int} minutos",
    target_fixture="mailing",
)
def campaign_later(count: int, minutes: int, unit: Tenant, tenants: Tenants, time_of_target: TargetTime) -> Mailing:
    customers = tuple(tenants.customer() for _ in range(count))
    # As people in São Paulo mean it: without its zone this moment would have been hours ago.
    begins = (time_of_target.now() + timedelta(minutes=minutes)).astimezone(SAO_PAULO).isoformat(timespec="seconds")
    text = f"Later: {secrets.token_hex(4)}"
    order = {
        "name": "later",
        "content": text,
        "contactIds": [unit.contact(customer) for customer in customers],
        "scheduledAt": begins,
    }
    made = unit.member.post("/api/campaigns", order).expect(201)
    return Mailing(id=made.identifier("id"), text=text, customers=customers)


@given(
    "a campaign for {int} customers, each of whom it must reach",
    "uma campanha para {int} clientes, que tem de alcançar cada um",
    target_fixture="mailing",
)
def campaign_at_least_once(count: int, unit: Tenant, tenants: Tenants) -> Mailing:
    return new_campaign(unit, tuple(tenants.customer() for _ in range(count)), deliveryPolicy="at_least_once")


@given("the campaign's first send {string}", "o primeiro envio da campanha {string}")
def first_send(happening: str, unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> None:
    let_happen(happening, unit, evolution, number=mailing.customers[0].phone, count=1)


@given("one send of the campaign fails without an answer", "um envio da campanha falha sem resposta")
def one_send_unknown(unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> None:
    evolution.inject("send-error", instance=unit.instance, number=mailing.customers[0].phone, status=500)


@when("all campaigns are dispatched at once", "todas as campanhas são disparadas ao mesmo tempo")
def dispatch_all(unit: Tenant, mailings: tuple[Mailing, ...]) -> None:
    for mailing in mailings:
        unit.member.post(f"/api/campaigns/{mailing.id}/dispatch").expect(200)


@when("the campaign is dispatched {int} times", "a campanha é disparada {int} vezes")
def dispatch_often(count: int, unit: Tenant, mailing: Mailing) -> None:
    for _ in range(count):
        unit.member.post(f"/api/campaigns/{mailing.id}/dispatch").expect(200, 409)


@when("its manager tries to dispatch the campaign", "o gerente dela tenta disparar a campanha", target_fixture="answer")
def tries_to_dispatch(unit: Tenant, mailing: Mailing) -> Answer:
    return unit.member.post(f"/api/campaigns/{mailing.id}/dispatch")


@when("{int} customers have got it", "{int} clientes já a receberam")
def some_have_got_it(count: int, unit: Tenant, mailing: Mailing, evolution: EvolutionControl, eventually: Eventually) -> None:
    eventually(
        lambda: len(sends_of(evolution, unit, mailing)),
        lambda seen: seen >= count,
        within_s=SETTLES_S,
        what=f"customers who got the campaign's text, at least {count}",
    )


@when("its manager pauses the campaign", "o gerente dela pausa a campanha", target_fixture="sent_before")
def pauses(unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> int:
    return act_on("pause", unit, mailing, evolution)


@when("its manager resumes the campaign", "o gerente dela retoma a campanha")
def resumes(unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> None:
    act_on("resume", unit, mailing, evolution)


@when("its manager cancels the campaign", "o gerente dela cancela a campanha", target_fixture="sent_before")
def cancels(unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> int:
    return act_on("cancel", unit, mailing, evolution)


def act_on(act: str, unit: Tenant, mailing: Mailing, evolution: EvolutionControl) -> int:
    unit.member.post(f"/api/campaigns/{mailing.id}/{act}").expect(200)
    return len(sends_of(evolution, unit, mailing))


@when(
    "the unit's next send is answered with 429 for {int} seconds",
    "o próximo envio da unidade é respondido com 429 por {int} segundos",
)
def throttled(seconds: int, unit: Tenant, evolution: EvolutionControl) -> None:
    evolution.inject("rate-limited", instance=unit.instance, route="message/sendText", seconds=seconds, count=1)


@when(
    "the unit's next send to the customer is answered with 429 for {int} seconds",
    "o próximo envio da unidade ao cliente é respondido com 429 por {int} segundos",
)
def customer_throttled(seconds: int, unit: Tenant, customer: Customer, evolution: EvolutionControl) -> None:
    evolution.inject(
        "rate-limited", instance=unit.instance, route="message/sendText", number=customer.phone, seconds=seconds, count=1
    )


@when("its manager tries to go on with the campaign all the same", "o gerente dela tenta continuar a campanha mesmo assim")
def tries_to_go_on(unit: Tenant, mailing: Mailing) -> None:
    for act in ("resume", "dispatch"):
        # What is answered is the backend's own choice; what counts is that nothing goes out.
        unit.member.post(f"/api/campaigns/{mailing.id}/{act}")


@when("its manager orders a campaign for nobody", "o gerente dela pede uma campanha para ninguém", target_fixture="answer")
def campaign_for_nobody(unit: Tenant) -> Answer:
    return unit.member.post("/api/campaigns", {"name": "nobody", "content": "Hello", "contactIds": []})


@when(
    "its manager orders a campaign for a contact of another unit",
    "o gerente dela pede uma campanha para um contato de outra unidade",
    target_fixture="answer",
)
def campaign_for_foreigner(unit: Tenant, tenants: Tenants) -> Answer:
    other, customer = tenants.create(), tenants.customer()
    order = {"name": "foreign", "content": "Hello", "contactIds": [unit.contact(tenants.customer()), other.contact(customer)]}
    return unit.member.post("/api/campaigns", order)


@then("every campaign is completed", "todas as campanhas são concluídas")
def all_completed(unit: Tenant, mailings: tuple[Mailing, ...], eventually: Eventually, evidence: Observe) -> None:
    for mailing in mailings:
        status_becomes(unit, mailing, "completed", eventually)
    evidence("campaigns completed", len(mailings))


@when(
    "the campaign goes on, by itself or because its manager resumes it",
    "a campanha continua, sozinha ou porque o gerente dela a retoma",
)
def goes_on(unit: Tenant, mailing: Mailing, time_of_target: TargetTime) -> None:
    elapse(time_of_target, 40.0)
    if unit.member.get(f"/api/campaigns/{mailing.id}").expect(200).value("status") == "paused":
        unit.member.post(f"/api/campaigns/{mailing.id}/resume").expect(200)


@then("the campaign becomes {word}", "a campanha passa a {word}")
def campaign_becomes(status: str, unit: Tenant, mailing: Mailing, eventually: Eventually, evidence: Observe) -> None:
    status_becomes(unit, mailing, status, eventually)
    evidence("status of the campaign", status)


@then(
    "between any two calls to the provider at least {int} seconds pass",
    "entre duas chamadas ao provedor passam pelo menos {int} segundos",
)
def calls_paced(seconds: int, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    moments = sorted(float(call["monotonic"]) for call in calls_to_send(evolution, unit))
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    if not gaps:
        raise Mismatch("calls to send", expected="at least two", seen=len(moments))
    if min(gaps) < seconds:
        raise Mismatch("the shortest time between two calls to send", expected=f"at least {seconds} s", seen=f"{min(gaps):.3f} s")
    evidence("shortest time between two calls", round(min(gaps), 3), "s")


@then(
    "every customer but number {int} got it exactly once", "todos os clientes menos o número {int} a receberam exatamente uma vez"
)
def all_but_one(bad: int, unit: Tenant, mailing: Mailing, evolution: EvolutionControl, evidence: Observe) -> None:
    for number, customer in enumerate(mailing.customers, 1):
        texts = [send["text"] for send in sends_to(evolution, unit, customer.phone)]
        same(f"texts that customer {customer.masked} got", expected=[] if number == bad else [mailing.text], seen=texts)
    evidence("customers who got it once", len(mailing.customers) - 1)


@then("each of the customers got it exactly once", "cada um dos clientes a recebeu exatamente uma vez")
def each_once(unit: Tenant, mailing: Mailing, evolution: EvolutionControl, time_of_target: TargetTime, evidence: Observe) -> None:
    elapse(time_of_target, 60.0)
    for customer in mailing.customers:
        texts = [send["text"] for send in sends_to(evolution, unit, customer.phone)]
        same(f"texts that customer {customer.masked} got", expected=[mailing.text], seen=texts)
    evidence("customers who got it once", len(mailing.customers))


@then("nobody has got it", "ninguém a recebeu")
def nobody_got_it(
    unit: Tenant, mailing: Mailing, evolution: EvolutionControl, time_of_target: TargetTime, evidence: Observe
) -> None:
    elapse(time_of_target, 60.0)
    same("sends of the campaign", expected=0, seen=len(sends_of(evolution, unit, mailing)))
    evidence("sends of the campaign", 0)


@then("however long one waits, at most one more customer gets it", "por mais que se espere, no máximo mais um cliente a recebe")
def at_most_one_more(
    unit: Tenant, mailing: Mailing, sent_before: int, evolution: EvolutionControl, time_of_target: TargetTime, evidence: Observe
) -> None:
    elapse(time_of_target, 120.0)
    sent = len(sends_of(evolution, unit, mailing))
    if not sent_before <= sent <= min(sent_before + 1, len(mailing.customers) - 1):
        raise Mismatch("customers who got it", expected=f"{sent_before} or {sent_before + 1}, and not all", seen=sent)
    evidence("customers who got it after all", sent)


@then("the counts are {int} {word} and {int} {word}", "as contagens são {int} {word} e {int} {word}")
def counts_are(first: int, name: str, second: int, other: str, unit: Tenant, mailing: Mailing, evidence: Observe) -> None:
    counts = add_up(unit, mailing)
    # What was delivered or read was sent.
    seen = {"sent": counts["sent"] + counts["delivered"] + counts["read"]} | {
        one: counts[one] for one in ("pending", "failed", "unknown")
    }
    same(f"{name} and {other}", expected=(first, second), seen=(seen[name], seen[other]))
    evidence("recipients accounted for", counts["total"])


@then("the counts add up", "as contagens fecham")
def counts_add_up(unit: Tenant, mailing: Mailing, evidence: Observe) -> None:
    evidence("recipients accounted for", add_up(unit, mailing)["total"])


@then("none of the campaign's text went out twice", "nenhum texto da campanha saiu duas vezes")
def none_twice(unit: Tenant, mailing: Mailing, evolution: EvolutionControl, evidence: Observe) -> None:
    numbers = [str(send["number"]) for send in sends_of(evolution, unit, mailing)]
    same("customers who got it more than once", expected=0, seen=len(numbers) - len(set(numbers)))
    evidence("sends of the campaign", len(numbers))


@then(
    "the next send came at least {int} seconds after the refusal",
    "o envio seguinte veio pelo menos {int} segundos depois da recusa",
)
def next_after_refusal(seconds: int, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    calls = calls_to_send(evolution, unit)
    refused = next(index for index, call in enumerate(calls) if call["status"] == 429)
    if refused + 1 >= len(calls):
        raise Mismatch("calls after the refusal", expected="at least one", seen="none")
    gap = float(calls[refused + 1]["monotonic"]) - float(calls[refused]["monotonic"])
    if gap < seconds:
        raise Mismatch("time from the refusal to the next call", expected=f"at least {seconds} s", seen=f"{gap:.3f} s")
    evidence("time from the refusal to the next call", round(gap, 3), "s")


def status_becomes(unit: Tenant, mailing: Mailing, status: str, eventually: Eventually) -> None:
    eventually(
        lambda: str(unit.member.get(f"/api/campaigns/{mailing.id}").expect(200).value("status")),
        status,
        within_s=SETTLES_S,
        what="status of the campaign",
    )


def add_up(unit: Tenant, mailing: Mailing) -> Any:
    """The counts. Raises Mismatch unless their sum is the total, which is the number of customers."""
    counts = counts_of(unit.member.get(f"/api/campaigns/{mailing.id}").expect(200))
    same("total", expected=len(mailing.customers), seen=counts["total"])
    same("the sum of all counts", expected=counts["total"], seen=sum(counts[name] for name in COUNTS))
    return counts


def sends_of(evolution: EvolutionControl, unit: Tenant, mailing: Mailing) -> list[dict[str, Any]]:
    return [send for send in evolution.ledger(instance=unit.instance) if send["text"] == mailing.text]
