"""The control plane `/__fake__/`: what happens on WhatsApp's side, which faults are on, what was recorded, and the clock.

Off unless the fake was given a control token, and for this machine alone unless it was told otherwise. The same commands serve
HTTP and Python. What a command does not know, it refuses with the nearest name that it does.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec

from harness.evolution import snapshot
from harness.evolution.errors import ControlError, ExpectationError
from harness.evolution.inbound import STATUSES, Inbound, message_from
from harness.evolution.injection import known_faults, options_of, scopes_of
from harness.evolution.jids import number_to_jid, same_subscriber
from harness.evolution.ledger import Bounded
from harness.evolution.queries import DELIVERIES, REQUESTS, SENDS, Count, Question, nearest_name
from harness.evolution.settings import ServerSettings
from harness.evolution.state import Instance, Message, WhatsApp

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gate.registry import Item
    from harness.evolution.fake import Fake
    from harness.evolution.lifecycle import Lifecycle
    from harness.evolution.queries import Journal

__all__ = ["Control", "ControlApp"]

_PAGING = ("after", "limit")
_COUNTS = ("count", "atLeast", "atMost", "within")
_LONGEST_WAIT = 600.0
_POLL = 0.01
_INCOMING: Mapping[str, type] = {
    "from": str,
    "text": str,
    "id": str,
    "pushName": str,
    "kind": str,
    "messageTimestamp": int,
    "fromMe": bool,
    "participant": str,
    "target": str,
    "targetFromMe": bool,
    "raw": dict,
    "times": int,
}
_WORDS: Mapping[type, str] = {str: "a text", int: "a whole number", bool: "true or false", dict: "an object"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """One command as it was given; `parts` are the variable segments of its path."""

    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: Mapping[str, Any]

    def typed(self, name: str, kind: type, default: Any = None) -> Any:
        value = self.body.get(name, default)
        if value is not default and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise ControlError(f"{name} must be {_WORDS[kind]}, not {value!r}")
        return value


_Run = Callable[["Control", _Ask], Any]
AnyRun = TypeVar("AnyRun", bound=_Run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Command:
    """`path` below `/__fake__`, `{}` for a variable segment; `query` and `body` name what it takes.

    A command whose `body` is None looks at it itself.
    """

    method: str
    path: tuple[str, ...]
    query: tuple[str, ...]
    body: tuple[str, ...] | None
    run: _Run

    def parts(self, segments: Sequence[str]) -> tuple[str, ...] | None:
        """The variable segments, or None when this is another path."""
        if len(segments) != len(self.path):
            return None
        if any(own not in ("{}", given) for own, given in zip(self.path, segments, strict=True)):
            return None
        return tuple(given for own, given in zip(self.path, segments, strict=True) if own == "{}")

    def refuse_strangers(self, query: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        shown = f"{self.method} /__fake__/{'/'.join(self.path).replace('{}', '…')}"
        for where, given, known in (("query", query, self.query), ("body", body, self.body)):
            strangers = sorted(given.keys() - set(known)) if known is not None else []
            if strangers and not known:
                raise ControlError(f"{shown} takes nothing in its {where}, so not {strangers[0]!r} either")
            if strangers:
                raise ControlError(f"{shown} has no {strangers[0]!r} in its {where}{nearest_name(strangers[0], known or ())}")


_COMMANDS: list[_Command] = []


def _command(method: str, path: str, *, query: Iterable[str] = (), body: Iterable[str] | None = ()) -> Callable[[AnyRun], AnyRun]:
    def register(run: AnyRun) -> AnyRun:
        command = _Command(
            method=method,
            path=tuple(path.split("/")),
            query=tuple(query),
            body=tuple(body) if body is not None else None,
            run=run,
        )
        _COMMANDS.append(command)
        return run

    return register


class Control:
    """Executes one command: method and path below `/__fake__`, query and body as mappings, the answer as an object.

    Raises ControlError with one clear line.
    """

    def __init__(self, fake: Fake, inbound: Inbound, lifecycle: Lifecycle) -> None:
        self._fake = fake
        self._inbound = inbound
        self._lifecycle = lifecycle

    @property
    def refuge(self) -> str:
        """Where the control plane stays reachable while a fault keeps the port of the API closed; empty when nowhere."""
        return self._fake.control_address

    async def execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        segments = [unquote(part) for part in path.strip("/").split("/")]
        for command in _COMMANDS:
            parts = command.parts(segments)
            if parts is not None and command.method == method:
                command.refuse_strangers(query, body)
                answer = command.run(self, _Ask(parts=parts, query=query, body=body))
                return await answer if isinstance(answer, Awaitable) else answer
        raise _unknown(method, segments)

    @_command("GET", "health")
    def _health(self, _: _Ask) -> dict[str, Any]:
        return {
            "status": "ok",
            "url": self._fake.address,
            "clock": type(self._fake.clock).__name__,
            "controlUrl": self._fake.control_address,
            "openRequests": len(self._fake.handlers),
            "heldRequests": self._fake.held,
        }

    # WhatsApp's side of an instance

    @_command("GET", "instances")
    def _instances(self, _: _Ask) -> dict[str, Any]:
        return {"instances": [self._shown(instance) for instance in self._fake.store.instances.values()]}

    @_command("GET", "instances/{}")
    def _one_instance(self, ask: _Ask) -> dict[str, Any]:
        return self._shown(self._instance(ask))

    def _instance(self, ask: _Ask) -> Instance:
        name = ask.parts[0]
        found = self._fake.store.find(name)
        if found is None:
            raise ControlError(f"there is no instance {name!r}{nearest_name(name, self._fake.store.instances)}")
        return found

    def _shown(self, instance: Instance) -> dict[str, Any]:
        connection = instance.connection
        return {
            "name": instance.name,
            "id": instance.id,
            "state": connection.state if connection else None,
            "connectionStatus": instance.status,
            "paired": instance.paired,
            "ownerJid": instance.owner_jid,
            "profileName": instance.profile_name,
            "number": instance.number,
            "qr": connection.qr if connection else None,
            "webhook": self._fake.store.webhook_row(instance),
            "settings": instance.settings.values,
            "messages": len(instance.messages),
        }

    @_command("POST", "instances/{}/scan", body=("phone", "profileName"))
    def _scan(self, ask: _Ask) -> dict[str, Any]:
        instance = self._instance(ask)
        phone = self._lifecycle.scan(instance, phone=ask.typed("phone", str), profile=ask.typed("profileName", str))
        return {"phone": phone}

    @_command("POST", "instances/{}/close", body=("code", "message"))
    def _close(self, ask: _Ask) -> dict[str, Any]:
        instance, code = self._instance(ask), ask.body.get("code")
        if not isinstance(code, int) or isinstance(code, bool):
            raise ControlError(f"close: code must be a whole number such as 401 or 428, not {code!r}")
        self._lifecycle.close(instance, code, ask.typed("message", str, ""))
        return {"state": instance.connection.state if instance.connection else None}

    @_command("POST", "instances/{}/incoming", body=_INCOMING)
    def _incoming(self, ask: _Ask) -> dict[str, Any]:
        instance = self._instance(ask)
        for name, value in ask.body.items():
            kind = _INCOMING[name]
            if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
                raise ControlError(f"incoming: {name} must be {_WORDS[kind]}, not {value!r}")
        times = ask.body.get("times", 1)
        if times is None or not 1 <= times <= 10_000:
            raise ControlError(f"incoming: times must be a whole number from 1 to 10000, not {times!r}")
        if instance.connection is None or instance.connection.state != "open":
            state = instance.connection.state if instance.connection else "not in memory"
            raise ControlError(f"incoming: instance {instance.name!r} is not open but {state}; WhatsApp delivers nothing to it")
        message = message_from(self._fake, instance, ask.body)
        for _ in range(times):
            self._fake.spawn(self._inbound.receive(instance, message))
        return {"keyId": message["key"]["id"]}

    @_command("POST", "instances/{}/ack", body=("keyId", "status", "remoteJid"))
    def _acknowledge(self, ask: _Ask) -> dict[str, Any]:
        instance, status = self._instance(ask), ask.body.get("status")
        if status not in STATUSES:
            raise ControlError(f"ack: status must be one of {', '.join(STATUSES)}, not {status!r}")
        known = self._known_message(instance, ask)
        jid = ask.typed("remoteJid", str)
        key = {"id": known.key["id"], **({"remoteJid": jid} if jid is not None else {})}
        return {"delivered": self._inbound.acknowledge(instance, key, str(status))}

    @_command("POST", "instances/{}/revoke", body=("keyId",))
    def _revoke(self, ask: _Ask) -> dict[str, Any]:
        instance = self._instance(ask)
        known = self._known_message(instance, ask)
        self._inbound.happen(instance, "messages.update", [{"key": known.key, "update": {"message": None}}])
        return {"revoked": True}

    def _known_message(self, instance: Instance, ask: _Ask) -> Message:
        known = instance.messages.get(ask.body.get("keyId"))
        if known is None:
            raise ControlError(f"instance {instance.name!r} has no message {ask.body.get('keyId')!r}")
        return known

    @_command("POST", "instances/{}/emit", body=("name", "payload"))
    def _emit(self, ask: _Ask) -> dict[str, Any]:
        instance, name = self._instance(ask), str(ask.body.get("name"))
        try:
            self._inbound.happen(instance, name, ask.body.get("payload"))
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            raise ControlError(f"emit: this is no payload of {name}: {type(error).__name__}: {error}") from None
        return {"emitted": True}

    @_command("GET", "instances/{}/messages", query=("number", *_PAGING))
    def _messages(self, ask: _Ask) -> dict[str, Any]:
        instance, number = self._instance(ask), ask.query.get("number")
        meant = [
            (index, message)
            for index, message in enumerate(instance.messages, 1)
            if number is None or _with(str(message.key.get("remoteJid", "")), number)
        ]
        shown = [_told(index, message) for index, message in _page(meant, ask.query)]
        return {"messages": shown, "total": len(instance.messages)}

    # What was recorded

    @_command("GET", "ledger", query=(*SENDS.names, *_PAGING))
    def _ledger(self, ask: _Ask) -> dict[str, Any]:
        return self._asked("sends", SENDS, self._fake.sends, ask.query)

    @_command("GET", "requests", query=(*REQUESTS.names, *_PAGING))
    def _requests(self, ask: _Ask) -> dict[str, Any]:
        return self._asked("requests", REQUESTS, self._fake.requests, ask.query)

    @_command("GET", "deliveries", query=(*DELIVERIES.names, *_PAGING))
    def _deliveries(self, ask: _Ask) -> dict[str, Any]:
        return self._asked("deliveries", DELIVERIES, self._fake.deliveries, ask.query)

    def _asked(
        self,
        name: str,
        journal: Journal,
        records: Bounded[Any],
        query: Mapping[str, str],
    ) -> dict[str, Any]:
        question = Question(journal, {key: value for key, value in query.items() if key not in _PAGING})
        after = _whole(query, "after", 0)
        found = [entry for entry in records.numbered(after) if question.admits(entry[1])]
        rows = [{"index": index, **record.shown()} for index, record in _page(found, query)]
        return {name: rows, "dropped": records.dropped, "total": records.total, "epoch": records.epoch}

    @_command("POST", "ledger/expect", body=(*SENDS.names, *_COUNTS))
    async def _expect_sends(self, ask: _Ask) -> dict[str, Any]:
        return await self._expected("sends", SENDS, self._fake.sends, ask.body)

    @_command("POST", "requests/expect", body=(*REQUESTS.names, *_COUNTS))
    async def _expect_requests(self, ask: _Ask) -> dict[str, Any]:
        return await self._expected("requests", REQUESTS, self._fake.requests, ask.body)

    @_command("POST", "deliveries/expect", body=(*DELIVERIES.names, *_COUNTS))
    async def _expect_deliveries(self, ask: _Ask) -> dict[str, Any]:
        return await self._expected("deliveries", DELIVERIES, self._fake.deliveries, ask.body)

    async def _expected(
        self,
        name: str,
        journal: Journal,
        records: Bounded[Any],
        wish: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The records that match, once as many do as should. Raises ExpectationError when that never comes true."""
        question = Question(journal, {key: value for key, value in wish.items() if key not in _COUNTS})
        count = Count.from_wish(wish)
        loop = asyncio.get_running_loop()
        within = _number(wish, "within", 0.0)
        if within > _LONGEST_WAIT:
            raise ControlError(f"within must be at most {_LONGEST_WAIT:g} seconds, not {within:g}")
        deadline = loop.time() + within
        while True:
            there = list(records.numbered())
            matched = [entry for entry in there if question.admits(entry[1])]
            if count.admits(len(matched)):
                return {name: [{"index": index, **record.shown()} for index, record in matched]}
            if len(matched) > count.most or loop.time() >= deadline:
                raise question.refuse(count, there, matched)
            await asyncio.sleep(_POLL)

    # Faults

    @_command("GET", "faults", query=("known",))
    def _faults(self, ask: _Ask) -> dict[str, Any]:
        """What is switched on, what has not fired since the beginning, and, unless `known` is false, every fault there is."""
        faults = self._fake.faults
        answer = {"faults": faults.describe(faults), "unfired": faults.describe(faults.unfired())}
        return {**answer, "known": [_told_fault(item) for item in known_faults()]} if _flag(ask.query, "known", True) else answer

    @_command("POST", "faults", body=None)
    def _inject(self, ask: _Ask) -> dict[str, Any]:
        faults = self._fake.faults
        return faults.describe([faults.inject(ask.body)])[0]

    @_command("DELETE", "faults", query=("fault",))
    def _withdraw(self, ask: _Ask) -> dict[str, Any]:
        fault = ask.query.get("fault")
        names = [item.id for item in known_faults()]
        if fault is not None and fault not in names:
            raise ControlError(f"there is no fault {fault!r}{nearest_name(fault, names)}")
        return {"withdrawn": self._fake.faults.withdraw(fault=fault)}

    @_command("DELETE", "faults/{}")
    def _withdraw_one(self, ask: _Ask) -> dict[str, Any]:
        if not ask.parts[0].isdigit():
            raise ControlError(f"faults: {ask.parts[0]!r} is not the number of an injection")
        return {"withdrawn": self._fake.faults.withdraw(number=int(ask.parts[0]))}

    # Time

    @_command("GET", "clock")
    def _read_clock(self, _: _Ask) -> dict[str, Any]:
        fake = self._fake
        virtual = getattr(fake.clock, "frozen", None) is not None
        return {
            "now": fake.clock.now().isoformat(),
            "monotonic": fake.clock.monotonic(),
            "virtual": virtual,
            "frozen": fake.virtual_clock().frozen if virtual else False,
            "nextDeadline": fake.virtual_clock().next_deadline() if virtual else None,
            "nextWait": fake.virtual_clock().next_wait() if virtual else None,
        }

    @_command("POST", "clock/advance", body=("seconds", "patience"))
    async def _advance(self, ask: _Ask) -> dict[str, Any]:
        seconds = _number(ask.body, "seconds", None)
        await self._fake.advance(seconds, patience=_number(ask.body, "patience", None) if "patience" in ask.body else None)
        return self._read_clock(ask)

    @_command("POST", "clock/freeze")
    def _freeze(self, ask: _Ask) -> dict[str, Any]:
        self._fake.virtual_clock().freeze()
        return self._read_clock(ask)

    @_command("POST", "clock/resume")
    def _resume(self, ask: _Ask) -> dict[str, Any]:
        self._fake.virtual_clock().resume()
        return self._read_clock(ask)

    @_command("POST", "clock/sleep", body=("seconds",))
    async def _sleep(self, ask: _Ask) -> dict[str, Any]:
        # For a listener in another process, which must not answer before its time on this clock.
        await self._fake.clock.sleep(_number(ask.body, "seconds", None))
        return self._read_clock(ask)

    # The fake as a whole

    @_command("GET", "whatsapp")
    def _read_whatsapp(self, _: _Ask) -> dict[str, Any]:
        return asdict(self._fake.store.whatsapp)

    @_command("POST", "whatsapp", body=None)
    def _whatsapp(self, ask: _Ask) -> dict[str, Any]:
        """Changes WhatsApp's side: `{"acks": [[0.2, "SERVER_ACK"]], "qr_lifetime": 45, …}`."""
        whatsapp = self._fake.store.whatsapp
        names = [part.name for part in fields(WhatsApp)]
        strangers = sorted(ask.body.keys() - set(names))
        if strangers:
            raise ControlError(f"WhatsApp's side has no {strangers[0]!r}{nearest_name(strangers[0], names)}")
        try:
            changed = msgspec.convert({**asdict(whatsapp), **ask.body}, WhatsApp)
        except msgspec.ValidationError as error:
            raise ControlError(f"whatsapp: {error}") from None
        unknown = {status for _, status in changed.acks} - set(STATUSES)
        if unknown:
            raise ControlError(f"whatsapp: acks know no status {min(unknown)!r}; they know {', '.join(STATUSES)}")
        self._fake.store.whatsapp = changed
        return asdict(changed)

    @_command("POST", "restart", body=("environment", "empty", "downtime", "loading"))
    async def _restart(self, ask: _Ask) -> dict[str, Any]:
        """The server's process starts again: with `environment` those settings are changed, with `empty` the data is gone."""
        environment = ask.typed("environment", dict)
        empty = ask.typed("empty", bool, False)
        downtime, loading = _number(ask.body, "downtime", 0.0), _number(ask.body, "loading", 0.0)
        if empty:
            await self._fake.forget_work()
            self._fake.store.instances.clear()
        if environment is not None:
            self._fake.store.settings = replace(
                ServerSettings.from_environment(environment), server_url=environment.get("SERVER_URL", "")
            )
        await self._fake.go_down(downtime)
        await self._lifecycle.boot(loading=downtime + loading)
        return {"restarted": True}

    @_command("POST", "reset")
    async def _reset(self, _: _Ask) -> dict[str, Any]:
        await self._fake.reset()
        return {"reset": True}

    @_command("POST", "seed", body=("seed",))
    def _seed(self, ask: _Ask) -> dict[str, Any]:
        seed = ask.body.get("seed")
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise ControlError(f"seed must be a whole number, not {seed!r}")
        self._fake.sow(seed)
        return {"seed": seed}

    @_command("GET", "snapshot", query=("journals",))
    def _snapshot(self, ask: _Ask) -> dict[str, Any]:
        return snapshot.take(self._fake, journals=_flag(ask.query, "journals", False))

    @_command("POST", "restore", body=("snapshot",))
    async def _restore(self, ask: _Ask) -> dict[str, Any]:
        await snapshot.restore(self._fake, self._lifecycle, ask.body.get("snapshot"))
        return {"restored": True, "instances": len(self._fake.store.instances)}

    @_command("POST", "quiesce", body=("timeout",))
    async def _quiesce(self, ask: _Ask) -> dict[str, Any]:
        quiet = await self._fake.quiesce(_number(ask.body, "timeout", 5.0))
        webhooks = self._fake.webhooks
        return {"quiet": quiet, "underWay": webhooks.under_way, "pendingRetries": webhooks.pending, "begun": webhooks.begun}


def _unknown(method: str, segments: Sequence[str]) -> ControlError:
    path = "/".join(segments)
    others = [command.method for command in _COMMANDS if command.parts(segments) is not None]
    if others:
        return ControlError(f"/__fake__/{path} takes {' and '.join(others)}, not {method}")
    match segments:
        case ["instances", _, verb]:
            verbs = [one.path[2] for one in _COMMANDS if one.path[:2] == ("instances", "{}") and len(one.path) == 3]
            return ControlError(f"an instance has no verb {verb!r}{nearest_name(verb, verbs)}")
        case ["clock", verb]:
            return ControlError(f"the clock has no {method} {verb}; it has advance, freeze, resume, sleep")
    known = ["/".join(command.path).replace("{}", "…") for command in _COMMANDS if command.method == method]
    return ControlError(f"the control plane has no {method} /__fake__/{path}{nearest_name(path, known)}")


def _with(jid: str, number: str) -> bool:
    return jid in {number, number_to_jid(number)} or (jid.endswith("@s.whatsapp.net") and same_subscriber(jid, number))


def _told(index: int, message: Message) -> dict[str, Any]:
    """A message as a person reads it. `status` is the newest known, `text` what the content says, if anything."""
    raw = message.raw
    statuses = [raw.get("status"), *(update.status for update in message.updates)]
    known = [status for status in statuses if status not in {None, "EDITED", "DELETED"}]
    deleted = "DELETED" in statuses or message.key.get("deleted")
    return {
        "index": index,
        "id": message.key.get("id"),
        "remoteJid": message.key.get("remoteJid"),
        "fromMe": bool(message.key.get("fromMe")),
        "pushName": raw.get("pushName"),
        "kind": str(raw.get("messageType")),
        "text": _words(raw.get("message")),
        "status": "DELETED" if deleted else known[-1] if known else None,
        "edited": "EDITED" in statuses,
        "timestamp": raw.get("messageTimestamp"),
    }


_TEXTS = ("conversation", "text", "caption", "selectedDisplayText", "title", "displayName", "name", "fileName", "contentText")


def _words(content: Any) -> str | None:
    """The first text that a person would see in a message's content, wrapped or not."""
    if not isinstance(content, Mapping):
        return None
    for name in _TEXTS:
        if isinstance(content.get(name), str) and content[name]:
            return str(content[name])
    for name, part in content.items():
        if name not in {"contextInfo", "messageContextInfo", "key"} and isinstance(part, Mapping):
            found = _words(part)
            if found is not None:
                return found
    return None


def _told_fault(item: Item) -> dict[str, Any]:
    described = [form.describe() for form in options_of(item)]
    return {"fault": item.id, "title": item.title, **item.paragraphs, "scopes": list(scopes_of(item)), "options": described}


def _page(rows: list[tuple[int, Any]], query: Mapping[str, str]) -> list[tuple[int, Any]]:
    """Those behind number `after`, and of these the newest `limit`."""
    after, limit = _whole(query, "after", 0), _whole(query, "limit", len(rows))
    behind = [row for row in rows if row[0] > after] if after else rows
    return behind[max(0, len(behind) - limit) :]


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdigit():
        raise ControlError(f"{name} must be a whole number from 0, not {value!r}")
    return int(value)


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    value = query.get(name, "true" if default else "false")
    if value not in {"true", "false"}:
        raise ControlError(f"{name} must be true or false, not {value!r}")
    return value == "true"


def _number(body: Mapping[str, Any], name: str, default: float | None) -> float:
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
        raise ControlError(f"{name} must be a number of seconds from 0, not {value!r}")
    return float(value)


class ControlApp:
    """The control plane over HTTP, for peers on this machine; all but the phone's page takes the header `X-Fake-Token`."""

    def __init__(self, control: Control, token: str, *, from_anywhere: bool = False) -> None:
        self._control = control
        self._token = token.encode()
        self._from_anywhere = from_anywhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._from_anywhere and not _is_here(scope.get("client")):
            await _answer(
                send, 403, {"error": "the control plane answers this machine alone; start the fake with its control open"}
            )
            return
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").removeprefix("/__fake__")
        if path == "/phone" and scope["method"] in {"GET", "HEAD"}:
            await _show_phone(send, with_body=scope["method"] == "GET")
            return
        if not hmac.compare_digest(dict(scope["headers"]).get(b"x-fake-token", b""), self._token):
            await _answer(send, 401, {"error": "X-Fake-Token is missing or wrong"})
            return
        data = await _body(receive)
        try:
            query = _query(scope["query_string"].decode("latin-1"))
            body = msgspec.json.decode(data, type=dict[str, Any]) if data else {}
            result = await self._control.execute(scope["method"], path, query, body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            await _answer(send, 400, {"error": f"the body is not a JSON object: {error}"})
        except ExpectationError as error:
            await _answer(send, 409, {"error": str(error)})
        except ControlError as error:
            await _answer(send, 400, {"error": str(error)})
        else:
            await _answer(send, 200, result, refuge=self._control.refuge)


def _is_here(client: tuple[str, int] | None) -> bool:
    """Whether a peer is on this machine. Who says nothing about himself is not."""
    if client is None:
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return b"".join(chunks)


def _query(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ControlError(f"{name} is given {names.count(name)} times: give it once")
    return dict(pairs)


async def _show_phone(send: Send, *, with_body: bool) -> None:
    from harness.evolution.phone import headers, page

    content = page()
    fields_of = [(name.encode(), value.encode()) for name, value in headers().items()]
    fields_of.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": fields_of})
    await send({"type": "http.response.body", "body": content if with_body else b""})


async def _answer(send: Send, status: int, body: Any, *, refuge: str = "") -> None:
    payload = msgspec.json.encode(body, enc_hook=sorted)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(payload)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if refuge:
        headers.append((b"x-fake-control", refuge.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
