"""Tenants do not see each other: every route and method, in both directions.

The routes are data. A route that takes an id is tried with the other unit's id and with one that names nothing: the two answers
must be the same, for otherwise the answer tells that the thing exists.
"""

from __future__ import annotations

import contextlib
import functools
import json
import queue
import secrets
import socket
import string
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from features.backend import Answer, Backend
from features.expectations import Mismatch, becomes, same
from features.provider import Courier
from features.recording import Observe
from features.steps import given, then, when
from features.steps.campaigns import Mailing, new_campaign
from features.steps.deliveries import acknowledge
from features.tenants import Customer, Tenant, Tenants, digits_in
from features.timing import TargetTime
from harness.evolution.client import EvolutionControl

NOBODYS_PHONE = "5511900000001"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
REFUSED = (403, 404)
# A method that a route does not have is refused as such, the same for every id.
NO_SUCH_METHOD = 405
EVENT_S = 20.0
MESSAGE_EVENT = "message"
OPENS_S = 10.0
SHORTEST_MARK = 6
# The letters of hexadecimal numbers and, apart from them, those of ULIDs, which know no I, L, O and U.
ALPHABETS = (string.digits, "abcdef", "ABCDEF", "ghjkmnpqrstvwxyz", "GHJKMNPQRSTVWXYZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route of the contract that belongs to a unit. `{…}` in the path names the id it takes; `body` is a valid one."""

    path: str
    methods: tuple[str, ...]
    body: Mapping[str, Any] = field(default_factory=dict)
    lists: bool = False


ROUTES = (
    Route(path="/units/{unit}/whatsapp/connect", methods=("POST",), body={"provider": "evolution", "credentials": {}}),
    Route(path="/units/{unit}/whatsapp/status", methods=("GET",)),
    Route(path="/units/{unit}/whatsapp/qrcode", methods=("GET",)),
    Route(path="/units/{unit}/whatsapp/disconnect", methods=("DELETE",)),
    Route(path="/units/{unit}/events", methods=("GET",)),
    Route(path="/messages/{message}", methods=("GET",)),
    Route(path="/conversations/{conversation}/messages", methods=("GET",)),
    Route(path="/api/campaigns/{campaign}", methods=("GET",)),
    Route(path="/api/campaigns/{campaign}/dispatch", methods=("POST",)),
    Route(path="/api/campaigns/{campaign}/pause", methods=("POST",)),
    Route(path="/api/campaigns/{campaign}/resume", methods=("POST",)),
    Route(path="/api/campaigns/{campaign}/cancel", methods=("POST",)),
    Route(path="/conversations", methods=("GET",), lists=True),
    Route(path="/contacts", methods=("GET", "POST"), body={"phone": NOBODYS_PHONE, "name": "Nobody"}, lists=True),
    Route(
        path="/api/campaigns",
        methods=("GET", "POST"),
        body={"name": "Nobody's", "content": "Hello", "contactIds": ["3f2504e0-4f89-41d3-9a0c-0305e82c3301"]},
        lists=True,
    ),
    Route(path="/messages", methods=("POST",), body={"phone": NOBODYS_PHONE, "message": "Hello"}),
    Route(path="/admin/units", methods=("GET", "POST"), body={"name": "Nobody's unit", "slug": "nobodys-unit"}),
    Route(
        path="/admin/users",
        methods=("GET", "POST"),
        body={"name": "Nobody", "email": "nobody@nowhere.example", "password": "not-to-be-taken-9", "role": "super_admin"},
    ),
)
"""Every route of the contract that belongs to a unit or to the super_admin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A unit at one moment: its connection, and what it holds, each thing as a tuple that begins with its kind."""

    connection: Mapping[str, Any]
    holdings: frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """A connected unit with everything a unit can own. `ids` are by the placeholder of the routes that take them."""

    unit: Tenant
    customers: tuple[Customer, ...]
    texts: tuple[str, ...]
    mailing: Mailing
    contact: str | int
    ids: Mapping[str, str]

    @property
    def marks(self) -> frozenset[str]:
        """Whatever would betray this unit in an answer: its ids, numbers, names and texts.

        An id too short to tell from any other number is left out: then the rest has to betray it.
        """
        people = {mark for customer in self.customers for mark in (customer.phone, customer.name)}
        own = (self.unit.phone, self.unit.name, self.unit.slug, str(self.contact))
        marks = {*self.ids.values(), *own, *people, *self.texts}
        return frozenset(mark for mark in marks if len(mark) >= SHORTEST_MARK)

    def picture(self) -> Picture:
        """What the unit shows of itself now."""
        member, status = self.unit.member, self.unit.status().body
        messages = [message for customer in self.customers for message in self.unit.messages_with(customer.phone)]
        return Picture(
            connection={name: status.get(name) for name in ("status", "reason", "phone", "connectedAt", "disconnectedAt")},
            holdings=frozenset(
                {
                    *(("contact", str(entry["id"])) for entry in member.every("/contacts")),
                    *(("conversation", str(entry["id"])) for entry in member.every("/conversations")),
                    *(("message", message.id, message.text) for message in messages),
                    *(("campaign", str(entry["id"]), str(entry["status"])) for entry in member.every("/api/campaigns")),
                }
            ),
        )


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One unit's manager tried one route on the other's thing, and on one that does not exist."""

    method: str
    route: Route
    documented: bool
    theirs: Answer
    nobodys: Answer
    leaked: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Pair:
    """Both units, what they looked like before anything was tried, and what was tried.

    `planted` are the numbers that each unit, by its id, tried to write into the other.
    """

    first: Household
    second: Household
    before: tuple[Picture, Picture]
    planted: dict[str, list[str]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[tuple[Household, Household, list[str]]] = field(default_factory=list)

    def directions(self) -> Iterator[tuple[Household, Household]]:
        """(who tries, on whose things)."""
        yield self.first, self.second
        yield self.second, self.first


@given(
    "two connected units, each with contacts, conversations, messages and a campaign",
    "duas unidades conectadas, cada uma com contatos, conversas, mensagens e uma campanha",
    target_fixture="pair",
)
def two_households(tenants: Tenants, evolution: EvolutionControl) -> Pair:
    first, second = _furnish(tenants, evolution), _furnish(tenants, evolution)
    evolution.quiesce()
    return Pair(first=first, second=second, before=(first.picture(), second.picture()))


@when(
    "each unit's manager tries every route and method on everything that belongs to the other",
    "o gerente de cada unidade tenta todas as rotas e métodos sobre tudo o que pertence à outra",
)
def try_everything(pair: Pair) -> None:
    for intruder, victim in pair.directions():
        for route in ROUTES:
            if "{" not in route.path:
                continue
            path = route.path.format(**victim.ids)
            nowhere = route.path.format(**{name: unlike(value) for name, value in victim.ids.items()})
            for method in METHODS:
                body = _body(route, method)
                theirs = _ask(intruder, method, path, body)
                # A method that the route does not have is refused before anything is looked up: there is nothing to compare.
                refused_as_such = theirs.status == NO_SUCH_METHOD and method not in route.methods
                nobodys = theirs if refused_as_such else _ask(intruder, method, nowhere, body)
                pair.attempts.append(
                    Attempt(
                        method=method,
                        route=route,
                        documented=method in route.methods,
                        theirs=theirs,
                        nobodys=nobodys,
                        leaked=leaked_in(theirs.body, victim, but_for=victim.ids.values() if theirs.status >= 400 else ()),
                    )
                )


@then("every attempt is refused as if the thing did not exist", "toda tentativa é recusada como se a coisa não existisse")
def all_refused(pair: Pair, evidence: Observe) -> None:
    for attempt in pair.attempts:
        what = f"{attempt.method} {attempt.route.path} on the other unit's"
        allowed = REFUSED if attempt.documented else (*REFUSED, NO_SUCH_METHOD)
        if attempt.theirs.status not in allowed:
            raise Mismatch(
                what, expected=" or ".join(map(str, allowed)), seen=attempt.theirs.status, request_id=attempt.theirs.request_id
            )
        same(
            f"{what}, against one that does not exist: status and error",
            expected=(attempt.nobodys.status, attempt.nobodys.error),
            seen=(attempt.theirs.status, attempt.theirs.error),
            request_id=attempt.theirs.request_id,
        )
    evidence("routes and methods tried on the other's things", len(pair.attempts))


@then("no answer contained anything of the other unit", "nenhuma resposta continha nada da outra unidade")
def no_leak(pair: Pair, evidence: Observe) -> None:
    for attempt in pair.attempts:
        if attempt.leaked:
            raise Mismatch(
                f"answer to {attempt.method} {attempt.route.path}",
                expected="nothing of the other unit",
                seen=f"{len(attempt.leaked)} of its values",
                request_id=attempt.theirs.request_id,
            )
    evidence("answers without anything of the other", len(pair.attempts))


@when(
    "each unit's manager lists everything, also naming the other unit",
    "o gerente de cada unidade lista tudo, também citando a outra unidade",
    target_fixture="listings",
)
def list_everything(pair: Pair) -> list[tuple[Household, Household, str, list[dict[str, Any]]]]:
    listings = []
    for reader, other in pair.directions():
        for route in ROUTES:
            if not route.lists:
                continue
            listings.append((reader, other, route.path, reader.unit.member.every(route.path)))
            for name in ("unitId", "unit_id", "unit"):
                answer = reader.unit.member.get(route.path, {name: other.unit.id})
                answer.expect(200, 400, 403, 404, 422)
                entries = [answer.body] if answer.status == 200 else []
                if leaked := leaked_in(answer.body, other, but_for=(other.unit.id,) if answer.status >= 400 else ()):
                    raise Mismatch(
                        f"GET {route.path}?{name}=…", expected="nothing of the other unit", seen=f"{len(leaked)} of its values"
                    )
                listings.append((reader, other, f"{route.path}?{name}=…", entries))
    return listings


@then(
    "every list shows the own unit's entries and none of the other's",
    "cada lista mostra os registros da própria unidade e nenhum da outra",
)
def own_entries_only(listings: list[tuple[Household, Household, str, list[dict[str, Any]]]], evidence: Observe) -> None:
    for reader, other, path, entries in listings:
        if leaked := leaked_in(entries, other):
            raise Mismatch(f"GET {path}", expected="nothing of the other unit", seen=f"{len(leaked)} of its values")
        if "?" not in path and not leaked_in(entries, reader):
            raise Mismatch(f"GET {path}", expected="the unit's own entries", seen=f"{len(entries)} entries, none of them its own")
    evidence("lists read", len(listings))


@when(
    "both units watch their events while both receive a message",
    "as duas unidades acompanham seus eventos enquanto ambas recebem uma mensagem",
)
def watch_events(pair: Pair, api: Backend, evolution: EvolutionControl, time_of_target: TargetTime) -> None:
    for watcher, other in pair.directions():
        with Watching(api, watcher.unit) as watching:
            watching.await_open()
            evolution.incoming(other.unit.instance, sender=other.customers[0].phone, text=f"{other.texts[0]} again")
            other.unit.await_messages(other.customers[0].phone, at_least=3)
            seen_before = len(watching.lines)
            evolution.incoming(watcher.unit.instance, sender=watcher.customers[0].phone, text=f"{watcher.texts[0]} again")
            becomes(
                time_of_target.pace,
                functools.partial(watching.events_after, seen_before),
                lambda names: MESSAGE_EVENT in names,
                within_s=EVENT_S,
                what="events that the unit sees after it received a message",
                expected="an event named message",
            )
            pair.events.append((watcher, other, list(watching.lines)))


@then("each saw its own event and nothing of the other's", "cada uma viu o próprio evento e nada da outra")
def own_events_only(pair: Pair, evidence: Observe) -> None:
    for _, other, lines in pair.events:
        same("events about a message, of which the unit received one", expected=1, seen=_names_of(lines).count(MESSAGE_EVENT))
        text = "\n".join(lines)
        if leaked := [mark for mark in other.marks if mark in text]:
            raise Mismatch(
                "the stream of a unit's events", expected="nothing of the other unit", seen=f"{len(leaked)} of its values"
            )
    evidence("streams of events watched", len(pair.events))


@then("nobody can watch the other unit's events", "ninguém consegue acompanhar os eventos da outra unidade")
def streams_refused(pair: Pair, api: Backend, evidence: Observe) -> None:
    for intruder, victim in pair.directions():
        for token, allowed in ((intruder.unit.member.token, REFUSED), ("", (401,))):
            with api.stream(f"/units/{victim.unit.id}/events", token=token) as response:
                if response.status_code not in allowed:
                    raise Mismatch(
                        "GET /units/{other}/events", expected=" or ".join(map(str, allowed)), seen=response.status_code
                    )
    evidence("attempts to watch the other's events that were refused", 4)


@when("each unit's manager tries to write in the other unit's name", "o gerente de cada unidade tenta escrever em nome da outra")
def write_as_other(pair: Pair, api: Backend, tenants: Tenants) -> None:
    for intruder, victim in pair.directions():
        member, text = intruder.unit.member, _signature(intruder)
        for name in ("unitId", "unit_id"):
            stranger = tenants.customer()
            pair.planted.setdefault(intruder.unit.id, []).append(stranger.phone)
            # Refused, or taken as the writer's own unit: what counts is that nothing happens in the other's.
            member.post("/messages", {"phone": stranger.phone, "message": text, name: victim.unit.id})
            member.post("/contacts", {"phone": stranger.phone, "name": text, name: victim.unit.id})
        order = {"name": text, "content": text, "contactIds": [victim.contact]}
        refused = member.post("/api/campaigns", order).expect(404)
        nobody = type(victim.contact)(unlike(str(victim.contact)))
        missing = member.post("/api/campaigns", order | {"contactIds": [nobody]}).expect(404)
        same("error for the other's contact, against one that does not exist", expected=missing.error, seen=refused.error)
        member.post("/api/campaigns", order | {"contactIds": [intruder.contact, victim.contact]}).expect(404)
        for route in ROUTES:
            if route.path.startswith("/admin/"):
                for method in route.methods:
                    member.request(method, route.path, body=_body(route, method)).expect(*REFUSED)
        api.login(member.email, member.password, unitSlug=victim.unit.slug).expect(403)


@then("nothing was written, sent or created in the other unit", "nada foi escrito, enviado ou criado na outra unidade")
def nothing_written(pair: Pair, evolution: EvolutionControl, evidence: Observe) -> None:
    evolution.quiesce()
    for intruder, victim in pair.directions():
        sends = [send for send in evolution.ledger(instance=victim.unit.instance) if str(send["text"]) == _signature(intruder)]
        same("texts of the other unit that this unit's telephone sent", expected=0, seen=len(sends))
        shown = json.dumps([victim.unit.member.every(route.path) for route in ROUTES if route.lists], ensure_ascii=False)
        written = [mark for mark in (_signature(intruder), *pair.planted[intruder.unit.id]) if mark in shown]
        same("what the other unit wrote into this one", expected=0, seen=len(written))
        logouts = [request for request in evolution.requests(instance=victim.unit.instance) if request["method"] == "DELETE"]
        same("requests to log the unit out at the provider", expected=0, seen=len(logouts))
    evidence("sends in the other's name", 0)


@then("without signing in every route is refused", "sem entrar no sistema toda rota é recusada")
def nothing_without_token(pair: Pair, api: Backend, evidence: Observe) -> None:
    tried = 0
    for route in ROUTES:
        for method in route.methods:
            path = route.path.format(**pair.first.ids)
            answer = api.request(method, path, body=_body(route, method))
            if answer.status != 401:
                raise Mismatch(
                    f"{method} {route.path} without a token", expected=401, seen=answer.status, request_id=answer.request_id
                )
            tried += 1
    evidence("routes refused without a token", tried)


@then("both units are as they were before", "as duas unidades estão como antes")
def unchanged(pair: Pair, evidence: Observe) -> None:
    for household, before in zip((pair.first, pair.second), pair.before, strict=True):
        now = household.picture()
        same("connection of the unit", expected=before.connection, seen=now.connection)
        gone = sorted(before.holdings - now.holdings)
        same("what the unit held before and no longer holds so", expected=[], seen=gone)
    evidence("things that were there before and are unchanged", sum(len(before.holdings) for before in pair.before))


@when(
    "the unit's events are watched while a message is read, and first the second unit and then the unit is logged out",
    "os eventos da unidade são acompanhados enquanto uma mensagem é lida, e saem a segunda unidade e depois ela",
    target_fixture="watched",
)
def watch_one_unit(
    unit: Tenant,
    second_unit: Tenant,
    customer: Customer,
    api: Backend,
    courier: Courier,
    evolution: EvolutionControl,
    time_of_target: TargetTime,
) -> list[str]:
    evolution.inject("no-ack", instance=unit.instance)
    sending = unit.member.post("/messages", {"phone": customer.phone, "message": "watched"}, waits=True).expect(200)
    with Watching(api, unit) as watching:
        watching.await_open()

        def await_event(name: str) -> None:
            becomes(
                time_of_target.pace,
                lambda: watching.events_after(0),
                lambda names: name in names,
                within_s=EVENT_S,
                what="events that the unit sees",
                expected=f"an event named {name}",
            )

        evolution.close(second_unit.instance, 401)
        evolution.quiesce()
        acknowledge(courier, unit, sending.text("messageId"), customer, "READ")
        await_event("message-status")
        same(
            "events about the connection, before anything happened to it",
            expected=0,
            seen=watching.events_after(0).count("status"),
        )
        evolution.close(unit.instance, 401)
        await_event("status")
        return list(watching.lines)


@then("it was told of both, and of nothing of the second unit", "ela soube de ambas as coisas, e de nada da segunda unidade")
def told_of_both(watched: list[str], second_unit: Tenant, evidence: Observe) -> None:
    if second_unit.id in "\n".join(watched):
        raise Mismatch("the stream of a unit's events", expected="nothing of the second unit", seen="its id")
    evidence("events", len(_names_of(watched)))


class Watching:
    """A unit's stream of events, read in a thread while it is open."""

    def __init__(self, api: Backend, unit: Tenant) -> None:
        self._api = api
        self._unit = unit
        self.lines: list[str] = []
        self._opened: queue.Queue[int | BaseException] = queue.Queue()
        self._response: httpx.Response | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def await_open(self) -> None:
        """Raises Mismatch unless the stream opens."""
        try:
            status = self._opened.get(timeout=OPENS_S)
        except queue.Empty:
            raise Mismatch("GET /units/{own}/events", expected="an answer", seen=f"none within {OPENS_S:g} s") from None
        if isinstance(status, BaseException):
            raise status
        same("GET /units/{own}/events", expected=200, seen=status)

    def events_after(self, line: int) -> list[str]:
        """The names of the events that came after so many lines."""
        return _names_of(self.lines[line:])

    def __enter__(self) -> Watching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._response is not None:
            # Closing the answer would wait for the reader; shutting the socket down wakes it.
            with contextlib.suppress(OSError):
                self._response.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(OPENS_S)

    def _read(self) -> None:
        try:
            with self._api.stream(f"/units/{self._unit.id}/events", token=self._unit.member.token) as response:
                self._response = response
                self._opened.put(response.status_code)
                for line in response.iter_lines():
                    self.lines.append(line)
                    if self._over.is_set():
                        return
        except BaseException as error:
            if not self._over.is_set():
                self._opened.put(error)


def _names_of(lines: Sequence[str]) -> list[str]:
    return [line.removeprefix("event:").strip() for line in lines if line.startswith("event:")]


def leaked_in(document: Any, household: Household, *, but_for: Any = ()) -> tuple[str, ...]:
    """The values of a household that appear in a document, `but_for` those that its reader named himself."""
    text = json.dumps(document, ensure_ascii=False) if not isinstance(document, str) else document
    return tuple(sorted(mark for mark in household.marks - set(but_for) if mark in text))


def unlike(identifier: str) -> str:
    """An id of the same form that names nothing."""
    if identifier.isdigit():
        return str(int(identifier) + 10**9 + secrets.randbelow(10**6))
    kinds = {character: next((kind for kind in ALPHABETS if character in kind), character) for character in set(identifier)}
    # The beginning stays: in a UUID and in a ULID it carries version and time, which a backend may check.
    kept = len(identifier) - 12
    return identifier[:kept] + "".join(secrets.choice(kinds[character]) for character in identifier[kept:])


def _furnish(tenants: Tenants, evolution: EvolutionControl) -> Household:
    unit = tenants.create_connected()
    writer, reader = tenants.customer(), tenants.customer()
    said, answered = f"secret of {unit.slug}: {secrets.token_hex(6)}", f"answer of {unit.slug}: {secrets.token_hex(6)}"
    evolution.incoming(unit.instance, sender=writer.phone, text=said, push_name=writer.name)
    unit.await_messages(writer.phone, at_least=1)
    sent = unit.member.post("/messages", {"phone": writer.phone, "message": answered}, waits=True).expect(200)
    mailing = new_campaign(unit, (reader,))
    conversation = str(unit.conversations_with(writer.phone)[0]["id"])
    contact: str | int = next(entry["id"] for entry in unit.member.every("/contacts") if reader.phone in digits_in(entry))
    return Household(
        unit=unit,
        customers=(writer, reader),
        texts=(said, answered, mailing.text),
        mailing=mailing,
        contact=contact,
        ids={"unit": unit.id, "message": sent.identifier("internalId"), "conversation": conversation, "campaign": mailing.id},
    )


def _ask(intruder: Household, method: str, path: str, body: dict[str, Any] | None) -> Answer:
    if method == "GET" and path.endswith("/events"):
        return _first_of_stream(intruder, path)
    return intruder.unit.member.request(method, path, body=body)


def _first_of_stream(intruder: Household, path: str) -> Answer:
    """The status of an answer that would never end if it were granted."""
    backend = intruder.unit.member.backend
    with backend.stream(path, token=intruder.unit.member.token) as response:
        if response.status_code == 200:
            return Answer(request="GET /units/{other}/events", status=200, body={}, headers=dict(response.headers))
        try:
            body = json.loads(response.read())
        except ValueError:
            body = response.text
        return Answer(request="GET /units/{other}/events", status=response.status_code, body=body, headers=dict(response.headers))


def _body(route: Route, method: str) -> dict[str, Any] | None:
    return dict(route.body) if method in ("POST", "PUT", "PATCH") else None


def _signature(intruder: Household) -> str:
    return f"written by {intruder.unit.slug}"
