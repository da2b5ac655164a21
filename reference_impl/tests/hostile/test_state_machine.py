"""Connection, messages and campaigns of one unit against a model, in any order, on the clock of the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from reference_impl.tests.system.conftest import PASSWORD, System, Unit, _running

TEXTS = st.sampled_from(["one", "two", "ação 👍🏽"])
KEYS = st.sampled_from(["a", "b", "c", None])
PLACES = st.integers(0, 2)
# What the provider does to a send: whether the message is out, and what the backend may claim at once.
WAYS = st.sampled_from(["well", "well", "throttled once", "throttled", "error after sending", "not on WhatsApp"])


@dataclass(slots=True)
class Sent:
    """What the model knows of one message: how many of it WhatsApp has, and what is owed to whoever asks again."""

    id: str
    phone: str
    text: str
    out: int
    statuses: frozenset[str]


@dataclass(slots=True)
class Campaign:
    id: str
    phones: list[str]
    over: bool = False
    begun: bool = False


@dataclass(slots=True)
class Model:
    """The unit as it should be."""

    connection: str = "not_configured"
    keyed: dict[str, Sent] = field(default_factory=dict)
    messages: list[Sent] = field(default_factory=list)
    campaigns: list[Campaign] = field(default_factory=list)


PROVEN = frozenset({"sent", "delivered", "read"})


def machine(system: System) -> type[RuleBasedStateMachine]:
    """The machine for a running system; each run of it has a unit of its own."""

    class Unitary(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            system.control.withdraw()
            self.unit: Unit = system.unit()
            self.phones = [system.number() for _ in range(3)]
            self.model = Model()

        def ask(self, method: str, path: str, body: Any = None) -> Any:
            answer = self.unit.request(method, path, body)
            if answer.status_code == 401:
                # Time is cheap here, and tokens get old.
                self.unit.headers = system.login(self.unit.email, PASSWORD)
                answer = self.unit.request(method, path, body)
            assert answer.status_code < 500 or answer.status_code == 502, answer.text
            return answer

        def status(self) -> Any:
            return self.ask("GET", f"{self.unit.whatsapp}/status").json()

        @rule()
        def connect(self) -> None:
            answer = self.ask("POST", f"{self.unit.whatsapp}/connect", {"provider": "evolution", "credentials": {}})
            assert answer.status_code == 201, answer.text
            if self.model.connection != "connected":
                self.model.connection = "qr"
            assert answer.json()["connection"]["status"] == self.model.connection
            named = [call["body"]["instanceName"] for call in system.control.requests(path="/instance/create")]
            assert named.count(self.unit.instance) <= 1

        @precondition(lambda self: self.model.connection == "qr")
        @rule()
        def scan(self) -> None:
            system.control.scan(self.unit.instance, phone=self.unit.phone, profile_name="Unit")
            self.model.connection = "connected"
            system.eventually(lambda: self.status()["status"] == "connected" or None)

        @precondition(lambda self: self.model.connection == "connected")
        @rule()
        def log_out_on_the_phone(self) -> None:
            system.control.close(self.unit.instance, 401)
            self.model.connection = "disconnected"
            system.eventually(lambda: self.status()["status"] == "disconnected" or None)

        @precondition(lambda self: self.model.connection in ("connected", "qr"))
        @rule()
        def disconnect(self) -> None:
            assert self.ask("DELETE", f"{self.unit.whatsapp}/disconnect").status_code == 200
            self.model.connection = "disconnected"

        @rule(place=PLACES, text=TEXTS, key=KEYS, way=WAYS)
        def send(self, place: int, text: str, key: str | None, way: str) -> None:
            phone = self.phones[place]
            known = self.model.keyed.get(key) if key is not None else None
            fresh = known is None and self.model.connection == "connected"
            before = len(self.unit.calls())
            if fresh:
                self.misbehave(way, phone)
            body = {"phone": phone, "message": text} | ({"clientMessageId": key} if key is not None else {})
            answer = self.ask("POST", "/messages", body)
            system.control.withdraw()
            calls = len(self.unit.calls()) - before
            told = answer.json()
            if known is not None and (known.phone, known.text) != (phone, text):
                assert (answer.status_code, calls) == (422, 0)
            elif known is not None:
                assert calls == 0, "a repeated request sends nothing"
                assert (told["internalId"], told["deduplicated"]) == (known.id, True)
            elif not fresh:
                assert (answer.status_code, calls) == (409, 0)
            else:
                self.remember(answer, calls, way, key, Sent(told["internalId"], phone, text, 1, PROVEN))

        def misbehave(self, way: str, phone: str) -> None:
            route, instance = "message/sendText", self.unit.instance
            match way:
                case "throttled once":
                    system.control.inject("rate-limited", instance=instance, route=route, number=phone, count=1, seconds=1)
                case "throttled":
                    system.control.inject("rate-limited", instance=instance, route=route, number=phone, seconds=1)
                case "error after sending":
                    system.control.inject("send-error-after-sending", instance=instance, count=1)
                case "not on WhatsApp":
                    system.control.whatsapp(missing=[phone])

        def remember(self, answer: Any, calls: int, way: str, key: str | None, sent: Sent) -> None:
            match way:
                case "well":
                    assert (answer.status_code, calls) == (200, 1), answer.text
                case "throttled once":
                    assert (answer.status_code, calls) == (200, 2), answer.text
                case "throttled":
                    assert (answer.status_code, calls) == (502, 3), answer.text
                    sent.out, sent.statuses = 0, frozenset({"failed"})
                case "error after sending":
                    assert calls == 1
                    assert answer.status_code in (200, 202), answer.text
                    sent.statuses = PROVEN | {"unknown"}
                case "not on WhatsApp":
                    system.control.whatsapp(missing=[])
                    assert (answer.status_code, calls) == (502, 1), answer.text
                    sent.out, sent.statuses = 0, frozenset({"failed"})
            self.model.messages.append(sent)
            if key is not None:
                self.model.keyed[key] = sent

        @precondition(lambda self: len(self.model.campaigns) < 2)
        @rule(recipients=st.integers(1, 3))
        def make_campaign(self, recipients: int) -> None:
            phones = [system.number() for _ in range(recipients)]
            ids = [self.ask("POST", "/contacts", {"phone": phone}).json()["id"] for phone in phones]
            answer = self.ask("POST", "/api/campaigns", {"name": "n", "content": "news", "contactIds": ids * 2})
            assert (answer.status_code, answer.json()["counts"]["total"]) == (201, recipients)
            self.model.campaigns.append(Campaign(answer.json()["id"], phones))

        @precondition(lambda self: bool(self.model.campaigns))
        @rule(which=st.integers(0, 1), verb=st.sampled_from(["dispatch", "pause", "resume", "cancel", "dispatch"]))
        def change_campaign(self, which: int, verb: str) -> None:
            campaign = self.model.campaigns[which % len(self.model.campaigns)]
            answer = self.ask("POST", f"/api/campaigns/{campaign.id}/{verb}")
            assert answer.status_code in (200, 409), answer.text
            if verb == "dispatch" and self.model.connection != "connected" and not campaign.begun and not campaign.over:
                assert answer.status_code == 409
            campaign.begun = campaign.begun or (verb == "dispatch" and answer.status_code == 200)
            campaign.over = campaign.over or (verb == "cancel" and answer.status_code == 200)

        @precondition(
            lambda self: self.model.connection == "connected" and any(c.begun and not c.over for c in self.model.campaigns)
        )
        @rule()
        def finish_campaigns(self) -> None:
            for campaign in self.model.campaigns:
                if campaign.begun and not campaign.over:
                    self.ask("POST", f"/api/campaigns/{campaign.id}/resume")
                    path = f"/api/campaigns/{campaign.id}"
                    system.eventually(self.is_completed(path), within_s=120)
                    assert sorted(send["number"] for send in self.unit.sent() if send["number"] in campaign.phones) == sorted(
                        campaign.phones
                    )

        def is_completed(self, path: str) -> Callable[[], bool]:
            return lambda: bool(self.ask("GET", path).json()["status"] == "completed")

        # A code that nobody scans is thrown away after minutes, which the model leaves to the tests of onboarding.
        @precondition(lambda self: self.model.connection != "qr")
        @rule(seconds=st.sampled_from([1, 10, 100, 1000]))
        def let_time_pass(self, seconds: int) -> None:
            system.pace.let_pass(seconds)

        @invariant()
        def the_connection_is_as_it_should_be(self) -> None:
            found = self.status()
            assert found["status"] == self.model.connection
            assert bool(found.get("qrCode")) == (self.model.connection == "qr")

        @invariant()
        def whatsapp_has_what_the_model_says(self) -> None:
            expected = sorted((sent.phone, sent.text) for sent in self.model.messages for _ in range(sent.out))
            assert (
                sorted((send["number"], send["text"]) for send in self.unit.sent() if send["number"] in self.phones) == expected
            )

        @invariant()
        def every_message_claims_only_what_is_so(self) -> None:
            for sent in self.model.messages[-3:]:
                found = self.ask("GET", f"/messages/{sent.id}").json()
                assert found["status"] in sent.statuses, (found["status"], sent.statuses)
                if found["status"] in PROVEN:
                    # Once proven it stays so.
                    sent.statuses = PROVEN

        @invariant()
        def the_counts_add_up(self) -> None:
            for campaign in self.model.campaigns:
                counts = self.ask("GET", f"/api/campaigns/{campaign.id}").json()["counts"]
                assert counts.pop("total") == len(campaign.phones) == sum(counts.values())
                out = [send["number"] for send in self.unit.sent() if send["number"] in campaign.phones]
                assert len(out) == len(set(out)), "nobody gets a campaign twice"
                assert len(out) >= counts["sent"] + counts["delivered"] + counts["read"]
                if not campaign.begun:
                    assert not out

    return Unitary


def explored(system: System, *, examples: int, steps: int) -> None:
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        # A failure is told by its steps; making them fewer would take as long again as finding it.
        phases=(Phase.generate,),
    )
    try:
        run_state_machine_as_test(machine(system), settings=chosen)
    finally:
        # What is under way when a mistake was found ends before the backend is stopped, which would wait for it.
        system.control.withdraw()
        system.pace.let_pass(300)


def test_whatever_is_done_in_whatever_order_the_unit_is_as_the_model_says(tmp_path: Path) -> None:
    with _running("sqlite", "sqlite://", "", tmp_path) as system:
        explored(system, examples=4, steps=10)


def test_a_backend_with_a_mistake_is_found_out(tmp_path: Path) -> None:
    with _running("sqlite", "sqlite://", "", tmp_path, CHAFF="qr-kept-after-scan") as system, pytest.raises(AssertionError):
        explored(system, examples=40, steps=10)
