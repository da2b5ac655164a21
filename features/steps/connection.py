"""The connection of a unit and the provider's events about it: late, twice, out of order, or never."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from features.backend import Answer
from features.expectations import Eventually, Mismatch, same
from features.provider import Courier
from features.recording import Observe
from features.steps import given, then, when
from features.steps.onboarding import VISIBLE_WITHIN_S, draw_qr_code, shown_qr_code
from features.steps.resilience import at_once
from features.tenants import PAIRING_S, Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

# What a backend may take to notice by itself that it missed an event; the embedded reference asks every half hour.
POLLED_WITHIN_S = 1900.0
# Credentials by which a careless backend would let its caller choose an instance, a webhook or a provider.
FOREIGN = {"instanceName": "not-the-units", "instance": "not-the-units", "webhookUrl": "http://127.0.0.1:9/", "apiKey": "mine"}


@when(
    "its manager connects WhatsApp, naming another instance, key and webhook",
    "o gerente dela conecta o WhatsApp citando outra instância, outra chave e outro webhook",
    target_fixture="connecting",
)
def connects_with_credentials(unit: Tenant) -> Answer:
    body = {"provider": "evolution", "credentials": FOREIGN, **{name: FOREIGN[name] for name in ("instanceName", "webhookUrl")}}
    return unit.member.post(f"{unit.whatsapp}/connect", body, waits=True).expect(201)


@then("no instance of another name was made at the provider", "nenhuma instância com outro nome foi criada no provedor")
def no_other_instance(evolution: EvolutionControl, evidence: Observe) -> None:
    names = [str(instance["name"]) for instance in evolution.instances()]
    same("instances at the provider with the name that the caller chose", expected=0, seen=names.count("not-the-units"))
    evidence("instances of the caller's choice", 0)


@when(
    "its manager connects WhatsApp, naming another address of the provider",
    "o gerente dela conecta o WhatsApp citando outro endereço do provedor",
    target_fixture="visits",
)
def connects_elsewhere(unit: Tenant) -> list[str]:
    visits: list[str] = []
    with _listening(visits) as address:
        credentials = dict.fromkeys(("apiUrl", "baseUrl", "serverUrl", "url", "host", "evolutionUrl", "endpoint"), address)
        body = {"provider": "evolution", "credentials": credentials, **credentials}
        unit.member.post(f"{unit.whatsapp}/connect", body, waits=True).expect(201, 400, 422)
    return visits


@then("nobody called the address that the caller named", "ninguém chamou o endereço citado")
def nobody_called(visits: list[str], evidence: Observe) -> None:
    same("requests to the address that the caller named", expected=[], seen=visits)
    evidence("requests to an address of the caller's choice", 0)


@when(
    "its manager connects WhatsApp through a provider that does not exist",
    "o gerente dela conecta o WhatsApp por um provedor que não existe",
    target_fixture="answer",
)
def connects_through_nobody(unit: Tenant) -> Answer:
    return unit.member.post(f"{unit.whatsapp}/connect", {"provider": "carrier-pigeon", "credentials": {}})


@when(
    "its manager connects WhatsApp {int} times at once",
    "o gerente dela conecta o WhatsApp {int} vezes ao mesmo tempo",
    target_fixture="connects",
)
def connects_at_once(count: int, unit: Tenant) -> list[Answer]:
    return at_once([unit.connect] * count)


@then(
    "each was answered with the connection, or that another is under way",
    "cada resposta traz a conexão ou diz que outra está em andamento",
)
def each_answered(connects: list[Answer], evidence: Observe) -> None:
    for answer in connects:
        answer.expect(200, 201, 409)
    ids = {answer.identifier("connection", "id") for answer in connects if answer.status != 409}
    same("connections of the unit", expected=1, seen=len(ids))
    evidence("answers with the one connection", sum(answer.status != 409 for answer in connects))


@when("its manager reads the status {int} times", "o gerente dela lê o status {int} vezes", target_fixture="readings")
def reads(count: int, unit: Tenant) -> list[dict[str, Any]]:
    return [unit.status().body for _ in range(count)]


@then("every reading shows the same, waiting for the scan", "cada leitura mostra o mesmo, à espera da leitura do QR code")
def same_readings(readings: list[dict[str, Any]], evidence: Observe) -> None:
    for reading in readings:
        same("status while the code waits", expected=("qr", "waiting_scan"), seen=(reading.get("status"), reading.get("reason")))
        for name in ("lastUpdate", "qrUpdatedAt"):
            same(f"{name} after reading", expected=readings[0].get(name), seen=reading.get(name))
    evidence("readings without an effect", len(readings))


@when(
    "the provider's event {word} arrives, {int} seconds old",
    "chega o evento {word} do provedor, com {int} segundos de idade",
    target_fixture="told",
)
def event_arrives(state: str, age: int, unit: Tenant, courier: Courier) -> Answer:
    return tell_state(unit, courier, state, seconds_ago=float(age))


@when("the provider's event {word} arrives", "chega o evento {word} do provedor", target_fixture="told")
def fresh_event_arrives(state: str, unit: Tenant, courier: Courier) -> Answer:
    return tell_state(unit, courier, state)


@when(
    "the provider's event close arrives with code {int}",
    "chega o evento close do provedor com o código {int}",
    target_fixture="told",
)
def close_arrives(code: int, unit: Tenant, courier: Courier) -> Answer:
    return tell_state(unit, courier, "close", code=code)


@when("a QR code of the provider arrives, {int} seconds old", "chega um QR code do provedor, com {int} segundos de idade")
def late_code(age: int, unit: Tenant, courier: Courier) -> None:
    code, picture = draw_qr_code()
    url = courier.address(unit.instance).url()
    courier.deliver_qr_code(url, instance=unit.instance, code=code, picture=picture, seconds_ago=float(age)).expect(200)


@when("the provider tells that no further QR code will come", "o provedor avisa que não virá outro QR code")
def no_more_codes(unit: Tenant, courier: Courier) -> None:
    data = {"message": "QR code limit reached, please login again", "statusCode": 408}
    courier.deliver(courier.address(unit.instance).url(), instance=unit.instance, event="qrcode.updated", data=data).expect(200)


@when("the connection drops and comes back by itself", "a conexão cai e volta sozinha")
def drops_and_returns(unit: Tenant, evolution: EvolutionControl, time_of_target: TargetTime, eventually: Eventually) -> None:
    before = unit.status().value("reason")
    evolution.close(unit.instance, 428)
    if time_of_target.movable:
        time_of_target.let_pass(PAIRING_S)
    evolution.quiesce()
    eventually(
        lambda: (unit.status().value("status"), unit.status().value("reason") == before),
        ("connected", False),
        within_s=60.0,
        what="the unit after its connection dropped: connected, for the same reason as before",
    )


@when("WhatsApp logs the unit out", "o WhatsApp desconecta a unidade")
def logged_out(unit: Tenant, evolution: EvolutionControl) -> None:
    evolution.close(unit.instance, 401)
    evolution.quiesce()


@when("WhatsApp bans the unit", "o WhatsApp bane a unidade")
def banned(unit: Tenant, evolution: EvolutionControl) -> None:
    evolution.close(unit.instance, 403)
    evolution.quiesce()


@when("the provider is out of reach for the unit", "o provedor fica fora do alcance da unidade")
def out_of_reach(unit: Tenant, evolution: EvolutionControl) -> None:
    evolution.inject("connection-reset", instance=unit.instance)


@given("the provider refuses to make the unit's instance", "o provedor se recusa a criar a instância da unidade")
def refuses_instance(unit: Tenant, evolution: EvolutionControl) -> None:
    evolution.inject("license-required", instance=unit.instance)


@when("the provider works again", "o provedor volta a funcionar")
def works_again(unit: Tenant, evolution: EvolutionControl) -> None:
    for fault in evolution.faults():
        if fault.get("instance") == unit.instance or unit.instance in str(fault):
            evolution.withdraw(int(fault["id"]))


@when("its manager disconnects WhatsApp", "o gerente dela desconecta o WhatsApp", target_fixture="answer")
def disconnects(unit: Tenant) -> Answer:
    return unit.member.request("DELETE", f"{unit.whatsapp}/disconnect", waits=True)


@then("the status is {word} because of {word}", "o status é {word} por causa de {word}")
def status_is(status: str, reason: str, unit: Tenant, eventually: Eventually, evidence: Observe) -> None:
    seen = eventually(lambda: _status(unit), (status, reason), within_s=VISIBLE_WITHIN_S, what="status and reason of the unit")
    evidence("status and reason", " ".join(map(str, seen)))


@then("the status is {word}", "o status é {word}")
def status_alone(status: str, unit: Tenant, eventually: Eventually, evidence: Observe) -> None:
    eventually(lambda: _status(unit)[0], status, within_s=VISIBLE_WITHIN_S, what="status of the unit")
    evidence("status", status)


@then("the status is still {word} because of {word}", "o status continua {word} por causa de {word}")
def status_still(status: str, reason: str, unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    evolution.quiesce()
    same("status and reason of the unit", expected=(status, reason), seen=_status(unit))
    evidence("status and reason", f"{status} {reason}")


@then(
    "the status becomes {word} because of {word} without another event",
    "o status passa a {word} por causa de {word} sem outro evento",
)
def status_polled(
    status: str, reason: str, unit: Tenant, eventually: Eventually, time_of_target: TargetTime, evidence: Observe
) -> None:
    began = time_of_target.monotonic()
    if time_of_target.movable:
        time_of_target.let_pass(POLLED_WITHIN_S)
    eventually(lambda: _status(unit), (status, reason), within_s=POLLED_WITHIN_S, what="status that no event told")
    evidence("noticed within", round(time_of_target.monotonic() - began), "s")


@then("the unit is shown as degraded, and still connected", "a unidade aparece degradada, e ainda conectada")
def degraded(unit: Tenant, eventually: Eventually, time_of_target: TargetTime, evidence: Observe) -> None:
    if time_of_target.movable:
        time_of_target.let_pass(POLLED_WITHIN_S)
    seen = eventually(
        lambda: (unit.status().body.get("degraded"), _status(unit)[0]),
        (True, "connected"),
        within_s=POLLED_WITHIN_S,
        what="degraded, and the status, while the provider is out of reach",
    )
    evidence("degraded", bool(seen[0]))


@then("the provider was asked to log the unit out", "o provedor recebeu o pedido de desconectar a unidade")
def asked_to_log_out(unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    asked = [request for request in evolution.requests(method="DELETE", instance=unit.instance) if request["status"] == 200]
    if not asked:
        raise Mismatch("requests to the provider to log the unit out", expected="one that it confirmed", seen="none")
    evidence("requests to log the unit out", len(asked))


@then("a time of disconnecting is shown, and no QR code", "a hora da desconexão é mostrada, e nenhum QR code")
def disconnected_at(unit: Tenant, evidence: Observe) -> None:
    status = unit.status()
    evidence("disconnectedAt", status.text("disconnectedAt"))
    same("qrCode", expected=None, seen=status.value("qrCode"), request_id=status.request_id)


@then("no QR code is shown, and none can be fetched", "nenhum QR code é mostrado, e nenhum pode ser obtido")
def no_code(unit: Tenant, evidence: Observe) -> None:
    status = unit.status()
    same("qrCode", expected=None, seen=status.value("qrCode"), request_id=status.request_id)
    unit.member.get(f"{unit.whatsapp}/qrcode").expect(404)
    evidence("QR code gone", True)


@then("connectedAt is still what it was", "connectedAt continua como era")
def connected_at_unchanged(unit: Tenant, connected_at: str, evidence: Observe) -> None:
    status = unit.status()
    same("connectedAt", expected=connected_at, seen=status.value("connectedAt"), request_id=status.request_id)
    evidence("connectedAt", connected_at)


@given("its connectedAt is noted", "o connectedAt dela é anotado", target_fixture="connected_at")
def note_connected_at(unit: Tenant) -> str:
    return unit.status().text("connectedAt")


@then(
    "the answer is {int} or {int}, with the cause and without a secret",
    "a resposta é {int} ou {int}, com a causa e sem segredo",
)
def refused_with_cause(first: int, second: int, connecting: Answer, unit: Tenant, evolution: EvolutionControl) -> None:
    refused_as(connecting, first, second)
    no_secret_in(connecting, evolution, unit)


@then("the answer is {int}, and the provider was not obeyed", "a resposta é {int}, e o provedor não foi obedecido")
def disconnect_refused(status: int, answer: Answer, evidence: Observe) -> None:
    refused_as(answer, status)
    evidence("answer", answer.status)


@then("the answer is {int}", "a resposta é {int}")
def answer_is(status: int, answer: Answer, evidence: Observe) -> None:
    answer.expect(status)
    evidence("answer", answer.status)


@then("the answer is {int} or {int}", "a resposta é {int} ou {int}")
def answer_is_either(first: int, second: int, answer: Answer, evidence: Observe) -> None:
    answer.expect(first, second)
    evidence("answer", answer.status)


@then("another unit's manager is not shown that QR code", "o gerente de outra unidade não vê esse QR code")
def foreign_code(unit: Tenant, tenants: Tenants, time_of_target: TargetTime, evidence: Observe) -> None:
    picture = shown_qr_code(unit, time_of_target)
    other = tenants.create()
    for path in ("qrcode", "status"):
        nobody = other.member.get(f"/units/00000000-0000-4000-8000-000000000000/whatsapp/{path}")
        answer = other.member.get(f"{unit.whatsapp}/{path}").expect(403, 404)
        if picture in str(answer.body):
            raise Mismatch(answer.request, expected="no QR code of another unit", seen="it", request_id=answer.request_id)
        same(f"answer to GET …/{path} of another unit, against one of nobody's", expected=nobody.status, seen=answer.status)
    evidence("answer to another unit", nobody.status)


def tell_state(unit: Tenant, courier: Courier, state: str, *, seconds_ago: float = 0.0, code: int = 0) -> Answer:
    """The provider's `connection.update`. Raises Mismatch unless it is taken in."""
    data: dict[str, Any] = {"instance": unit.instance, "state": state, "statusReason": code or (428 if state == "close" else 200)}
    if state == "open":
        data["wuid"] = f"{unit.phone}@s.whatsapp.net"
    return courier.deliver(
        courier.address(unit.instance).url(),
        instance=unit.instance,
        event="connection.update",
        data=data,
        seconds_ago=seconds_ago,
    ).expect(200)


def refused_as(answer: Answer, *statuses: int) -> None:
    """Raises Mismatch unless the answer has one of the statuses, and a sentence that says why."""
    answer.expect(*statuses)
    if not answer.error:
        raise Mismatch(answer.request, expected="an error that says why", seen=answer.body, request_id=answer.request_id)


def no_secret_in(answer: Answer, evolution: EvolutionControl, unit: Tenant) -> None:
    """Raises Mismatch when the answer tells a secret that the provider was given."""
    text = str(answer.body)
    for request in evolution.requests(method="POST", path="/instance/create", instance=unit.instance):
        body = request["body"] if isinstance(request["body"], dict) else {}
        webhook = body.get("webhook")
        url = str(webhook.get("url", "")) if isinstance(webhook, dict) else ""
        secret = url.rsplit("/", 1)[-1]
        if secret and secret in text:
            raise Mismatch(answer.request, expected="no secret", seen="the webhook's secret", request_id=answer.request_id)


def _status(unit: Tenant) -> tuple[Any, Any]:
    body = unit.status().body
    return body.get("status"), body.get("reason")


@contextmanager
def _listening(visits: list[str]) -> Iterator[str]:
    """An address of ours; whoever calls it is noted with the first line of the request."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                caller, _ = listener.accept()
            except TimeoutError:
                continue
            with caller:
                caller.settimeout(2.0)
                visits.append(caller.recv(4096).split(b"\r\n")[0].decode("latin-1"))
                caller.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}")

    thread = threading.Thread(target=serve, name=f"listener-{secrets.token_hex(2)}", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join(5.0)
        listener.close()
