"""A small backend for the tests of the probes: real HTTP in front of a real fake Evolution API, with faults to plant."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from harness.clock import VirtualClock
from harness.evolution import FakeEvolution
from harness.target import Target, VirtualPace

KEY, CONTROL, METRICS, PASSWORD = "evolution-key-0123456789", "control-0123456789", "metrics-0123456789", "password-0123456789"
BOUNDS = ("0.5", "1.0", "2.0", "5.0", "+Inf")


@dataclass(slots=True, kw_only=True)
class Faults:
    """What is wrong with the backend. Everything off is a healthy one."""

    down: bool = False
    answers: dict[str, int] = field(default_factory=dict)
    failing_sends: bool = False
    refused_sends: bool = False
    double_sends: bool = False
    swapped_instance: str = ""
    frozen_status: bool = False
    wrong_reason: bool = False
    broken_qr: bool = False
    unmasked_log: str = ""
    silent_log: bool = False
    lost_metric: str = ""
    frozen_metrics: bool = False
    forgets_inbound: bool = False


@dataclass(slots=True, kw_only=True)
class Store:
    """What survives a restart."""

    units: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)


class Backend:
    """Serves the part of the contract that probes touch. One process, no database."""

    def __init__(
        self, evolution: FakeEvolution, clock: VirtualClock, log: Path, store: Store | None = None, port: int = 0
    ) -> None:
        self.evolution, self.clock, self.log = evolution, clock, log
        self.faults, self.counts, self.store = Faults(), Counter[str](), store if store is not None else Store()
        self.lock = threading.RLock()
        self.provider = httpx.Client(base_url=evolution.url, headers={"apikey": KEY}, trust_env=False)
        self.server = _Server(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.log.touch()

    @contextlib.contextmanager
    def serving(self) -> Iterator[Target]:
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Target(
                url=self.url,
                admin_email="admin@test.invalid",
                admin_password=PASSWORD,
                evolution_url=self.evolution.url,
                control_token=CONTROL,
                metrics_token=METRICS,
                log_path=self.log,
            )
        finally:
            self.server.shutdown()
            self.server.server_close()
            self.provider.close()
            thread.join()

    def add_unit(self, *, connected: bool) -> str:
        unit = str(uuid.uuid4())
        self.store.units[unit] = {"id": unit, "slug": unit[:8], "name": "Unit", "status": "not_configured"}
        if connected:
            # The provider holds the first code back for a while on its clock.
            VirtualPace(self.clock).call(lambda: self.connect(unit))
            self._await(unit, "qr")
            self.evolution.scan(f"unit_{unit}")
            self._await(unit, "connected")
        return unit

    def _await(self, unit: str, status: str) -> None:
        VirtualPace(self.clock).eventually(
            lambda: self.store.units[unit]["status"] == status, within_s=10, what=f"status {status}"
        )

    def connect(self, unit: str) -> dict[str, Any]:
        row = self.store.units[unit]
        if row["status"] == "not_configured":
            # Written before the provider is told: its first webhook may be quicker than its answer.
            row |= {"status": "connecting", "reason": "initializing"}
            self.provider.post(
                "/instance/create",
                json={
                    "instanceName": f"unit_{unit}",
                    "integration": "WHATSAPP-BAILEYS",
                    "qrcode": True,
                    "webhook": {
                        "enabled": True,
                        "url": f"{self.url}/webhooks/whatsapp/evolution/webhook-secret",
                        "byEvents": False,
                        "base64": True,
                        "events": ["CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT"],
                    },
                },
            ).raise_for_status()
        return row

    def answer(self, method: str, path: str, body: dict[str, Any], token: str) -> tuple[int, Any]:
        planted = self.faults.answers.get(f"{method} {path}")
        if planted is not None:
            return planted, {"error": "planted"}
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", ["health"]:
                return 200, {"status": "ok", "uptime": 1.0, "version": "1.2.3"}
            case "POST", ["admin", "login"]:
                known = {"admin@test.invalid": PASSWORD, **self.store.members}
                if known.get(body["email"]) != body["password"]:
                    return 401, {"error": "Invalid credentials"}
                return 200, {"user": {"role": "super_admin"}, "accessToken": "token", "refreshToken": "refresh"}
            case "POST", ["webhooks", "whatsapp", "evolution", _]:
                return 200, self._webhook(body)
        if token != "Bearer token":
            return 401, {"error": "Not logged in"}
        match method, parts:
            case "GET", ["admin", "units"]:
                return 200, [{"id": row["id"], "slug": row["slug"], "name": row["name"]} for row in self.store.units.values()]
            case "POST", ["admin", "users"]:
                self.store.members[body["email"]] = body["password"]
                return 201, {"id": str(uuid.uuid4())}
            case "POST", ["units", unit, "whatsapp", "connect"]:
                row = self.connect(unit)
                return 201, {"success": True, "connection": {"id": unit, "status": row["status"], "qrCode": row.get("qrCode")}}
            case "GET", ["units", unit, "whatsapp", "status"]:
                return 200, self.store.units[unit]
            case "POST", ["messages"]:
                return self._send(body)
            case "GET", ["conversations"]:
                return 200, {"items": [{"id": "all"}], "nextCursor": None}
            case "GET", ["conversations", _, "messages"]:
                return 200, {"items": self.store.messages, "nextCursor": None}
        return 404, {"error": "Not found"}

    def _send(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.faults.refused_sends:
            return 409, {"error": "WhatsApp not connected for this unit"}
        if self.faults.failing_sends:
            self.counts["failed"] += 1
            return 502, {"error": "The provider refused", "attempts": 3}
        instance = self.faults.swapped_instance or f"unit_{body['unitId']}"
        for _ in range(2 if self.faults.double_sends else 1):
            sent = self.provider.post(f"/message/sendText/{instance}", json={"number": body["phone"], "text": body["message"]})
            if sent.status_code != 201:
                self.counts["failed"] += 1
                return 502, {"error": "The provider refused"}
        with self.lock:
            self.counts["accepted"] += 1
            self.store.messages.append({"content": body["message"]})
        return 200, {"success": True, "messageId": sent.json()["key"]["id"], "internalId": str(uuid.uuid4()), "attempts": 1}

    def _webhook(self, body: dict[str, Any]) -> dict[str, Any]:
        unit = str(body.get("instance", "")).removeprefix("unit_")
        row = self.store.units.get(unit)
        if row is None:
            self.counts["unknown_instance"] += 1
            return {"received": True, "warning": "unknown_instance"}
        now, data = self.clock.now().isoformat(), body.get("data")
        if body["event"] == "connection.update":
            # Deliveries overtake each other: an older event never beats a newer one.
            if str(body["date_time"]) < str(row.get("eventAt", "")):
                return {"success": True, "received": True}
            row["eventAt"] = body["date_time"]
        if body["event"] == "qrcode.updated" and isinstance(data, dict) and not self.faults.frozen_status:
            picture = "data:text/plain,no" if self.faults.broken_qr else data["qrcode"]["base64"]
            row |= {"status": "qr", "reason": "waiting_scan", "qrCode": picture, "lastUpdate": now}
        elif body["event"] == "connection.update" and isinstance(data, dict) and not self.faults.frozen_status:
            if data["state"] == "open":
                known = "connectedAt" in row
                reason = "other" if self.faults.wrong_reason else "reconnected" if known else "scan_completed"
                row |= {"status": "connected", "reason": reason, "connectedAt": now, "qrCode": None, "lastUpdate": now}
                self.counts["status"] += 1
            elif row["status"] == "connected":
                row |= {"status": "connecting", "lastUpdate": now}
                self.counts["flaps"] += 1
        elif body["event"] == "messages.upsert" and isinstance(data, dict) and not data["key"]["fromMe"]:
            self.counts["inbound"] += 1
            if not self.faults.forgets_inbound:
                self.store.messages.append({"content": data["message"]["conversation"]})
        return {"success": True, "received": True}

    def metrics(self) -> str:
        counts = self.counts
        lines = [
            "# TYPE http_requests_total counter",
            *(
                f'http_requests_total{{status="{name.removeprefix("http ")}"}} {value}'
                for name, value in sorted(counts.items())
                if name.startswith("http ")
            ),
            "# TYPE messages_sent_total counter",
            f'messages_sent_total{{class="accepted"}} {counts["accepted"]}',
            f'messages_sent_total{{class="failed"}} {counts["failed"]}',
            "# TYPE messages_total counter",
            f'messages_total{{direction="inbound",status="received"}} {counts["inbound"]}',
            "# TYPE message_retries_total counter",
            f"message_retries_total {counts['retries']}",
            "# TYPE whatsapp_unknown_instance_total counter",
            f"whatsapp_unknown_instance_total {counts['unknown_instance']}",
            "# TYPE provider_throttled_total counter",
            "provider_throttled_total 0",
            "# TYPE connection_flaps_total counter",
            f'connection_flaps_total{{unit="a"}} {counts["flaps"]}',
            "# TYPE queue_oldest_age_seconds gauge",
            "queue_oldest_age_seconds 0",
            "# TYPE campaigns_stuck gauge",
            "campaigns_stuck 0",
        ]
        for name, of in (("inbound_latency_seconds", "inbound"), ("status_latency_seconds", "status")):
            lines.append(f"# TYPE {name} histogram")
            lines += [f'{name}_bucket{{le="{bound}"}} {counts[of]}' for bound in BOUNDS]
            lines += [f"{name}_count {counts[of]}", f"{name}_sum 0.1"]
        lost = self.faults.lost_metric
        return "\n".join(line for line in lines if not lost or lost not in line) + "\n"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *arguments: Any) -> None:
        self.open: list[socket.socket] = []
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.append(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        # A kept connection would go on being served by a release that has been stopped.
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is of no interest here."""


def _handler(backend: Backend) -> type[socketserver.BaseRequestHandler]:
    frozen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 – the name of the base class
            pass

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if backend.faults.down:
                self.close_connection = True
                return
            path, request = self.path.partition("?")[0], uuid.uuid4().hex
            if path == "/metrics":
                text = backend.metrics()
                if backend.faults.frozen_metrics:
                    frozen[:] = frozen or [text]
                    text = frozen[0]
                allowed = self.headers.get("Authorization") == f"Bearer {METRICS}"
                self._reply(200 if allowed else 401, text.encode(), request)
                return
            with backend.lock:
                status, answer = backend.answer(
                    self.command, path, json.loads(data) if data else {}, self.headers.get("Authorization", "")
                )
                backend.counts[f"http {status}"] += 1
                if not backend.faults.silent_log:
                    with backend.log.open("a", encoding="utf-8") as log:
                        line = {"level": "info", "requestId": request, "message": backend.faults.unmasked_log or "answered"}
                        log.write(json.dumps(line) + "\n")
            self._reply(status, json.dumps(answer).encode(), request)

        do_GET = do_POST = _serve  # noqa: N815 – names of the base class

        def _reply(self, status: int, payload: bytes, request: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("X-Request-Id", request)
            self.end_headers()
            self.wfile.write(payload)

    return Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A served backend with its fake and its pace."""

    backend: Backend
    target: Target
    pace: VirtualPace
    evolution: FakeEvolution


@contextlib.contextmanager
def world(folder: Path) -> Iterator[World]:
    clock = VirtualClock()
    with FakeEvolution(key=KEY, clock=clock, control_token=CONTROL, seed=1) as evolution:
        backend = Backend(evolution, clock, folder / "backend.log")
        with backend.serving() as target:
            yield World(backend=backend, target=target, pace=VirtualPace(clock), evolution=evolution)
