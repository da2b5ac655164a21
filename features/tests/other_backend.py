"""A backend that somebody else might have written: from the contract alone, on the standard library, one file, threads and dicts.

It has no campaigns and no event streams, and forgets everything when it ends.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

__all__ = ["OtherBackend"]

EVENTS = ["CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE", "SEND_MESSAGE"]
REASONS = {401: "logged_out", 403: "banned"}
ORDER = ["queued", "sending", "sent", "delivered", "read"]
ACKS = {"SERVER_ACK": "sent", "DELIVERY_ACK": "delivered", "READ": "read", "PLAYED": "read"}
Reply = tuple[int, Any]


class Refused(Exception):
    """An answer that ends the request."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class OtherBackend:
    """Answers at `url` until `close`. `provider` is the Evolution API, `key` its global key, `now` and `sleep` are its clock."""

    def __init__(
        self,
        *,
        provider: str,
        key: str,
        email: str,
        password: str,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._provider, self._key = provider.rstrip("/"), key
        self._now, self._sleep, self._began = now, sleep, now()
        self._lock = threading.RLock()
        self._sending: dict[str, threading.Lock] = {}
        self._people: dict[str, dict[str, Any]] = {
            email: {"id": str(uuid4()), "email": email, "password": password, "role": "super_admin", "unitId": None}
        }
        self._tokens: dict[str, dict[str, Any]] = {}
        self._units: list[dict[str, Any]] = []
        self._connections: dict[str, dict[str, Any]] = {}
        self._contacts: list[dict[str, Any]] = []
        self._conversations: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.answer))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: Any, content: bytes) -> Reply:
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        if parts[:2] == ["webhooks", "whatsapp"] and method == "POST":
            return self._webhook(parts, content)
        try:
            body = json.loads(content or b"{}")
            body = body if isinstance(body, dict) else {}
        except ValueError:
            return 400, {"error": "The body is not JSON"}
        if parts == ["health"]:
            return 200, {"status": "ok", "uptime": self._now() - self._began, "version": "1"}
        if parts == ["admin", "login"]:
            return self._login(body)
        person = self._tokens.get(headers.get("Authorization", "").removeprefix("Bearer "))
        if person is None:
            return 401, {"error": "Sign in first"}
        match [method, *parts]:
            case ["GET", "admin", "units"]:
                self._only_super(person)
                return 200, self._units[::-1]
            case ["POST", "admin", "units"]:
                self._only_super(person)
                unit = {"id": str(uuid4()), "name": body.get("name"), "slug": body.get("slug")}
                self._units.append(unit)
                return 201, unit
            case ["POST", "admin", "users"]:
                self._only_super(person)
                made = {"id": str(uuid4()), **{name: body.get(name) for name in ("name", "email", "password", "role", "unitId")}}
                self._people[str(body.get("email"))] = made
                return 201, {name: value for name, value in made.items() if name != "password"}
            case [_, "units", unit_id, "whatsapp", verb]:
                return self._whatsapp(method, verb, self._own(person, unit_id), body)
            case ["POST", "messages"]:
                return self._send(self._of(person, body), body)
            case ["GET", "messages", item]:
                return 200, _shown(self._found(self._messages, person, item))
            case ["GET", "conversations"]:
                return 200, [item for item in self._conversations if item["unitId"] == person["unitId"]]
            case ["GET", "conversations", item, "messages"]:
                conversation = self._found(self._conversations, person, item)
                return 200, [_shown(one) for one in self._messages if one["conversationId"] == conversation["id"]]
            case ["POST", "contacts"]:
                return 201, self._contact(self._of(person, body), str(body.get("phone")), str(body.get("name")))
            case ["GET", "contacts"]:
                return 200, [item for item in self._contacts if item["unitId"] == person["unitId"]]
        return 404, {"error": "Not found"}

    def _login(self, body: dict[str, Any]) -> Reply:
        email, password = body.get("email"), body.get("password")
        if not isinstance(email, str) or not isinstance(password, str):
            return 400, {"error": "email and password are needed"}
        person = self._people.get(email)
        if person is None or not hmac.compare_digest(person["password"].encode(), password.encode()):
            return 401, {"error": "Wrong email or password"}
        token = secrets.token_urlsafe(24)
        self._tokens[token] = person
        user = {name: person.get(name) for name in ("id", "name", "email", "role", "unitId")}
        return 200, {"user": user, "accessToken": token, "refreshToken": secrets.token_urlsafe(24), "targetUnit": None}

    def _only_super(self, person: dict[str, Any]) -> None:
        if person["role"] != "super_admin":
            raise Refused(403, "Not allowed")

    def _own(self, person: dict[str, Any], unit_id: str) -> str:
        known = any(unit["id"] == unit_id for unit in self._units)
        if not known or (person["role"] != "super_admin" and person["unitId"] != unit_id):
            raise Refused(404, "Not found")
        return unit_id

    def _of(self, person: dict[str, Any], body: dict[str, Any]) -> str:
        return self._own(person, str(body.get("unitId") or person["unitId"]))

    def _found(self, items: list[dict[str, Any]], person: dict[str, Any], item: str) -> dict[str, Any]:
        found = [one for one in items if one["id"] == item and one["unitId"] == person["unitId"]]
        if not found:
            raise Refused(404, "Not found")
        return found[0]

    def _whatsapp(self, method: str, verb: str, unit: str, body: dict[str, Any]) -> Reply:
        connection = self._connections.get(unit)
        match method, verb:
            case "POST", "connect":
                if body.get("provider") != "evolution":
                    return 400, {"error": "Invalid provider"}
                return self._connect(unit)
            case "GET", "status":
                shown = (
                    "status",
                    "reason",
                    "phone",
                    "qrCode",
                    "provider",
                    "connectedAt",
                    "disconnectedAt",
                    "qrUpdatedAt",
                    "lastUpdate",
                )
                return 200, {name: connection[name] for name in shown} if connection else {"status": "not_configured"}
            case "GET", "qrcode" if connection and connection["qrCode"]:
                return 200, {"qrcode": connection["qrCode"], "status": connection["status"]}
            case "DELETE", "disconnect" if connection:
                self._ask("DELETE", f"/instance/logout/unit_{unit}")
                connection.update(status="disconnected", reason="disconnected", disconnectedAt=_now(), qrCode=None)
                return 200, {"success": True}
        return 404, {"error": "Not found"}

    def _connect(self, unit: str) -> Reply:
        with self._lock:
            if unit not in self._connections:
                self._connections[unit] = dict.fromkeys(
                    ("phone", "qrCode", "connectedAt", "disconnectedAt", "qrUpdatedAt", "lastUpdate")
                ) | {
                    "id": str(uuid4()),
                    "status": "connecting",
                    "reason": "initializing",
                    "provider": "evolution",
                    "secret": secrets.token_urlsafe(24),
                }
                connection = self._connections[unit]
                webhook = {
                    "url": f"{self.url}/webhooks/whatsapp/evolution/{connection['secret']}",
                    "events": EVENTS,
                    "byEvents": False,
                    "base64": False,
                }
                order = {"instanceName": f"unit_{unit}", "integration": "WHATSAPP-BAILEYS", "qrcode": True, "webhook": webhook}
                status, made = self._ask("POST", "/instance/create", order)
                if status != 201:
                    del self._connections[unit]
                    return 502, {"error": "The provider refused", "details": status}
                self._show(connection, (made.get("qrcode") or {}).get("base64"))
            connection = self._connections[unit]
            shown = {name: connection[name] for name in ("id", "status", "qrCode")}
            return 201, {"success": True, "connection": shown}

    def _show(self, connection: dict[str, Any], picture: str | None) -> None:
        if picture and connection["status"] != "connected":
            connection.update(status="qr", reason="waiting_scan", qrCode=picture, qrUpdatedAt=_now(), lastUpdate=_now())

    def _send(self, unit: str, body: dict[str, Any]) -> Reply:
        phone = "".join(filter(str.isdigit, str(body.get("phone", ""))))
        text = body.get("message")
        if len(phone) < 10 or not isinstance(text, str) or not text.strip():
            return 422, {"error": "phone and message are needed"}
        phone = phone if len(phone) > 11 else f"55{phone}"
        name = body.get("clientMessageId")
        with self._lock:
            lock = self._sending.setdefault(f"{unit}/{name or uuid4()}", threading.Lock())
        with lock:
            known = [one for one in self._messages if name and (one["unitId"], one["clientMessageId"]) == (unit, name)]
            if known:
                if (known[0]["phone"], known[0]["content"]) != (phone, text):
                    return 422, {"error": "This clientMessageId is that of another message"}
                return 200, known[0]["answer"] | {"deduplicated": True}
            if self._connections.get(unit, {}).get("status") != "connected":
                return 409, {"error": "WhatsApp not connected for this unit"}
            message = self._message(unit, phone, text, sender="agent", status="sending", key="") | {"clientMessageId": name}
            self._messages.append(message)
            status, answer = self._deliver(unit, message)
            message["answer"] = answer
            return status, answer

    def _deliver(self, unit: str, message: dict[str, Any]) -> Reply:
        order = {"number": message["phone"], "text": message["content"]}
        internal = {"internalId": message["id"]}
        for attempt in (1, 2, 3):
            status, said = self._ask("POST", f"/message/sendText/unit_{unit}", order)
            if status == 201:
                message.update(key=said["key"]["id"], status=_later(message["status"], "sent"))
                return 200, {"success": True, "messageId": said["key"]["id"], "attempts": attempt, **internal}
            if status in (0, 429) and attempt < 3:
                self._sleep(float(attempt))
                continue
            if status in (0, 401, 403, 404, 429) or (status == 400 and "exists" in json.dumps(said)):
                message["status"] = "failed"
                return 502, {"error": "Not sent", "details": status, "attempts": attempt, "success": False, **internal}
            message["status"] = "unknown"
            return 202, {"success": True, "status": "unknown", **internal}
        raise AssertionError("three attempts end above")

    def _message(self, unit: str, phone: str, text: str, *, sender: str, status: str, key: str) -> dict[str, Any]:
        with self._lock:
            contact = self._contact(unit, phone, "")
            talks = [one for one in self._conversations if one["contactId"] == contact["id"]]
            if not talks:
                talks = [{"id": str(uuid4()), "unitId": unit, "contactId": contact["id"], "phone": phone, "status": "open"}]
                self._conversations += talks
        return {
            "id": str(uuid4()),
            "unitId": unit,
            "conversationId": talks[0]["id"],
            "phone": phone,
            "content": text,
            "sender": sender,
            "status": status,
            "key": key,
            "clientMessageId": None,
        }

    def _contact(self, unit: str, phone: str, name: str) -> dict[str, Any]:
        with self._lock:
            for one in self._contacts:
                if (one["unitId"], one["phone"]) == (unit, phone):
                    return one
            self._contacts.append({"id": str(uuid4()), "unitId": unit, "phone": phone, "name": name})
            return self._contacts[-1]

    def _webhook(self, parts: list[str], content: bytes) -> Reply:
        provider, secret = (*parts[2:], "", "")[:2]
        if provider != "evolution":
            return 400, {"error": "Invalid provider"}
        try:
            event = json.loads(content)
            instance = str(event.get("instance") or "")
        except (ValueError, AttributeError):
            return 200, {"received": True, "warning": "quarantined"}
        if not instance:
            return 200, {"received": True, "warning": "no_instance"}
        unit = instance.removeprefix("unit_")
        connection = self._connections.get(unit)
        if connection is None or not instance.startswith("unit_"):
            return 200, {"received": True, "warning": "unknown_instance"}
        if not hmac.compare_digest(connection["secret"].encode(), secret.encode()):
            return 401, {"error": "Unknown"}
        return 200, {"success": True, "received": True} | self._heard(unit, connection, event)

    def _heard(self, unit: str, connection: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
        data = event.get("data") or {}
        match event.get("event"):
            case "qrcode.updated":
                self._show(connection, (data.get("qrcode") or {}).get("base64"))
            case "connection.update" if data.get("state") == "open":
                connection.update(
                    status="connected",
                    reason="reconnected" if connection["connectedAt"] else "scan_completed",
                    connectedAt=connection["connectedAt"] or _now(),
                    qrCode=None,
                    phone="".join(filter(str.isdigit, str(data.get("wuid", "")).partition("@")[0])) or None,
                    lastUpdate=_now(),
                )
            case "connection.update" if data.get("state") == "close":
                reason = REASONS.get(int(data.get("statusReason") or 0), "disconnected")
                connection.update(status="disconnected", reason=reason, disconnectedAt=_now(), qrCode=None, lastUpdate=_now())
            case "messages.upsert":
                entries = data if isinstance(data, list) else data.get("messages") or [data]
                stored = [self._inbound(unit, entry) for entry in entries]
                return {} if any(stored) else {"duplicate": True}
            case "messages.update":
                for entry in data if isinstance(data, list) else [data]:
                    key = entry.get("keyId") or (entry.get("key") or {}).get("id")
                    for one in self._messages:
                        if one["unitId"] == unit and one["key"] == key:
                            one["status"] = _later(one["status"], ACKS.get(str(entry.get("status")), ""))
        return {}

    def _inbound(self, unit: str, entry: dict[str, Any]) -> bool:
        key, said = entry.get("key") or {}, entry.get("message") or {}
        sender = str(key.get("remoteJid", ""))
        if key.get("fromMe") or not sender.endswith("@s.whatsapp.net"):
            return True
        text = said.get("conversation") or (said.get("extendedTextMessage") or {}).get("text") or ""
        with self._lock:
            if any((one["unitId"], one["key"]) == (unit, key.get("id")) for one in self._messages):
                return False
            phone = sender.partition("@")[0]
            self._messages.append(self._message(unit, phone, text, sender="customer", status="received", key=key["id"]))
            return True

    def _ask(self, method: str, path: str, body: Any = None) -> Reply:
        """The provider's answer; status 0 when no byte of the request reached it."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"apikey": self._key, "Content-Type": "application/json"}
        request = urllib.request.Request(self._provider + quote(path), data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode("utf-8", "replace")
        except urllib.error.URLError as error:
            return (0 if isinstance(error.reason, ConnectionRefusedError) else 599), ""
        except OSError:
            return 599, ""


def _later(now: str, then: str) -> str:
    return then if then in ORDER and (now not in ORDER or ORDER.index(then) > ORDER.index(now)) else now


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    return {name: message[name] for name in ("id", "conversationId", "content", "sender", "status")}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _handler(answer: Callable[[str, str, Any, bytes], Reply]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            try:
                status, body = answer(self.command, self.path, self.headers, content)
            except Refused as refused:
                status, body = refused.status, {"error": str(refused)}
            written = json.dumps(body, ensure_ascii=False).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Cache-Control", "no-store")
            self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _handle  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None: ...

    return Handler


if __name__ == "__main__":
    provider, key, email, password = sys.argv[1:]
    backend = OtherBackend(provider=provider, key=key, email=email, password=password)
    print(backend.url, flush=True)  # noqa: T201 - for whoever started it
    threading.Event().wait()
