"""`/webhook`, `/settings` and the integrations that are switched off (section 4.5 of the contract)."""

from __future__ import annotations

from harness.evolution.app import Answer, Call, Endpoint
from harness.evolution.errors import crash
from harness.evolution.events import EVENT_NAMES
from harness.evolution.state import WebhookRow

__all__ = ["ENDPOINTS"]

_WEBHOOK = {
    "type": "object",
    "properties": {
        "webhook": {
            "type": "object",
            "properties": {
                "enabled": {"type": "boolean"},
                "url": {"type": "string"},
                "headers": {"type": "object"},
                "byEvents": {"type": "boolean"},
                "base64": {"type": "boolean"},
                "events": {"type": "array", "items": {"type": "string", "enum": list(EVENT_NAMES)}},
            },
            "required": ["enabled", "url"],
            "notEmpty": ("enabled", "url"),
        }
    },
    "required": ["webhook"],
}
_REQUIRED = ("rejectCall", "groupsIgnore", "alwaysOnline", "readMessages", "readStatus", "syncFullHistory")
_FLAG = {"type": "boolean"}
_SETTINGS = {
    "type": "object",
    "properties": {
        "rejectCall": _FLAG,
        "msgCall": {"type": "string"},
        **dict.fromkeys(_REQUIRED[1:], _FLAG),
        "wavoipToken": {"type": "string"},
    },
    "required": list(_REQUIRED),
    "notEmpty": _REQUIRED,
}


async def set_webhook(call: Call) -> Answer:
    wish = call.valid(_WEBHOOK)["webhook"]
    if wish["enabled"] and "events" not in wish:
        raise crash("Cannot read properties of undefined (reading 'length')")
    call.loaded("instanceId")
    instance = call.instance
    now = call.fake.clock.now()
    old = instance.webhook
    instance.webhook = WebhookRow(
        id=old.id if old else call.fake.store.identity.row("webhook", instance.id),
        url=wish["url"],
        headers=wish.get("headers", old.headers if old else None),
        enabled=wish["enabled"],
        events=(list(wish["events"]) or list(EVENT_NAMES)) if wish["enabled"] else [],
        by_events=wish.get("byEvents", old.by_events if old else False),
        base64=wish.get("base64", old.base64 if old else False),
        created_at=old.created_at if old else now,
        updated_at=now,
    )
    return Answer(status=201, body=call.fake.store.webhook_row(instance))


async def find_webhook(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    if instance is None or call.fake.connection(instance) is None:
        return Answer(status=200, body=None)
    return Answer(status=200, body=call.fake.store.webhook_row(instance))


async def set_settings(call: Call) -> Answer:
    body = call.valid(_SETTINGS)
    connection = call.loaded("setSettings")
    instance = call.instance
    instance.settings.values.update({name: body[name] for name in instance.settings.values if name in body})
    instance.settings.updated_at = call.fake.clock.now()
    if body.get("wavoipToken") and not connection.started:
        raise crash("Cannot read properties of undefined (reading 'ws')")
    # The answer repeats what was asked for, query included, not what is stored.
    return Answer(status=201, body={"settings": {"instanceName": instance.name, **call.query, "settings": body}})


async def find_settings(call: Call) -> Answer:
    instance = call.fake.store.find(call.name)
    if instance is None or call.fake.connection(instance) is None:
        return Answer(status=200, body=None)
    return Answer(status=200, body=dict(instance.settings.values))


async def find_nothing(_: Call) -> Answer:
    """An integration that is switched off answers with an empty body."""
    return Answer(status=200, raw=b"")


async def set_nothing(_: Call) -> Answer:
    return Answer(status=201, raw=b"")


async def find_null(_: Call) -> Answer:
    return Answer(status=200, body=None)


ENDPOINTS = [
    Endpoint(method="POST", path="webhook/set", handler=set_webhook),
    Endpoint(method="GET", path="webhook/find", handler=find_webhook),
    Endpoint(method="POST", path="settings/set", handler=set_settings),
    Endpoint(method="GET", path="settings/find", handler=find_settings),
    Endpoint(method="GET", path="proxy/find", handler=find_null),
    *(
        endpoint
        for name in ("websocket", "rabbitmq", "nats", "sqs")
        for endpoint in (
            Endpoint(method="POST", path=f"{name}/set", handler=set_nothing),
            Endpoint(method="GET", path=f"{name}/find", handler=find_nothing),
        )
    ),
]
