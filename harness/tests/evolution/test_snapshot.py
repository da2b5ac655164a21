"""Snapshots: the whole state in one document, restored here, elsewhere, and refused when it is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.clock import VirtualClock
from harness.evolution import ControlError, EvolutionControl, FakeEvolution
from harness.tests.evolution.fakes import AnyFake
from harness.tests.evolution.listener import Listener
from harness.tests.running import ROOT

ANA, BIA = "5511988887777", "5511977776666"


def _after(fake: AnyFake, api: httpx.Client) -> list[Any]:
    """What clients get from now on: ids, tokens, codes, numbers that are known, and what was stored before."""
    sent = api.post("/message/sendText/shop", json={"number": ANA, "text": "next"})
    created = api.post("/instance/create", json={"instanceName": "third", "integration": "WHATSAPP-BAILEYS"})
    found = api.post("/chat/findMessages/shop", json={}).json()["messages"]["records"]
    return [
        (sent.status_code, sent.json()["key"], sent.json()["message"]),
        (created.json()["hash"], created.json()["instance"]["instanceId"]),
        [(row["id"], row["key"], row["messageType"], row["message"]) for row in found],
        fake.incoming("shop", BIA, "hi"),
        api.get("/webhook/find/shop").json()["id"],
        api.get("/settings/find/shop").json(),
        api.get("/instance/connect/new").json(),
    ]


def _full(fake: AnyFake, api: httpx.Client, connected: Callable[[Callable[[], Any]], Any], open_instance: str) -> None:
    """An open instance with messages of many kinds, and one that shows a code."""
    api.post(f"/message/sendText/{open_instance}", json={"number": ANA, "text": "before"}).raise_for_status()
    media = {"number": ANA, "mediatype": "document", "media": "aGVsbG8=", "mimetype": "application/pdf", "fileName": "a.pdf"}
    api.post(f"/message/sendMedia/{open_instance}", json=media).raise_for_status()
    fake.incoming(open_instance, ANA, "an image", kind="image", push_name="Ana")
    fake.incoming(open_instance, ANA, '{"$bytes": 1}')
    # Content that looks like what a snapshot makes of bytes and moments.
    message = {"conversation": "x", "odd": {"$bytes": "eA=="}, "even": [{"$moment": "2026-11-22T00:00:00Z"}, {"$object": []}]}
    raw = {"key": {"remoteJid": f"{BIA}@s.whatsapp.net", "id": "RAW1"}, "message": message}
    fake.incoming(open_instance, raw=raw)
    fake.advance(2)
    fake.quiesce()
    api.post("/instance/create", json={"instanceName": "new", "integration": "WHATSAPP-BAILEYS"}).raise_for_status()
    connected(lambda: api.get("/instance/connect/new"))


def test_a_restored_fake_goes_on_as_the_first_would_have(
    evolution: AnyFake, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str
) -> None:
    _full(evolution, api, patiently, open_instance)
    before = evolution.instances()
    document = evolution.snapshot()
    first = _after(evolution, api)
    evolution.restore(document)
    assert evolution.instances() == before
    assert _after(evolution, api) == first
    # Without its journals the document holds no record.
    evolution.restore(document)
    assert (evolution.ledger(), evolution.requests(), evolution.deliveries()) == ([], [], [])


def test_a_snapshot_lives_in_a_file_and_restores_another_process(
    evolution: AnyFake, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str, tmp_path: Path
) -> None:
    _full(evolution, api, patiently, open_instance)
    before = evolution.instances()
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(evolution.snapshot(journals=True)), encoding="utf-8")
    sends = evolution.ledger()
    first = _after(evolution, api)
    document = json.loads(file.read_text(encoding="utf-8"))
    clock = VirtualClock(start=datetime.fromisoformat(document["takenAt"]), frozen=True)
    with (
        FakeEvolution(key="another-key", clock=clock, control_token="t", seed=99) as other,
        httpx.Client(base_url=other.url, headers={"apikey": "another-key"}, timeout=20) as client,
    ):
        other.restore(document)
        assert other.instances() == before
        assert other.ledger() == sends
        assert {row["credential"] for row in other.requests()} == {"global"}
        assert _after(other, client) == first


def test_journals_come_back_when_they_were_kept(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    api.post(f"/message/sendText/{open_instance}", json={"number": ANA, "text": "before"}).raise_for_status()
    evolution.advance(2)
    evolution.quiesce()
    document = evolution.snapshot(journals=True)
    kept = (evolution.ledger(), evolution.requests(), evolution.deliveries())
    assert all(kept)
    evolution.reset()
    evolution.restore(document)
    assert (evolution.ledger(), evolution.requests(), evolution.deliveries()) == kept
    evolution.incoming(open_instance, ANA, "after")
    evolution.quiesce()
    new = evolution.deliveries()[len(kept[2]) :]
    assert min(row["number"] for row in new) == max(row["number"] for row in kept[2]) + 1


def test_numbers_that_were_confirmed_stay_so_for_the_rest_of_their_week(
    evolution: AnyFake, api: httpx.Client, open_instance: str
) -> None:
    def send(number: str) -> int:
        return api.post(f"/message/sendText/{open_instance}", json={"number": number, "text": "x"}).status_code

    day = 24 * 3600
    assert send(ANA) == 201
    evolution.advance(5 * day)
    evolution.whatsapp(check_failure="Timed Out")
    document = evolution.snapshot()
    evolution.reset()
    evolution.advance(3 * day)
    evolution.restore(document)
    evolution.advance(1.5 * day)
    assert (send(ANA), send(BIA)) == (201, 500)
    evolution.advance(day)
    assert send(ANA) == 500


def test_connections_are_taken_up_as_they_were(
    evolution: AnyFake, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any], open_instance: str
) -> None:
    _full(evolution, api, patiently, open_instance)
    api.post("/instance/create", json={"instanceName": "idle", "integration": "WHATSAPP-BAILEYS"}).raise_for_status()
    evolution.close("shop", 428)
    document = evolution.snapshot()
    assert [one["state"] for one in evolution.instances()] == ["close", "connecting", "close"]
    evolution.reset()
    evolution.restore(document)
    assert [one["state"] for one in evolution.instances()] == ["close", "connecting", "close"]
    evolution.advance(2)
    # What was dropped has reconnected by itself, the code is still the same one, and who was idle stays so.
    assert [one["state"] for one in evolution.instances()] == ["open", "connecting", "close"]
    code = evolution.instances()[1]["qr"]
    assert code == document["state"]["instances"][1]["connection"]["qr"]
    evolution.advance(50)
    assert evolution.instances()[1]["qr"]["count"] == code["count"] + 1
    evolution.scan("new", phone=BIA)
    evolution.advance(2)
    assert evolution.instances()[1]["state"] == "open"


def test_a_scan_that_was_not_confirmed_can_be_made_again(
    evolution: AnyFake, api: httpx.Client, patiently: Callable[[Callable[[], Any]], Any]
) -> None:
    api.post("/instance/create", json={"instanceName": "new", "integration": "WHATSAPP-BAILEYS"}).raise_for_status()
    patiently(lambda: api.get("/instance/connect/new"))
    evolution.scan("new", phone=ANA)
    document = evolution.snapshot()
    evolution.restore(document)
    evolution.advance(2)
    assert evolution.instances()[0]["state"] == "connecting"
    evolution.scan("new", phone=BIA)
    evolution.advance(2)
    assert evolution.instances()[0]["ownerJid"] == f"{BIA}@s.whatsapp.net"


def test_work_in_progress_is_counted_and_gone(
    evolution: AnyFake, api: httpx.Client, listener: Listener, open_instance: str
) -> None:
    webhook = {"enabled": True, "url": f"{listener.url}/s500", "events": ["MESSAGES_UPSERT"]}
    api.post(f"/webhook/set/{open_instance}", json={"webhook": webhook}).raise_for_status()
    evolution.incoming(open_instance, ANA, "hi")
    evolution.quiesce()
    document = evolution.snapshot(journals=True)
    assert document["lost"]["pendingRetries"] == 1
    evolution.restore(document)
    evolution.advance(3600)
    assert len(evolution.deliveries(event="messages.upsert", status=500)) == 1
    assert evolution.snapshot()["lost"] == {"openRequests": 0, "deliveriesUnderWay": 0, "pendingRetries": 0}


def test_faults_whatsapps_side_and_settings_come_back(evolution: AnyFake, api: httpx.Client, open_instance: str) -> None:
    evolution.restart_server(environment={"WEBHOOK_RETRY_MAX_ATTEMPTS": "3", "DATABASE_CONNECTION_CLIENT_NAME": "kept"})
    evolution.advance(5)
    evolution.whatsapp(missing=[BIA], acks=[[1, "READ"]], registered={ANA: "551188887777"})
    evolution.inject("send-error", instance=open_instance, count=9, probability=0.5, seed=3)
    evolution.inject("slow-answer", seconds=2.5, **{"from": 60, "until": 120})
    for _ in range(3):
        api.post(f"/message/sendText/{open_instance}", json={"number": ANA, "text": "x"})
    document = evolution.snapshot()
    faults, side = evolution.faults(), evolution.whatsapp()

    def outcomes() -> list[int]:
        bodies = [{"number": ANA, "text": "x"}] * 6
        return [api.post(f"/message/sendText/{open_instance}", json=body).status_code for body in bodies]

    first = outcomes()
    assert len(set(first)) == 2, "the fault must strike now and then, or nothing is compared"
    evolution.reset()
    evolution.restore(document)
    assert evolution.faults() == faults
    assert {name: sorted(value) if isinstance(value, set | list) else value for name, value in evolution.whatsapp().items()} == {
        name: sorted(value) if isinstance(value, set | list) else value for name, value in side.items()
    }
    assert outcomes() == first
    assert api.get("/instance/fetchInstances").json()[0]["clientName"] == "kept"
    assert evolution.inject("slow-answer") == faults[-1]["id"] + 1


def test_the_same_document_comes_over_http(evolution: AnyFake, open_instance: str) -> None:
    with EvolutionControl(evolution.url, "control") as control:
        over_http, here = control.snapshot(), evolution.snapshot()
        assert over_http == here
        assert json.loads(json.dumps(here)) == here
        control.restore(over_http)
        assert control.snapshot() == here


def _damaged(document: dict[str, Any], change: str) -> Any:
    damaged = json.loads(json.dumps(document))
    state = damaged["state"]
    match change:
        case "no object":
            return [damaged]
        case "another format":
            damaged["format"] = "something/else"
        case "another version":
            damaged["version"] = 2
        case "another layout":
            damaged["layout"] = "0" * 12
        case "no state":
            del damaged["state"]
        case "a wrong type":
            state["instances"][0]["status"] = 7
        case "a missing field":
            del state["instances"][0]["token"]
        case "a wrong moment":
            state["instances"][0]["created_at"] = {"$moment": "yesterday"}
        case "wrong bytes":
            state["instances"][0]["contacts"] = {"a": {"b": {"$bytes": "%%%"}}}
        case "no position":
            state["identity"] = {"key": "zz", "drawn": []}
        case "an unknown fault":
            state["faults"] = {"number": 1, "injections": [{"id": 1}]}
    return damaged


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no object", "this is no snapshot of a fake"),
        ("another format", "this is no snapshot of a fake"),
        ("another version", "is of version 2 .* and this fake reads 1 .*: take it again"),
        ("another layout", "layout '000000000000'.*take it again"),
        ("no state", "damaged"),
        ("a wrong type", r"damaged: Expected `str`, got `int` - at `\$.instances\[0\].status`"),
        ("a missing field", "damaged: .*`token`"),
        ("a wrong moment", "damaged: Invalid isoformat"),
        ("wrong bytes", "damaged"),
        ("no position", "damaged: ValueError"),
        ("an unknown fault", "damaged: KeyError"),
    ],
)
def test_what_is_no_snapshot_is_refused_and_nothing_changes(
    evolution: AnyFake, open_instance: str, change: str, words: str
) -> None:
    document = evolution.snapshot()
    evolution.inject("send-error")
    before = (evolution.instances(), evolution.faults(), evolution.requests())
    with pytest.raises(ControlError, match=words) as refused:
        evolution.restore(_damaged(document, change))
    assert "\n" not in str(refused.value)
    assert (evolution.instances(), evolution.faults(), evolution.requests()) == before


def test_nothing_at_all_is_no_snapshot_either(evolution: AnyFake) -> None:
    with pytest.raises(ControlError, match="this is no snapshot"):
        evolution._execute("POST", "restore", {}, {})


def test_a_seed_is_set_before_there_is_anything(evolution: AnyFake, api: httpx.Client) -> None:
    body = {"instanceName": "shop", "integration": "WHATSAPP-BAILEYS"}

    def token() -> str:
        return str(api.post("/instance/create", json=body).json()["hash"])

    evolution.seed(1234)
    try:
        first = token()
        with pytest.raises(ControlError, match="reset the fake first"):
            evolution.seed(1234)
        evolution.reset()
        assert token() == first
        evolution.reset()
        evolution.seed(1235)
        assert token() != first
        evolution.reset()
        for wrong in ("1", True, 1.5, None):
            with pytest.raises(ControlError, match="seed must be a whole number"):
                evolution._execute("POST", "seed", {}, {"seed": wrong})
    finally:
        evolution.reset()
        evolution.seed(7)


@contextmanager
def _life(seed: int) -> Iterator[tuple[FakeEvolution, httpx.Client]]:
    clock = VirtualClock(frozen=True)
    with (
        FakeEvolution(key="k", clock=clock, control_token="t", seed=seed) as fake,
        httpx.Client(base_url=fake.url, headers={"apikey": "k"}, timeout=20) as api,
    ):
        yield fake, api


def _live(fake: FakeEvolution, api: httpx.Client, url: str) -> list[Any]:
    """A life with two instances, many events and retries; everything that is drawn, and deliveries in their order."""
    told: list[Any] = []
    for name in ("shop", "bakery"):
        webhook = {"url": f"{url}/s500-{name}" if name == "bakery" else url, "events": []}
        body = {"instanceName": name, "integration": "WHATSAPP-BAILEYS", "number": "5511999991111", "webhook": webhook}
        created = api.post("/instance/create", json=body).json()
        told.append([created["hash"], created["instance"]["instanceId"]])
        with ThreadPoolExecutor(max_workers=1) as pool:
            asked = pool.submit(api.get, f"/instance/connect/{name}")
            while not asked.done():
                if fake.held_calls():
                    fake.advance(3)
        told.append(asked.result().json())
        fake.scan(name)
        fake.advance(2)
    for number in (ANA, BIA):
        told.append(fake.incoming("shop", number, "hi", kind="image"))
        told.append(api.post("/message/sendText/shop", json={"number": number, "text": "yes"}).json()["key"])
        fake.advance(1)
    fake.advance(1500)
    fake.quiesce()
    told.append(sorted((row["number"], row["attempt"], row["event"], row["instance"], row["keyId"]) for row in fake.deliveries()))
    told.append([api.get(f"/webhook/find/{name}").json()["id"] for name in ("shop", "bakery")])
    # The jitter of retries is drawn too.
    retries = [row["monotonic"] for row in fake.deliveries(instance="bakery", event="connection.update")]
    told.append([round(moment, 3) for moment in retries])
    return told


def test_two_fakes_with_one_seed_live_the_same_life() -> None:
    with Listener(VirtualClock(frozen=True)) as listener:
        with _life(5) as (fake, api):
            first = _live(fake, api, listener.url)
            fake.reset()
            again = _live(fake, api, listener.url)
        with _life(5) as (fake, api):
            second = _live(fake, api, listener.url)
        with _life(6) as (fake, api):
            other = _live(fake, api, listener.url)
    assert second == first
    # After a reset only the clock has gone on.
    assert again[:-1] == first[:-1]
    assert all(mine != theirs for mine, theirs in zip(first[:4], other[:4], strict=True))
    assert len(first[-3]) > 20


@pytest.mark.process
def test_the_order_of_nothing_depends_on_pythons_hashes() -> None:
    program = (
        "import json, sys\n"
        "from harness.clock import VirtualClock\n"
        "from harness.tests.evolution.listener import Listener\n"
        "from harness.tests.evolution.test_snapshot import _life, _live\n"
        "with Listener(VirtualClock(frozen=True)) as listener, _life(5) as (fake, api):\n"
        "    told = _live(fake, api, listener.url)\n"
        "print(json.dumps(told[:-1]))\n"
    )

    def life(hashes: str) -> Any:
        environment = {**os.environ, "PYTHONHASHSEED": hashes}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True)
        return json.loads(done.stdout)

    assert life("1") == life("2")
