"""Connecting a unit: the QR code, the instance at the provider, its webhook, the scan."""

from __future__ import annotations

import base64
import binascii
import io
import secrets

import zxingcpp
from PIL import Image, UnidentifiedImageError

from features.backend import Answer, Backend
from features.expectations import Mismatch, becomes, same
from features.provider import Courier, WebhookAddress, code_on_show
from features.recording import Observe
from features.steps import given, then, when
from features.tenants import Tenant, Tenants
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

QR_APPEARS_S = 15.0
VISIBLE_WITHIN_S = 5.0
SUBSCRIBED = {"CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"}
_PNG = b"\x89PNG\r\n\x1a\n"
_DATA_URL = "data:image/png;base64,"


@given("a unit that has never connected WhatsApp", "uma unidade que nunca conectou o WhatsApp", target_fixture="unit")
def never_connected(tenants: Tenants) -> Tenant:
    unit = tenants.create()
    same("status before the first connect", expected="not_configured", seen=unit.status().value("status"))
    return unit


@given("a unit that is connected to WhatsApp", "uma unidade conectada ao WhatsApp", target_fixture="unit")
def connected(tenants: Tenants) -> Tenant:
    return tenants.create_connected()


@given("a unit whose QR code waits to be scanned", "uma unidade cujo QR code espera ser lido", target_fixture="unit")
def waiting_for_scan(tenants: Tenants, time_of_target: TargetTime) -> Tenant:
    unit = tenants.create()
    unit.connect().expect(201)
    shown_qr_code(unit, time_of_target)
    return unit


@when("its manager connects WhatsApp", "o gerente dela conecta o WhatsApp", target_fixture="connecting")
def connects(unit: Tenant) -> Answer:
    return unit.connect()


@then("the answer is 201 and the connection waits for a scan", "a resposta é 201 e a conexão espera a leitura do QR code")
def waits_for_scan(unit: Tenant, connecting: Answer, time_of_target: TargetTime, evidence: Observe) -> None:
    connecting.expect(201)
    same("success", expected=True, seen=connecting.value("success"), request_id=connecting.request_id)
    connecting.identifier("connection", "id")
    if connecting.value("connection", "status") not in ("qr", "connecting"):
        raise Mismatch("status of the new connection", expected="qr", seen=connecting.value("connection", "status"))
    shown_qr_code(unit, time_of_target)
    status = unit.status()
    same("status", expected="qr", seen=status.value("status"), request_id=status.request_id)
    same("reason", expected="waiting_scan", seen=status.value("reason"), request_id=status.request_id)
    status.text("qrUpdatedAt")
    evidence("answer to connect", connecting.status)


@then("the QR code is a PNG image that a phone can read", "o QR code é uma imagem PNG que um telefone consegue ler")
def readable_qr_code(
    unit: Tenant, connecting: Answer, time_of_target: TargetTime, evolution: EvolutionControl, evidence: Observe
) -> None:
    answered = connecting.value("connection").get("qrCode")
    if answered:
        read_qr_code(answered)
    # The provider shows a new code every 45 s: what counts is that the unit is shown the one that it waits for.
    text, _ = becomes(
        time_of_target.pace,
        lambda: (_code_shown(unit), code_on_show(evolution, unit.instance)),
        lambda codes: codes[0] == codes[1] != "",
        within_s=VISIBLE_WITHIN_S,
        what="what a phone reads in the QR code, beside the code that the provider waits for",
        expected="the same",
    )
    answer = unit.member.get(f"{unit.whatsapp}/qrcode").expect(200)
    same("what a phone reads in GET …/qrcode", expected=text, seen=read_qr_code(answer.value("qrcode")))
    if "no-store" not in answer.headers.get("cache-control", ""):
        raise Mismatch("Cache-Control of GET …/qrcode", expected="no-store", seen=answer.headers.get("cache-control"))
    evidence("characters a phone reads in the QR code", len(text))


@then(
    "the provider created exactly one instance, named after the unit",
    "o provedor criou exatamente uma instância, com o nome da unidade",
)
def one_instance(unit: Tenant, evolution: EvolutionControl, evidence: Observe) -> None:
    names = [str(instance["name"]) for instance in evolution.instances() if _belongs(unit, str(instance["name"]))]
    same("instances of the unit at the provider", expected=[unit.instance], seen=names)
    asked = [
        request
        for request in evolution.requests(method="POST", path="/instance/create")
        if isinstance(request["body"], dict) and request["body"].get("instanceName") == unit.instance
    ]
    same("how the provider answered every request to create it", expected=[201], seen=[request["status"] for request in asked])
    evidence("instances created at the provider", len(asked))


@then(
    "the provider was given one webhook address of the backend, for all five kinds of event",
    "o provedor recebeu um endereço de webhook do backend, para os cinco tipos de evento",
    target_fixture="address",
)
def webhook_registered(unit: Tenant, courier: Courier, evidence: Observe) -> WebhookAddress:
    address, events = courier.registered(unit.instance)
    same("provider in the registered address", expected="evolution", seen=address.provider)
    missing = ", ".join(sorted(SUBSCRIBED - events))
    if missing:
        raise Mismatch("events the webhook subscribes to", expected=f"also {missing}", seen=", ".join(sorted(events)))
    evidence("events the webhook subscribes to", len(events))
    return address


@when(
    "its manager connects WhatsApp once more",
    "o gerente dela conecta o WhatsApp mais uma vez",
    target_fixture="connecting_again",
)
def connects_again(unit: Tenant) -> Answer:
    return unit.connect()


@then("the same connection is answered", "a resposta traz a mesma conexão")
def same_connection(connecting: Answer, connecting_again: Answer) -> None:
    connecting_again.expect(200, 201)
    same(
        "id of the connection",
        expected=connecting.identifier("connection", "id"),
        seen=connecting_again.identifier("connection", "id"),
        request_id=connecting_again.request_id,
    )


@when(
    "the provider sends a new QR code to the registered webhook address",
    "o provedor envia um novo QR code ao endereço de webhook registrado",
    target_fixture="new_code",
)
def new_qr_code(unit: Tenant, address: WebhookAddress, courier: Courier) -> str:
    code, picture = draw_qr_code()
    answer = courier.deliver_qr_code(address.url(), instance=unit.instance, code=code, picture=picture).expect(200)
    same("received", expected=True, seen=answer.value("received"), request_id=answer.request_id)
    return code


@then("the unit's manager is shown the new QR code", "o gerente da unidade vê o novo QR code")
def shown_new_code(unit: Tenant, new_code: str, time_of_target: TargetTime, evidence: Observe) -> None:
    becomes(
        time_of_target.pace,
        lambda: _code_shown(unit),
        lambda code: code == new_code,
        within_s=VISIBLE_WITHIN_S,
        what="QR code shown after the provider sent a new one with the registered secret",
        expected=new_code,
    )
    evidence("an event with the registered secret was taken in", True)


@when(
    "somebody sends another QR code with a wrong secret",
    "alguém envia outro QR code com um segredo errado",
    target_fixture="forged",
)
def forged_qr_code(unit: Tenant, address: WebhookAddress, courier: Courier) -> Answer:
    code, picture = draw_qr_code()
    wrong = address.url(secret=address.wrong_secret())
    return courier.deliver_qr_code(wrong, instance=unit.instance, code=code, picture=picture)


@then("it is turned away", "ele é rejeitado")
def turned_away(forged: Answer, evidence: Observe) -> None:
    forged.expect(200, 401)
    if forged.status == 200:
        same("warning", expected="unknown_instance", seen=forged.value("warning"), request_id=forged.request_id)
    evidence("answer to a wrong secret", forged.status)


@then("the unit's manager is still shown the new QR code", "o gerente da unidade continua vendo o novo QR code")
def still_new_code(unit: Tenant, new_code: str, evolution: EvolutionControl) -> None:
    evolution.quiesce()
    same("QR code shown after an event with a wrong secret", expected=new_code, seen=_code_shown(unit))


@when(
    "a person scans the QR code with the unit's phone",
    "uma pessoa lê o QR code com o telefone da unidade",
    target_fixture="uptime_before",
)
def scans(unit: Tenant, evolution: EvolutionControl, api: Backend) -> float | None:
    uptime = api.uptime()
    evolution.scan(unit.instance, phone=unit.phone, profile_name=unit.name)
    return uptime


@then(
    "the unit is connected within {duration}, because the scan was completed",
    "a unidade está conectada em {duração}, porque a leitura foi concluída",
)
def connected_in_time(within_s: float, unit: Tenant, time_of_target: TargetTime, evidence: Observe) -> None:
    began = time_of_target.monotonic()
    status = becomes(
        time_of_target.pace,
        lambda: unit.status().body,
        lambda body: body.get("status") == "connected",
        within_s=within_s,
        what="status after the scan",
        expected="connected",
    )
    evidence("visible after", round(time_of_target.monotonic() - began, 3), "s")
    same("reason", expected="scan_completed", seen=status.get("reason"))
    same("phone", expected=unit.phone, seen="".join(filter(str.isdigit, str(status.get("phone")))))


@then("the time of connecting is shown", "a hora da conexão é mostrada")
def connected_at(unit: Tenant, evidence: Observe) -> None:
    evidence("connectedAt", unit.status().text("connectedAt"))


@then("no QR code is shown any more", "nenhum QR code é mais mostrado")
def qr_code_cleared(unit: Tenant, evidence: Observe) -> None:
    status = unit.status()
    same("qrCode after the scan", expected=None, seen=status.value("qrCode"), request_id=status.request_id)
    answer = unit.member.get(f"{unit.whatsapp}/qrcode").expect(200, 404)
    if answer.status == 200 and answer.value("qrcode"):
        raise Mismatch("GET …/qrcode after the scan", expected="no QR code", seen="one", request_id=answer.request_id)
    evidence("QR code cleared", True)


@then("the backend was not restarted", "o backend não foi reiniciado")
def not_restarted(api: Backend, uptime_before: float | None) -> None:
    uptime = api.uptime()
    if uptime is None or uptime_before is None or uptime < uptime_before:
        raise Mismatch("uptime of the backend across the scan", expected=f"at least {uptime_before} s", seen=uptime)


def _belongs(unit: Tenant, name: str) -> bool:
    return name == unit.instance or any(mark in name for mark in (unit.slug, unit.id) if len(mark) > 5)


def shown_qr_code(unit: Tenant, time: TargetTime) -> str:
    """The data URL of the QR code as soon as the unit is shown one."""
    return becomes(
        time.pace,
        lambda: str(unit.status().value("qrCode") or ""),
        bool,
        within_s=QR_APPEARS_S,
        what="QR code shown to the unit",
        expected="a QR code",
    )


def read_qr_code(data_url: object) -> str:
    """What a phone reads in the picture. Raises Mismatch when it is no PNG or holds no single QR code."""
    if not isinstance(data_url, str) or not data_url.startswith(_DATA_URL):
        raise Mismatch("the QR code", expected=f"{_DATA_URL}…", seen=str(data_url)[:40])
    try:
        png = base64.b64decode(data_url.removeprefix(_DATA_URL), validate=True)
        if not png.startswith(_PNG):
            raise Mismatch("the QR code", expected="a PNG image", seen=f"bytes that begin with {png[:8]!r}")
        with Image.open(io.BytesIO(png)) as image:
            found = zxingcpp.read_barcodes(image.convert("L"), formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode))
    except (binascii.Error, UnidentifiedImageError, OSError) as error:
        raise Mismatch("the QR code", expected="a PNG image", seen=f"{type(error).__name__}: {error}") from None
    if len(found) != 1 or not found[0].text:
        raise Mismatch("the QR code", expected="one code that a phone can read", seen=f"{len(found)} codes")
    return str(found[0].text)


def draw_qr_code() -> tuple[str, str]:
    """A new code of the form that WhatsApp uses, and its picture as a data URL."""
    code = f"2@{secrets.token_urlsafe(60)}"
    picture = io.BytesIO()
    drawn = zxingcpp.create_barcode(code, zxingcpp.BarcodeFormat.QRCode).to_image(scale=4, add_quiet_zones=True)
    Image.fromarray(drawn).save(picture, format="PNG")
    return code, _DATA_URL + base64.b64encode(picture.getvalue()).decode()


def _code_shown(unit: Tenant) -> str:
    shown = unit.status().value("qrCode")
    return read_qr_code(shown) if shown else "none"
