from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest

from harness.target import RealPace
from reference_impl.tests.system.conftest import System, Unit


def gaps(unit: Unit) -> list[float]:
    """Seconds between the sends that WhatsApp got, on the provider's clock."""
    moments = [send["monotonic"] for send in unit.sent()]
    return [later - earlier for earlier, later in pairwise(moments)]


def state(unit: Unit, campaign: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = unit.get(f"/api/campaigns/{campaign['id']}")
    counts = found["counts"]
    assert counts["total"] == sum(counts[status] for status in ("pending", "sent", "delivered", "read", "failed", "unknown"))
    return found


def act(unit: Unit, campaign: dict[str, Any], deed: str) -> int:
    return unit.post(f"/api/campaigns/{campaign['id']}/{deed}").status_code


def test_a_campaign_sends_one_after_the_other_at_the_pace_of_the_number(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(4)
    assert (campaign["status"], campaign["counts"]["total"], campaign["counts"]["pending"]) == ("draft", 4, 4)
    assert act(unit, campaign, "dispatch") == 200
    system.eventually(lambda: state(unit, campaign)["status"] == "completed")
    assert len({send["number"] for send in unit.sent()}) == len(unit.sent()) == 4
    assert min(gaps(unit)) >= 2.0


def test_two_campaigns_of_one_unit_share_its_pace(system: System) -> None:
    unit = system.connected()
    campaigns = [unit.campaign(2), unit.campaign(2)]
    for campaign in campaigns:
        assert act(unit, campaign, "dispatch") == 200
    system.eventually(lambda: all(state(unit, campaign)["status"] == "completed" for campaign in campaigns))
    assert len(unit.sent()) == 4
    assert min(gaps(unit)) >= 2.0


def test_dispatching_ten_times_at_once_is_one_run(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(2)
    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(lambda _: act(unit, campaign, "dispatch"), range(10))) == {200}
    system.eventually(lambda: state(unit, campaign)["status"] == "completed")
    assert len(unit.sent()) == 2
    assert act(unit, campaign, "dispatch") == 200
    system.clock.advance(30)
    assert len(unit.sent()) == 2


def test_dispatching_while_not_connected_is_refused(system: System) -> None:
    unit = system.unit()
    campaign = unit.campaign(1)
    assert act(unit, campaign, "dispatch") == 409
    assert state(unit, campaign)["status"] == "draft"


def test_one_bad_recipient_stops_nobody(system: System) -> None:
    unit = system.connected()
    contacts = [unit.contact(), unit.contact("5511999990000"), unit.contact()]
    campaign = unit.post("/api/campaigns", {"name": "x", "content": "y", "contactIds": contacts}).json()
    act(unit, campaign, "dispatch")
    system.eventually(lambda: state(unit, campaign)["status"] == "completed")
    assert (state(unit, campaign)["counts"]["failed"], len(unit.sent())) == (1, 2)


def test_a_paused_campaign_sends_nothing_and_then_only_the_rest(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(4)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: len(unit.sent()) >= 1)
    assert act(unit, campaign, "pause") == 200
    before = len(unit.sent())
    system.control.advance(60)
    assert len(unit.sent()) <= before + 1
    assert state(unit, campaign)["status"] == "paused"
    assert act(unit, campaign, "resume") == 200
    system.eventually(lambda: state(unit, campaign)["status"] == "completed")
    assert len({send["number"] for send in unit.sent()}) == len(unit.sent()) == 4
    assert min(gaps(unit)) >= 2.0


def test_a_cancelled_campaign_sends_nothing_more(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(5)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: len(unit.sent()) >= 1)
    assert act(unit, campaign, "cancel") == 200
    before = len(unit.sent())
    system.control.advance(60)
    assert len(unit.sent()) <= before + 1
    assert act(unit, campaign, "resume") == 409
    assert act(unit, campaign, "dispatch") == 409


def test_a_throttling_provider_pauses_the_campaign_and_loses_nobody(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(3)
    system.control.inject("rate-limited", instance=unit.instance, route="message/sendText", count=1, seconds=20)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: state(unit, campaign)["status"] == "paused")
    assert state(unit, campaign)["pauseReason"] == "rate_limited"
    assert act(unit, campaign, "resume") == 200
    system.eventually(lambda: state(unit, campaign)["status"] == "completed", within_s=120)
    assert len({send["number"] for send in unit.sent()}) == len(unit.sent()) == 3


def throttled(system: System, unit: Unit, seconds: float | None) -> dict[str, Any]:
    """A campaign that is paused because the provider asked for it, for so many seconds or without a word."""
    campaign = unit.campaign(2)
    told: dict[str, Any] = {"seconds": seconds} if seconds is not None else {"retry_after": "absent"}
    system.control.inject("rate-limited", instance=unit.instance, route="message/sendText", count=1, **told)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: state(unit, campaign)["status"] == "paused")
    return campaign


@pytest.mark.parametrize("seconds", [30, None])
def test_a_throttled_campaign_goes_on_by_itself_when_the_pause_is_over(system: System, seconds: float | None) -> None:
    unit = system.connected()
    campaign = throttled(system, unit, seconds)
    system.eventually(lambda: state(unit, campaign)["status"] == "completed", within_s=180)
    refused, again, _ = [call["monotonic"] for call in unit.calls()]
    assert again - refused >= (seconds or 60)
    assert (len(unit.sent()), state(unit, campaign)["resumeAt"], state(unit, campaign)["pauseReason"]) == (2, None, None)


def test_a_person_who_pauses_a_throttled_campaign_keeps_it_paused(system: System) -> None:
    unit = system.connected()
    campaign = throttled(system, unit, 30)
    assert act(unit, campaign, "pause") == 200
    assert (state(unit, campaign)["pauseReason"], state(unit, campaign)["resumeAt"]) == ("requested", None)
    system.control.advance(120)
    assert (state(unit, campaign)["status"], len(unit.calls())) == ("paused", 1)


def test_a_throttled_campaign_of_a_unit_that_was_logged_out_waits_for_a_person(system: System) -> None:
    unit = system.connected()
    campaign = throttled(system, unit, 30)
    system.control.close(unit.instance, 401)
    unit.awaits("disconnected")
    assert unit.connect().status_code == 201
    system.control.scan(unit.instance, phone=unit.phone)
    unit.awaits("connected")
    system.control.advance(120)
    assert (state(unit, campaign)["status"], state(unit, campaign)["pauseReason"]) == ("paused", "logged_out")
    assert len(unit.calls()) == 1


@pytest.mark.postgres
def test_a_number_that_drops_while_its_campaign_takes_a_step_stops_neither(on_postgres: System) -> None:
    unit = on_postgres.connected()
    campaign, unit_id, store = unit.campaign(1), UUID(unit.id), on_postgres.backend.store
    waiting = "SELECT 1 AS one FROM pg_locks WHERE NOT granted"

    async def drop() -> None:
        async with store.unit_of_work(unit_id) as work:
            await work.connections.of_unit(unit_id, lock=True)
            assert (await asyncio.to_thread(act, unit, campaign, "dispatch")) == 200
            await asyncio.to_thread(RealPace().eventually, lambda: on_postgres.rows(waiting), within_s=30, what="the step waits")
            assert await work.campaigns.pause_all(unit_id, reason="disconnected", resume_at=None, now=work.now) == 1

    logged = len(on_postgres.log())
    on_postgres.run(drop())
    on_postgres.control.advance(30)
    assert (state(unit, campaign)["status"], unit.calls()) == ("paused", [])
    assert "deadlock" not in on_postgres.log()[logged:]


def test_a_doubtful_recipient_is_counted_as_unknown_and_never_sent_to_again(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(2)
    system.control.inject("send-error", instance=unit.instance, count=1)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: state(unit, campaign)["status"] == "completed")
    system.control.advance(600)
    assert state(unit, campaign)["counts"]["unknown"] == 1
    assert (len(unit.sent()), len(unit.calls())) == (1, 2)


def test_at_least_once_sends_again_what_was_not_found(system: System) -> None:
    unit = system.connected()
    campaign = unit.campaign(1, deliveryPolicy="at_least_once")
    system.control.inject("send-error", instance=unit.instance, count=1)
    act(unit, campaign, "dispatch")
    system.eventually(lambda: len(unit.sent()) == 1, within_s=180)
    assert len(unit.calls()) == 2


def test_contacts_of_another_unit_are_not_found(system: System) -> None:
    one, other = system.shared(), system.unit()
    for contact in (other.contact(), str(uuid4())):
        answer = one.post("/api/campaigns", {"name": "x", "content": "y", "contactIds": [one.contact(), contact]})
        assert (answer.status_code, answer.json()["error"]) == (404, "Not found")


def test_a_contact_that_is_listed_twice_is_one_recipient(system: System) -> None:
    unit = system.shared()
    contact = unit.contact()
    answer = unit.post("/api/campaigns", {"name": "x", "content": "y", "contactIds": [contact, contact]})
    assert answer.json()["counts"]["total"] == 1


def test_a_scheduled_campaign_starts_by_itself(system: System) -> None:
    unit = system.connected()
    moment = system.clock.now().timestamp() + 120

    campaign = unit.campaign(1, scheduledAt=datetime.fromtimestamp(moment, UTC).isoformat())
    assert campaign["status"] == "scheduled"
    system.control.advance(60)
    assert unit.sent() == []
    system.eventually(lambda: state(unit, campaign)["status"] == "completed", within_s=180)
    assert len(unit.sent()) == 1


def test_what_cannot_be_scheduled_or_sent_is_refused(system: System) -> None:
    unit = system.shared()
    contact = unit.contact()
    good = {"name": "x", "content": "y", "contactIds": [contact]}
    changes: tuple[dict[str, Any], ...] = (
        {"contactIds": []},
        {"content": " "},
        {"name": ""},
        {"scheduledAt": "2020-01-01T00:00:00Z"},
        {"scheduledAt": "9999-01-01T00:00:00Z"},
        {"scheduledAt": "2026-11-22T10:00:00"},
        {"scheduledAt": 1795357299},
        *({"scheduledAt": str(int(system.clock.now().timestamp() + 3600) * per_second)} for per_second in (1, 1000)),
        {"deliveryPolicy": "exactly_once"},
        {"contactIds": ["not-an-id"]},
    )
    for change in changes:
        assert unit.post("/api/campaigns", good | change).status_code == 422, change
