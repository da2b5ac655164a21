"""Each scenario finds the bug it is there for, and says what it expected and what it saw instead.

One test, one planted bug, one scenario: the reference backend behind a proxy that misbehaves in one way.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest

from features.tests.saboteur import Call, Forward, Reply, Sabotaged, Saboteur, prepared
from gate.journal import Journal
from gate.model import Outcome, Status
from harness.clock import VirtualClock
from harness.scenarios import run
from harness.target import Target

pytestmark = pytest.mark.process

Try = Callable[[Target, str], Outcome]


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Sabotaged]:
    with prepared(tmp_path / "system") as sabotaged:
        yield sabotaged


@pytest.fixture
def attempt(tmp_path: Path) -> Try:
    """Runs one scenario and returns its outcome."""

    def attempt(target: Target, slug: str) -> Outcome:
        journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "sabotaged"})
        [outcome] = run(target, journal, log=tmp_path / "scenarios.log", tags=[f"@id:{slug}"], time_limit_s=60.0)
        assert outcome.id == f"scenario.{slug}"
        return outcome

    return attempt


async def _honest(call: Call, forward: Forward) -> Reply:
    return await forward(call)


def _found(behind: Sabotaged, attempt: Try, saboteur: Saboteur, slug: str, *reasons: str) -> None:
    with behind.by(saboteur) as target:
        outcome = attempt(target, slug)
    assert outcome.status is Status.FAIL, f"{outcome.status}: {outcome.reason}"
    for reason in reasons:
        assert reason in outcome.reason


def test_the_proxy_itself_breaks_nothing(behind: Sabotaged, tmp_path: Path) -> None:
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "honest"})
    with behind.by(_honest) as target:
        outcomes = run(target, journal, log=tmp_path / "scenarios.log", tags=["@seed"], time_limit_s=120.0)
    assert {outcome.id: (outcome.status, outcome.reason) for outcome in outcomes if outcome.status is not Status.PASS} == {}
    assert len(outcomes) == 9
    written = "".join((tmp_path / name).read_text() for name in ("journal.jsonl", "scenarios.log", "scenarios.ndjson"))
    assert re.findall(r"\b55119\d{8}\b|eyJ[\w-]{8,}|/webhooks/whatsapp/evolution/(?!\[MASKED\])", written) == []
    assert [name for name, secret in behind.system.secrets.items() if secret in written] == []


def test_what_a_real_provider_hides_is_inconclusive_and_never_a_pass(behind: Sabotaged, attempt: Try) -> None:
    with behind.by(_honest) as target:
        outcome = attempt(dataclasses.replace(target, evolution_url="", control_token=""), "inbound-stored-once")
    assert outcome.status is Status.INCONCLUSIVE
    assert "no fake provider" in outcome.reason


def test_hours_that_cannot_pass_are_inconclusive_and_never_a_pass(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        # A backend that goes by the machine's clock does not age when the provider's is moved.
        return reply.with_json(reply.json() | {"uptime": 1.0}) if call.path == "/health" else reply

    with behind.by(saboteur) as target:
        outcome = attempt(target, "inbound-stored-once")
    assert outcome.status is Status.INCONCLUSIVE
    assert "When 6 minutes pass" in outcome.reason
    assert "this was not looked at" in outcome.reason


def test_a_control_plane_that_refuses_us_is_an_error(behind: Sabotaged, attempt: Try) -> None:
    with behind.by(_honest) as target:
        outcome = attempt(dataclasses.replace(target, control_token="not-the-token"), "scan-connects")
    assert outcome.status is Status.ERROR
    assert "X-Fake-Token" in outcome.reason


def test_a_webhook_secret_that_nobody_verifies_is_found(behind: Sabotaged, attempt: Try) -> None:
    good: list[str] = []

    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if call.path.startswith("/webhooks/") and reply.status == 200:
            good.append(call.path)
        if call.path.startswith("/webhooks/") and reply.status == 401:
            return await forward(dataclasses.replace(call, path=good[-1]))
        return reply

    _found(behind, attempt, saboteur, "connect-generates-qr", "it is turned away")


def test_a_picture_that_is_no_qr_code_is_found(behind: Sabotaged, attempt: Try) -> None:
    # One transparent pixel.
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="

    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if not call.path.endswith("/connect"):
            return reply
        body = reply.json()
        body["connection"]["qrCode"] = f"data:image/png;base64,{pixel}"
        return reply.with_json(body)

    _found(behind, attempt, saboteur, "connect-generates-qr", "one code that a phone can read", "saw 0 codes")


def test_a_connection_that_only_a_poll_notices_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.path.startswith("/webhooks/") and call.json()["event"] == "connection.update":
            return Reply.of(200, {"received": True})
        return await forward(call)

    _found(behind, attempt, saboteur, "scan-connects", "connected within 5 s")


def test_a_text_that_is_normalised_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.path.startswith("/webhooks/") and call.json()["event"] == "messages.upsert":
            body = call.json()
            body["data"]["message"]["conversation"] = unicodedata.normalize("NFC", body["data"]["message"]["conversation"])
            return await forward(call.with_json(body))
        return await forward(call)

    _found(behind, attempt, saboteur, "inbound-creates-conversation", "byte for byte", "the text, from byte")


def test_a_key_that_includes_the_time_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.path.startswith("/webhooks/") and call.json()["event"] == "messages.upsert":
            body = call.json()
            body["data"]["key"]["id"] += str(body["data"]["messageTimestamp"])
            return await forward(call.with_json(body))
        return await forward(call)

    _found(behind, attempt, saboteur, "inbound-stored-once", "the message is stored once")


def test_a_message_that_is_forgotten_after_five_minutes_is_found(behind: Sabotaged, attempt: Try) -> None:
    first: dict[str, float] = {}

    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.path.startswith("/webhooks/") and call.json()["event"] == "messages.upsert":
            body, now = call.json(), behind.system.clock.monotonic()
            key = body["data"]["key"]["id"]
            if now - first.setdefault(key, now) > 300:
                body["data"]["key"]["id"] = f"{key}-{now:.0f}"
            return await forward(call.with_json(body))
        return await forward(call)

    _found(behind, attempt, saboteur, "inbound-stored-once", "the message is stored once", "changed")


def test_a_message_that_is_sent_again_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.method == "POST" and call.path == "/messages":
            body = call.json()
            del body["clientMessageId"]
            reply = await forward(call.with_json(body))
            return reply.with_json(reply.json() | {"deduplicated": True})
        return await forward(call)

    _found(behind, attempt, saboteur, "outbound-sent-once", "first answer is given again")


def test_a_campaign_that_sends_too_fast_is_found(behind: Sabotaged, attempt: Try) -> None:
    with behind.by(_honest, clock=cast(VirtualClock, _HastyClock(behind.system.clock))) as target:
        outcome = attempt(target, "campaign-one-after-the-other")
    assert outcome.status is Status.FAIL
    assert "the shortest time between two sends: expected at least 2 s" in outcome.reason


def test_a_customer_who_gets_a_campaign_twice_is_found(behind: Sabotaged, attempt: Try) -> None:
    contacts: list[str] = []
    texts: list[str] = []

    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.method == "POST" and call.path == "/contacts":
            contacts.append(call.json()["phone"])
        if call.method == "POST" and call.path == "/api/campaigns":
            texts.append(call.json()["content"])
        if call.path.endswith("/dispatch"):
            order = {"phone": contacts[0], "message": texts[0]}
            headers = {**call.headers, "content-type": "application/json"}
            await forward(dataclasses.replace(call, path="/messages", headers=headers).with_json(order))
        return await forward(call)

    _found(behind, attempt, saboteur, "campaign-one-after-the-other", "exactly once", "texts that customer ****")


def test_any_provider_that_is_let_in_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        if call.path.startswith("/webhooks/"):
            return await forward(dataclasses.replace(call, path=f"/webhooks/whatsapp/evolution/{call.path.rsplit('/', 1)[-1]}"))
        return await forward(call)

    _found(behind, attempt, saboteur, "invalid-provider-refused", "expected 400, saw 200")


def test_an_unknown_instance_that_is_an_error_is_found(behind: Sabotaged, attempt: Try) -> None:
    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if b"unknown_instance" in reply.body:
            return Reply.of(404, {"error": "Not found"})
        return reply

    _found(behind, attempt, saboteur, "unknown-instance-tolerated", "expected 200, saw 404")


def test_an_unknown_instance_whose_message_is_stored_is_found(behind: Sabotaged, attempt: Try) -> None:
    known: list[str] = []

    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if call.path.startswith("/webhooks/"):
            known.append(call.json()["instance"])
        if b"unknown_instance" in reply.body:
            # The one connected unit takes what nobody owns.
            await forward(call.with_json(call.json() | {"instance": known[0]}))
        return reply

    _found(behind, attempt, saboteur, "unknown-instance-tolerated", "none of these messages is stored", "expected 0, saw")


@pytest.mark.parametrize(
    ("method", "route"),
    [("GET", "/conversations/"), ("POST", "/cancel"), ("DELETE", "/disconnect")],
)
def test_a_route_without_its_unit_filter_is_found(behind: Sabotaged, attempt: Try, method: str, route: str) -> None:
    tokens: list[str] = []

    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        token = call.headers.get("authorization", "")
        if token and token not in tokens:
            tokens.append(token)
        if call.method == method and route in call.path and reply.status in (403, 404):
            for other in tokens:
                granted = await forward(dataclasses.replace(call, headers={**call.headers, "authorization": other}))
                if granted.status < 400:
                    return granted
        return reply

    _found(behind, attempt, saboteur, "tenants-isolated", "on the other unit's", "saw 200")


def test_a_list_that_shows_the_other_unit_is_found(behind: Sabotaged, attempt: Try) -> None:
    seen: dict[str, list[dict[str, object]]] = {}

    async def saboteur(call: Call, forward: Forward) -> Reply:
        reply = await forward(call)
        if call.method == "GET" and call.path == "/contacts" and reply.status == 200:
            body = reply.json()
            items = next(value for value in body.values() if isinstance(value, list))
            seen[call.headers["authorization"]] = list(items)
            items += [entry for token, entries in seen.items() if token != call.headers["authorization"] for entry in entries]
            return reply.with_json(body)
        return reply

    _found(behind, attempt, saboteur, "tenants-isolated", "nothing of the other unit")


class _HastyClock:
    """A clock that runs four times as fast as the provider's."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._began = clock.now()

    def now(self) -> datetime:
        return self._began + 4 * (self._clock.now() - self._began)

    def monotonic(self) -> float:
        return 4 * self._clock.monotonic()

    def ahead(self) -> float:
        return self._clock.ahead() + (self.now() - self._clock.now()).total_seconds()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds / 4)

    async def limit(self, seconds: float) -> None:
        await self._clock.limit(seconds / 4)
