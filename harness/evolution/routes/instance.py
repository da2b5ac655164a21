"""`/instance/*`: create, connect, state, restart, log-out, delete (sections 4.2 to 4.4 of the contract)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.errors import (
    ApiError,
    bad_request,
    conflict_of_names,
    inner_crash,
    not_found,
    prisma_type_of,
    unauthorized,
)
from harness.evolution.events import EVENT_NAMES
from harness.evolution.injection import Creating
from harness.evolution.outbound import SocketClosedError
from harness.evolution.state import Connection, Instance, Settings, WebhookRow

__all__ = ["ENDPOINTS"]

_INTEGRATIONS = ("WHATSAPP-BAILEYS", "WHATSAPP-BUSINESS", "EVOLUTION")
_BOOLEANS = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
_SEPARATE = ("websocket", "rabbitmq", "nats", "sqs")
_STRING = {"type": "string"}
_FLAG = {"type": "boolean"}
_CREATE = {
    "type": "object",
    "properties": {
        "instanceName": _STRING,
        "token": _STRING,
        "number": {"type": "string", "pattern": r"^\d+[\.@\w-]+"},
        "qrcode": _FLAG,
        "Integration": {"type": "string", "enum": ["WHATSAPP-BUSINESS", "WHATSAPP-BAILEYS", "EVOLUTION"]},
        "rejectCall": _FLAG,
        "msgCall": _STRING,
        "groupsIgnore": _FLAG,
        "alwaysOnline": _FLAG,
        "readMessages": _FLAG,
        "readStatus": _FLAG,
        "syncFullHistory": _FLAG,
        "wavoipToken": _STRING,
        "proxyHost": _STRING,
        "proxyPort": _STRING,
        "proxyProtocol": _STRING,
        "proxyUsername": _STRING,
        "proxyPassword": _STRING,
    },
    "notEmpty": ("instanceName",),
}
_PRESENCE = {
    "type": "object",
    "properties": {
        "presence": {"type": "string", "enum": ["unavailable", "available", "composing", "recording", "paused"]},
    },
    "required": ["presence"],
}
# Fixed waits of the real server, in seconds.
_WAIT_AFTER_CREATE = 5.0
_WAIT_AFTER_CONNECT = 2.0
# Where creates of one name overlap, so many find it free; a later one already meets the first one's instance in memory.
_OVERLAPPING = 2
_BETWEEN_ROWS = 0.005
# What the real server answers, with status 200, when a connection's error object ends up in a string.
_OBJECT_ERROR = {"error": True, "message": "[object Object]"}
# The server logs that a row could not be written and goes on, until the first row that refers to it cannot be written either.
_NO_ROW = (
    "\nInvalid `this.prismaRepository.{}.upsert()` invocation in\n/evolution/src/api/{}\n\n\n"
    "Foreign key constraint violated on the constraint: `{}_instanceId_fkey`"
)

# What create's webhook calls it, the database's column, and the type that this must have.
_COLUMNS = (
    ("url", "url", str, "String"),
    ("byEvents", "webhookByEvents", bool, "Boolean or Null"),
    ("base64", "webhookBase64", bool, "Boolean or Null"),
)


def _no_row(body: Mapping[str, Any]) -> ApiError:
    if isinstance(body.get("webhook"), dict) and body["webhook"].get("events") is not None:
        return bad_request(_NO_ROW.format("webhook", "integrations/event/webhook/webhook.controller.ts", "Webhook"))
    return bad_request(_NO_ROW.format("setting", "services/channel.service.ts", "Setting"))


async def create(call: Call) -> Answer:
    call.valid(_CREATE)
    given = call.body if isinstance(call.body, dict) else {}
    # The server fills the instance from the query, then from the body.
    body = {**call.query, **given}
    kind = body.get("integration")
    if kind == "WHATSAPP-BUSINESS" and not body.get("token"):
        raise bad_request("token is required")
    if kind not in _INTEGRATIONS:
        raise bad_request("Invalid integration")
    if "instanceName" not in body:
        raise _no_row(body)
    fake = call.fake
    seam = Creating(instance=body["instanceName"])
    fake.faults.strike(seam)
    under_way = call.parts.creating
    if seam.hold > 0 and under_way[body["instanceName"]] == _OVERLAPPING:
        raise conflict_of_names(body["instanceName"])
    row = _row(call, body)
    under_way[row.name] += 1
    try:
        await fake.pause(seam.hold)
    finally:
        under_way[row.name] -= 1
    winner = fake.store.find(row.name)
    if winner is not None:
        # Both found the name free; the loser's error path deletes what the winner has written.
        call.parts.lifecycle.discard(winner)
        raise _no_row(body)
    fake.store.instances[row.name] = row
    try:
        if body.get("webhook") not in (None, "", False, 0):
            row.webhook = _webhook(call, row, body["webhook"])
        fake.emit(row, "instance.create", {"instanceName": row.name, "instanceId": row.id})
        if row.settings.values["wavoipToken"]:
            raise bad_request("Cannot read properties of undefined (reading 'ws')")
        if kind == "WHATSAPP-BUSINESS" and not row.number:
            raise bad_request("number is required")
    except ApiError:
        call.parts.lifecycle.discard(row)
        raise
    await fake.pause(min(seam.hold, _BETWEEN_ROWS))
    deleted_meanwhile = row.connection is None
    if deleted_meanwhile:
        raise _no_row(body)
    wants_code = bool(body.get("qrcode")) and kind == "WHATSAPP-BAILEYS"
    if wants_code:
        call.parts.lifecycle.connect(row, phone=body.get("number"))
        await _let_begin()
        await fake.pause(_WAIT_AFTER_CREATE)
    business = kind == "WHATSAPP-BUSINESS"
    answer = {
        "instance": {
            "instanceName": row.name,
            "instanceId": row.id,
            "integration": row.integration,
            "webhookWaBusiness": f"{fake.server_url}/webhook/meta" if business else None,
            "accessTokenWaBusiness": "evolution" if business else "",
            "status": row.connection.state if row.connection else "close",
        },
        "hash": row.token,
        "webhook": _shown_webhook(body.get("webhook")),
        **{name: _shown_switch(body.get(name)) for name in _SEPARATE},
        "settings": dict(row.settings.values),
    }
    if wants_code:
        answer["qrcode"] = call.parts.lifecycle.current_code(row)
    return Answer(status=201, body=answer)


def _row(call: Call, body: Mapping[str, Any]) -> Instance:
    fake = call.fake
    identity, now, name = fake.store.identity, fake.clock.now(), body["instanceName"]
    instance_id = identity.uuid("instance", name)
    settings = Settings(id=identity.row("setting", instance_id), created_at=now, updated_at=now)
    settings.values.update({key: body.get(key) is True for key in _BOOLEANS})
    settings.values.update({key: body.get(key) or "" for key in ("msgCall", "wavoipToken")})
    ready = body["integration"] != "WHATSAPP-BAILEYS"
    return Instance(
        name=name,
        id=instance_id,
        token=body.get("token") or identity.token(instance_id),
        integration=body["integration"],
        number=body.get("number"),
        status="open" if ready else "close",
        owner_jid=body.get("ownerJid"),
        profile_name=body.get("profileName"),
        picture=body.get("profilePicUrl"),
        created_at=now,
        updated_at=now,
        settings=settings,
        qr_keys=identity.qr_keys(instance_id),
        connection=Connection(state="open", started=True) if ready else Connection(),
    )


def _webhook(call: Call, row: Instance, wish: Any) -> WebhookRow:
    """Unlike `webhook/set`, create trusts what it gets: `enabled` is ignored and event names are not checked.

    ApiError 400 where the server's own code or its database stumbles over it.
    """
    given = wish if isinstance(wish, dict) else {}
    events = given.get("events")
    if events is None:
        raise bad_request(f"Cannot read properties of {'null' if 'events' in given else 'undefined'} (reading 'length')")
    if given.get("url") is None:
        raise bad_request(f"Argument `url` {'must not be null' if 'url' in given else 'is missing'}.")
    for name, column, kind, expected in _COLUMNS:
        value = given.get(name)
        if value is not None and not isinstance(value, kind):
            told = f"Invalid value provided. Expected {expected}, provided {prisma_type_of(value)}."
            raise bad_request(f"Argument `{column}`: {told}")
    now = call.fake.clock.now()
    return WebhookRow(
        id=call.fake.store.identity.row("webhook", row.id),
        url=given["url"],
        headers=given.get("headers"),
        enabled=True,
        events=list(EVENT_NAMES) if events in ([], "") else events,
        by_events=bool(given.get("byEvents", False)),
        base64=bool(given.get("base64", False)),
        created_at=now,
        updated_at=now,
    )


def _shown_webhook(wish: Any) -> dict[str, Any]:
    names = {"webhookUrl": "url", "webhookHeaders": "headers", "webhookByEvents": "byEvents", "webhookBase64": "base64"}
    given = wish if isinstance(wish, dict) else {}
    return {shown: given[name] for shown, name in names.items() if name in given}


def _shown_switch(wish: Any) -> dict[str, Any]:
    return {"enabled": wish["enabled"]} if isinstance(wish, dict) and "enabled" in wish else {}


async def _let_begin() -> None:
    """Lets what was just started go to sleep first: who then moves the clock to the next deadline must meet its deadline too."""
    for _ in range(3):
        await asyncio.sleep(0)


async def connect(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    connection = call.fake.connection(instance) if instance is not None else None
    lifecycle = call.parts.lifecycle
    if instance is None or connection is None:
        return Answer(status=200, body=_OBJECT_ERROR)
    if connection.state == "open":
        return Answer(status=200, body={"instance": {"instanceName": instance.name, "state": "open"}})
    if connection.state == "close":
        lifecycle.connect(instance, phone=call.query.get("number"))
        await _let_begin()
        await call.fake.pause(_WAIT_AFTER_CONNECT)
    return Answer(status=200, body=lifecycle.current_code(instance))


async def connection_state(call: Call) -> Answer:
    found = call.fake.store.find(call.name)
    connection = call.fake.connection(found) if found else None
    shown = {"instanceName": call.name, **({"state": connection.state} if connection else {})}
    return Answer(status=200, body={"instance": shown})


async def fetch(call: Call) -> Answer:
    store = call.fake.store
    name, number, instance_id = (call.query.get(key) for key in ("instanceName", "number", "instanceId"))
    rows = list(store.instances.values())
    if call.key != store.key:
        rows = [row for row in store.owning(call.key) if name in {None, "", row.name} and instance_id in {None, "", row.id}]
        if not rows:
            raise unauthorized()
        _refuse_missing(call, rows)
    elif instance_id or number:
        rows = [row for row in rows if (row.id == instance_id if instance_id else row.number == number)][:1]
        if not rows:
            raise not_found(f'Instance "{instance_id or number}" not found')
        _refuse_missing(call, rows)
    elif name:
        rows = [row for row in rows if row.name == name and call.fake.connection(row) is not None]
        if not rows:
            raise not_found(f'Instance "{name}" not found')
    return Answer(status=200, body=[store.row(row) for row in rows])


def _refuse_missing(call: Call, rows: list[Instance]) -> None:
    missing = [row.name for row in rows if call.fake.connection(row) is None]
    if missing:
        raise not_found(f'Instance{"s" if len(missing) > 1 else ""} "{", ".join(missing)}" not found')


async def restart(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    connection = call.fake.connection(instance) if instance is not None else None
    lifecycle = call.parts.lifecycle
    if instance is None or connection is None or connection.state == "close":
        return Answer(status=200, body=_OBJECT_ERROR)
    call.fake.faults.cure(instance.name)
    if connection.state == "open":
        lifecycle.drop(instance)
        return Answer(status=200, body={"instance": {"instanceName": instance.name, "state": "open"}})
    stale = lifecycle.current_code(instance)
    lifecycle.reconnect(instance)
    return Answer(status=200, body=stale)


async def log_out(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    connection = call.fake.connection(instance) if instance is not None else None
    # What is not in memory is logged out by doing nothing.
    if instance is not None and connection is not None:
        if connection.state == "close":
            raise bad_request(f'The "{instance.name}" instance is not connected')
        if connection.state == "open" and call.fake.socket_is_dead(instance):
            raise inner_crash("Error: Connection Closed")
        call.parts.lifecycle.log_out(instance, 401, f"Log out instance: {instance.name}")
    return _success("Instance logged out")


async def delete(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    connection = call.fake.connection(instance) if instance is not None else None
    if instance is not None:
        if connection is not None and connection.state == "open" and call.fake.socket_is_dead(instance):
            raise bad_request("[object Object]")
        if not call.parts.lifecycle.forgets_to_delete(instance):
            call.parts.lifecycle.delete(instance)
    return _success("Instance deleted")


def _success(message: str) -> Answer:
    return Answer(status=200, body={"status": "SUCCESS", "error": False, "response": {"message": message}})


async def set_presence(call: Call) -> Answer:
    body = call.valid(_PRESENCE)
    connection = call.loaded("setPresence")
    try:
        call.parts.outbound.socket(call.instance, connection, "sendPresenceUpdate")
    except SocketClosedError as closed:
        raise bad_request(closed.wrapped()) from None
    return Answer(status=201, body={"presence": body["presence"]})


ENDPOINTS = [
    Endpoint(method="POST", path="instance/create", handler=create, named=False),
    Endpoint(method="GET", path="instance/connect", handler=connect),
    Endpoint(method="GET", path="instance/connectionState", handler=connection_state),
    Endpoint(method="GET", path="instance/fetchInstances", handler=fetch, named=False),
    Endpoint(method="POST", path="instance/restart", handler=restart),
    Endpoint(method="DELETE", path="instance/logout", handler=log_out),
    Endpoint(method="DELETE", path="instance/delete", handler=delete),
    Endpoint(method="POST", path="instance/setPresence", handler=set_presence),
]
