"""An ASGI layer that says the same in other words: what comes in is translated for the application, what goes out for clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote_to_bytes

__all__ = ["Translation", "in_json"]

Words = Callable[[bytes], bytes]


def in_json(change: Callable[[dict[str, Any]], dict[str, Any] | bytes | None]) -> Words:
    """Words that are a JSON object become the object or the bytes that `change` makes of it; for None they stay, as others do."""

    def translate(body: bytes) -> bytes:
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return body
        changed = change(document) if isinstance(document, dict) else None
        if isinstance(changed, dict):
            return json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return body if changed is None else changed

    return translate


class Translation:
    """`inward` gets paths, queries and bodies, `outward` bodies and what streams; without `webhooks` those are left alone."""

    def __init__(
        self,
        app: Any,
        *,
        inward: Words = lambda words: words,
        outward: Words = lambda words: words,
        status: Callable[[str, int], int] = lambda _, status: status,
        webhooks: bool = True,
    ) -> None:
        self._app = app
        self._inward = inward
        self._outward = outward
        self._status = status
        self._webhooks = webhooks

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or (not self._webhooks and scope["path"].startswith("/webhooks/")):
            await self._app(scope, receive, send)
            return
        path = self._inward(scope["path"].encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
        raw = quote(self._inward(unquote_to_bytes(scope.get("raw_path", b""))), safe="/%:@").encode()
        query = self._inward(scope["query_string"]) if scope["query_string"] else b""
        body, taken = b"", False

        async def translated() -> Any:
            nonlocal body, taken
            if taken:
                return await receive()
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            taken = True
            return {"type": "http.request", "body": self._inward(body) if body else b""}

        answer = _Answer(send, self._outward, lambda status: self._status(path, status))
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        length = [(name, value) for name, value in scope["headers"] if name == b"content-length"]
        if length and length[0][1].isdigit() and int(length[0][1]) < 1_000_000:
            first = await translated()
            if first["type"] == "http.request":
                headers.append((b"content-length", str(len(first["body"])).encode()))
            waiting = [first]

            async def again() -> Any:
                return waiting.pop() if waiting else await receive()

            await self._app({**scope, "path": path, "raw_path": raw, "query_string": query, "headers": headers}, again, answer)
            return
        await self._app({**scope, "path": path, "raw_path": raw, "query_string": query}, receive, answer)


class _Answer:
    """Holds an answer back until it is whole, because its length changes; a stream is translated piece by piece."""

    def __init__(self, send: Any, outward: Words, status: Callable[[int], int]) -> None:
        self._send = send
        self._outward = outward
        self._status = status
        self._start: dict[str, Any] = {}
        self._body = b""
        self._streams = False

    async def __call__(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._start = dict(message)
            self._streams = any(
                value.startswith(b"text/event-stream") for name, value in message["headers"] if name == b"content-type"
            )
            if self._streams:
                await self._send(message)
            return
        if self._streams:
            await self._send({**message, "body": self._outward(message.get("body", b""))})
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        body = self._outward(self._body) if self._body else b""
        headers = [(name, value) for name, value in self._start["headers"] if name != b"content-length"]
        status = self._status(self._start["status"])
        await self._send({**self._start, "status": status, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await self._send({"type": "http.response.body", "body": body})
