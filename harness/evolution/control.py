"""The control plane `/__fake__/`: what happens on WhatsApp's side, which faults are on, what was recorded, and the clock.

Off unless the fake was given a control token. The same commands serve HTTP and Python.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from harness.evolution.errors import ControlError
from harness.evolution.inbound import STATUSES, Inbound, message_from
from harness.evolution.injection import known_faults
from harness.evolution.ledger import Delivery
from harness.evolution.settings import ServerSettings
from harness.evolution.state import Instance, WhatsApp

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from harness.evolution.fake import Fake
    from harness.evolution.lifecycle import Lifecycle

__all__ = ["Control", "ControlApp"]


class Control:
    """Executes one command: method and path below `/__fake__`, query and body as mappings, the answer as an object.

    Raises ControlError with one clear line.
    """

    def __init__(self, fake: Fake, inbound: Inbound, lifecycle: Lifecycle) -> None:
        self._fake = fake
        self._inbound = inbound
        self._lifecycle = lifecycle

    async def execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        segments = [unquote(part) for part in path.strip("/").split("/")]
        match method, segments:
            case "GET", ["health"]:
                return {
                    "status": "ok",
                    "url": self._fake.address,
                    "clock": type(self._fake.clock).__name__,
                    "openRequests": len(self._fake.handlers),
                    "heldRequests": self._fake.held,
                }
            case "GET", ["instances"]:
                return {"instances": [self._shown(instance) for instance in self._fake.store.instances.values()]}
            case "GET", ["instances", name]:
                return self._shown(self._instance(name))
            case "POST", ["instances", name, verb]:
                return await self._on_instance(self._instance(name), verb, body)
            case "GET", ["ledger"]:
                sends = [asdict(send) for send in self._fake.sends if _wanted(query, instance=send.instance)]
                return {"sends": sends, "dropped": self._fake.sends.dropped}
            case "GET", ["requests"]:
                return {"requests": self._requests(query), "dropped": self._fake.requests.dropped}
            case "GET", ["deliveries"]:
                return {"deliveries": self._deliveries(query), "dropped": self._fake.deliveries.dropped}
            case (("GET" | "POST" | "DELETE"), ["faults", *rest]):
                return self._faults(method, rest, query, body)
            case _, ["clock", *rest]:
                return await self._clock(method, rest, body)
            case (("GET" | "POST"), ["whatsapp"]):
                return self._whatsapp(body)
            case "POST", ["restart"]:
                return await self._restart(body)
            case "POST", ["reset"]:
                await self._fake.reset()
                return {"reset": True}
            case "POST", ["quiesce"]:
                timeout = _number(body, "timeout", 5.0)
                quiet = await self._fake.quiesce(timeout)
                return {"quiet": quiet, "underWay": self._fake.webhooks.under_way, "pendingRetries": self._fake.webhooks.pending}
        raise ControlError(f"the control plane has no {method} /__fake__/{path.strip('/')}")

    def _instance(self, name: str) -> Instance:
        found = self._fake.store.find(name)
        if found is None:
            raise ControlError(f"there is no instance {name!r}")
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

    async def _on_instance(self, instance: Instance, verb: str, body: Mapping[str, Any]) -> Any:
        match verb:
            case "scan":
                phone = self._lifecycle.scan(instance, phone=body.get("phone"), profile=body.get("profileName"))
                return {"phone": phone}
            case "close":
                code = body.get("code")
                if not isinstance(code, int) or isinstance(code, bool):
                    raise ControlError(f"close: code must be a whole number such as 401 or 428, not {code!r}")
                self._lifecycle.close(instance, code, str(body.get("message") or ""))
                return {"state": instance.connection.state if instance.connection else None}
            case "incoming":
                return await self._incoming(instance, body)
            case "ack":
                return self._acknowledge(instance, body)
            case "emit":
                self._inbound.happen(instance, str(body.get("name")), body.get("payload"))
                return {"emitted": True}
        raise ControlError(f"an instance has no verb {verb!r}; it has scan, close, incoming, ack, emit")

    async def _incoming(self, instance: Instance, body: Mapping[str, Any]) -> dict[str, Any]:
        times = body.get("times", 1)
        if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= 10_000:
            raise ControlError(f"incoming: times must be a whole number from 1 to 10000, not {times!r}")
        if instance.connection is None or instance.connection.state != "open":
            state = instance.connection.state if instance.connection else "not in memory"
            raise ControlError(f"incoming: instance {instance.name!r} is not open but {state}; WhatsApp delivers nothing to it")
        message = message_from(self._fake, instance, body)
        for _ in range(times):
            self._fake.spawn(self._inbound.receive(instance, message))
        return {"keyId": message["key"]["id"]}

    def _acknowledge(self, instance: Instance, body: Mapping[str, Any]) -> dict[str, Any]:
        key_id, status = body.get("keyId"), body.get("status")
        if status not in STATUSES:
            raise ControlError(f"ack: status must be one of {', '.join(STATUSES)}, not {status!r}")
        if instance.messages.get(key_id) is None:
            raise ControlError(f"ack: instance {instance.name!r} has no message {key_id!r}")
        key = {"id": key_id, **({"remoteJid": body["remoteJid"]} if "remoteJid" in body else {})}
        return {"delivered": self._inbound.acknowledge(instance, key, str(status))}

    def _requests(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            asdict(request)
            for request in self._fake.requests
            if _wanted(query, method=request.method, instance=request.instance) and request.path.startswith(query.get("path", ""))
        ]

    def _deliveries(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        names = [part.name for part in fields(Delivery)]
        return [
            {**{name: getattr(delivery, name) for name in names}, "body": msgspec.json.decode(delivery.body)}
            for delivery in self._fake.deliveries
            if _wanted(query, instance=delivery.instance, event=delivery.event)
        ]

    def _faults(self, method: str, rest: list[str], query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        faults = self._fake.faults
        if method == "POST" and not rest:
            return faults.inject(body).describe()
        if method == "GET" and not rest:
            known = [{"fault": item.id, "title": item.title, **item.paragraphs} for item in known_faults()]
            return {"faults": [injection.describe() for injection in faults], "known": known}
        if method == "DELETE" and len(rest) <= 1:
            if rest and not rest[0].isdigit():
                raise ControlError(f"faults: {rest[0]!r} is not the number of an injection")
            gone = faults.withdraw(number=int(rest[0]) if rest else None, fault=query.get("fault"))
            return {"withdrawn": gone}
        raise ControlError(f"faults: no {method} /__fake__/faults/{'/'.join(rest)}")

    async def _clock(self, method: str, rest: list[str], body: Mapping[str, Any]) -> dict[str, Any]:
        fake = self._fake
        match method, rest:
            case "GET", []:
                pass
            case "POST", ["advance"]:
                seconds = _number(body, "seconds", None)
                await fake.advance(seconds, patience=_number(body, "patience", None) if "patience" in body else None)
            case "POST", ["freeze"]:
                fake.virtual_clock().freeze()
            case "POST", ["resume"]:
                fake.virtual_clock().resume()
            case _:
                raise ControlError(f"the clock has no {method} {'/'.join(rest)}; it has advance, freeze, resume")
        virtual = getattr(fake.clock, "frozen", None) is not None
        return {
            "now": fake.clock.now().isoformat(),
            "monotonic": fake.clock.monotonic(),
            "frozen": fake.virtual_clock().frozen if virtual else False,
            "nextDeadline": fake.virtual_clock().next_deadline() if virtual else None,
            "nextWait": fake.virtual_clock().next_wait() if virtual else None,
        }

    def _whatsapp(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Reads and changes WhatsApp's side: `{"acks": [[0.2, "SERVER_ACK"]], "qr_lifetime": 45, …}`."""
        whatsapp = self._fake.store.whatsapp
        hints = {part.name for part in fields(WhatsApp)}
        strangers = sorted(body.keys() - hints)
        if strangers:
            raise ControlError(f"WhatsApp's side has no {strangers[0]!r}; it has {', '.join(sorted(hints))}")
        try:
            changed = msgspec.convert({**asdict(whatsapp), **body}, WhatsApp)
        except msgspec.ValidationError as error:
            raise ControlError(f"whatsapp: {error}") from None
        unknown = {status for _, status in changed.acks} - set(STATUSES)
        if unknown:
            raise ControlError(f"whatsapp: acks know no status {min(unknown)!r}; they know {', '.join(STATUSES)}")
        self._fake.store.whatsapp = changed
        return asdict(changed)

    async def _restart(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The server's process starts again: with `environment` those settings are changed, with `empty` the data is gone."""
        environment = body.get("environment")
        if body.get("empty"):
            await self._fake.forget_work()
            self._fake.store.instances.clear()
        if environment is not None:
            self._fake.store.settings = replace(
                ServerSettings.from_environment(environment), server_url=environment.get("SERVER_URL", "")
            )
        downtime = _number(body, "downtime", 0.0)
        self._fake.down_until = self._fake.clock.monotonic() + downtime
        await self._lifecycle.boot(loading=downtime + _number(body, "loading", 0.0))
        return {"restarted": True}


def _wanted(query: Mapping[str, str], **actual: str | None) -> bool:
    return all(query.get(name) in {None, value} for name, value in actual.items())


def _number(body: Mapping[str, Any], name: str, default: float | None) -> float:
    value = body.get(name, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise ControlError(f"{name} must be a number of seconds from 0, not {value!r}")
    return float(value)


class ControlApp:
    """The control plane over HTTP; every request carries `X-Fake-Token`."""

    def __init__(self, control: Control, token: str) -> None:
        self._control = control
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        data = b""
        while True:
            message = await receive()
            data += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        if not hmac.compare_digest(headers.get(b"x-fake-token", b""), self._token):
            await _answer(send, 401, {"error": "X-Fake-Token is missing or wrong"})
            return
        path = (scope.get("raw_path") or scope["path"].encode()).decode().removeprefix("/__fake__")
        query = dict(parse_qsl(scope["query_string"].decode()))
        try:
            body = msgspec.json.decode(data, type=dict[str, Any]) if data else {}
            result = await self._control.execute(scope["method"], path, query, body)
        except msgspec.DecodeError as error:
            await _answer(send, 400, {"error": f"the body is not a JSON object: {error}"})
        except ControlError as error:
            await _answer(send, 400, {"error": str(error)})
        else:
            await _answer(send, 200, result)


async def _answer(send: Send, status: int, body: Any) -> None:
    payload = msgspec.json.encode(body, enc_hook=sorted)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(payload)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": payload})
