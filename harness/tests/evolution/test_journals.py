"""Questions to the journals: filters, paging, and expectations that say what they found instead."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from harness.evolution import ControlError, EvolutionControl, ExpectationError
from harness.evolution.ledger import Bounded
from harness.tests.evolution.fakes import AnyFake
from harness.tests.evolution.listener import Listener

ANA, BIA = "5511988887777", "5511977776666"


@pytest.fixture
def control(evolution: AnyFake) -> Iterator[EvolutionControl]:
    with EvolutionControl(evolution.url, "control") as client:
        yield client


@pytest.fixture
def talk(evolution: AnyFake, api: httpx.Client, open_instance: str) -> str:
    """Three sends, two of them to one person, and one that is refused."""
    for number, text in ((ANA, "hello"), (BIA, "hello"), (ANA, "bye")):
        api.post(f"/message/sendText/{open_instance}", json={"number": number, "text": text}).raise_for_status()
    assert api.post(f"/message/sendText/{open_instance}", json={"number": ANA}).status_code == 400
    evolution.advance(1)
    evolution.quiesce()
    return open_instance


def _said(rows: list[dict[str, Any]]) -> list[Any]:
    return [row["body"].get("text") for row in rows]


@pytest.mark.parametrize(
    ("filters", "texts"),
    [
        ({"route": "message/sendText"}, ["hello", "hello", "bye", None]),
        ({"route": "sendtext"}, ["hello", "hello", "bye", None]),
        ({"route": "message/*", "status": 201}, ["hello", "hello", "bye"]),
        ({"route": "message/*", "status": "4xx"}, [None]),
        ({"route": "message/*", "status": "none"}, []),
        ({"method": "post", "number": ANA}, ["hello", "bye", None]),
        ({"number": "551188887777"}, ["hello", "bye", None]),
        ({"body": {"text": "hello"}}, ["hello", "hello"]),
        ({"body": {"text": "hello", "number": BIA}}, ["hello"]),
        ({"body": {"text": "hell"}}, []),
        ({"route": "message/sendText", "credential": "none"}, []),
        ({"route": "message/sendText", "credential": "global", "instance": "shop"}, ["hello", "hello", "bye", None]),
        ({"path": "/message/", "instance": "other"}, []),
    ],
)
def test_requests_are_found_by_what_they_were(control: EvolutionControl, talk: str, filters: Any, texts: list[Any]) -> None:
    assert _said(control.requests(**filters)) == texts


def test_moments_bound_what_is_found(control: EvolutionControl, talk: str, api: httpx.Client, evolution: AnyFake) -> None:
    moment, seconds = datetime.fromisoformat(control.read_clock()["now"]), control.monotonic()
    evolution.advance(10)
    api.post(f"/message/sendText/{talk}", json={"number": ANA, "text": "later"}).raise_for_status()
    for since in (moment, moment.isoformat(), seconds):
        assert _said(control.requests(route="sendText", since=since)) == ["later"]
        assert len(control.ledger(until=since)) == 3
    assert control.requests(since=moment + timedelta(seconds=20)) == []
    with pytest.raises(ControlError, match="since must be ISO 8601 with a zone"):
        control.requests(since="2026-11-22T10:00:00")
    with pytest.raises(ControlError, match="until must be ISO 8601"):
        control.requests(until="yesterday")


def test_what_whatsapp_got_is_found(control: EvolutionControl, talk: str) -> None:
    assert [row["text"] for row in control.ledger(number=ANA)] == ["hello", "bye"]
    assert [row["number"] for row in control.ledger(text="hello")] == [ANA, BIA]
    first = control.ledger()[0]
    assert control.ledger(key_id=first["keyId"]) == [first]
    assert control.ledger(remote_jid=first["remoteJid"], message_type="conversation", text="bye") != []
    assert control.ledger(message_type="imageMessage") == []


def test_deliveries_are_found_by_listener_attempt_and_result(
    control: EvolutionControl, evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    webhook = {"enabled": True, "url": f"{listener.url}/flaky1", "events": ["MESSAGES_UPSERT"]}
    api.post(f"/webhook/set/{open_instance}", json={"webhook": webhook}).raise_for_status()
    key_id = evolution.incoming(open_instance, ANA, "hi")
    evolution.advance(10)
    evolution.quiesce()
    rows = control.deliveries(url=f"{listener.url}/flaky", key_id=key_id)
    assert [(row["attempt"], row["status"], row["final"]) for row in rows] == [(1, 500, False), (2, 200, True)]
    assert control.deliveries(status="5xx") == rows[:1]
    assert control.deliveries(attempt=2, event="messages.upsert") == rows[1:]
    assert control.deliveries(key_id=key_id, final=True, status=200) == rows[1:]
    assert control.deliveries(body={"data": {"key": {"id": key_id}}, "event": "messages.upsert"}) == rows
    assert control.deliveries(body={"data": {"key": {"id": "another"}}}) == []


def test_a_poller_gets_only_what_is_new(control: EvolutionControl, talk: str) -> None:
    whole = control._execute("GET", "ledger", {}, {})
    assert [row["index"] for row in whole["sends"]] == [1, 2, 3]
    assert whole["total"] == 3
    assert whole["epoch"] == control._execute("GET", "ledger", {}, {})["epoch"]
    assert control._execute("GET", "ledger", {"after": "2"}, {})["sends"] == whole["sends"][2:]
    assert control._execute("GET", "ledger", {"after": "3"}, {})["sends"] == []
    assert control._execute("GET", "ledger", {"limit": "2"}, {})["sends"] == whole["sends"][1:]
    assert control._execute("GET", "ledger", {"text": "hello", "limit": "1"}, {})["sends"] == whole["sends"][1:2]
    with pytest.raises(ControlError, match="after must be a whole number"):
        control._execute("GET", "ledger", {"after": "-1"}, {})
    control.reset()
    assert control._execute("GET", "ledger", {}, {})["epoch"] > whole["epoch"]


def test_numbers_stay_when_old_records_are_dropped() -> None:
    journal: Bounded[str] = Bounded(3)
    for record in "abcde":
        journal.append(record)
    assert list(journal.numbered()) == [(3, "c"), (4, "d"), (5, "e")]
    assert list(journal.numbered(1)) == [(3, "c"), (4, "d"), (5, "e")]
    assert list(journal.numbered(4)) == [(5, "e")]
    assert list(journal.numbered(9)) == []
    assert (journal.total, journal.dropped) == (5, 2)


@pytest.mark.parametrize(
    ("command", "query", "words"),
    [
        ("requests", {"rout": "x"}, "has no 'rout' in its query; did you mean 'route'?"),
        ("requests", {"status": "abc"}, "status must be a status such as 201, a class such as 4xx, or none; not 'abc'"),
        ("requests", {"body": "{"}, "body must be JSON"),
        ("deliveries", {"atempt": "1"}, "did you mean 'attempt'?"),
        ("deliveries", {"attempt": "first"}, "attempt must be a whole number"),
        ("deliveries", {"final": "maybe"}, "final must be true or false"),
        ("ledger", {"numbr": "1"}, "did you mean 'number'?"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    control: EvolutionControl, command: str, query: dict[str, str], words: str
) -> None:
    with pytest.raises(ControlError) as refused:
        control._execute("GET", command, query, {})
    assert words in str(refused.value)


def test_an_expectation_that_holds_gives_the_records(control: EvolutionControl, evolution: AnyFake, talk: str) -> None:
    for verbs in (control, evolution):
        assert len(verbs.expect_calls(3, route="sendText", status=201)) == 3
        assert len(verbs.expect_calls(route="sendText", body={"text": "bye"})) == 1
        assert len(verbs.expect_calls(at_least=2, at_most=3, number=ANA)) == 3
        assert verbs.expect_calls(0, route="sendMedia") == []
        assert verbs.expect_calls(at_most=1, route="sendMedia") == []
        assert [row["text"] for row in verbs.expect_sends(2, number=ANA)] == ["hello", "bye"]
        assert len(verbs.expect_deliveries(3, event="send.message", status=200)) == 3


def test_an_expectation_that_fails_shows_the_nearest_and_what_is_wrong_with_each(
    control: EvolutionControl, evolution: AnyFake, talk: str
) -> None:
    for verbs in (control, evolution):
        with pytest.raises(ExpectationError) as failed:
            verbs.expect_calls(3, route="sendText", status=201, body={"text": "hello"})
        text = str(failed.value)
        assert text.startswith('expected exactly 3 requests with route "sendText"'.replace('"', "'"))
        assert "found 2: nearest of " in text
        assert "POST /message/sendText/shop → 201 (body.text was 'bye')" in text
        assert "POST /message/sendText/shop → 400 (status was 400, body.text was nothing)" in text
        assert "\n" not in text


def test_too_many_are_shown_too(control: EvolutionControl, talk: str) -> None:
    with pytest.raises(ExpectationError, match=r"expected at most 1 sends, found 3: #1 conversation from shop to .*; #2 "):
        control.expect_sends(at_most=1)
    with pytest.raises(ExpectationError, match="expected 1 to 2 sends.*, found 3"):
        control.expect_sends(at_least=1, at_most=2)


def test_an_empty_journal_is_told(control: EvolutionControl) -> None:
    with pytest.raises(ExpectationError, match="expected at least 1 deliveries, found 0: there were no deliveries at all"):
        control.expect_deliveries()


def test_an_expectation_tells_no_telephone_and_no_secret(
    control: EvolutionControl, evolution: AnyFake, api: httpx.Client, talk: str
) -> None:
    with pytest.raises(ExpectationError) as failed:
        control.expect_calls(9, number=ANA, body={"number": ANA})
    assert ANA not in str(failed.value)
    assert "****7777" in str(failed.value)
    assert evolution.key not in str(failed.value)


def test_what_is_on_its_way_is_waited_for(control: EvolutionControl, evolution: AnyFake, api: httpx.Client, talk: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(evolution.expect_sends, 4, within=30)
        api.post(f"/message/sendText/{talk}", json={"number": BIA, "text": "late"}).raise_for_status()
        assert waiting.result()[-1]["text"] == "late"
    # More than enough will never be fewer: nobody waits for that.
    with pytest.raises(ExpectationError, match="found 4"):
        control.expect_sends(3, within=60)


def test_a_client_waits_as_long_as_it_told_the_fake_to(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with EvolutionControl(evolution.url, "control", timeout=2) as impatient, ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(impatient.expect_sends, 1, within=60)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=4)
        api.post(f"/message/sendText/{open_instance}", json={"number": BIA, "text": "late"}).raise_for_status()
        assert len(waiting.result()) == 1


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"count": 1, "atLeast": 1}, "count says it all"),
        ({"atLeast": 3, "atMost": 2}, "atLeast 3 is more than atMost 2"),
        ({"count": -1}, "count must be a whole number"),
        ({"count": True}, "count must be a whole number"),
        ({"within": "soon"}, "within must be a number of seconds"),
        ({"within": 601}, "within must be at most 600 seconds, not 601"),
        ({"cuont": 1}, "did you mean 'count'?"),
        ({"methd": "GET"}, "did you mean 'method'?"),
    ],
)
def test_an_expectation_that_nobody_can_meet_is_refused(control: EvolutionControl, wish: dict[str, Any], words: str) -> None:
    with pytest.raises(ControlError) as refused:
        control._execute("POST", "requests/expect", {}, wish)
    assert words in str(refused.value)
    assert not isinstance(refused.value, ExpectationError)


def test_json_is_compared_as_json(control: EvolutionControl, api: httpx.Client, open_instance: str) -> None:
    body = {"number": ANA, "text": "x", "linkPreview": True, "delay": 0, "mentioned": ["551199", "551188"]}
    api.post(f"/message/sendText/{open_instance}", json=body).raise_for_status()
    assert control.requests(body={"linkPreview": True, "mentioned": ["551199", "551188"]}) != []
    others: tuple[dict[str, Any], ...] = (
        {"linkPreview": 1},
        {"delay": False},
        {"mentioned": ["551199"]},
        {"mentioned": {}},
        {"absent": None},
    )
    for other in others:
        assert control.requests(body=other) == []
