"""Who may do what: logins, tokens, lists, pages; and what the backend tells about itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from typing import Any

from features.backend import Answer, Backend, Member
from features.expectations import Eventually, Mismatch, same
from features.operations import Operations
from features.provider import Courier
from features.recording import Observe
from features.steps import given, then, when
from features.steps.deliveries import Delivered, entry_of
from features.steps.outbound import written_nationally
from features.tenants import Customer, Tenant, Tenants
from features.timing import TargetTime
from gate.errors import NotApplicable
from harness.evolution.client import EvolutionControl
from harness.target import Target

READY_S = 10.0
TOKEN_LIFE_S = 15 * 60.0
REFRESH_LIFE_S = 7 * 86_400.0
SKEW_S = 10.0
# Each process of a backend may count for itself.
GUESSES = 120
HASH_MARKS = ("$argon2", "$2a$", "$2b$", "$scrypt", "pbkdf2", "password", "hash")


@when("somebody logs in as the manager with {string}", "alguém entra como o gerente com {string}", target_fixture="answer")
def logs_in_with(what: str, unit: Tenant, api: Backend) -> Answer:
    email, password = unit.member.email, unit.member.password
    match what:
        case "a wrong password":
            return api.login(email, f"{password}x")
        case "no password":
            return api.request("POST", "/admin/login", body={"email": email})
        case "no address":
            return api.request("POST", "/admin/login", body={"password": password})
        case "the right password":
            return api.login(email, password)
        case "the right password, for the own unit":
            return api.login(email, password, unitSlug=unit.slug)
        case _:
            raise LookupError(f"{what!r} is nothing to log in with")


@then("the answer holds the user, two tokens and the unit", "a resposta traz o usuário, dois tokens e a unidade")
def login_answer(answer: Answer, unit: Tenant, evidence: Observe) -> None:
    answer.expect(200)
    same("email", expected=unit.member.email, seen=answer.text("user", "email"))
    same("role", expected="unit_admin", seen=answer.text("user", "role"))
    same("unitId", expected=unit.id, seen=answer.identifier("user", "unitId"))
    same("targetUnit", expected=unit.id, seen=answer.identifier("targetUnit", "id"))
    if answer.text("accessToken") == answer.text("refreshToken"):
        raise Mismatch("accessToken and refreshToken", expected="two tokens", seen="one")
    no_hash(answer)
    evidence("answer to a login", answer.status)


@then("the answer to somebody unknown is the same", "a resposta a um desconhecido é a mesma")
def unknown_user_the_same(answer: Answer, api: Backend, evidence: Observe) -> None:
    answer.expect(401)
    unknown = api.login(f"nobody-{secrets.token_hex(6)}@nowhere.example", "not-the-password-9")
    same("status for somebody unknown", expected=answer.status, seen=unknown.status, request_id=unknown.request_id)
    same("error for somebody unknown", expected=answer.error, seen=unknown.error, request_id=unknown.request_id)
    evidence("answer to a wrong login", answer.status)


@when(
    "somebody guesses passwords of the manager, each time from another address",
    "alguém adivinha senhas do gerente, cada vez de outro endereço",
    target_fixture="guesses",
)
def guesses(unit: Tenant, api: Backend) -> list[Answer]:
    answers: list[Answer] = []
    for number in range(GUESSES):
        forwarded = {"X-Forwarded-For": f"10.0.{number}.1", "X-Real-IP": f"10.1.{number}.1", "Forwarded": f"for=10.2.{number}.1"}
        body = {"email": unit.member.email, "password": f"guess-{number}"}
        answers.append(api.request("POST", "/admin/login", body=body, headers=forwarded))
        if answers[-1].status == 429:
            break
    return answers


@then("the guessing is stopped with 429, and is told when to come back", "a adivinhação é barrada com 429, com a hora de voltar")
def guessing_stopped(guesses: list[Answer], evidence: Observe) -> None:
    last = guesses[-1]
    if last.status != 429:
        raise Mismatch("answers to guesses", expected=f"429 within {GUESSES}", seen=f"{last.status} after {len(guesses)}")
    if not last.headers.get("retry-after", "").isdigit():
        raise Mismatch("Retry-After", expected="seconds", seen=last.headers.get("retry-after"), request_id=last.request_id)
    evidence("guesses before the stop", len(guesses))


@when(
    "the manager's refresh token is used twice", "o token de renovação do gerente é usado duas vezes", target_fixture="refreshes"
)
def refreshed_twice(unit: Tenant, api: Backend) -> list[Answer]:
    login = api.login(unit.member.email, unit.member.password).expect(200)
    first = _refreshed(api, login.text("refreshToken")).expect(200)
    api.request("GET", "/conversations", token=first.text("accessToken")).expect(200)
    # Before the old one is used again: who finds a token used twice may end all that came of it.
    _refreshed(api, first.text("refreshToken")).expect(200)
    return [first, _refreshed(api, login.text("refreshToken"))]


@then(
    "the first use gives two new tokens that work, the second none",
    "o primeiro uso dá dois tokens novos que funcionam, o segundo nenhum",
)
def rotated_once(refreshes: list[Answer], evidence: Observe) -> None:
    first, again = refreshes
    again.expect(401)
    evidence("answers", f"{first.status}, then {again.status}")


@then("only a refresh token renews anything", "só um token de renovação renova algo")
def access_token_renews_nothing(unit: Tenant, api: Backend, evidence: Observe) -> None:
    login = api.login(unit.member.email, unit.member.password).expect(200)
    for kind, token in (
        ("an access token", login.text("accessToken")),
        ("a changed one", f"{login.text('refreshToken')[:-8]}AAAAAAAA"),
    ):
        answer = _refreshed(api, token)
        if answer.status not in (400, 401, 422):
            raise Mismatch(f"refresh with {kind}", expected=401, seen=answer.status, request_id=answer.request_id)
    evidence("tokens that renewed nothing", 2)


@given("the manager's refresh token", "o token de renovação do gerente", target_fixture="refresh_token")
def kept_refresh_token(unit: Tenant, api: Backend) -> str:
    return api.login(unit.member.email, unit.member.password).expect(200).text("refreshToken")


@then("that refresh token is refused", "esse token de renovação é recusado")
def refresh_token_refused(refresh_token: str, api: Backend, evidence: Observe) -> None:
    evidence("answer to an old refresh token", _refreshed(api, refresh_token).expect(401).status)


@then("a long password counts to its end", "uma senha longa vale até o fim")
def long_password(unit: Tenant, super_admin: Member, api: Backend, evidence: Observe) -> None:
    password, email = secrets.token_hex(45), f"long-{secrets.token_hex(6)}@{unit.slug}.example"
    person = {"name": "Long", "email": email, "password": password, "role": "agent", "unitId": unit.id}
    made = super_admin.post("/admin/users", person).expect(201, 400, 422)
    if made.status == 201:
        api.login(email, f"{password[:-1]}x").expect(401)
        api.login(email, password).expect(200)
    evidence("answer to a password of 90 characters", made.status)


@then(
    "every refusal says what is wrong, and under which id it is logged",
    "toda recusa diz o que houve, e com que id foi registrada",
)
def refusals_have_a_form(unit: Tenant, api: Backend, evidence: Observe) -> None:
    token = unit.member.token
    refusals = [
        api.request("GET", "/conversations").expect(401),
        api.login(unit.member.email, "not-the-password-9").expect(401),
        api.request("GET", "/admin/units", token=token).expect(403),
        api.request("GET", "/messages/3f2504e0-4f89-41d3-9a0c-0305e82c3301", token=token).expect(404),
        api.request("POST", "/messages", body={"phone": "maria", "message": "Hello"}, token=token).expect(400, 422),
        api.request("POST", "/messages", body={"phone": "5511999990003", "message": "Hello"}, token=token).expect(400, 409),
    ]
    ids = []
    for answer in refusals:
        answer.text("error")
        ids.append(answer.identifier("requestId"))
    same("ids of requests", expected=len(refusals), seen=len(set(ids)))
    evidence("refusals", len(refusals))


@when("the life of an access token is over", "a vida de um token de acesso acaba")
def token_dies(time_of_target: TargetTime) -> None:
    time_of_target.let_pass(TOKEN_LIFE_S + SKEW_S)


@then("the manager's token is refused", "o token do gerente é recusado")
def token_refused(unit: Tenant, api: Backend, evidence: Observe) -> None:
    answer = api.request("GET", "/conversations", token=unit.member.token).expect(401)
    evidence("answer to an old token", answer.status)


@when("the life of a refresh token is over", "a vida de um token de renovação acaba")
def refresh_token_dies(time_of_target: TargetTime) -> None:
    time_of_target.let_pass(REFRESH_LIFE_S + SKEW_S)


@then("no token that was made up or changed is accepted", "nenhum token inventado ou alterado é aceito")
def forged_refused(unit: Tenant, api: Backend, target: Target, evidence: Observe) -> None:
    login = api.login(unit.member.email, unit.member.password).expect(200)
    good = login.text("accessToken")
    api.request("GET", "/conversations", token=good).expect(200)
    head, claims = _parts(good)
    forged: dict[str, str] = {
        "without a signature": good.rpartition(".")[0] + ".",
        "of the algorithm none": _token({**head, "alg": "none"}, claims, None),
        "of the algorithm nOnE": _token({**head, "alg": "nOnE"}, claims, None),
        "signed with a guess": _token(head, claims, "secret"),
        "signed with nothing": _token(head, claims, ""),
        "the refresh token": login.text("refreshToken"),
        "with another user": _token(head, {**claims, "sub": "3f2504e0-4f89-41d3-9a0c-0305e82c3301"}, "changeme"),
        "a word": "token",
    }
    if target.signing_key:
        key = target.signing_key
        # Signed as the backend itself does: only what it says is wrong.
        api.request("GET", "/conversations", token=_token(head, claims, key)).expect(200)
        forged |= {
            "without exp": _token(head, {name: value for name, value in claims.items() if name != "exp"}, key),
            "that has expired": _token(head, {**claims, "exp": int(claims["iat"]) - 1}, key),
            "that expires never": _token(head, {**claims, "exp": 1e400}, key),
            "without an audience": _token(head, {name: value for name, value in claims.items() if name != "aud"}, key),
            "for another audience": _token(head, {**claims, "aud": "another"}, key),
            "of another issuer": _token(head, {**claims, "iss": "another"}, key),
            "without iat": _token(head, {name: value for name, value in claims.items() if name != "iat"}, key),
            "without a subject": _token(head, {name: value for name, value in claims.items() if name != "sub"}, key),
        }
    for kind, token in forged.items():
        answer = api.request("GET", "/conversations", token=token)
        if answer.status != 401:
            raise Mismatch(f"a token {kind}", expected=401, seen=answer.status, request_id=answer.request_id)
    evidence("forged tokens that were refused", len(forged))


@then(
    "the super_admin's lists show {string} newest first, without a password or hash",
    "as listas do super_admin mostram {string}, os mais novos primeiro, sem senha nem hash",
)
def admin_lists(which: str, unit: Tenant, tenants: Tenants, super_admin: Member, evidence: Observe) -> None:
    younger = tenants.create()
    answer = super_admin.get(f"/admin/{which}").expect(200)
    entries = answer.body if isinstance(answer.body, list) else next(v for v in answer.body.values() if isinstance(v, list))
    marks = [unit.id, younger.id] if which == "units" else [unit.member.email, younger.member.email]
    shown = [json.dumps(entry) for entry in entries]
    places = [next((index for index, entry in enumerate(shown) if mark in entry), -1) for mark in marks]
    if -1 in places:
        raise Mismatch(
            f"GET /admin/{which}", expected="both of the new ones", seen=f"{len(shown)} others", request_id=answer.request_id
        )
    if which == "units" and places[0] < places[1]:
        raise Mismatch(
            "GET /admin/units", expected="the newest first", seen="an older one before it", request_id=answer.request_id
        )
    no_hash(answer)
    evidence(f"{which} shown", len(shown))


@then(
    "a database that fails is told as such, and never as an empty list",
    "um banco de dados que falha é dito como tal, e nunca como lista vazia",
)
def no_empty_list(unit: Tenant, super_admin: Member, operations: Operations, evidence: Observe) -> None:
    with operations.database("down"):
        answer = super_admin.backend.request("GET", "/admin/units", token=super_admin.token)
    answer.expect(503)
    evidence("answer while the database is down", answer.status)


@when("the {word} is out of order", "{word} está fora do ar", target_fixture="readiness")
def out_of_order(part: str, api: Backend, operations: Operations, evolution: EvolutionControl) -> Answer:
    api.request("GET", "/ready").expect(200)
    if part == "database":
        with operations.database("down"):
            return api.request("GET", "/ready", waits=True)
    operations.require_alone()
    number = evolution.inject("license-required")
    try:
        return api.request("GET", "/ready", waits=True)
    finally:
        evolution.withdraw(number)


@then(
    "the backend says that it is not ready because of the {word}, and is healthy all the same",
    "o backend diz que não está pronto por causa de {word}, e está saudável mesmo assim",
)
def not_ready(part: str, readiness: Answer, api: Backend, eventually: Eventually, evidence: Observe) -> None:
    readiness.expect(503)
    checks = readiness.value("checks")
    if checks.get(part) == "ok":
        raise Mismatch(f"checks.{part}", expected="not ok", seen="ok", request_id=readiness.request_id)
    health = api.request("GET", "/health").expect(200)
    same("status", expected="ok", seen=health.value("status"))
    eventually(lambda: api.request("GET", "/ready").status, 200, within_s=READY_S, what="readiness afterwards")
    evidence("readiness", f"{readiness.status}, then 200")


@then("health tells status, uptime and version", "a saúde diz estado, tempo no ar e versão")
def health(api: Backend, evidence: Observe) -> None:
    answer = api.request("GET", "/health").expect(200)
    same("status", expected="ok", seen=answer.value("status"))
    if not isinstance(answer.value("uptime"), int | float):
        raise Mismatch("uptime", expected="seconds", seen=answer.value("uptime"))
    evidence("version", answer.text("version"))


@then(
    "the measurements are for whoever has the token, move with what happens, and name no unit and no telephone",
    "as medidas são para quem tem o token, mudam com o que acontece, e não citam unidade nem telefone",
)
def metrics(unit: Tenant, api: Backend, target: Target, evidence: Observe) -> None:
    if not target.metrics_token:
        raise NotApplicable("the measurements are not at the backend's own address (GOLIVE_METRICS_TOKEN is not set)")
    api.request("GET", "/metrics").expect(401, 403, 404)
    api.request("GET", "/metrics", token=unit.member.token).expect(401, 403, 404)
    answer = api.request("GET", "/metrics", token=target.metrics_token).expect(200)
    text = str(answer.body)
    # What reading itself moves tells nothing.
    noise = _moved(answer, (answer := api.request("GET", "/metrics", token=target.metrics_token).expect(200)))
    unit.status()
    api.login(unit.member.email, unit.member.password).expect(200)
    if not _moved(answer, api.request("GET", "/metrics", token=target.metrics_token).expect(200)) - noise:
        raise Mismatch("the measurements after a login", expected="one that moved", seen="none", request_id=answer.request_id)
    for kind, mark in (("name", unit.name), ("slug", unit.slug), ("telephone", unit.phone)):
        if mark in text:
            raise Mismatch("GET /metrics", expected=f"no unit's {kind}", seen="one")
    if "# TYPE" not in text:
        raise Mismatch("GET /metrics", expected="Prometheus text", seen=text[:60])
    evidence("bytes of measurements", len(text))


@then("the log names no telephone and no secret of it", "o log não cita telefone nem segredo dela")
def log_is_clean(
    unit: Tenant,
    customer: Customer,
    order: dict[str, str],
    delivered: Delivered,
    target: Target,
    courier: Courier,
    evidence: Observe,
) -> None:
    if target.log_path is None:
        raise NotApplicable("the backend's log cannot be read from here (GOLIVE_LOG is not set)")
    lines = target.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    # What is said to whoever looks for a fault may quote texts; a telephone or a secret never.
    log, shown = "\n".join(lines), "\n".join(line for line in lines if not re.search(r'"level": ?"(debug|trace)"', line.lower()))
    if not log.strip():
        raise Mismatch("the backend's log", expected="lines", seen="none")
    for kind, mark in (("a message's text", order["message"].partition(" ✅")[0]), ("a customer's text", delivered.texts[0])):
        if mark in shown:
            raise Mismatch("the backend's log", expected=f"not {kind}", seen=kind)
    for kind, mark in (
        ("the webhook's secret", courier.address(unit.instance).secret),
        ("the customer's telephone", customer.phone),
        ("the unit's telephone", unit.phone),
        ("a password", unit.member.password),
        ("a token", unit.member.token),
    ):
        if mark in log:
            raise Mismatch("the backend's log", expected=f"not {kind}", seen=kind)
    evidence("bytes of log read", len(log))


@then("nobody can watch the unit's events without its token", "ninguém acompanha os eventos da unidade sem o token dela")
def events_need_token(unit: Tenant, tenants: Tenants, api: Backend, evidence: Observe) -> None:
    stranger = tenants.create()
    for token, allowed in (("", (401,)), ("not-a-token", (401,)), (stranger.member.token, (403, 404))):
        with api.stream(f"/units/{unit.id}/events", token=token) as response:
            if response.status_code not in allowed:
                raise Mismatch("GET /units/{unit}/events", expected=" or ".join(map(str, allowed)), seen=response.status_code)
    evidence("attempts to watch that were refused", 3)


@given("{int} contacts of the unit", "{int} contatos da unidade", target_fixture="contacts")
def several_contacts(count: int, unit: Tenant, tenants: Tenants) -> list[str]:
    return [str(unit.contact(tenants.customer())) for _ in range(count)]


@then("the contacts come in pages of {int}, each once", "os contatos vêm em páginas de {int}, cada um uma vez")
def contacts_in_pages(size: int, unit: Tenant, contacts: list[str], evidence: Observe) -> None:
    seen = _over_pages(unit, "/contacts", size, len(contacts))
    same("contacts over all pages", expected=sorted(contacts), seen=sorted(seen))
    evidence("contacts over all pages", len(seen))


@given(
    "{int} conversations, {int} messages in the newest of them, and {int} campaigns of the unit",
    "{int} conversas, {int} mensagens na mais nova, e {int} campanhas da unidade",
    target_fixture="holdings",
)
def holdings(
    conversations: int, messages: int, campaigns: int, unit: Tenant, tenants: Tenants, courier: Courier
) -> dict[str, tuple[str, int]]:
    url, last = courier.address(unit.instance).url(), tenants.customer()
    writers = [tenants.customer() for _ in range(conversations - 1)] + [last] * messages
    # In one delivery: what came at one moment must not be lost between two pages.
    entries = [entry_of(writer.phone, f"{number}: {secrets.token_hex(2)}") for number, writer in enumerate(writers)]
    courier.deliver(url, instance=unit.instance, event="messages.upsert", data=entries).expect(200)
    unit.await_messages(last.phone, at_least=messages)
    contact = unit.contact(last)
    for number in range(campaigns):
        unit.member.post("/api/campaigns", {"name": f"No. {number}", "content": "Hello", "contactIds": [contact]}).expect(201)
    newest = unit.conversations_with(last.phone)[0]["id"]
    return {
        "conversations": ("/conversations", conversations),
        "messages": (f"/conversations/{newest}/messages", messages),
        "campaigns": ("/api/campaigns", campaigns),
    }


@then("the unit's {word} come in pages of {int}, each once", "{word} da unidade vêm em páginas de {int}, cada um uma vez")
def holdings_in_pages(what: str, size: int, unit: Tenant, holdings: dict[str, tuple[str, int]], evidence: Observe) -> None:
    path, count = holdings[what]
    known = [str(entry["id"]) for entry in unit.member.every(path)]
    same(f"{what} on one page", expected=count, seen=len(known))
    same(f"{what} over all pages", expected=sorted(known), seen=sorted(_over_pages(unit, path, size, count)))
    evidence(f"{what} over all pages", count)


@then("a page of {int} is refused, or no longer than {int}", "uma página de {int} é recusada, ou não passa de {int}")
def page_too_long(asked: int, most: int, unit: Tenant, evidence: Observe) -> None:
    for query in (
        {"limit": str(asked)},
        {"limit": "0"},
        {"limit": "-1"},
        {"limit": "x"},
        {"cursor": "not-a-cursor"},
        {"cursor": "'; --"},
    ):
        answer = unit.member.get("/contacts", query).expect(200, 400, 422)
        if answer.status == 200 and sum(len(value) for value in answer.body.values() if isinstance(value, list)) > most:
            raise Mismatch("entries of a page", expected=f"at most {most}", seen="more", request_id=answer.request_id)
    evidence("odd pages asked for", 6)


@then("the same number twice is one contact", "o mesmo número duas vezes é um contato")
def one_contact_each(unit: Tenant, customer: Customer, evidence: Observe) -> None:
    first, again = unit.contact(customer), unit.contact(customer)
    same("contacts with one number", expected=first, seen=again)
    written = f"+{customer.phone[:2]} {written_nationally(customer)}"
    formatted = unit.member.post("/contacts", {"phone": written, "name": customer.name}).expect(200, 201, 400, 422)
    if formatted.status < 400:
        same("contact with the number as people write it", expected=str(first), seen=formatted.identifier("id"))
    evidence("contacts with one number", 1)


@then(
    "no odd request is answered with an error of the server's own",
    "nenhum pedido estranho é respondido com um erro do próprio servidor",
)
def odd_requests(unit: Tenant, api: Backend, evidence: Observe) -> None:
    token, json_type = unit.member.token, {"Content-Type": "application/json"}
    odd: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/messages", {"content": b"{", "headers": json_type}),
        ("POST", "/messages", {"content": b"\xff\xfe{\x00}\x00", "headers": json_type}),
        ("POST", "/messages", {"content": b'{"phone": "5511999990003", "message": "a\\u0000b"}', "headers": json_type}),
        ("POST", "/messages", {"content": b'{"phone": "5511999990003", "message": "a\\ud800b"}', "headers": json_type}),
        ("POST", "/messages", {"content": b'{"phone": 5511999990003, "message": ["x"]}', "headers": json_type}),
        ("POST", "/messages", {"content": b"[" * 20_000, "headers": json_type}),
        (
            "POST",
            "/messages",
            {"content": b"phone=1&message=2", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        ),
        ("POST", "/messages", {"content": b"\x1f\x8b\x08garbage", "headers": {**json_type, "Content-Encoding": "gzip"}}),
        ("POST", "/contacts", {"body": {"phone": "1" * 4000, "name": "x"}}),
        (
            "POST",
            "/contacts",
            {"body": {"phone": "5511999990004", "name": "'; DROP TABLE contacts; --", "unitId": 7, "role": "x"}},
        ),
        ("POST", "/api/campaigns", {"body": {"name": "x", "content": "y", "contactIds": ["not-an-id", 7, None]}}),
        ("GET", "/messages/not-an-id", {}),
        ("GET", "/messages/%00", {}),
        ("GET", "/conversations/%2e%2e%2fadmin/messages", {}),
        ("GET", "//conversations", {}),
        ("GET", "/CONVERSATIONS", {}),
        ("PATCH", "/conversations", {"body": {}}),
        ("GET", f"/nowhere/{secrets.token_hex(200)}", {}),
    ]
    for method, path, arguments in odd:
        answer = api.request(method, f"{api.url}{path}" if path.startswith("//") else path, token=token, **arguments)
        if answer.status >= 500:
            raise Mismatch(f"{method} {path[:40]}", expected="below 500", seen=answer.status, request_id=answer.request_id)
        text = json.dumps(answer.body)
        for mark in ("Traceback", "SELECT ", "sqlalchemy", "site-packages", 'File "'):
            if mark in text:
                raise Mismatch(f"{method} {path[:40]}", expected="nothing of the inside", seen=mark, request_id=answer.request_id)
    api.request("GET", "/health").expect(200)
    evidence("odd requests", len(odd))


def no_hash(answer: Answer) -> None:
    """Raises Mismatch when the answer shows a password, or what was made of one."""
    text = json.dumps(answer.body).lower()
    for mark in HASH_MARKS:
        if mark in text:
            raise Mismatch(answer.request, expected="no password and no hash", seen=mark, request_id=answer.request_id)


def _over_pages(unit: Tenant, path: str, size: int, count: int) -> list[str]:
    """The ids of a list over its pages; one page more is read than so many entries can need."""
    seen: list[str] = []
    query: dict[str, str] = {"limit": str(size)}
    for _ in range(count + 1):
        answer = unit.member.get(path, query).expect(200)
        entries = next(value for value in answer.body.values() if isinstance(value, list))
        if len(entries) > size:
            raise Mismatch("entries of a page", expected=f"at most {size}", seen=len(entries), request_id=answer.request_id)
        seen += [str(entry["id"]) for entry in entries]
        if not answer.next_cursor:
            break
        query["cursor"] = answer.next_cursor
    return seen


def _refreshed(api: Backend, token: str) -> Answer:
    return api.request("POST", "/admin/refresh", body={"refreshToken": token})


def _moved(before: Answer, after: Answer) -> set[str]:
    """The counters that differ, each with its labels."""
    counters = tuple(re.findall(r"^# TYPE (\S+) counter$", str(after.body), re.MULTILINE))
    read = [dict(line.rpartition(" ")[::2] for line in str(one.body).splitlines()) for one in (before, after)]
    return {name for name, value in read[1].items() if name.startswith(counters) and read[0].get(name) != value}


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, claims, _ = token.split(".")
    return json.loads(_decoded(head)), json.loads(_decoded(claims))


def _token(head: dict[str, Any], claims: dict[str, Any], key: str | None) -> str:
    signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(claims).encode())}"
    if key is None:
        return f"{signed}."
    return f"{signed}.{_encoded(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
