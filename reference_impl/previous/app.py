"""The release before this one, complete: what runs while the migration is applied, and what a rollback puts back.

It knows the columns of `BASELINE.sql` and no others, and must work unchanged on both schemas. Its weaknesses are the reasons
for the release that replaces it and are kept: one attempt for each message, no idempotency, a status read that writes, a QR
code shown as `connecting`.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import argon2
import httpx
import jwt
from anyio import to_thread
from psycopg import AsyncConnection, Error
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from reference_impl.ports import Clock

__all__ = ["build"]

VERSION = "0.9.0"
EVENTS = ["CONNECTION_UPDATE", "QRCODE_UPDATED", "MESSAGES_UPSERT", "MESSAGES_UPDATE"]
STATES = {"open": "connected", "connecting": "connecting", "close": "disconnected"}
ACKS = {"SERVER_ACK": "sent", "DELIVERY_ACK": "delivered", "READ": "read", "PLAYED": "read"}
ORDER = ["queued", "sent", "delivered", "read"]
TOKEN_LIFE = timedelta(hours=12)
# Verified when nobody has the address, so that an unknown user takes as long as a known one.
NOBODY = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(secrets.token_hex(16))

Row = dict[str, Any]
Connection = AsyncConnection[Row]


class RefusedError(Exception):
    """A request that is answered with `status` and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def build(
    *, database_url: str, evolution_url: str, evolution_key: str, base_url: str, jwt_secret: str, clock: Clock
) -> Starlette:
    """The application as ASGI. Its lifespan opens the pool and the HTTP client.

    `database_url` is a Postgres URL of a login that sees every tenant (this release has no row-level security); `base_url` is
    where the Evolution API reaches this application.
    """
    release = PreviousRelease(database_url, evolution_url, evolution_key, base_url, jwt_secret, clock)
    routes = [
        Route("/health", release.health),
        Route("/ready", release.ready),
        Route("/admin/login", release.login, methods=["POST"]),
        Route("/admin/units", release.units),
        Route("/units/{unit:uuid}/whatsapp/connect", release.connect, methods=["POST"]),
        Route("/units/{unit:uuid}/whatsapp/status", release.status),
        Route("/messages", release.send, methods=["POST"]),
        Route("/messages/{message:uuid}", release.message),
        Route("/webhooks/whatsapp/{provider}/{secret}", release.webhook, methods=["POST"]),
    ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        RefusedError: _refused,
        Error: _unavailable,
        PoolTimeout: _unavailable,
    }
    return Starlette(routes=routes, exception_handlers=handlers, lifespan=release.lifespan)


async def _refused(_: Request, error: Any) -> Response:
    return JSONResponse({"error": str(error)}, status_code=error.status)


async def _unavailable(_: Request, __: Any) -> Response:
    return JSONResponse({"error": "The database cannot be used now"}, status_code=503)


class PreviousRelease:
    """The routes, and what they share."""

    def __init__(
        self, database_url: str, evolution_url: str, evolution_key: str, base_url: str, jwt_secret: str, clock: Clock
    ) -> None:
        conninfo = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=AsyncConnection[Row],
            kwargs={"row_factory": dict_row},
            min_size=1,
            max_size=8,
            timeout=5,
            open=False,
        )
        self._provider = httpx.AsyncClient(
            base_url=evolution_url, headers={"apikey": evolution_key}, timeout=15, verify=evolution_url.startswith("https:")
        )
        self._base_url = base_url.rstrip("/")
        self._jwt_secret = jwt_secret
        self._clock = clock
        self._started = clock.monotonic()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self._provider, self._pool:
            yield

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "uptime": round(self._clock.monotonic() - self._started, 3), "version": VERSION})

    async def ready(self, _: Request) -> Response:
        async with self._pool.connection() as connection:
            await connection.execute("SELECT 1")
        return JSONResponse({"status": "ready", "checks": {"database": "ok"}})

    async def login(self, request: Request) -> Response:
        body = await _json(request)
        email, password = body.get("email"), body.get("password")
        if not isinstance(email, str) or not isinstance(password, str):
            raise RefusedError(400, "email and password are required")
        async with self._pool.connection() as connection:
            user = await _one(connection, "SELECT * FROM users WHERE lower(email) = lower(%s) AND is_active", email)
            unit = await _one(connection, "SELECT * FROM units WHERE slug = %s", str(body.get("unitSlug")))
        if not await to_thread.run_sync(_matches, user["password_hash"] if user else NOBODY, password) or user is None:
            raise RefusedError(401, "Wrong email or password")
        if unit is not None and user["role"] != "super_admin" and user["unit_id"] != unit["id"]:
            raise RefusedError(403, "The user does not belong to this unit")
        unit_id = str(user["unit_id"]) if user["unit_id"] else None
        now = self._clock.now()
        claims = {"sub": str(user["id"]), "role": user["role"], "unitId": unit_id, "iat": now, "exp": now + TOKEN_LIFE}
        return JSONResponse(
            {
                "user": {
                    "id": claims["sub"],
                    "name": user["name"],
                    "email": user["email"],
                    "role": user["role"],
                    "unitId": unit_id,
                },
                "accessToken": jwt.encode(claims, self._jwt_secret, algorithm="HS256"),
                "targetUnit": _unit_view(unit) if unit else None,
            }
        )

    async def units(self, request: Request) -> Response:
        if self._caller(request)["role"] != "super_admin":
            raise RefusedError(403, "Only a super_admin may list units")
        async with self._pool.connection() as connection:
            rows = await (
                await connection.execute("SELECT id, name, slug, created_at FROM units ORDER BY created_at DESC")
            ).fetchall()
        return JSONResponse([_unit_view(row) for row in rows])

    async def connect(self, request: Request) -> Response:
        unit = self._own_unit(request, request.path_params["unit"])
        if (await _json(request)).get("provider") != "evolution":
            raise RefusedError(400, "Invalid provider")
        instance = f"unit_{unit}"
        async with self._pool.connection() as connection:
            if await _one(connection, "SELECT id FROM units WHERE id = %s", unit) is None:
                raise RefusedError(404, "Not found")
            await connection.execute(
                "INSERT INTO unit_whatsapp_connections "
                "(unit_id, provider, instance_id, status, webhook_secret, created_at, updated_at) "
                "VALUES (%(unit)s, 'evolution', %(instance)s, 'connecting', %(secret)s, %(now)s, %(now)s) "
                "ON CONFLICT (unit_id) DO NOTHING",
                {"unit": unit, "instance": instance, "secret": secrets.token_urlsafe(32), "now": self._clock.now()},
            )
            row = await _connection_of(connection, unit)
        hook = {
            "enabled": True,
            "url": f"{self._base_url}/webhooks/whatsapp/evolution/{row['webhook_secret']}",
            "byEvents": False,
            "base64": False,
            "events": EVENTS,
        }
        made = {"instanceName": instance, "integration": "WHATSAPP-BAILEYS", "qrcode": True, "webhook": hook}
        answer = await self._call("POST", "/instance/create", made, accept=(201, 403))
        if answer.status_code == 403:
            await self._call("POST", f"/webhook/set/{instance}", {"webhook": hook})
            answer = await self._call("GET", f"/instance/connect/{instance}")
        state = STATES.get(str(_part(answer, "instance").get("state")), "connecting")
        qr_code = _part(answer, "qrcode").get("base64") or _object(answer).get("base64")
        await self._set_status(unit, state, qr_code=qr_code)
        async with self._pool.connection() as connection:
            row = await _connection_of(connection, unit)
        view = {"id": str(row["id"]), "status": row["status"], "qrCode": row["qr_code"]}
        return JSONResponse({"success": True, "connection": view}, status_code=201)

    async def status(self, request: Request) -> Response:
        unit = self._own_unit(request, request.path_params["unit"])
        async with self._pool.connection() as connection:
            known = await _one(connection, "SELECT id FROM unit_whatsapp_connections WHERE unit_id = %s", unit)
        if known is None:
            return JSONResponse({"status": "not_configured"})
        answer = await self._call("GET", f"/instance/connectionState/unit_{unit}", accept=(200, 404))
        await self._set_status(unit, STATES.get(str(_part(answer, "instance").get("state")), "disconnected"))
        async with self._pool.connection() as connection:
            row = await _connection_of(connection, unit)
        return JSONResponse(
            {
                "status": row["status"],
                "phone": row["phone"],
                "qrCode": row["qr_code"],
                "provider": row["provider"],
                "lastUpdate": row["updated_at"].isoformat(),
            }
        )

    async def send(self, request: Request) -> Response:
        body, caller = await _json(request), self._caller(request)
        phone, text = "".join(filter(str.isdigit, str(body.get("phone", "")))), body.get("message")
        if not 8 <= len(phone) <= 15 or not isinstance(text, str) or not text.strip():
            raise RefusedError(400, "phone and message are required")
        unit = _uuid(body.get("unitId") if caller["role"] == "super_admin" else caller["unitId"])
        async with self._pool.connection() as connection:
            if (await _connection_of(connection, unit))["status"] != "connected":
                raise RefusedError(409, "WhatsApp not connected for this unit")
            message = await self._store(connection, unit, phone, None, "agent", text, "queued", None)
        try:
            sent = await self._call("POST", f"/message/sendText/unit_{unit}", {"number": phone, "text": text}, accept=(201,))
            key = _part(sent, "key").get("id")
        except RefusedError:
            key = None
        async with self._pool.connection() as connection:
            await connection.execute(
                "UPDATE messages SET status = %s, external_id = %s, updated_at = %s WHERE id = %s",
                ["sent" if key else "failed", key, self._clock.now(), message],
            )
        if key is None:
            return JSONResponse({"error": "The message was not sent", "internalId": str(message)}, status_code=502)
        return JSONResponse({"success": True, "messageId": key, "internalId": str(message)})

    async def message(self, request: Request) -> Response:
        caller = self._caller(request)
        query = "SELECT m.*, c.unit_id AS owner FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.id = %s"
        async with self._pool.connection() as connection:
            row = await _one(connection, query, request.path_params["message"])
        if row is None or (caller["role"] != "super_admin" and str(row["owner"]) != caller["unitId"]):
            raise RefusedError(404, "Not found")
        return JSONResponse({"id": str(row["id"]), "sender": row["sender"], "content": row["content"], "status": row["status"]})

    async def webhook(self, request: Request) -> Response:
        if request.path_params["provider"] != "evolution":
            raise RefusedError(400, "Invalid provider")
        body = await _json(request)
        async with self._pool.connection() as connection:
            query = "SELECT * FROM unit_whatsapp_connections WHERE provider = 'evolution' AND instance_id = %s"
            row = await _one(connection, query, str(body.get("instance")))
            if row is None:
                return JSONResponse({"received": True, "warning": "unknown_instance"})
            if not hmac.compare_digest(str(row["webhook_secret"]).encode(), request.path_params["secret"].encode()):
                raise RefusedError(401, "Wrong secret")
            data = body.get("data")
            for entry in data if isinstance(data, list) else [data]:
                if isinstance(entry, dict):
                    await self._receive(connection, row["unit_id"], body.get("event"), entry)
        return JSONResponse({"success": True, "received": True})

    async def _receive(self, connection: Connection, unit: UUID, event: object, data: Row) -> None:
        if event == "connection.update" and data.get("state") in STATES:
            await self._write_status(
                connection, unit, STATES[data["state"]], phone=str(data.get("wuid") or "").partition("@")[0] or None
            )
        elif event == "qrcode.updated" and isinstance(data.get("qrcode"), dict):
            await self._write_status(connection, unit, "connecting", qr_code=data["qrcode"].get("base64"))
        elif event == "messages.update" and data.get("status") in ACKS:
            status = ACKS[data["status"]]
            await connection.execute(
                "UPDATE messages m SET status = %s, updated_at = %s FROM conversations c "
                "WHERE c.id = m.conversation_id AND c.unit_id = %s AND m.external_id = %s AND m.status = ANY (%s)",
                [status, self._clock.now(), unit, data.get("keyId"), ORDER[: ORDER.index(status)]],
            )
        elif event == "messages.upsert":
            key, message = data.get("key") or {}, data.get("message") or {}
            phone, _, server = str(key.get("remoteJid", "")).partition("@")
            text = message.get("conversation") or (message.get("extendedTextMessage") or {}).get("text")
            if server == "s.whatsapp.net" and not key.get("fromMe") and text:
                await self._store(connection, unit, phone, data.get("pushName"), "customer", text, "received", key.get("id"))

    async def _store(
        self,
        connection: Connection,
        unit: UUID,
        phone: str,
        name: str | None,
        sender: str,
        text: str,
        status: str,
        key: str | None,
    ) -> UUID | None:
        """Contact, open conversation and message. None when the message is already there under a unique key of a newer schema."""
        values = {"unit": unit, "phone": phone, "name": name, "now": self._clock.now()}
        await connection.execute(
            "INSERT INTO contacts (unit_id, phone, name, created_at, updated_at) "
            "VALUES (%(unit)s, %(phone)s, %(name)s, %(now)s, %(now)s) ON CONFLICT DO NOTHING",
            values,
        )
        open_one = (
            "SELECT v.id FROM conversations v JOIN contacts t ON t.id = v.contact_id "
            "WHERE t.unit_id = %(unit)s AND t.phone = %(phone)s AND v.status = 'open' ORDER BY v.created_at LIMIT 1"
        )
        conversation = await (await connection.execute(open_one, values)).fetchone()
        if conversation is None:
            made = (
                "INSERT INTO conversations (unit_id, contact_id, status, created_at, updated_at) "
                "SELECT unit_id, id, 'open', %(now)s, %(now)s FROM contacts "
                "WHERE unit_id = %(unit)s AND phone = %(phone)s RETURNING id"
            )
            conversation = await (await connection.execute(made, values)).fetchone()
        cursor = await connection.execute(
            "INSERT INTO messages (conversation_id, sender, content, status, external_id, created_at, updated_at) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
            [conversation and conversation["id"], sender, text, status, key, values["now"], values["now"]],
        )
        stored = await cursor.fetchone()
        await connection.execute(
            "UPDATE conversations SET last_message_at = %s WHERE id = %s", [values["now"], conversation and conversation["id"]]
        )
        return stored["id"] if stored else None

    async def _set_status(self, unit: UUID, status: str, *, qr_code: str | None = None) -> None:
        async with self._pool.connection() as connection:
            await self._write_status(connection, unit, status, qr_code=qr_code)

    async def _write_status(
        self, connection: Connection, unit: UUID, status: str, *, qr_code: str | None = None, phone: str | None = None
    ) -> None:
        await connection.execute(
            "UPDATE unit_whatsapp_connections SET status = %(status)s, phone = coalesce(%(phone)s, phone), updated_at = %(now)s, "
            "qr_code = CASE WHEN %(status)s = 'connecting' THEN coalesce(%(qr)s, qr_code) END WHERE unit_id = %(unit)s",
            {"status": status, "phone": phone, "qr": qr_code, "now": self._clock.now(), "unit": unit},
        )

    async def _call(
        self, method: str, path: str, body: Row | None = None, *, accept: tuple[int, ...] = (200, 201)
    ) -> httpx.Response:
        try:
            answer = await self._provider.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise RefusedError(503, "The provider cannot be reached") from error
        if answer.status_code not in accept:
            raise RefusedError(502, f"The provider answered {answer.status_code}")
        return answer

    def _caller(self, request: Request) -> Row:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            # The times are judged on the injected clock, below.
            claims: Row = jwt.decode(
                token if scheme == "Bearer" else "",
                self._jwt_secret,
                algorithms=["HS256"],
                options={"verify_exp": False, "verify_iat": False, "require": ["exp", "sub"]},
            )
        except jwt.InvalidTokenError:
            raise RefusedError(401, "Not logged in") from None
        if claims["exp"] <= self._clock.now().timestamp() or not {"role", "unitId"} <= claims.keys():
            raise RefusedError(401, "Not logged in")
        return claims

    def _own_unit(self, request: Request, unit: UUID) -> UUID:
        caller = self._caller(request)
        if caller["role"] != "super_admin" and caller["unitId"] != str(unit):
            raise RefusedError(404, "Not found")
        return unit


async def _one(connection: Connection, query: Any, value: object) -> Row | None:
    return await (await connection.execute(query, [value])).fetchone()


async def _connection_of(connection: Connection, unit: UUID) -> Row:
    row = await _one(connection, "SELECT * FROM unit_whatsapp_connections WHERE unit_id = %s", unit)
    if row is None:
        raise RefusedError(409, "WhatsApp not connected for this unit")
    return row


async def _json(request: Request) -> Row:
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise RefusedError(400, "The body is not JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "The body is not a JSON object")
    return body


def _part(answer: httpx.Response, name: str) -> Row:
    """The object `name` of an answer, empty when there is none."""
    part = _object(answer).get(name)
    return part if isinstance(part, dict) else {}


def _object(answer: httpx.Response) -> Row:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _matches(password_hash: str, password: str) -> bool:
    try:
        return argon2.PasswordHasher().verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _uuid(value: object) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise RefusedError(400, "unitId is required") from None


def _unit_view(row: Row) -> Row:
    return {"id": str(row["id"]), "name": row["name"], "slug": row["slug"]}
