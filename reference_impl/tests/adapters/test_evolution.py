from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from harness.clock import VirtualClock
from reference_impl.adapters.evolution import EvolutionProvider, classify_send, retry_after_s
from reference_impl.adapters.metrics import PrometheusMetrics
from reference_impl.domain.errors import ProviderFailedError, ProviderUnavailableError
from reference_impl.domain.messages import CallOutcome, OutcomeClass

ACCEPTED = {"key": {"remoteJid": "5511988887777@s.whatsapp.net", "fromMe": True, "id": "3EB0"}, "status": "PENDING"}


def refusal(status: int, message: Any) -> dict[str, Any]:
    return {"status": status, "error": "x", "response": {"message": message}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, ACCEPTED, OutcomeClass.ACCEPTED),
        (201, {}, OutcomeClass.UNKNOWN),
        (201, None, OutcomeClass.UNKNOWN),
        (201, {"key": {"id": ""}}, OutcomeClass.UNKNOWN),
        (201, {"key": {"id": 5}}, OutcomeClass.UNKNOWN),
        (200, None, OutcomeClass.UNKNOWN),
        (429, None, OutcomeClass.THROTTLED),
        (400, refusal(400, [{"jid": "x", "exists": False, "number": "1"}]), OutcomeClass.REJECTED),
        (400, refusal(400, [['instance requires property "text"']]), OutcomeClass.REJECTED),
        (400, {"status": 400, "error": "Bad Request", "message": [["numbers"]]}, OutcomeClass.REJECTED),
        (400, refusal(400, ["Error: Connection Closed"]), OutcomeClass.UNKNOWN),
        (400, refusal(400, ["Error: Timed Out"]), OutcomeClass.UNKNOWN),
        (400, None, OutcomeClass.UNKNOWN),
        (400, refusal(400, []), OutcomeClass.UNKNOWN),
        (401, refusal(401, "Unauthorized"), OutcomeClass.REFUSED),
        (403, refusal(403, ["Forbidden"]), OutcomeClass.REFUSED),
        (404, refusal(404, ['The "x" instance does not exist']), OutcomeClass.REFUSED),
        (404, None, OutcomeClass.UNKNOWN),
        (302, None, OutcomeClass.UNKNOWN),
        (500, refusal(500, "Connection Closed"), OutcomeClass.UNKNOWN),
        (503, None, OutcomeClass.UNKNOWN),
    ],
)
def test_an_answer_proves_what_the_contract_says(status: int, body: Any, kind: OutcomeClass) -> None:
    assert classify_send(status, body, None).kind is kind


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("7200", 7200.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
        ("\u0667", None),
        ("5, 10", None),
        ("999999999", 86_400.0),
        ("9" * 400, 86_400.0),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90.0),
        ("Monday, 23-Nov-26 12:01:30 GMT", 90.0),
        ("Mon Nov 23 12:01:30 2026", 90.0),
        ("Mon, 23 Nov 2026 09:01:30 -0300", 90.0),
        ("Mon, 23 Nov 2026 11:59:00 GMT", 0.0),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 86_400.0),
        ("Mon, 99 Nov 2026 12:01:30 GMT", None),
    ],
)
def test_a_pause_is_read_in_every_form(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, datetime(2026, 11, 23, 12, tzinfo=UTC)) == seconds


async def _against(
    answer: bytes | None, *, reset: bool = False, timeout_s: float = 15.0, jump_s: float = 0.0
) -> tuple[CallOutcome, bytes]:
    """The outcome of one send to a server that answers with these bytes (None: never), and what it received."""
    clock = VirtualClock()
    received = bytearray()
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readuntil(b"\r\n\r\n"))
        asked.set()
        if answer is not None:
            writer.write(answer)
            await writer.drain()
        if answer is not None or reset:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    provider = EvolutionProvider(
        url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
        key="GLOBAL",
        clock=clock,
        metrics=PrometheusMetrics(),
        timeout_s=timeout_s,
    )
    await provider.open()
    try:
        sending = asyncio.ensure_future(provider.send_text("unit_x", number="5511988887777", text="x"))
        await asked.wait()
        clock.advance(jump_s)
        return await sending, bytes(received)
    finally:
        await provider.close()
        server.close()
        await server.wait_closed()


def an_answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


GOOD = an_answer("201 Created", json.dumps(ACCEPTED).encode(), "Content-Type: application/json")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (GOOD, OutcomeClass.ACCEPTED),
        (GOOD[:-5], OutcomeClass.UNKNOWN),
        (an_answer("200 OK", b"<!DOCTYPE html>"), OutcomeClass.UNKNOWN),
        (an_answer("201 Created", b"\x1f\x8bgarbage", "Content-Encoding: gzip"), OutcomeClass.UNKNOWN),
        (an_answer("201 Created", b"{" + b" " * (3 * 1024 * 1024) + b"}"), OutcomeClass.UNKNOWN),
        (b"garbage\r\n\r\n", OutcomeClass.UNKNOWN),
        (b"", OutcomeClass.UNKNOWN),
    ],
)
def test_a_broken_answer_is_never_taken_for_a_send_or_a_failure(answer: bytes, kind: OutcomeClass) -> None:
    outcome, _ = asyncio.run(_against(answer))
    assert outcome.kind is kind


def test_a_redirect_is_not_followed() -> None:
    outcome, received = asyncio.run(_against(an_answer("302 Found", b"", "Location: http://169.254.169.254/latest")))
    assert outcome.kind is OutcomeClass.UNKNOWN
    assert received.count(b"HTTP/1.1") == 1


def test_a_call_without_answer_ends_on_the_clock_and_is_doubtful() -> None:
    outcome, _ = asyncio.run(_against(None, jump_s=16))
    assert (outcome.kind, outcome.detail) == (OutcomeClass.UNKNOWN, "timeout")


def test_a_jump_of_the_clock_does_not_cut_off_an_answer_that_is_on_its_way() -> None:
    outcome, _ = asyncio.run(_against(GOOD, jump_s=3600))
    assert outcome.kind is OutcomeClass.ACCEPTED


def test_a_refused_connection_is_certainly_not_a_send() -> None:
    async def run() -> CallOutcome:
        provider = EvolutionProvider(url="http://127.0.0.1:1", key="k", clock=VirtualClock(), metrics=PrometheusMetrics())
        await provider.open()
        try:
            with pytest.raises(ProviderUnavailableError):
                await provider.state("unit_x")
            return await provider.send_text("unit_x", number="5511988887777", text="x")
        finally:
            await provider.close()

    assert asyncio.run(run()).kind is OutcomeClass.NOT_SENT


def test_a_name_cannot_leave_its_place_in_the_path() -> None:
    async def run() -> bytes:
        seen = bytearray()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.extend(await reader.readuntil(b"\r\n"))
            writer.write(an_answer("500 X", b"{}"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        provider = EvolutionProvider(url=url, key="k", clock=VirtualClock(), metrics=PrometheusMetrics())
        await provider.open()
        try:
            with pytest.raises(ProviderFailedError):
                await provider.logout("../x?instanceName=y")
        finally:
            await provider.close()
            server.close()
            await server.wait_closed()
        return bytes(seen)

    assert asyncio.run(run()).startswith(b"DELETE /instance/logout/..%2Fx%3FinstanceName%3Dy HTTP/1.1")
