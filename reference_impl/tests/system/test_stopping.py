"""What a process owes when it is told to stop: calls under way are ended, nothing is lost, and others go on at once."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx
import pytest

from harness.target import RealPace
from reference_impl.tests.system.conftest import PASSWORD, System, Unit

pytestmark = [pytest.mark.postgres, pytest.mark.process]
_SERVE = """
import os
from reference_impl.entrypoints.serve import serve
from reference_impl.settings import Settings
serve(Settings.from_environment(os.environ), "127.0.0.1", int(os.environ["PORT"]), int(os.environ["PROCESSES"]))
"""
_WORK = """
import os
from reference_impl.entrypoints.worker import run_worker
from reference_impl.settings import Settings
run_worker(Settings.from_environment(os.environ))
"""


@contextlib.contextmanager
def _child(system: System, code: str, name: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "PYTHONPATH")},
        **system.environment,
        "WORKER_IN_PROCESS": "false",
        "LOG_FILE": str(system.log_path.with_name(f"{name}.log")),
        **environment,
    }
    child = subprocess.Popen([sys.executable, "-c", code], env=settings, start_new_session=True)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)


@contextlib.contextmanager
def _serving(system: System, processes: int) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with (
        _child(system, _SERVE, "api", PORT=str(port), PROCESSES=str(processes)) as child,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client,
    ):
        RealPace().eventually(lambda: _answers(client), within_s=60, what="the child answers")
        yield child, client


@contextlib.contextmanager
def _working(system: System, name: str) -> Iterator[subprocess.Popen[bytes]]:
    log = system.log_path.with_name(f"{name}.log")
    with _child(system, _WORK, name) as child:
        RealPace().eventually(lambda: log.exists() and "worker at work" in log.read_text(), within_s=60, what="the worker works")
        yield child


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _headers(client: httpx.Client, unit: Unit) -> dict[str, str]:
    # The child lives on the machine's clock: it takes tokens of its own time only.
    answer = client.post("/admin/login", json={"email": unit.email, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['accessToken']}"}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_server_that_is_told_to_stop_answers_what_it_has_begun(in_real_time: System, processes: int) -> None:
    unit = in_real_time.connected()
    in_real_time.control.inject("slow-send", instance=unit.instance, seconds=3)
    phones = [in_real_time.number() for _ in range(6)]
    with _serving(in_real_time, processes) as (child, client), ThreadPoolExecutor(len(phones)) as pool:
        headers = _headers(client, unit)
        bodies = [{"phone": phone, "message": "begun", "clientMessageId": phone} for phone in phones]
        requests = [pool.submit(client.post, "/messages", json=body, headers=headers) for body in bodies]
        RealPace().eventually(lambda: len(unit.calls()) == len(phones), within_s=20, what="all calls are under way")
        child.send_signal(signal.SIGTERM)
        answers = [request.result(30) for request in requests]
        assert child.wait(30) == 0
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    assert sorted(send["number"] for send in unit.sent()) == sorted(phones)


def test_a_worker_that_is_told_to_stop_ends_the_call_that_is_under_way(without_a_worker: System) -> None:
    system = without_a_worker
    unit, phone = system.connected(), system.number()
    system.control.inject("slow-send", instance=unit.instance, number=phone, seconds=3)
    with _working(system, "worker") as worker:
        answer = unit.request("POST", "/messages", {"phone": phone, "message": "under way"}, prefer="respond-async")
        assert answer.status_code == 202
        RealPace().eventually(lambda: len(unit.calls(phone)) == 1, within_s=30, what="the call is under way")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    row = unit.message(answer.json()["internalId"])
    assert row["status"] in ("sent", "delivered"), row
    assert (row["attempts"], len(unit.sent(phone)), len(unit.calls(phone))) == (1, 1, 1)


def test_a_campaign_goes_on_at_another_worker_when_its_own_is_told_to_stop(without_a_worker: System) -> None:
    system = without_a_worker
    unit = system.connected()
    path = f"/api/campaigns/{unit.campaign(4)['id']}"
    with _working(system, "first") as first:
        assert unit.post(f"{path}/dispatch").status_code == 200
        RealPace().eventually(lambda: bool(unit.sent()), within_s=30, what="the first recipient has it")
        first.send_signal(signal.SIGTERM)
        assert first.wait(40) == 0
    assert len(unit.sent()) < 4, "the first worker left something to do"
    assert unit.get(path)["status"] == "processing"
    with _working(system, "second"):
        RealPace().eventually(lambda: unit.get(path)["status"] == "completed", within_s=60, what="the second ends it")
    moments = [send["monotonic"] for send in unit.sent()]
    assert len({send["number"] for send in unit.sent()}) == len(moments) == 4
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 2.0


def test_the_job_of_a_worker_that_was_killed_is_taken_over(without_a_worker: System) -> None:
    system = without_a_worker
    unit, phone = system.connected(), system.number()
    system.control.inject("slow-send", instance=unit.instance, number=phone, seconds=30, count=1)
    jobs = "SELECT id FROM procrastinate.procrastinate_jobs WHERE queueing_lock LIKE 'send:%' AND status = 'doing'"
    with _working(system, "killed") as killed:
        answer = unit.request("POST", "/messages", {"phone": phone, "message": "under way"}, prefer="respond-async")
        RealPace().eventually(lambda: len(unit.calls(phone)) == 1, within_s=30, what="the call is under way")
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(10)
    assert len(system.rows(jobs)) == 1
    with _working(system, "heir"):
        RealPace().eventually(lambda: not system.rows(jobs), within_s=90, what="the job is taken over")
    assert unit.message(answer.json()["internalId"])["status"] in ("sending", "unknown")
    assert len(unit.calls(phone)) == 1
