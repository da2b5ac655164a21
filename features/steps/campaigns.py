"""Campaigns: one text for many customers, one after the other."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from features.backend import Answer
from features.expectations import Mismatch, becomes, same
from features.recording import Observe
from features.steps import given, then, when
from features.steps.messaging import sends_to
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

# Pace, jitter, a retry and the queue's own waits; for each recipient, in seconds of the target.
PATIENCE_FOR_EACH_S = 30.0
COUNTS = ("pending", "sent", "delivered", "read", "failed", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailing:
    """A campaign as it was ordered."""

    id: str
    text: str
    customers: tuple[Customer, ...]


@given("a campaign for {int} customers of the unit", "uma campanha para {int} clientes da unidade", target_fixture="mailing")
def campaign_for(count: int, unit: Tenant, tenants: Tenants) -> Mailing:
    return new_campaign(unit, tuple(tenants.customer() for _ in range(count)))


@when("the campaign is dispatched", "a campanha é disparada")
def dispatched(unit: Tenant, mailing: Mailing) -> Answer:
    return unit.member.post(f"/api/campaigns/{mailing.id}/dispatch").expect(200)


@then("the campaign is completed", "a campanha é concluída")
def completed(unit: Tenant, mailing: Mailing, time_of_target: TargetTime, evidence: Observe) -> None:
    began = time_of_target.monotonic()
    becomes(
        time_of_target.pace,
        lambda: str(unit.member.get(f"/api/campaigns/{mailing.id}").expect(200).value("status")),
        lambda status: status == "completed",
        within_s=PATIENCE_FOR_EACH_S * len(mailing.customers),
        what="status of the campaign",
        expected="completed",
    )
    evidence("campaign completed after", round(time_of_target.monotonic() - began, 3), "s")


@then("every customer got the campaign's text exactly once", "cada cliente recebeu o texto da campanha exatamente uma vez")
def everyone_once(unit: Tenant, mailing: Mailing, evolution: EvolutionControl, evidence: Observe) -> None:
    for customer in mailing.customers:
        texts = [send["text"] for send in sends_to(evolution, unit, customer.phone)]
        same(f"texts that customer {customer.masked} got", expected=[mailing.text], seen=texts)
    sends = evolution.ledger(instance=unit.instance)
    same("sends of the unit in all", expected=len(mailing.customers), seen=len(sends))
    evidence("customers who got the text exactly once", len(mailing.customers))


@then(
    "between any two messages at least {duration} pass on the provider's clock",
    "entre duas mensagens passam no relógio do provedor pelo menos {duração}",
)
def paced(seconds: float, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    moments = sorted(float(send["monotonic"]) for send in evolution.ledger(instance=unit.instance))
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    if not gaps:
        raise Mismatch("sends of the unit", expected="at least two", seen=len(moments))
    if min(gaps) < seconds:
        raise Mismatch("the shortest time between two sends", expected=f"at least {seconds:g} s", seen=f"{min(gaps):.3f} s")
    evidence("shortest time between two sends", round(min(gaps), 3), "s")


@then(
    "the campaign's counts add up to {int}, with none pending, failed or unknown",
    "as contagens da campanha somam {int}, sem nenhuma pendente, com falha ou desconhecida",
)
def counts_add_up(total: int, unit: Tenant, mailing: Mailing, evidence: Observe) -> None:
    counts = counts_of(unit.member.get(f"/api/campaigns/{mailing.id}").expect(200))
    same("total", expected=total, seen=counts.pop("total"))
    same("the sum of all counts", expected=total, seen=sum(counts.values()))
    same("pending, failed and unknown", expected=[0, 0, 0], seen=[counts[name] for name in ("pending", "failed", "unknown")])
    evidence("recipients accounted for", sum(counts.values()))


def new_campaign(unit: Tenant, customers: tuple[Customer, ...], **more: str) -> Mailing:
    text = f"Today only: {secrets.token_hex(4)} 🎉"
    contacts = [unit.contact(customer) for customer in customers]
    order = {"name": f"Campaign {secrets.token_hex(4)}", "content": text, "contactIds": contacts, **more}
    created = unit.member.post("/api/campaigns", order).expect(201)
    same("total of the new campaign", expected=len(customers), seen=counts_of(created)["total"], request_id=created.request_id)
    return Mailing(id=created.identifier("id"), text=text, customers=customers)


def counts_of(answer: Answer) -> Counter[str]:
    """How many recipients stand where, and their `total`. Raises Mismatch when one of the counts is missing."""
    holder: Any = answer.body.get("counts", answer.body) if isinstance(answer.body, dict) else {}
    missing = [name for name in ("total", *COUNTS) if not isinstance(holder.get(name), int)]
    if missing:
        raise Mismatch(f"counts in {answer.request}", expected=f"total, {', '.join(COUNTS)}", seen=f"no {', '.join(missing)}")
    return Counter({name: holder[name] for name in ("total", *COUNTS)})
