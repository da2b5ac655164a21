"""Clients of the control plane: the same verbs over HTTP (`EvolutionControl`) and in Python (`FakeEvolution`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from harness.evolution.errors import ControlError

if TYPE_CHECKING:
    import httpx

__all__ = ["ControlVerbs", "EvolutionControl"]


class ControlVerbs:
    """What can be told to a fake and asked of it. Every verb raises ControlError with one line when it is refused."""

    def _execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _get(self, command: str, **query: str | None) -> Any:
        return self._execute("GET", command, {name: value for name, value in query.items() if value is not None}, {})

    def _post(self, command: str, **body: Any) -> Any:
        return self._execute("POST", command, {}, {name: value for name, value in body.items() if value is not None})

    def _tell(self, instance: str, verb: str, **body: Any) -> Any:
        return self._post(f"instances/{quote(instance, safe='')}/{verb}", **body)

    def health(self) -> dict[str, Any]:
        """`status`, `url`, `clock`, `openRequests` (not answered yet) and `heldRequests` (of these, waiting on the clock)."""
        result: dict[str, Any] = self._get("health")
        return result

    def open_calls(self) -> int:
        """How many calls to the server's API are not answered yet."""
        return int(self.health()["openRequests"])

    def held_calls(self) -> int:
        """How many of them wait on the clock, as a slow answer does."""
        return int(self.health()["heldRequests"])

    def scan(self, instance: str, *, phone: str | None = None, profile_name: str | None = None) -> str:
        """Scans the QR code on show; the digits of the telephone that did. The connection opens a moment later."""
        return str(self._tell(instance, "scan", phone=phone, profileName=profile_name)["phone"])

    def close(self, instance: str, code: int, *, message: str | None = None) -> None:
        """WhatsApp closes the connection: 401 log-out, 403 ban, any other code a silent drop."""
        self._tell(instance, "close", code=code, message=message)

    def incoming(
        self,
        instance: str,
        sender: str | None = None,
        text: str | None = None,
        *,
        id: str | None = None,  # noqa: A002 - the control plane's name
        push_name: str | None = None,
        kind: str | None = None,
        message_timestamp: int | None = None,
        from_me: bool | None = None,
        participant: str | None = None,
        target: str | None = None,
        raw: Mapping[str, Any] | None = None,
        times: int = 1,
    ) -> str:
        """A message arrives from WhatsApp, `times` times; its key id. `raw` is the socket library's own message."""
        body = {
            "from": sender,
            "text": text,
            "id": id,
            "pushName": push_name,
            "kind": kind,
            "messageTimestamp": message_timestamp,
            "fromMe": from_me,
            "participant": participant,
            "target": target,
            "raw": raw,
            "times": times,
        }
        return str(self._tell(instance, "incoming", **body)["keyId"])

    def ack(self, instance: str, key_id: str, status: str) -> bool:
        """WhatsApp acknowledges a message; whether the server told the webhook."""
        return bool(self._tell(instance, "ack", keyId=key_id, status=status)["delivered"])

    def emit(self, instance: str, name: str, payload: Any) -> None:
        """Any other event of the socket library, in its own form."""
        self._tell(instance, "emit", name=name, payload=payload)

    def ledger(self, *, instance: str | None = None) -> list[dict[str, Any]]:
        """Every message that WhatsApp really got."""
        return list(self._get("ledger", instance=instance)["sends"])

    def requests(
        self, *, method: str | None = None, path: str | None = None, instance: str | None = None
    ) -> list[dict[str, Any]]:
        """Every request to the server's API; `path` is a prefix."""
        return list(self._get("requests", method=method, path=path, instance=instance)["requests"])

    def deliveries(self, *, instance: str | None = None, event: str | None = None) -> list[dict[str, Any]]:
        """Every attempt to deliver a webhook."""
        return list(self._get("deliveries", instance=instance, event=event)["deliveries"])

    def instances(self) -> list[dict[str, Any]]:
        return list(self._get("instances")["instances"])

    def inject(self, fault: str, **options: Any) -> int:
        """Switches a fault on (scope, count, probability, its own options); the number of the injection."""
        return int(self._post("faults", fault=fault, **options)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """What is switched on and how often each has fired."""
        return list(self._get("faults")["faults"])

    def withdraw(self, number: int | None = None, *, fault: str | None = None) -> int:
        """Switches off one injection, all of a fault, or all; how many."""
        path = "faults" if number is None else f"faults/{number}"
        return int(self._execute("DELETE", path, {"fault": fault} if fault else {}, {})["withdrawn"])

    def whatsapp(self, **changes: Any) -> dict[str, Any]:
        """Changes and reads WhatsApp's side, for instance `acks=[]` for no automatic acknowledgement."""
        result: dict[str, Any] = self._execute("POST", "whatsapp", {}, changes)
        return result

    def automatic_acks(self, plan: Sequence[tuple[float, str]]) -> None:
        """What WhatsApp acknowledges after every send: (seconds after it, status); empty for nothing."""
        self.whatsapp(acks=[list(step) for step in plan])

    def read_clock(self) -> dict[str, Any]:
        result: dict[str, Any] = self._get("clock")
        return result

    def monotonic(self) -> float:
        """Seconds on the fake's clock; only differences mean something."""
        return float(self.read_clock()["monotonic"])

    def next_deadline(self) -> float | None:
        """Seconds until the next sleeper on the fake's clock is due; None when nobody sleeps or the clock is the system's."""
        due = self.read_clock()["nextDeadline"]
        return None if due is None else float(due)

    def next_wait(self) -> float | None:
        """As `next_deadline`, without time limits that are hoped not to be reached."""
        due = self.read_clock()["nextWait"]
        return None if due is None else float(due)

    def advance(self, seconds: float, *, patience: float | None = None) -> dict[str, Any]:
        """Moves the clock; what comes due on the way happens in its order.

        `patience` is how many real seconds each step waits at most for deliveries that are under way.
        """
        result: dict[str, Any] = self._post("clock/advance", seconds=seconds, patience=patience)
        return result

    def freeze(self) -> None:
        self._post("clock/freeze")

    def resume(self) -> None:
        self._post("clock/resume")

    def restart_server(
        self,
        *,
        environment: Mapping[str, str] | None = None,
        empty: bool = False,
        downtime: float = 0.0,
        loading: float = 0.0,
    ) -> None:
        """The server's process starts again: memory and pending retries are lost, what was open connects by itself.

        For `downtime` seconds connections are reset; for `loading` more the rows are there and the connections are not.
        """
        self._post("restart", environment=environment, empty=empty, downtime=downtime, loading=loading)

    def reset(self) -> None:
        """An empty server: no instance, no record, no fault."""
        self._post("reset")

    def quiesce(self, timeout: float = 5.0) -> None:
        """Returns when no delivery is under way. Raises ControlError when that takes longer than `timeout` real seconds."""
        state = self._post("quiesce", timeout=timeout)
        if not state["quiet"]:
            raise ControlError(f"{state['underWay']} deliveries are still under way after {timeout:g} s")


class EvolutionControl(ControlVerbs):
    """Controls a fake in another process or thread over HTTP."""

    def __init__(self, url: str, token: str, *, timeout: float = 30.0) -> None:
        import httpx

        self._url = url.rstrip("/")
        self._client: httpx.Client = httpx.Client(timeout=timeout, headers={"X-Fake-Token": token}, trust_env=False)

    def _execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        import httpx

        url = f"{self._url}/__fake__/{path}"
        try:
            answer = self._client.request(method, url, params=dict(query), json=dict(body) if method == "POST" else None)
        except httpx.HTTPError as error:
            raise ControlError(f"the fake at {self._url} does not answer: {type(error).__name__}") from error
        if answer.status_code == 404:
            raise ControlError(f"the fake at {self._url} has no control plane: start it with a control token")
        try:
            result = answer.json()
        except ValueError as error:
            raise ControlError(f"the control plane at {self._url} answered {answer.status_code} and no JSON") from error
        if answer.status_code != 200:
            raise ControlError(str(result.get("error", f"status {answer.status_code}")))
        return result

    def disconnect(self) -> None:
        """Closes the connections to the fake."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()
