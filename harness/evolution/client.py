"""Clients of the control plane: the same verbs over HTTP (`EvolutionControl`) and in Python (`FakeEvolution`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from harness.evolution.errors import ControlError, ExpectationError

if TYPE_CHECKING:
    import httpx

__all__ = ["ControlVerbs", "EvolutionControl", "Moment"]

# An aware datetime, ISO 8601 with a zone, or seconds of the fake's monotonic clock.
Moment = datetime | str | float


class ControlVerbs:
    """What can be told to a fake and asked of it. Every verb raises ControlError with one line when it is refused."""

    def _execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        raise NotImplementedError

    def _get(self, command: str, **query: Any) -> Any:
        written = {name: _written(value) for name, value in query.items()}
        return self._execute("GET", command, {name: value for name, value in written.items() if value is not None}, {})

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
        target_from_me: bool | None = None,
        raw: Mapping[str, Any] | None = None,
        times: int = 1,
    ) -> str:
        """A message arrives from WhatsApp, `times` times; its key id.

        `kind`: text (default), extended-text, image, audio, … – a wrong one is refused with those that there are.
        `target`: the id of the message that a reaction, an edit or a revoke means. `raw`: the socket library's own message,
        instead of all that.
        """
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
            "targetFromMe": target_from_me,
            "raw": raw,
            "times": times,
        }
        return str(self._tell(instance, "incoming", **body)["keyId"])

    def ack(self, instance: str, key_id: str, status: str, *, remote_jid: str | None = None) -> bool:
        """WhatsApp acknowledges a message, if need be under another jid; whether the server told the webhook."""
        return bool(self._tell(instance, "ack", keyId=key_id, status=status, remoteJid=remote_jid)["delivered"])

    def revoke(self, instance: str, key_id: str) -> None:
        """The one who sent this message deletes it for everyone: the server emits `messages.delete`."""
        self._tell(instance, "revoke", keyId=key_id)

    def emit(self, instance: str, name: str, payload: Any) -> None:
        """Any other event of the socket library, in its own form."""
        self._tell(instance, "emit", name=name, payload=payload)

    def messages(self, instance: str, *, number: str | None = None, after: int | None = None) -> list[dict[str, Any]]:
        """The messages of an instance, those with one number or all, as a person reads them.

        Each with `index`, `id`, `remoteJid`, `fromMe`, `pushName`, `kind`, `text`, `status`, `edited`, `timestamp`.
        """
        path = f"instances/{quote(instance, safe='')}/messages"
        return list(self._get(path, number=number, after=after)["messages"])

    def ledger(
        self,
        *,
        instance: str | None = None,
        number: str | None = None,
        remote_jid: str | None = None,
        text: str | None = None,
        message_type: str | None = None,
        key_id: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """Every message that WhatsApp really got, whatever the client was told. Filters as in `requests`."""
        question = _question(
            instance=instance,
            number=number,
            remoteJid=remote_jid,
            text=text,
            messageType=message_type,
            keyId=key_id,
            since=since,
            until=until,
        )
        return list(self._get("ledger", **question)["sends"])

    def requests(
        self,
        *,
        method: str | None = None,
        path: str | None = None,
        route: str | None = None,
        instance: str | None = None,
        number: str | None = None,
        status: int | str | None = None,
        credential: str | None = None,
        body: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """Every request to the server's API that fits.

        `path` is a prefix, `route` such as `message/sendText`, `sendText` or `message/*`, `number` whom it is for in any form,
        `status` a number, a class such as `4xx`, or `none` for one that was not answered, `credential` one of none, global,
        other, `body` what the request's must at least contain; `since` and `until` are an aware datetime, ISO 8601, or seconds
        of `monotonic`.
        """
        question = _question(
            method=method,
            path=path,
            route=route,
            instance=instance,
            number=number,
            status=status,
            credential=credential,
            body=body,
            since=since,
            until=until,
        )
        return list(self._get("requests", **question)["requests"])

    def deliveries(
        self,
        *,
        instance: str | None = None,
        event: str | None = None,
        url: str | None = None,
        status: int | str | None = None,
        attempt: int | None = None,
        final: bool | None = None,
        key_id: str | None = None,
        body: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """Every attempt to deliver a webhook that fits. `url` is a prefix, `final` whether no other attempt follows."""
        question = _question(
            instance=instance,
            event=event,
            url=url,
            status=status,
            attempt=attempt,
            final=final,
            keyId=key_id,
            body=body,
            since=since,
            until=until,
        )
        return list(self._get("deliveries", **question)["deliveries"])

    def expect_calls(
        self,
        count: int | None = None,
        *,
        at_least: int | None = None,
        at_most: int | None = None,
        within: float | None = None,
        method: str | None = None,
        path: str | None = None,
        route: str | None = None,
        instance: str | None = None,
        number: str | None = None,
        status: int | str | None = None,
        credential: str | None = None,
        body: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """The requests that fit, if there are `count` of them, or from `at_least` to `at_most`; without either at least one.

        Waits up to `within` real seconds for those that are still missing. Filters as in `requests`. Raises ExpectationError with
        one line that shows the nearest requests and what keeps each from fitting.
        """
        question = _question(
            method=method,
            path=path,
            route=route,
            instance=instance,
            number=number,
            status=status,
            credential=credential,
            body=body,
            since=since,
            until=until,
        )
        counts = {"count": count, "atLeast": at_least, "atMost": at_most, "within": within}
        return list(self._post("requests/expect", **question, **counts)["requests"])

    def expect_sends(
        self,
        count: int | None = None,
        *,
        at_least: int | None = None,
        at_most: int | None = None,
        within: float | None = None,
        instance: str | None = None,
        number: str | None = None,
        text: str | None = None,
        message_type: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """As `expect_calls`, for what WhatsApp really got. Filters as in `ledger`."""
        question = _question(instance=instance, number=number, text=text, messageType=message_type, since=since, until=until)
        counts = {"count": count, "atLeast": at_least, "atMost": at_most, "within": within}
        return list(self._post("ledger/expect", **question, **counts)["sends"])

    def expect_deliveries(
        self,
        count: int | None = None,
        *,
        at_least: int | None = None,
        at_most: int | None = None,
        within: float | None = None,
        instance: str | None = None,
        event: str | None = None,
        url: str | None = None,
        status: int | str | None = None,
        attempt: int | None = None,
        final: bool | None = None,
        key_id: str | None = None,
        body: Mapping[str, Any] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> list[dict[str, Any]]:
        """As `expect_calls`, for attempts to deliver a webhook. Filters as in `deliveries`."""
        question = _question(
            instance=instance,
            event=event,
            url=url,
            status=status,
            attempt=attempt,
            final=final,
            keyId=key_id,
            body=body,
            since=since,
            until=until,
        )
        counts = {"count": count, "atLeast": at_least, "atMost": at_most, "within": within}
        return list(self._post("deliveries/expect", **question, **counts)["deliveries"])

    def instances(self) -> list[dict[str, Any]]:
        return list(self._get("instances")["instances"])

    def inject(self, fault: str, *, from_: float | str | None = None, **options: Any) -> int:
        """Switches a fault on; the number of the injection.

        `options`: where (instance, number, route, event), how often (count, probability, seed), until when, and the fault's own.
        `from_` and `until`: seconds from now, or ISO 8601 on the fake's clock.
        """
        return int(self._post("faults", fault=fault, **{"from": from_, **options})["id"])

    def faults(self) -> list[dict[str, Any]]:
        """What is switched on and how often each has fired."""
        return list(self._get("faults", known=False)["faults"])

    def unfired(self) -> list[dict[str, Any]]:
        """Injections that have never fired, also those that were withdrawn: what they should have shown was not."""
        return list(self._get("faults", known=False)["unfired"])

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

    def seed(self, seed: int) -> None:
        """Draws ids, tokens and codes from this seed, also after a reset. Refused when there are instances."""
        self._post("seed", seed=seed)

    def snapshot(self, *, journals: bool = False) -> dict[str, Any]:
        """The whole state as one JSON document, with what was recorded if `journals`; it holds the instances' tokens.

        Work in progress is not kept: open requests, pending retries, acknowledgements that are not due; `lost` counts it.
        """
        result: dict[str, Any] = self._get("snapshot", journals="true" if journals else None)
        return result

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Goes back to a snapshot of this or another process: the next ids are those that would have come after it.

        Connections are as they were; journals that the snapshot does not hold are empty; the clock goes on.
        Raises ControlError, before anything has changed, for a document of another version and for a damaged one.
        """
        self._post("restore", snapshot=snapshot)

    def reset(self) -> None:
        """An empty server: no instance, no record, no fault."""
        self._post("reset")

    def quiesce(self, timeout: float = 5.0) -> int:
        """How many deliveries were begun so far, once none is under way.

        Raises ControlError when that takes longer than `timeout` real seconds.
        """
        state = self._post("quiesce", timeout=timeout)
        if not state["quiet"]:
            raise ControlError(f"{state['underWay']} deliveries are still under way after {timeout:g} s")
        return int(state["begun"])


def _question(**filters: Any) -> dict[str, Any]:
    """Filters that were given, as the control plane takes them."""
    written = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in filters.items()}
    return {name: value for name, value in written.items() if value is not None}


def _written(value: Any) -> str | None:
    """A filter as a query string has it."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


class EvolutionControl(ControlVerbs):
    """Controls a fake in another process or thread over HTTP.

    It follows the fake to the address of its control plane alone while a fault keeps the port at `url` closed.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 30.0) -> None:
        import httpx

        self._url = url.rstrip("/")
        self._timeout = timeout
        self._refuge = ""
        # The fake closes idle connections after 5 s, as the real server does: one must not be taken up again just then.
        limits = httpx.Limits(keepalive_expiry=4.0)
        headers = {"X-Fake-Token": token}
        self._client: httpx.Client = httpx.Client(timeout=timeout, headers=headers, limits=limits, trust_env=False)

    @property
    def url(self) -> str:
        """Where the fake is, without a trailing slash."""
        return self._url

    def _execute(self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any]) -> Any:
        import httpx

        def ask(url: str) -> httpx.Response:
            content = dict(body) if method == "POST" else None
            # Who waits for something wants the answer even if it takes all of that time.
            waits = [value for name in ("within", "timeout") if isinstance(value := body.get(name), int | float)]
            patience = self._timeout + sum(waits)
            address = f"{url}/__fake__/{path}"
            return self._client.request(method, address, params=dict(query), json=content, timeout=patience)

        try:
            try:
                answer = ask(self._url)
            except httpx.ConnectError:
                # A fault may keep the port closed: the fake has told where its control plane is then.
                if not self._refuge:
                    raise
                answer = ask(self._refuge)
            if told := answer.headers.get("x-fake-control"):
                # It knows its port; by which name it is reached, in a container say, only its caller knows.
                self._refuge = str(httpx.URL(self._url).copy_with(port=httpx.URL(told).port))
        except httpx.HTTPError as error:
            raise ControlError(f"the fake at {self._url} does not answer: {type(error).__name__}") from error
        if answer.status_code == 404:
            raise ControlError(f"the fake at {self._url} has no control plane: start it with a control token")
        try:
            result = answer.json()
        except ValueError as error:
            raise ControlError(f"the control plane at {self._url} answered {answer.status_code} and no JSON") from error
        if answer.status_code == 409:
            raise ExpectationError(str(result["error"]))
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
