"""What several processes on one database owe each other, and what is left when one of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from harness.clock import VirtualClock
from harness.target import RealPace
from reference_impl.bootstrap import build
from reference_impl.domain.messages import MessageStatus
from reference_impl.settings import Settings
from reference_impl.tests.system.conftest import PASSWORD, System

pytestmark = pytest.mark.postgres

_SERVE = """
import os
from reference_impl.entrypoints.serve import serve
from reference_impl.domain.messages import MessageStatus
from reference_impl.settings import Settings
serve(Settings.from_environment(os.environ), "127.0.0.1", int(os.environ["PORT"]))
"""


def test_two_workers_keep_the_pace_of_one_number(on_postgres: System) -> None:
    unit = on_postgres.connected()
    campaigns = [unit.campaign(2), unit.campaign(2)]
    with on_postgres.another() as other:
        unit.post(f"/api/campaigns/{campaigns[0]['id']}/dispatch")
        assert other.post(f"/api/campaigns/{campaigns[1]['id']}/dispatch", headers=unit.headers).status_code == 200
        on_postgres.eventually(lambda: len(unit.sent()) == 4)
        on_postgres.eventually(
            lambda: all(unit.get(f"/api/campaigns/{campaign['id']}")["status"] == "completed" for campaign in campaigns)
        )
    moments = [send["monotonic"] for send in unit.sent()]
    assert len({send["number"] for send in unit.sent()}) == len(moments) == 4
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 2.0


class _Skewed:
    """A machine whose wall clock is wrong by `seconds`, as it is after a jump or without a time server."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self._clock = clock
        self._skew = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self._clock.now() + self._skew

    def monotonic(self) -> float:
        return self._clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def limit(self, seconds: float) -> None:
        await self._clock.limit(seconds)

    def ahead(self) -> float:
        return self._clock.ahead()


@pytest.mark.parametrize("skew_s", [3600.0, -3600.0])
def test_a_worker_whose_clock_is_an_hour_wrong_keeps_the_pace_too(on_postgres: System, skew_s: float) -> None:
    unit = on_postgres.connected()
    campaigns = [unit.campaign(3), unit.campaign(3)]
    with on_postgres.another(clock=_Skewed(on_postgres.clock, skew_s)):
        for campaign in campaigns:
            assert unit.post(f"/api/campaigns/{campaign['id']}/dispatch").status_code == 200
        on_postgres.eventually(
            lambda: all(unit.get(f"/api/campaigns/{campaign['id']}")["status"] == "completed" for campaign in campaigns)
        )
    gaps = [later - earlier for earlier, later in pairwise(send["monotonic"] for send in unit.sent())]
    assert len(gaps) == 5
    assert 2.0 <= min(gaps) <= max(gaps) < 15


def test_a_worker_whose_clock_is_an_hour_ahead_takes_over_no_call_that_is_under_way(on_postgres: System) -> None:
    unit, phone = on_postgres.connected(), on_postgres.number()
    settings = Settings.from_environment(on_postgres.environment | {"WORKER_IN_PROCESS": "false", "LOG_FILE": os.devnull})
    other = build(settings, clock=_Skewed(on_postgres.clock, 3600))

    async def recover() -> None:
        async with other.lifespan():
            await other.services.outbound.recover()

    on_postgres.control.inject("slow-send", instance=unit.instance, number=phone, seconds=2, count=1)
    body = {"phone": phone, "message": "slow and sure", "clientMessageId": "under-way"}
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(on_postgres.client.post, "/messages", json=body, headers=unit.headers)
        RealPace().eventually(lambda: bool(unit.calls(phone)), within_s=10, what="the call is under way")
        asyncio.run(recover())
        (row,) = on_postgres.rows("SELECT status FROM messages WHERE recipient_phone = :p", p=phone)
        assert not sending.done(), "the other looked while the call was under way"
        assert row["status"] == "sending"
        answer = sending.result(30)
    assert (answer.status_code, answer.json()["attempts"]) == (200, 1), answer.text


def test_an_acknowledgement_that_races_with_the_answer_is_not_lost(on_postgres: System) -> None:
    unit = on_postgres.connected()
    on_postgres.control.automatic_acks([])
    on_postgres.control.inject("send-error", instance=unit.instance, count=1)
    doubtful = unit.send(on_postgres.number(), "raced").json()["internalId"]
    outbound, store = on_postgres.backend.services.outbound, on_postgres.backend.store
    unit_id, key = UUID(unit.id), "3EB0RACED"

    async def prove() -> None:
        async with store.unit_of_work(unit_id) as work:
            message = await work.messages.get(unit_id, UUID(doubtful), lock=True)
            assert message is not None
            await outbound.prove_sent(work, message, external_id=key, remote_jid=None, now=work.now)

    async def race() -> None:
        async with store.unit_of_work(unit_id) as work:
            await outbound.acknowledge(work, unit_id, key, MessageStatus.DELIVERED)
            proving = asyncio.ensure_future(prove())
            waiting = "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while not proving.done() and not await asyncio.to_thread(on_postgres.rows, waiting):
                await asyncio.wait([proving], timeout=0.01)
        await proving

    try:
        on_postgres.run(race())
        assert unit.message(doubtful)["status"] == "delivered"
    finally:
        on_postgres.control.automatic_acks([(0.2, "SERVER_ACK"), (0.5, "DELIVERY_ACK")])


def test_one_key_at_two_processes_is_one_send(on_postgres: System) -> None:
    unit, phone = on_postgres.connected(), on_postgres.number()
    body = {"phone": phone, "message": "together", "clientMessageId": "shared-key"}
    with on_postgres.another(WORKER_IN_PROCESS="false") as other, ThreadPoolExecutor(12) as pool:
        clients = [on_postgres.client, other] * 10
        answers = list(pool.map(lambda client: client.post("/messages", json=body, headers=unit.headers), clients))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len(unit.sent()) == 1


def test_an_event_reaches_the_streams_of_every_process(on_postgres: System) -> None:
    unit = on_postgres.shared()
    with (
        on_postgres.another(WORKER_IN_PROCESS="false") as other,
        other.stream("GET", f"/units/{unit.id}/events", headers=unit.headers) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        told = None
        # The other process may still be subscribing: what it missed is not repeated, so it is told again.
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(lambda: next(line for line in lines if line.startswith("data:")))
            while not found.done():
                unit.send(on_postgres.number(), "told elsewhere")
            told = found.result()
    assert json.loads(told.removeprefix("data:"))["status"] in ("sent", "delivered")


@pytest.mark.process
def test_a_process_killed_in_the_middle_of_a_send_sends_nothing_twice(in_real_time: System) -> None:
    unit, phone = in_real_time.connected(), in_real_time.number()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")},
        **in_real_time.environment,
        "WORKER_IN_PROCESS": "false",
        "LOG_FILE": f"{in_real_time.log_path}.child",
        "PORT": str(port),
    }
    in_real_time.control.inject("send-timeout-after-sending", instance=unit.instance, count=1, seconds=600)
    child = subprocess.Popen([sys.executable, "-c", _SERVE], env=environment, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            RealPace().eventually(lambda: _answers(client), within_s=30, what="the child answers")
            with ThreadPoolExecutor(1) as pool:
                body = {"phone": phone, "message": "in flight", "clientMessageId": "killed"}
                request = pool.submit(client.post, "/messages", json=body, headers=_fresh(unit.email, client))
                RealPace().eventually(lambda: bool(unit.sent()), within_s=10, what="the message is out")
                os.killpg(child.pid, signal.SIGKILL)
                assert isinstance(request.exception(20), httpx.TransportError)
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
    unit.headers = in_real_time.login(unit.email, PASSWORD)
    (message,) = unit.messages_with(phone)
    assert message["status"] == "sending"
    in_real_time.eventually(lambda: unit.message(message["id"])["status"] in ("sent", "delivered"), within_s=300)
    assert len(unit.sent()) == len(unit.calls()) == 1
    assert unit.send(phone, "in flight", "killed").json()["deduplicated"] is True


@pytest.mark.process
def test_measurements_of_several_processes_are_their_sum(without_a_worker: System, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")},
        **without_a_worker.environment,
        "LOG_FILE": str(tmp_path / "child.log"),
    }
    command = (sys.executable, "-m", "harness.cli", "backend", "serve", "--port", str(port), "--workers", "2")
    served = subprocess.Popen(command, env=environment, start_new_session=True)
    url, token = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {environment['METRICS_TOKEN']}"}
    try:
        with httpx.Client(base_url=url, trust_env=False) as client:
            RealPace().eventually(lambda: _answers(client), within_s=60, what="a process answers")
        # Each connection is a new one, and the kernel deals them out to both.
        for number in range(40):
            assert httpx.get(f"{url}/units/{number}/events", trust_env=False, timeout=30).status_code == 401
        for _ in range(8):
            told = httpx.get(f"{url}/metrics", headers=token, trust_env=False, timeout=30).text
            (line,) = [line for line in told.splitlines() if line.startswith("http_requests_total") and 'status="401"' in line]
            assert line.endswith(" 40.0"), line
            assert "# HELP messages_unknown Outbound messages of doubtful outcome" in told
            assert "\nmessages_unknown 0.0" in told
    finally:
        os.killpg(served.pid, signal.SIGTERM)
        served.wait(30)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _fresh(email: str, client: httpx.Client) -> dict[str, str]:
    # The child lives on the machine's clock: it takes tokens of its own time only.
    answer = client.post("/admin/login", json={"email": email, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


def test_connections_that_the_database_has_closed_cost_no_request(on_postgres: System) -> None:
    unit = on_postgres.shared()

    def status() -> int:
        return unit.request("GET", f"{unit.whatsapp}/status").status_code

    with ThreadPoolExecutor(12) as pool:
        # Several at a time, so that the pool holds several connections.
        assert {future.result() for future in [pool.submit(status) for _ in range(24)]} == {200}
        closed = on_postgres.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'reference-backend'"
        )
        assert len(closed) > 1, "the pool held several connections"
        assert {future.result() for future in [pool.submit(status) for _ in range(24)]} == {200}
