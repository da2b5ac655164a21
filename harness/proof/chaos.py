"""Chaos: the reference under load while its processes are killed, its provider lies and its clocks are wrong.

Every choice of a run (who is killed when, which message takes which way, which faults strike) comes from its seed; moments are
counted in messages begun, not in seconds, so that they are the same moments on a slow machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from harness.errors import HarnessError
from harness.proof.chaos_account import Accounting, Asked, Call, Event, Seen, assess
from harness.proof.chaos_system import ADMIN_EMAIL, TIMEOUT_S, ChaosSystem, Member, started

__all__ = ["FULL", "SHORT", "Moment", "Plan", "Size", "as_json", "plan", "run"]

MARK = "chaos"
SEND = "message/sendText"
UNITS = 3
# So many of the kills come in the middle of a call for certain; of the others some will.
CRASHES = 2
QUESTIONS_AT_ONCE = 12
_NINE_DIGITS = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is done. `rate` is messages begun in a second; each campaign unit has two campaigns of so many `recipients`."""

    messages: int
    events: int
    kills: int
    rate: float
    campaign_units: int
    recipients: int
    drain_s: float


FULL = Size(messages=1000, events=500, kills=40, rate=8.0, campaign_units=2, recipients=12, drain_s=180.0)
SHORT = Size(messages=120, events=60, kills=5, rate=12.0, campaign_units=1, recipients=4, drain_s=120.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What happens once so many messages were begun. `deed` is kill, crash, terminate, migrate, flap, burst or campaigns.

    A crash is a kill in the middle of a call: the provider has the message, and nobody has written it down.
    """

    at: int
    deed: str
    member: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run, decided beforehand. `ways` tells for each message its unit and whether its client waits for the outcome."""

    seed: int
    size: Size
    moments: tuple[Moment, ...]
    ways: tuple[tuple[int, bool], ...]


def plan(seed: int, size: Size, *, apis: int = 2, workers: int = 4) -> Plan:
    """The same plan for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a seed that repeats is the point
    names = [*(f"api-{number}" for number in range(apis)), *(f"worker-{number}" for number in range(workers))]
    span = range(max(2, size.messages // 20), max(3, size.messages * 9 // 10))
    sudden = min(CRASHES, size.kills)
    crashes = [Moment(at=chance.choice(span), deed="crash", member=f"api-{chance.randrange(apis)}") for _ in range(sudden)]
    kills = [Moment(at=chance.choice(span), deed="kill", member=chance.choice(names)) for _ in range(size.kills - sudden)]
    others = [
        Moment(at=size.messages // 20, deed="campaigns"),
        Moment(at=size.messages * 2 // 10, deed="burst"),
        Moment(at=size.messages * 3 // 10, deed="terminate", member=f"api-{chance.randrange(apis)}"),
        Moment(at=size.messages * 4 // 10, deed="flap"),
        Moment(at=size.messages // 2, deed="migrate"),
        Moment(at=size.messages * 6 // 10, deed="terminate", member=f"worker-{chance.randrange(workers)}"),
        Moment(at=size.messages * 7 // 10, deed="burst"),
        Moment(at=size.messages * 8 // 10, deed="terminate", member=f"api-{chance.randrange(apis)}"),
    ]
    ways = tuple((chance.randrange(UNITS), chance.random() < 0.6) for _ in range(size.messages))
    return Plan(seed=seed, size=size, moments=tuple(sorted((*crashes, *kills, *others), key=lambda one: one.at)), ways=ways)


@dataclass(slots=True, kw_only=True)
class _Unit:
    id: str
    headers: dict[str, str] = field(repr=False)
    phone: str

    @property
    def instance(self) -> str:
        return f"unit_{self.id}"


@dataclass(slots=True, kw_only=True)
class _Message:
    unit: _Unit
    number: str
    key: str
    text: str
    waits: bool
    group: str
    answered: set[str] = field(default_factory=set)
    first: Member | None = None
    settled: bool = False
    over: bool = False


class _Run:
    """One run under way; `note` is told each deed in one line."""

    def __init__(self, system: ChaosSystem, planned: Plan, note: Callable[[str], None]) -> None:
        self._system = system
        self._plan = planned
        self._note = note
        self._chance = random.Random(planned.seed + 1)  # noqa: S311
        limits = httpx.Limits(max_connections=200)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(40, connect=2), trust_env=False, limits=limits)
        self._in_flight: Counter[str] = Counter()
        self._round = itertools.count()
        self._numbers = itertools.count(1)
        self._begun = 0
        self._admin: dict[str, str] = {}
        self._units: list[_Unit] = []
        self._messages: list[_Message] = []
        self._events: dict[str, tuple[_Unit, str]] = {}
        self._campaigns: list[tuple[_Unit, str]] = []
        self._paced: list[_Unit] = []
        self._flapping: _Unit | None = None
        self._recipients: list[tuple[_Unit, str]] = []
        self._sightings: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._kills = 0
        self._migrated: list[tuple[float, float]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def whole(self) -> Accounting:
        async with self._client:
            await self._prepare()
            self._switch_faults_on()
            await self._trouble()
            self._system.control.withdraw()
            self._note("faults are off; draining")
            await self._drain()
            await self._redeliver_late()
            return assess(await self._observe())

    # The way there

    async def _prepare(self) -> None:
        size = self._plan.size
        self._admin = await self._login(ADMIN_EMAIL, self._system.secrets["BOOTSTRAP_ADMIN_PASSWORD"])
        self._units = list(await asyncio.gather(*(self._unit() for _ in range(UNITS + size.campaign_units + 1))))
        self._paced = self._units[UNITS : UNITS + size.campaign_units]
        self._flapping = self._units[-1]
        for unit in self._paced:
            for name in ("first", "second"):
                numbers = [self._number() for _ in range(size.recipients)]
                contacts = [
                    (await self._ask("POST", "/contacts", unit, {"phone": number}, expect=201))["id"] for number in numbers
                ]
                body = {"name": name, "content": f"{MARK} campaign", "contactIds": contacts}
                campaign = await self._ask("POST", "/api/campaigns", unit, body, expect=201)
                self._campaigns.append((unit, campaign["id"]))
                self._recipients += [(unit, number) for number in numbers]
        self._note(f"{len(self._units)} units are connected, {len(self._campaigns)} campaigns are ready")

    async def _unit(self) -> _Unit:
        number = next(self._round)
        named = {"name": f"Unit {number}", "slug": f"chaos-{number}"}
        made = await self._ask("POST", "/admin/units", self._admin, named, expect=201)
        person = {
            "name": "Manager",
            "email": f"manager-{number}@units.invalid",
            "password": self._system.secrets["METRICS_TOKEN"],
            "role": "unit_admin",
            "unitId": made["id"],
        }
        await self._ask("POST", "/admin/users", self._admin, person, expect=201)
        unit = _Unit(id=made["id"], headers=await self._login(person["email"], person["password"]), phone=self._number())
        path = f"/units/{unit.id}/whatsapp"
        await self._ask("POST", f"{path}/connect", unit, {"provider": "evolution", "credentials": {}}, expect=201)
        await asyncio.to_thread(self._system.control.scan, unit.instance, phone=unit.phone)
        await self._until(lambda: self._is_connected(unit), 30, "a unit connects")
        return unit

    def _switch_faults_on(self) -> None:
        seed, inject = self._plan.seed, self._system.control.inject
        inject("send-timeout-after-sending", route=SEND, probability=0.06, seed=seed, seconds=30)
        inject("slow-send", route=SEND, probability=0.03, seed=seed + 1, seconds=3600)
        inject("slow-send", route=SEND, probability=0.25, seed=seed + 2, seconds=0.6)
        inject("send-error-after-sending", route=SEND, probability=0.04, seed=seed + 3)
        inject("send-error", route=SEND, probability=0.04, seed=seed + 4)
        inject("rate-limited", route=SEND, instance=self._units[0].instance, probability=0.15, seed=seed + 5, count=6, seconds=1)
        inject("duplicate-webhook", probability=0.2, seed=seed + 6, copies=2)
        inject("redelivered-webhook", probability=0.1, seed=seed + 7, times=3, initial=2)
        inject("shuffled-webhooks", probability=0.5, seed=seed + 8, seconds=1.5)
        if self._flapping is not None:
            # An `open` that comes again after the `close` that followed it.
            flapping = {"instance": self._flapping.instance, "event": "connection.update"}
            inject("duplicate-webhook", **flapping, copies=3, seconds=1.2)
            inject("shuffled-webhooks", **flapping, seconds=1)

    # The trouble itself

    async def _trouble(self) -> None:
        size, moments = self._plan.size, list(self._plan.moments)
        deeds: list[asyncio.Task[None]] = []
        spread = size.events / size.messages
        written = 0
        for index, (unit, waits) in enumerate(self._plan.ways):
            self._begun = index
            while moments and moments[0].at <= index:
                # A deed comes at its moment, with the work of that moment under way: the one before it must be over.
                await asyncio.gather(*deeds[-1:])
                deeds.append(asyncio.create_task(self._deed(moments.pop(0))))
            self._begin(self._units[unit], waits=waits)
            while written < (index + 1) * spread:
                written += 1
                await self._customer_writes(written)
            await asyncio.sleep(1 / size.rate)
        self._note(f"{len(self._messages)} messages and {written} inbound events are begun; waiting for the last deeds")
        await asyncio.gather(*deeds)
        for member in self._system.members:
            if not member.alive:
                member.start()
        for member in self._system.members:
            await asyncio.to_thread(member.await_ready)

    def _begin(self, unit: _Unit, *, waits: bool, group: str = "", first: Member | None = None, number: str = "") -> _Message:
        number = number or self._number()
        message = _Message(
            unit=unit,
            number=number,
            key=f"key-{number}",
            text=f"{MARK} to {number}",
            waits=waits,
            group=group or ("waited for" if waits else "queued"),
            first=first,
        )
        self._messages.append(message)
        task = asyncio.create_task(self._send(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return message

    async def _send(self, message: _Message) -> None:
        """As a careful client does: the same key until there is an answer that settles it."""
        body = {"phone": message.number, "message": message.text, "clientMessageId": message.key}
        headers = message.unit.headers | ({} if message.waits else {"Prefer": "respond-async"})
        while not message.settled:
            member, message.first = message.first or self._any_api(), None
            try:
                answer = await self._request("POST", "/messages", headers, body, member)
            except httpx.TransportError:
                await asyncio.sleep(0.3)
                continue
            found = _json(answer)
            if isinstance(found.get("internalId"), str):
                message.answered.add(found["internalId"])
            if answer.status_code in (200, 202, 502):
                message.settled = True
            elif answer.status_code in (409, 429, 503):
                details = found.get("details")
                if isinstance(details, Mapping) and isinstance(details.get("internalId"), str):
                    message.answered.add(details["internalId"])
                await asyncio.sleep(min(2.0, float(answer.headers.get("retry-after", "0.5"))))
            else:
                self._errors[f"POST /messages answered {answer.status_code}"] += 1
                await asyncio.sleep(0.5)

    async def _customer_writes(self, number: int) -> None:
        unit, text = self._units[number % UNITS], f"{MARK} event {number}"
        self._events[text] = unit, self._number()
        await asyncio.to_thread(self._system.control.incoming, unit.instance, self._events[text][1], text)

    async def _deed(self, moment: Moment) -> None:
        match moment.deed:
            case "kill" | "terminate":
                await self._end(self._system.member(moment.member), kindly=moment.deed == "terminate")
            case "crash":
                await self._crash(self._system.member(moment.member))
            case "migrate":
                began = await asyncio.to_thread(self._system.control.monotonic)
                await asyncio.to_thread(self._system.migrate)
                self._migrated.append((began, await asyncio.to_thread(self._system.control.monotonic)))
                self._note("migrated again under load")
            case "flap":
                await self._flap()
            case "burst":
                await self._burst()
            case "campaigns":
                for unit, campaign in self._campaigns:
                    await self._dispatch(unit, campaign, "dispatch")

    async def _end(self, member: Member, *, kindly: bool) -> None:
        await asyncio.to_thread(member.await_ready)
        if kindly:
            if member.is_api:
                await self._until(lambda: _at_once(self._in_flight[member.name] > 0), 20, "a request is in flight")
                self._sightings["SIGTERM with a request in flight"] += 1
            await asyncio.to_thread(member.terminate)
        else:
            await asyncio.to_thread(member.kill)
            self._kills += 1
        self._note(f"{'SIGTERM to' if kindly else 'kill -9'} {member.name} after {self._begun} messages")
        member.start()
        await asyncio.to_thread(member.await_ready)

    async def _crash(self, member: Member) -> None:
        await asyncio.to_thread(member.await_ready)
        number = self._number()
        await asyncio.to_thread(
            self._system.control.inject, "send-timeout-after-sending", route=SEND, number=number, seconds=20, count=1
        )
        message = self._begin(self._units[1], waits=True, group="crashes", first=member, number=number)

        async def is_out() -> bool:
            return bool(await asyncio.to_thread(self._system.control.ledger, number=number)) or message.settled

        await self._until(is_out, 30, "the message of a crash is out")
        await asyncio.to_thread(member.kill)
        self._kills += 1
        self._note(f"kill -9 {member.name} in the middle of a call, after {self._begun} messages")
        member.start()
        await asyncio.to_thread(member.await_ready)

    async def _flap(self) -> None:
        """The connection drops and comes back several times, and its events arrive in any order."""
        unit = self._flapping
        if unit is None:
            raise HarnessError("no unit was set aside to flap")
        for code in (428, 428, 428, 401):
            await asyncio.to_thread(self._system.control.close, unit.instance, code)
            await asyncio.sleep(0.6)
        self._note("the connection of one unit has dropped three times and was then logged out")

    async def _burst(self) -> None:
        """Many messages of one unit are queued at once over both processes, so that several workers want them."""
        for _ in range(24):
            self._begin(self._units[1], waits=False, group="burst")
            await asyncio.sleep(0.01)
        await self._deliver_twice_elsewhere()

    async def _deliver_twice_elsewhere(self) -> None:
        """Deliveries come again to the other process at the same moment."""
        found = await asyncio.to_thread(self._system.control.deliveries, event="messages.upsert", status="2xx")
        for delivery in found[-8:]:
            with contextlib.suppress(httpx.TransportError):
                await asyncio.gather(*(self._deliver(delivery, member) for member in self._system.apis))

    async def _deliver(self, delivery: Mapping[str, Any], member: Member) -> int:
        path = httpx.URL(delivery["url"]).path
        return (await self._request("POST", path, {}, delivery["body"], member)).status_code

    async def _dispatch(self, unit: _Unit, campaign: str, verb: str) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await self._request("POST", f"/api/campaigns/{campaign}/{verb}", unit.headers, None, self._any_api())
                if answer.status_code in (200, 409):
                    return
            await asyncio.sleep(0.3)

    # Afterwards

    async def _drain(self) -> None:
        """Waits until nothing is under way any more, at most as long as the size allows: what is left then is told."""
        until = time.monotonic() + self._plan.size.drain_s
        with contextlib.suppress(TimeoutError):
            while not await self._is_drained():
                if time.monotonic() > until:
                    self._note("not everything has drained in time")
                    break
                await asyncio.sleep(1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _is_drained(self) -> bool:
        if self._tasks:
            return False
        for unit, campaign in self._campaigns:
            view = await self._ask("GET", f"/api/campaigns/{campaign}", unit)
            if view["status"] == "processing":
                self._sightings["processing"] += 1
            if view["status"] == "paused":
                # A person would resume it once the trouble is over.
                await self._dispatch(unit, campaign, "resume")
            if view["status"] not in ("completed", "failed"):
                return False
        sent = {send["number"] for send in await asyncio.to_thread(self._system.control.ledger)}
        for message, status in await self._statuses([message for message in self._messages if not message.over]):
            message.over = status in ("sent", "delivered", "read", "failed") or (
                status == "unknown" and message.number not in sent
            )
        if not all(message.over for message in self._messages):
            return False
        pending = await asyncio.to_thread(self._undelivered)
        return not pending and await self._connections_agree()

    def _undelivered(self) -> set[str]:
        return {text for text, (acknowledged, _) in self._acknowledged().items() if not acknowledged}

    def _acknowledged(self) -> dict[str, tuple[bool, Mapping[str, Any] | None]]:
        """For each event whether a delivery of it was answered with 2xx, and that delivery."""
        found: dict[str, tuple[bool, Mapping[str, Any] | None]] = dict.fromkeys(self._events, (False, None))
        for delivery in self._system.control.deliveries(event="messages.upsert", status="2xx"):
            text = _text(delivery["body"])
            if text in found:
                found[text] = True, delivery
        return found

    async def _connections_agree(self) -> bool:
        return all(told == real for told, real in (await self._connections()).values())

    async def _connections(self) -> dict[str, tuple[str, str]]:
        real = {row["name"]: row["state"] for row in await asyncio.to_thread(self._system.control.instances)}
        words = {"open": "connected", "close": "disconnected"}
        found = {}
        for index, unit in enumerate(self._units):
            told = (await self._ask("GET", f"/units/{unit.id}/whatsapp/status", unit))["status"]
            found[f"unit {index}"] = told, words.get(real[unit.instance], real[unit.instance])
        return found

    async def _redeliver_late(self) -> None:
        """Old deliveries come again to processes that have been restarted, over rows that have become old meanwhile.

        A day cannot be waited for: the rows are aged in the database, and memory of processes is emptied by killing them.
        """
        kept = [delivery for acknowledged, delivery in self._acknowledged().values() if acknowledged and delivery is not None]
        for member in self._system.apis:
            await asyncio.to_thread(member.kill)
            member.start()
        for member in self._system.apis:
            await asyncio.to_thread(member.await_ready)
        for name, minutes in (("redelivery after more than 5 min", 6), ("redelivery after more than 24 h", 25 * 60)):
            await asyncio.to_thread(self._age, minutes)
            for delivery in self._chance.sample(kept, min(12, len(kept))):
                status = await self._deliver(delivery, self._any_api())
                if 200 <= status < 300:
                    self._sightings[name] += 1
                else:
                    self._errors[f"a late redelivery was answered with {status}"] += 1

    def _age(self, minutes: int) -> None:
        import psycopg

        with psycopg.connect(self._system.database.conninfo) as connection:
            connection.execute("SET LOCAL app.scope = 'system'")
            connection.execute(
                "UPDATE messages SET created_at = created_at - %(by)s, updated_at = updated_at - %(by)s,"
                " provider_timestamp = provider_timestamp - %(by)s WHERE direction = 'inbound'",
                {"by": timedelta(minutes=minutes)},
            )

    async def _observe(self) -> Seen:
        control = self._system.control
        sends = await asyncio.to_thread(control.ledger)
        requests = await asyncio.to_thread(control.requests, route=SEND)
        deliveries = await asyncio.to_thread(control.deliveries)
        acknowledged = await asyncio.to_thread(self._acknowledged)
        asked = [
            Asked(number=one.number, group=one.group, status=status, answered=frozenset(one.answered))
            for one, status in await self._statuses(self._messages)
        ]
        shown: Counter[str] = Counter()
        statuses: dict[str, str] = {}
        for unit in self._units:
            async for number, message in self._conversations(unit):
                if message["direction"] == "inbound":
                    shown[message["content"]] += 1
                elif unit in self._paced:
                    statuses[number] = message["status"]
        asked += [Asked(number=number, group="campaigns", status=statuses.get(number, "")) for _, number in self._recipients]
        views = [await self._ask("GET", f"/api/campaigns/{campaign}", unit) for unit, campaign in self._campaigns]
        key_numbers = {send["keyId"]: send["number"] for send in sends}
        delivered = {
            key_numbers[delivery["keyId"]]
            for delivery in deliveries
            if delivery["event"] == "messages.update"
            and delivery["status"] == 200
            and delivery["keyId"] in key_numbers
            and _ack(delivery["body"]) in ("DELIVERY_ACK", "READ", "PLAYED")
        }
        paced = {
            f"unit {self._units.index(unit)}": [send["monotonic"] for send in sends if send["instance"] == unit.instance]
            for unit in self._paced
        }
        self._sight(deliveries, views)
        return Seen(
            asked=asked,
            events=[Event(text=text, acknowledged=acknowledged[text][0], shown=shown[text]) for text in self._events],
            strangers=sorted(shown.keys() - self._events.keys()),
            sends=[(send["number"], send["monotonic"]) for send in sends],
            calls=[
                Call(number=str(request["body"]["number"]), status=request["status"], seconds=request["seconds"] or 0.0)
                for request in requests
            ],
            delivered=frozenset(delivered),
            paced=paced,
            campaigns=[view["counts"] for view in views],
            server_errors=dict(self._errors),
            kills=self._kills,
            timeout_s=TIMEOUT_S,
            sightings=dict(self._sightings),
            connections=await self._connections(),
            canaries_found=await asyncio.to_thread(self._leaks),
        )

    def _sight(self, deliveries: list[dict[str, Any]], views: list[dict[str, Any]]) -> None:
        by_instance: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for delivery in deliveries:
            if delivery["event"] == "connection.update" and delivery["status"] == 200:
                by_instance[delivery["instance"]].append(delivery)
            begins, ends = delivery["monotonic"], delivery["monotonic"] + delivery["seconds"]
            if delivery["status"] == 200 and any(begins < ended and ends > began for began, ended in self._migrated):
                self._sightings["webhook during migration"] += 1
        for told in by_instance.values():
            told.sort(key=lambda one: one["monotonic"])
            for earlier, later in itertools.combinations(told, 2):
                states = {earlier["body"]["data"].get("state"), later["body"]["data"].get("state")}
                if later["body"]["date_time"] < earlier["body"]["date_time"] and states == {"open", "close"}:
                    self._sightings["out-of-order open/close"] += 1
        for first, second in zip(views[::2], views[1::2], strict=True):
            begins = max(first["startedAt"], second["startedAt"])
            if begins < min(first["completedAt"] or "", second["completedAt"] or ""):
                self._sightings["two campaigns of one unit ready in the same window"] += 1
        for member in self._system.workers:
            text = member.log.read_text(errors="replace") if member.log.exists() else ""
            self._sightings["two workers want one row"] += text.count("another worker has the message")

    def _leaks(self) -> list[str]:
        """Files in which a secret stands, or a phone as it is."""
        hidden = [value.encode() for value in self._system.secrets.values()]
        phones = re.compile(b"|".join(re.escape(message.number.encode()) for message in self._messages[:200]) or b"$^")
        found = []
        for member in self._system.members:
            for path in (member.log, member.output):
                content = path.read_bytes() if path.exists() else b""
                if any(secret in content for secret in hidden) or phones.search(content):
                    found.append(path.name)
        return found

    # Talking to the API

    async def _status(self, message: _Message) -> str:
        """The API's last word on a message, "" when it was never accepted."""
        if not message.answered:
            return ""
        found = await self._ask("GET", f"/messages/{min(message.answered)}", message.unit)
        return str(found["status"])

    async def _statuses(self, messages: Sequence[_Message]) -> list[tuple[_Message, str]]:
        turns = asyncio.Semaphore(QUESTIONS_AT_ONCE)

        async def ask(message: _Message) -> tuple[_Message, str]:
            async with turns:
                return message, await self._status(message)

        return list(await asyncio.gather(*(ask(message) for message in messages)))

    async def _conversations(self, unit: _Unit) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        async for conversation in self._pages("/conversations", unit):
            async for message in self._pages(f"/conversations/{conversation['id']}/messages", unit):
                yield str(conversation["contact"]["phone"]), message

    async def _pages(self, path: str, unit: _Unit) -> AsyncIterator[Mapping[str, Any]]:
        cursor = ""
        while True:
            page = await self._ask("GET", f"{path}?limit=100{f'&cursor={cursor}' if cursor else ''}", unit)
            for item in page["items"]:
                yield item
            cursor = page["nextCursor"] or ""
            if not cursor:
                return

    async def _ask(self, method: str, path: str, who: _Unit | dict[str, str], body: Any = None, *, expect: int = 200) -> Any:
        """Asks until one of the processes answers as it should. Raises HarnessError when none does for a minute."""
        headers = who.headers if isinstance(who, _Unit) else who
        until, told = time.monotonic() + 60, "nothing"
        while time.monotonic() < until:
            try:
                answer = await self._request(method, path, headers, body, self._any_api())
            except httpx.TransportError as error:
                told = type(error).__name__
            else:
                if answer.status_code == expect:
                    return answer.json()
                told = f"{answer.status_code} {answer.text[:200]}"
            await asyncio.sleep(0.3)
        raise HarnessError(f"{method} {path.partition('?')[0]} was answered with {told}")

    async def _login(self, email: str, password: str) -> dict[str, str]:
        found = await self._ask("POST", "/admin/login", {}, {"email": email, "password": password})
        return {"Authorization": f"Bearer {found['accessToken']}"}

    async def _request(self, method: str, path: str, headers: Mapping[str, str], body: Any, member: Member) -> httpx.Response:
        self._in_flight[member.name] += 1
        try:
            answer = await self._client.request(method, f"{member.url}{path}", json=body, headers=dict(headers))
        finally:
            self._in_flight[member.name] -= 1
        if answer.status_code == 500:
            self._errors[f"{method} {re.sub(r'[0-9a-f-]{36}', '…', path.partition('?')[0])} answered 500"] += 1
        return answer

    def _any_api(self) -> Member:
        apis = self._system.apis
        return apis[next(self._round) % len(apis)]

    async def _is_connected(self, unit: _Unit) -> bool:
        return bool((await self._ask("GET", f"/units/{unit.id}/whatsapp/status", unit))["status"] == "connected")

    async def _until(self, condition: Callable[[], Any], within_s: float, what: str) -> None:
        until = time.monotonic() + within_s
        while not await condition():
            if time.monotonic() > until:
                raise HarnessError(f"waited {within_s:g} s in vain until {what}")
            await asyncio.sleep(0.01)

    def _number(self) -> str:
        # Far apart, so that no number is another's form.
        return f"55119{(next(self._numbers) * 7919 + 10_000_000) % _NINE_DIGITS:08d}"


async def _at_once(value: bool) -> bool:
    return value


def run(
    *,
    seed: int,
    size: Size,
    folder: Path,
    database: str = "embedded",
    chaff: str = "",
    note: Callable[[str], None] = lambda _: None,
) -> Accounting:
    """One run on processes of its own, all of which are gone afterwards. Raises HarnessError when it could not be made."""
    planned = plan(seed, size)
    with started(database=database, folder=folder, seed=seed, apis=2, workers=4, chaff=chaff) as system:
        note(f"2 API processes and 4 workers are up; seed {seed}")
        return asyncio.run(_Run(system, planned, note).whole())


def as_json(accounting: Accounting, planned: Plan) -> dict[str, Any]:
    """The whole account for machines."""
    return {
        "seed": planned.seed,
        "size": asdict(planned.size),
        "moments": [asdict(moment) for moment in planned.moments],
        "end": accounting.end.name.lower(),
        "accounts": [asdict(row) for row in accounting.rows],
        "violations": list(accounting.violations),
        "sometimes": dict(accounting.sightings),
        "unseen": list(accounting.unseen),
    }


def resized(size: Size, *, kills: int | None = None, messages: int | None = None, events: int | None = None) -> Size:
    """A size with other figures."""
    return replace(
        size,
        kills=size.kills if kills is None else kills,
        messages=size.messages if messages is None else messages,
        events=size.events if events is None else events,
    )


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text(body: Mapping[str, Any]) -> str:
    data = body.get("data")
    message = data.get("message") if isinstance(data, Mapping) else None
    return str(message.get("conversation", "")) if isinstance(message, Mapping) else ""


def _ack(body: Mapping[str, Any]) -> str:
    data = body.get("data")
    return str(data.get("status", "")) if isinstance(data, Mapping) else ""
