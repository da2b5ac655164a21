"""The applications that the fake is measured against, each on the fake's own server: `python -m harness.benchmarks.apps NAME`.

Each takes the body of a sendText, answers 201 with a body of the fake's size, and keeps nothing. Prints its address when ready.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import uvicorn

__all__ = ["ANSWER", "APPLICATIONS"]

ANSWER = {
    "key": {"remoteJid": "5511988887777@s.whatsapp.net", "fromMe": True, "id": "3EB05E642E6B093D0CDA95"},
    "pushName": "Você",
    "status": "PENDING",
    "message": {"conversation": "A text of the benchmark, as long as a short message is"},
    "contextInfo": {
        "mentionedJid": [],
        "groupMentions": [],
        "ephemeralSettingTimestamp": {"low": 1795184325, "high": 0, "unsigned": False},
        "disappearingMode": {"initiator": 0},
    },
    "messageType": "conversation",
    "messageTimestamp": 1795357125,
    "instanceId": "a21e709b-6d55-4a4f-9a0c-2f1f0f7d6d11",
    "source": "web",
}
_PATH = "/message/sendText/{name}"


def bare() -> Any:
    """Reads the body and answers bytes: what the server alone costs."""
    body = json.dumps(ANSWER, ensure_ascii=False, separators=(",", ":")).encode()
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(body)).encode())]

    async def app(_: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def starlette() -> Any:
    """Routes, parses the body and writes the answer as JSON."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    async def send_text(request: Request) -> Response:
        body = msgspec.json.decode(await request.body())
        answer = {**ANSWER, "message": {"conversation": body["text"]}}
        return Response(msgspec.json.encode(answer), status_code=201, media_type="application/json")

    return Starlette(routes=[Route(_PATH, send_text, methods=["POST"])])


def fastapi() -> Any:
    """The same, with a validated body."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Text(BaseModel):
        number: str
        text: str
        delay: int | None = None

    app = FastAPI()

    async def send_text(name: str, body: Text) -> dict[str, Any]:  # noqa: ARG001 - a path parameter
        return {**ANSWER, "message": {"conversation": body.text}}

    # Resolved by hand: the framework looks for the annotations' names in the module.
    send_text.__annotations__ = {"name": str, "body": Text, "return": dict[str, Any]}
    app.post(_PATH, status_code=201)(send_text)
    return app


APPLICATIONS: dict[str, Callable[[], Any]] = {"bare ASGI": bare, "Starlette + msgspec": starlette, "FastAPI": fastapi}


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201


def main(name: str) -> None:
    config = uvicorn.Config(
        APPLICATIONS[name](),
        port=0,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_Server(config).serve())


if __name__ == "__main__":
    main(sys.argv[1])
