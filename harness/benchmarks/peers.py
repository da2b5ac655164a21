"""Starts the servers that are compared, each as a process of its own, and reads what they cost: CPU seconds and memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.benchmarks.apps import ANSWER, APPLICATIONS
from harness.evolution.client import EvolutionControl

__all__ = ["INSTANCE", "NotMeasured", "Running", "contestants", "fake_server"]

INSTANCE = "bench"
PATH = f"/message/sendText/{INSTANCE}"
KEY = "benchmark-key"
_READY_SECONDS = 60.0
_TICK = os.sysconf("SC_CLK_TCK")


class NotMeasured(Exception):
    """A contestant that cannot be started here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers POSTs to `path` on `host`:`port`."""

    name: str
    host: str
    port: int
    process: subprocess.Popen[str]
    path: str = PATH
    headers: dict[str, str] = field(default_factory=lambda: {"apikey": KEY})
    control: EvolutionControl | None = None
    token: str = ""

    def cpu_seconds(self) -> float:
        """User and system time of the process and of all that it has started, as the kernel counts it (steps of 10 ms)."""
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))

    def resident_bytes(self) -> int:
        """Memory that is resident, of the process alone."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _family(pid: int) -> list[int]:
    family = [pid]
    for member in family:
        with contextlib.suppress(FileNotFoundError):
            for task in Path(f"/proc/{member}/task").iterdir():
                family += [int(child) for child in (task / "children").read_text().split()]
    return family


Contestant = Callable[[Path], contextlib.AbstractContextManager[Running]]


def contestants() -> dict[str, Contestant]:
    """Every server that the fake is compared with, the fake among them; the first is the one that the ratios count from."""
    own: dict[str, Contestant] = {name: _application(name) for name in APPLICATIONS}
    bare = next(iter(own))
    return {
        bare: own.pop(bare),
        "golive fake": lambda _: fake_server(),
        **own,
        "WireMock, static": lambda scratch: _wiremock(scratch, templated=False),
        "WireMock, templated": lambda scratch: _wiremock(scratch, templated=True),
        "Mockoon": _mockoon,
        "mountebank": _mountebank,
        "Prism": _prism,
    }


@contextlib.contextmanager
def _process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(command, text=True, stderr=subprocess.DEVNULL, **options)
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        if running.stdout is not None:
            running.stdout.close()


@contextlib.contextmanager
def _announcing(name: str, command: Sequence[str]) -> Iterator[Running]:
    """A server that prints its address once it answers."""
    with _process(command, stdout=subprocess.PIPE) as running:
        line = running.stdout.readline() if running.stdout is not None else ""
        address = urlsplit(line.strip())
        if not address.hostname or not address.port:
            raise NotMeasured(f"it did not start: {' '.join(command)} printed {line!r}")
        yield Running(name=name, host=address.hostname, port=address.port, process=running)


@contextlib.contextmanager
def _listening(name: str, command: Sequence[str], port: int) -> Iterator[Running]:
    """A server that listens on `port` some time after it was started."""
    with _process(command, stdout=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if running.poll() is not None or time.monotonic() > deadline:
                raise NotMeasured(f"it did not listen within {_READY_SECONDS:g} s: {' '.join(command)}")
            time.sleep(0.05)
        yield Running(name=name, host="127.0.0.1", port=port, process=running)


def _application(name: str) -> Contestant:
    @contextlib.contextmanager
    def start(_: Path) -> Iterator[Running]:
        if name == "FastAPI" and find_spec("fastapi") is None:
            raise NotMeasured("fastapi is not installed")
        with _announcing(name, (sys.executable, "-m", "harness.benchmarks.apps", name)) as running:
            yield running

    return start


@contextlib.contextmanager
def fake_server(*, instances: Sequence[str] = (INSTANCE,), webhook: Mapping[str, Any] | None = None) -> Iterator[Running]:
    """`golive fake serve` as anybody would start it, with its control plane and with these instances open."""
    token = secrets.token_hex(8)
    command = (sys.executable, "-m", "harness.cli", "fake", "serve", "--port", "0", "--key", KEY, "--control-token", token)
    with (
        _announcing("golive fake", command) as running,
        EvolutionControl(f"http://{running.host}:{running.port}", token) as control,
    ):
        asyncio.run(_connect(running, instances, webhook))
        for name in instances:
            control.scan(name)
        deadline = time.monotonic() + _READY_SECONDS
        while {row["state"] for row in control.instances()} != {"open"}:
            if time.monotonic() > deadline:
                raise NotMeasured("the fake's instances did not open")
            time.sleep(0.2)
        yield replace(running, control=control, token=token)


async def _connect(running: Running, instances: Sequence[str], webhook: Mapping[str, Any] | None) -> None:
    """Creates the instances and has a QR code shown for each; such a call is held for two seconds, so all are made at once."""
    import httpx

    async def connect(name: str) -> None:
        wish = {"instanceName": name, "integration": "WHATSAPP-BAILEYS"} | ({"webhook": webhook} if webhook else {})
        (await client.post("/instance/create", json=wish)).raise_for_status()
        (await client.get(f"/instance/connect/{name}")).raise_for_status()

    limits = httpx.Limits(max_connections=None)
    address = f"http://{running.host}:{running.port}"
    async with httpx.AsyncClient(base_url=address, headers=running.headers, timeout=60, limits=limits) as client:
        await asyncio.gather(*(connect(name) for name in instances))


def _command(*names: str) -> str:
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise NotMeasured(f"no command {' or '.join(names)} on the path")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _answer() -> str:
    return json.dumps(ANSWER, ensure_ascii=False)


@contextlib.contextmanager
def _wiremock(scratch: Path, *, templated: bool) -> Iterator[Running]:
    """From `WIREMOCK_JAR`, the standalone JAR; npm's package `wiremock` contains one."""
    jar = os.environ.get("WIREMOCK_JAR", "")
    if not Path(jar).is_file():
        raise NotMeasured("WIREMOCK_JAR does not name WireMock's standalone JAR")
    body = _answer()
    if templated:
        body = body.replace(str(ANSWER["message"]["conversation"]), "{{jsonPath request.body '$.text'}}")  # type: ignore[index]
    stub = {
        "request": {"method": "POST", "urlPathPattern": "/message/sendText/.*"},
        "response": {"status": 201, "headers": {"Content-Type": "application/json"}, "body": body}
        | ({"transformers": ["response-template"]} if templated else {}),
    }
    folder = scratch / f"wiremock-{templated}"
    (folder / "mappings").mkdir(parents=True)
    (folder / "mappings" / "send.json").write_text(json.dumps(stub))
    port = _free_port()
    options = ("--port", str(port), "--bind-address", "127.0.0.1", "--root-dir", str(folder), "--disable-banner")
    journal = ("--max-request-journal-entries", "20000")
    with _listening("WireMock", (_command("java"), "-jar", jar, *options, *journal), port) as running:
        yield running


@contextlib.contextmanager
def _mockoon(scratch: Path) -> Iterator[Running]:
    command, port = _command("mockoon-cli"), _free_port()
    route, body = str(uuid.uuid4()), _answer()
    body = body.replace(str(ANSWER["message"]["conversation"]), "{{body 'text'}}")  # type: ignore[index]
    response = {
        "uuid": str(uuid.uuid4()),
        "body": body,
        "bodyType": "INLINE",
        "statusCode": 201,
        "headers": [{"key": "Content-Type", "value": "application/json"}],
        "default": True,
    }
    environment = {
        "uuid": str(uuid.uuid4()),
        "name": "benchmark",
        "port": port,
        "hostname": "127.0.0.1",
        "routes": [
            {"uuid": route, "type": "http", "method": "post", "endpoint": "message/sendText/:name", "responses": [response]}
        ],
        "rootChildren": [{"type": "route", "uuid": route}],
    }
    file = scratch / "mockoon.json"
    file.write_text(json.dumps(environment))
    options = ("--data", str(file), "--repair", "--disable-log-to-file", "--disable-admin-api")
    with _listening("Mockoon", (command, "start", *options), port) as running:
        yield running


@contextlib.contextmanager
def _mountebank(scratch: Path) -> Iterator[Running]:
    command, port = _command("mb"), _free_port()
    stub = {"is": {"statusCode": 201, "headers": {"Content-Type": "application/json"}, "body": ANSWER}}
    predicate = {"matches": {"method": "POST", "path": "^/message/sendText/"}}
    imposter = {
        "port": port,
        "protocol": "http",
        "host": "127.0.0.1",
        "recordRequests": True,
        "stubs": [{"predicates": [predicate], "responses": [stub]}],
    }
    file = scratch / "imposters.json"
    file.write_text(json.dumps({"imposters": [imposter]}))
    options = (
        "--port",
        str(_free_port()),
        "--localOnly",
        "--nologfile",
        "--loglevel",
        "error",
        "--pidfile",
        str(scratch / "mb.pid"),
    )
    with _listening("mountebank", (command, "start", "--configfile", str(file), *options), port) as running:
        yield running


@contextlib.contextmanager
def _prism(scratch: Path) -> Iterator[Running]:
    command, port = _command("prism"), _free_port()
    text = {"type": "string"}
    body = {"type": "object", "required": ["number", "text"], "properties": {"number": text, "text": text}}
    operation = {
        "parameters": [{"name": "name", "in": "path", "required": True, "schema": text}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"201": {"description": "sent", "content": {"application/json": {"example": ANSWER}}}},
    }
    description = {
        "openapi": "3.0.3",
        "info": {"title": "benchmark", "version": "1"},
        "paths": {"/message/sendText/{name}": {"post": operation}},
    }
    file = scratch / "openapi.json"
    file.write_text(json.dumps(description))
    options = ("--host", "127.0.0.1", "--port", str(port), "--verboseLevel", "silent", str(file))
    with _listening("Prism", (command, "mock", *options), port) as running:
        yield running
