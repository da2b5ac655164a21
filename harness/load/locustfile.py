"""The users of the load run. The only module that imports locust, whose import patches the process: never import it elsewhere.

Settings come from the environment, for a command line can be read by every process of the machine:
GOLIVE_LOAD_PLAN (JSON: units, recipients, mark, email, pause_s, duration_s, enough, extra_s) and GOLIVE_LOAD_PASSWORD. Every
answer is written, unrounded, as one JSON line to the file in GOLIVE_LOAD_RECORDS: locust's own statistics round latencies to two
digits.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust import FastHttpUser, between, events, task
from locust.exception import StopUser

PLAN: dict[str, Any] = json.loads(os.environ["GOLIVE_LOAD_PLAN"])
_RECORDS = Path(os.environ["GOLIVE_LOAD_RECORDS"]).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 – open to the end
LOGIN = "POST /admin/login"
_NUMBERS = itertools.count()
_LOGIN: dict[str, str] = {}
_ASKED = Event()
_ANSWERED = itertools.count(1)
_ENOUGH = Event()


def write_down(
    name: str, response_time: float, response: Any, exception: BaseException | None, context: dict[str, Any], **_: Any
) -> None:
    message = context.get("message", "")
    record = {
        "at": time.time(),
        "name": name,
        "latency_ms": response_time,
        "status": getattr(response, "status_code", 0) or 0,
        "error": type(exception).__name__ if exception is not None else "",
        "message": message,
        "accepted": bool(message) and exception is None and _accepted(response),
    }
    _RECORDS.write(json.dumps(record) + "\n")
    if name != LOGIN and next(_ANSWERED) >= int(PLAN["enough"]):
        _ENOUGH.set()


events.request.add_listener(write_down)  # type: ignore[no-untyped-call]


def _end(runner: Any, after_s: float) -> None:
    gevent.sleep(after_s)
    if after_s:
        _ENOUGH.wait(float(PLAN["extra_s"]))
    runner.quit()


def _accepted(response: Any) -> bool:
    if response.status_code != 200:
        return False
    try:
        return response.json().get("success") is True
    except (ValueError, AttributeError):
        return False


class Agent(FastHttpUser):
    """Sends messages and looks at the connection's status, three to one, with short pauses."""

    wait_time = between(0.0, float(PLAN["pause_s"]))
    connection_timeout = 10.0
    network_timeout = 10.0

    def on_start(self) -> None:
        # One log-in for all users: log-ins are limited, and it is messages that are measured.
        if "token" in _LOGIN:
            return
        _LOGIN["token"] = ""
        answer = self.client.post(
            "/admin/login",
            json={"email": PLAN["email"], "password": os.environ["GOLIVE_LOAD_PASSWORD"]},
            name=LOGIN,
            context={},
        )
        body = answer.json() if answer.status_code == 200 else {}
        _LOGIN["token"] = str(body.get("accessToken", ""))
        # locust's own time limit runs from before the log-in: on a busy machine nothing of a short load would be left.
        gevent.spawn(_end, self.environment.runner, 0.0 if not _LOGIN["token"] else float(PLAN["duration_s"]))
        _ASKED.set()

    @task(3)
    def send(self) -> None:
        number = next(_NUMBERS)
        unit = PLAN["units"][number % len(PLAN["units"])]
        identifier = f"{PLAN['mark']}-{number}"
        self.client.post(
            "/messages",
            json={
                "phone": PLAN["recipients"][number % len(PLAN["recipients"])],
                "message": f"load {identifier}",
                "clientMessageId": identifier,
                "unitId": unit,
            },
            headers=self._authorization(),
            name="POST /messages",
            context={"message": identifier},
        )

    @task(1)
    def status(self) -> None:
        unit = PLAN["units"][next(_NUMBERS) % len(PLAN["units"])]
        self.client.get(
            f"/units/{unit}/whatsapp/status",
            headers=self._authorization(),
            name="GET /units/{unit}/whatsapp/status",
            context={},
        )

    def _authorization(self) -> dict[str, str]:
        _ASKED.wait()
        if not _LOGIN["token"]:
            raise StopUser
        return {"Authorization": f"Bearer {_LOGIN['token']}"}
