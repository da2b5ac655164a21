"""Plays the recordings of a real server against the fake and names every difference."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from harness.evolution import ControlError
from harness.evolution.inbound import STATUSES
from harness.tests.evolution.fakes import AnyClock, AnyFake
from harness.tests.evolution.listener import Listener, Received

RECORDINGS = Path(__file__).parent / "recordings" / "replay.json"
_HEADERS = ("x-powered-by", "vary", "access-control-allow-credentials", "access-control-allow-origin", "content-type")
_HOOK_HEADERS_LEFT = frozenset({"host", "content-length", "connection"})
_PATTERNS = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
    "token": r"[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}",
    "row id": r"c[0-9a-z]{24}",
    "key id": r"3EB0[0-9A-F]{18}",
    "moment": r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "qr": r"2@[A-Za-z0-9+/]{118}==(,[A-Za-z0-9+/]{43}=){3}",
    "pairing code": r"[A-Z0-9]{8}",
    "own address": r"http://\d+\.\d+\.\d+\.\d+:\d+(/manager)?",
    "milliseconds": r"\d{13}",
    "seconds": r"\d{10}",
}
_SAME_EVERY_TIME = frozenset({"uuid", "token", "row id", "key id"})
# The real server re-encodes images; the size is its library's.
_MACHINE_MADE = "imageMessage.fileLength.low"
_MARGIN = 0.8
# Seconds that the recorded machine lost before these steps, read off the recorded deliveries: whether a poll of connect meets a
# closed socket, and so starts a second one, depends on them.
_LATE = {("webhook-delivery", 156): 0.3, ("webhook-delivery", 178): 0.33}
_PNG = "data:image/png;base64,<png>"


@dataclass(slots=True)
class Report:
    """What was compared, and every difference: `<phase> <step> <name>: <where>: <what>`."""

    answers: int = 0
    collections: int = 0
    compared: Counter[str] = field(default_factory=Counter)
    recorded_elsewhere: set[tuple[str, int]] = field(default_factory=set)
    differences: dict[str, list[str]] = field(default_factory=dict)


class Player:
    """State carries over from step to step: values that the server chose are learned when they first appear."""

    def __init__(self, evolution: AnyFake, listener: Listener, clock: AnyClock) -> None:
        self._evolution = evolution
        self._listener = listener
        self._clock = clock
        self._chosen: dict[str, str] = {}
        self._last_key = ""
        self._scenario_began = 0.0
        self._scenario_first = 0
        self._netdown: list[str] = []
        self._pool = ThreadPoolExecutor(max_workers=4)
        self._http = httpx.Client(base_url=evolution.url, timeout=30)
        self.report = Report()
        evolution.whatsapp(
            acks=[[0.3, "SERVER_ACK"], [0.6, "DELIVERY_ACK"]],
            group_acks=True,
            media_base64="",
            qr_delay=0.45,
            pairing_delay=0.65,
            open_delay=0.4,
            reconnect_delay=0.1,
        )

    def play(self) -> Report:
        phases = json.loads(RECORDINGS.read_text())
        elsewhere = _recorded_elsewhere(phases)
        for phase in phases:
            if phase["phase"] == "connected":
                self._evolution.restart_server(environment={}, empty=True)
            for number, step in enumerate(phase["steps"]):
                if (phase["phase"], number) in elsewhere:
                    if step["do"] == "collect":
                        self._evolution.advance(step["within_s"])
                        self.report.recorded_elsewhere.add((phase["phase"], number))
                    continue
                self._evolution.advance(_LATE.get((phase["phase"], number), 0.0))
                before = self.report.answers + self.report.collections
                found = list(self._step(step))
                self.report.compared[phase["phase"]] += self.report.answers + self.report.collections - before
                if found:
                    label = f"{phase['phase']} {number} {step.get('name') or step.get('scenario') or step['do']}"
                    self.report.differences[label] = found
        self.close()
        return self.report

    def close(self) -> None:
        self._http.close()
        self._pool.shutdown()

    def _step(self, step: Mapping[str, Any]) -> Iterator[str]:
        match step["do"]:
            case "request":
                yield from self._request(step)
            case "control":
                try:
                    self._control(step["action"], self._translated(step["body"]))
                except ControlError as refused:
                    yield f"refused: {refused}"
            case "scenario":
                self._settle()
                self._scenario_began, self._scenario_first = self._clock.monotonic(), len(self._listener.received)
            case "collect":
                yield from self._collect(step)
            case "wait":
                self._evolution.advance(step["seconds"])
                self._settle()
            case "restart":
                empty = bool(step["environment"])
                self._evolution.restart_server(environment=self._local(step["environment"]) if empty else None, empty=empty)
            case other:
                raise AssertionError(f"the recordings have a step {other!r} that nobody plays")

    def _settle(self) -> None:
        self._evolution._execute("POST", "quiesce", {}, {"timeout": 0.3})

    def _local(self, value: Any) -> Any:
        """The recorded listener's address becomes this one's."""
        return json.loads(json.dumps(value).replace("http://127.0.0.1:28440", self._listener.url))

    def _translated(self, value: Any) -> Any:
        """Values the recorded server chose become those this one chose."""

        def known(found: re.Match[str]) -> str:
            return self._chosen.get(found[0], self._last_key if found[0].startswith("3EB0") and self._last_key else found[0])

        text = json.dumps(self._local(value), ensure_ascii=False)
        pattern = "|".join(_PATTERNS[name] for name in ("uuid", "token", "key id"))
        return json.loads(re.sub(pattern, known, text))

    def _control(self, action: str, body: dict[str, Any]) -> None:
        fake, name = self._evolution, body.get("instance", "")
        match action:
            case "scan":
                fake.scan(name, phone=body["me"]["id"].partition(":")[0], profile_name=body["me"]["name"])
            case "close":
                fake.close(name, body["code"], message=body["message"])
            case "incoming":
                message = {key: value for key, value in body["message"].items() if not key.startswith("__")}
                fake.incoming(name, raw=message)
            case "emit":
                fake.emit(name, body["name"], body["payload"])
            case "knobs":
                self._knobs(body)
            case "calls":
                pass
            case other:
                raise AssertionError(f"the recordings have a control {other!r} that nobody plays")

    def _knobs(self, body: Mapping[str, Any]) -> None:
        for name, value in body.items():
            match name:
                case "acks":
                    self._evolution.whatsapp(acks=[[delay / 1000, STATUSES[status]] for delay, status in value])
                case "openDelay":
                    self._evolution.whatsapp(open_delay=value / 1000)
                case "qrTimeout":
                    self._evolution.whatsapp(qr_lifetime=value / 1000)
                case "refs":
                    self._evolution.whatsapp(qr_references=value)
                case "sendFail":
                    self._evolution.whatsapp(send_failure=value[0] if value else "")
                case "onWhatsAppFail":
                    self._evolution.whatsapp(check_failure=value[0] if value else "")
                case "netdown":
                    self._evolution.whatsapp(dead=[instance for instance, down in value.items() if down])
                case other:
                    raise AssertionError(f"the recordings turn a knob {other!r} that nobody plays")

    def _request(self, step: Mapping[str, Any]) -> Iterator[str]:
        request = self._translated(step["request"])
        answer = self._until_answered(self._pool.submit(self._send, request))
        if answer.status_code == 201 and "message/send" in request["path"]:
            self._last_key = answer.json()["key"]["id"]
        recorded = step["response"]
        if recorded is None:
            return
        self.report.answers += 1
        if answer.status_code != recorded["status"]:
            yield f"status {answer.status_code} instead of {recorded['status']}: {answer.text[:300]}"
            return
        for name in _HEADERS:
            if answer.headers.get(name) != recorded["headers"].get(name):
                yield f"header {name}: {answer.headers.get(name)!r} instead of {recorded['headers'].get(name)!r}"
        if ("etag" in recorded["headers"]) != ("etag" in answer.headers):
            yield f"header etag: {answer.headers.get('etag')!r} instead of {recorded['headers'].get('etag')!r}"
        body = answer.json() if answer.text else ""
        yield from self.compared(self._local(recorded["body"]), body, "body")

    def _send(self, request: Mapping[str, Any]) -> httpx.Response:
        body = request["body"]
        content = (
            b""
            if body is None
            else body["__raw__"].encode()
            if isinstance(body, dict) and "__raw__" in body
            else json.dumps(body).encode()
        )
        url = httpx.URL(self._evolution.url).copy_with(raw_path=request["path"].encode())
        return self._http.send(httpx.Request(request["method"], url, headers=request["headers"], content=content))

    def _until_answered(self, future: Future[httpx.Response]) -> httpx.Response:
        while not future.done():
            wait([future], timeout=0.01)
            # Only a request that has arrived, and has had its turn, is waiting for the clock.
            if self._evolution.health()["openRequests"]:
                self._settle()
                if self._evolution.health()["openRequests"] and (due := self._clock.next_deadline()) is not None:
                    self._evolution.advance(due)
        return future.result()

    def _collect(self, step: Mapping[str, Any]) -> Iterator[str]:
        self._evolution.advance(step["within_s"])
        self._settle()
        recorded = step["deliveries"]
        if recorded is None:
            return
        self.report.collections += 1
        actual = self._listener.received[self._scenario_first :]
        named = [_label(one.path, one.body) for one in actual]
        wanted = [_label(one["path"], one["body"]) for one in recorded]
        if "retry" in step["scenario"]:
            # With jitter a repetition may fall on either side of the window's end: both lists lose what lies near it.
            until = step["within_s"] - _MARGIN
            named = [name for name, one in zip(named, actual, strict=True) if one.at - self._scenario_began < until]
            kept = [index for index, one in enumerate(recorded) if one["t_rel_s"] < until]
            wanted, recorded = [wanted[index] for index in kept], [recorded[index] for index in kept]
        if sorted(named) != sorted(wanted):
            yield f"deliveries {sorted(named)} instead of {sorted(wanted)}"
            return
        for one in recorded:
            index = named.index(_label(one["path"], one["body"]))
            named[index] = ""
            yield from self._delivery(one, actual[index], tight="retry" in step["scenario"])

    def _delivery(self, recorded: Mapping[str, Any], actual: Received, *, tight: bool) -> Iterator[str]:
        where = str(recorded["body"]["event"]) if recorded["body"] else recorded["path"]
        if recorded["method"] != actual.method or recorded["listener_answered"] != actual.answered:
            yield f"{where}: {actual.method} {actual.answered} instead of {recorded['method']} {recorded['listener_answered']}"
        names = {name.lower(): value for name, value in recorded["headers"].items()}
        for name in sorted((names.keys() | actual.headers.keys()) - _HOOK_HEADERS_LEFT):
            given, wanted = actual.headers.get(name), names.get(name)
            if given != wanted and not (str(wanted).startswith("Bearer <jwt") and str(given).count(".") == 2):
                yield f"{where}: header {name}: {given!r} instead of {wanted!r}"
        seconds = actual.at - self._scenario_began
        # The recorded machine was slow; only where the back-off is the subject does the moment itself matter.
        if abs(seconds - recorded["t_rel_s"]) > (0.9 if tight else 2.5) + 0.2 * recorded["t_rel_s"]:
            yield f"{where}: after {seconds:.2f} s instead of {recorded['t_rel_s']} s"
        yield from self.compared(self._local(recorded["body"]), actual.body, where)

    def compared(self, recorded: Any, actual: Any, where: str) -> Iterator[str]:
        if isinstance(recorded, dict) and isinstance(actual, dict):
            yield from self._objects(recorded, actual, where)
        elif isinstance(recorded, list) and isinstance(actual, list):
            if len(recorded) != len(actual):
                yield f"{where}: {len(actual)} items instead of {len(recorded)}"
                return
            for index, (one, other) in enumerate(zip(_ordered(recorded), _ordered(actual), strict=True)):
                yield from self.compared(one, other, f"{where}[{index}]")
        elif isinstance(recorded, str) and isinstance(actual, str):
            yield from self._texts(recorded, actual, where)
        elif type(recorded) is not type(actual) or (
            recorded != actual and not _both_moments(recorded, actual) and not where.endswith(_MACHINE_MADE)
        ):
            yield f"{where}: {actual!r} instead of {recorded!r}"

    def _objects(self, recorded: Mapping[str, Any], actual: Mapping[str, Any], where: str) -> Iterator[str]:
        if recorded and all(name.isdigit() for name in recorded):
            if not actual or not all(name.isdigit() for name in actual):
                yield f"{where}: no bytes as an object with numeric keys: {actual!r}"
            return
        if recorded.keys() != actual.keys():
            yield f"{where}: keys {sorted(actual)} instead of {sorted(recorded)}"
        for name in recorded.keys() & actual.keys():
            yield from self.compared(recorded[name], actual[name], f"{where}.{name}")

    def _texts(self, recorded: str, actual: str, where: str) -> Iterator[str]:
        if recorded == actual:
            return
        if recorded == _PNG:
            if not base64.b64decode(actual.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG"):
                yield f"{where}: no PNG: {actual[:60]!r}"
            return
        if recorded.startswith("{") and actual.startswith("{"):
            yield from self.compared(json.loads(recorded), json.loads(actual), where)
            return
        if where.endswith(".destination") and _short(recorded) == _short(actual):
            return
        if where.endswith(".instance") and recorded == "x1":
            # This scenario was recorded in a run of its own, with an instance of another name.
            return
        for name, pattern in _PATTERNS.items():
            if re.fullmatch(pattern, recorded):
                if not re.fullmatch(pattern, actual):
                    yield f"{where}: {actual!r} is no {name} such as {recorded!r}"
                elif name in _SAME_EVERY_TIME and self._chosen.setdefault(recorded, actual) != actual:
                    yield f"{where}: {actual!r} instead of {self._chosen[recorded]!r}, which it was before"
                return
        masked = "messageSecret" in where or "templateId" in recorded
        if not masked:
            yield f"{where}: {actual!r} instead of {recorded!r}"


def _recorded_elsewhere(phases: list[Any]) -> set[tuple[str, int]]:
    """Scenarios whose deliveries are copies of a later one's: they carry its ids, and later counts lack their messages."""
    collections = [
        (phase["phase"], number, json.dumps(step["deliveries"], sort_keys=True))
        for phase in phases
        for number, step in enumerate(phase["steps"])
        if step["do"] == "collect" and step["deliveries"]
    ]
    steps = {phase["phase"]: phase["steps"] for phase in phases}
    skipped = set()
    for index, (name, number, deliveries) in enumerate(collections):
        if any(deliveries == other for _, _, other in collections[index + 1 :]):
            first = max(n for n in range(number) if steps[name][n]["do"] == "scenario")
            skipped |= {(name, n) for n in range(first, number + 1)}
    return skipped


def _label(path: str, body: Any) -> str:
    """What a delivery is, without what the server chose."""
    event = body["event"] if body else None
    data = body.get("data") if body else None
    status = data.get("status") or data.get("state") or data.get("statusCode") if isinstance(data, dict) else None
    text = (
        json.dumps(data["message"])
        if isinstance(data, dict) and event == "messages.upsert" and "conversation" in data["message"]
        else ""
    )
    return f"{_short(path)} {event} {status} {text}"


def _short(path: str) -> str:
    """This scenario was recorded in a run of its own, whose path ends in its time."""
    return re.sub(r"(/flaky\d+)-.*", r"\1", path)


def _ordered(items: list[Any]) -> list[Any]:
    """Rows of the database come in no order."""
    if items and all(isinstance(item, dict) and "connectionStatus" in item for item in items):
        return sorted(items, key=lambda item: str(item["name"]))
    if items and all(isinstance(item, dict) and "lastMessage" in item for item in items):
        return sorted(items, key=lambda item: str(item["remoteJid"]))
    return items


def _both_moments(recorded: Any, actual: Any) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) and value > 1_600_000_000 for value in (recorded, actual))
