from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gate.errors import UsageError
from gate.journal import Journal, read
from gate.model import Outcome, Status
from harness.smoke import expected_ids
from harness.smoke.probes.scan import draw
from harness.smoke.walk import probes, run, take
from harness.target import RealPace, Target
from harness.tests.monitor.backend import World, world

RECIPIENT = "5511987650001"
STEPS = ["health", "login", "units", "connect", "status-before", "scan", "status-after", "send"]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        yield running


def _by_step(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.id.removeprefix("smoke."): outcome for outcome in outcomes}


def test_there_are_eight_steps_in_the_order_of_the_specification() -> None:
    assert expected_ids() == [f"smoke.{step}" for step in STEPS]
    assert all(item.title and item.paragraphs["Why"] and item.paragraphs["Fix"] for item in probes())


def test_a_fresh_unit_is_connected_and_sends(here: World, tmp_path: Path) -> None:
    unit = here.backend.add_unit(connected=False)
    journal = Journal.create(tmp_path / "journal.jsonl", release={"name": "test"})

    outcomes = run(here.target, here.pace, recipient=RECIPIENT, journal=journal)

    assert [outcome.status for outcome in outcomes] == [Status.PASS] * 8
    assert [send["instance"] for send in here.evolution.ledger()] == [f"unit_{unit}"]
    for outcome in outcomes:
        assert {"status code", "request id", "seconds"} <= {piece.label for piece in outcome.evidence}
    recording = read(journal.path)
    assert recording.damage == ()
    assert recording.planned == set(expected_ids())
    assert [step["name"] for step in recording.facts["smoke.steps"]] == STEPS
    assert RECIPIENT not in journal.path.read_text()


def test_a_connected_unit_passes_with_the_time_of_its_connection(here: World) -> None:
    here.backend.add_unit(connected=True)

    steps = _by_step(take(here.target, here.pace, recipient=RECIPIENT))

    assert {step.status for step in steps.values()} == {Status.PASS}
    for name in ("connect", "status-before", "scan"):
        assert "already connected since" in [piece.label for piece in steps[name].evidence]


@pytest.mark.parametrize(
    ("failing", "request_line", "status"),
    [
        ("health", "GET /health", 503),
        ("login", "POST /admin/login", 401),
        ("units", "GET /admin/units", 503),
        ("send", "POST /messages", 409),
    ],
)
def test_it_stops_at_the_first_failure_with_its_request_id(here: World, failing: str, request_line: str, status: int) -> None:
    here.backend.add_unit(connected=True)
    here.backend.faults.answers = {request_line: status}

    outcomes = take(here.target, here.pace, recipient=RECIPIENT)

    place = STEPS.index(failing)
    assert [outcome.status for outcome in outcomes[:place]] == [Status.PASS] * place
    assert outcomes[place].status is Status.FAIL
    assert f"{status} (planted), request id " in outcomes[place].reason
    for outcome in outcomes[place + 1 :]:
        assert outcome.status is Status.INCONCLUSIVE
        assert outcome.reason == f"not reached: smoke.{failing} failed"


def test_no_unit_at_all_is_a_failure(here: World) -> None:
    assert "there is no unit" in _by_step(take(here.target, here.pace, recipient=RECIPIENT))["units"].reason


def test_a_unit_is_found_by_its_slug_and_a_wrong_name_is_a_failure(here: World) -> None:
    here.backend.add_unit(connected=True)
    wanted = here.backend.add_unit(connected=True)

    found = _by_step(take(here.target, here.pace, recipient=RECIPIENT, unit=wanted[:8]))
    lost = _by_step(take(here.target, here.pace, recipient=RECIPIENT, unit="nobody"))

    assert [str(piece.value) for piece in found["units"].evidence if piece.label == "unit"] == [wanted]
    assert lost["units"].status is Status.FAIL
    assert "'nobody'" in lost["units"].reason


def test_a_status_that_never_says_waiting_scan_is_a_failure(here: World) -> None:
    here.backend.add_unit(connected=False)
    here.backend.faults.frozen_status = True

    steps = _by_step(take(here.target, here.pace, recipient=RECIPIENT))

    assert steps["connect"].status is not Status.PASS
    assert steps["send"].status is Status.INCONCLUSIVE


def test_a_wrong_reason_after_the_scan_is_a_failure(here: World) -> None:
    here.backend.add_unit(connected=False)
    here.backend.faults.wrong_reason = True

    steps = _by_step(take(here.target, here.pace, recipient=RECIPIENT))

    assert steps["scan"].status is Status.PASS
    assert "'other'" in steps["status-after"].reason


def test_a_qr_code_that_is_no_png_is_a_failure(here: World) -> None:
    here.backend.add_unit(connected=False)
    here.backend.faults.broken_qr = True

    assert "not a PNG" in _by_step(take(here.target, here.pace, recipient=RECIPIENT))["connect"].reason


def test_a_message_that_the_provider_got_twice_is_a_failure(here: World) -> None:
    here.backend.add_unit(connected=True)
    here.backend.faults.double_sends = True

    assert "2 times" in _by_step(take(here.target, here.pace, recipient=RECIPIENT))["send"].reason


@pytest.mark.parametrize("recipient", ["", "12345", "number", "55 11 98765", "5511987650001x"])
def test_without_a_recipient_nothing_runs(here: World, recipient: str) -> None:
    with pytest.raises(UsageError, match="no default number"):
        take(here.target, here.pace, recipient=recipient)
    assert here.backend.counts == {}


def test_a_backend_that_does_not_answer_is_an_error_not_a_failure() -> None:
    target = Target(url="http://127.0.0.1:9", admin_email="a@test.invalid", admin_password="password-0123456789")

    outcomes = take(target, RealPace(), recipient=RECIPIENT)

    assert outcomes[0].status is Status.ERROR
    assert "no answer" in outcomes[0].reason
    assert outcomes[-1].reason == "not reached: smoke.health could not look"


def test_behind_a_real_provider_nobody_scans_unless_a_person_does(here: World) -> None:
    unit = here.backend.add_unit(connected=False)
    real = Target(url=here.target.url, admin_email=here.target.admin_email, admin_password=here.target.admin_password)
    shown: list[str] = []

    alone = _by_step(take(real, here.pace, recipient=RECIPIENT))
    assert alone["scan"].status is Status.INCONCLUSIVE
    assert "--pause" in alone["scan"].reason

    def scan_when_shown(code: str) -> None:
        shown.append(code)
        here.evolution.scan(f"unit_{unit}")

    with_person = _by_step(take(real, here.pace, recipient=RECIPIENT, pause=True, show=scan_when_shown))
    assert with_person["send"].status is Status.PASS
    assert "█" in shown[0] or "▀" in shown[0]


def test_a_picture_without_a_code_cannot_be_drawn() -> None:
    import base64
    import io

    from PIL import Image

    blank = io.BytesIO()
    Image.new("L", (40, 40), 255).save(blank, "png")
    with pytest.raises(Exception, match="cannot be decoded"):
        draw("data:image/png;base64," + base64.b64encode(blank.getvalue()).decode())


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"{}", Status.FAIL, "says status None, not 'ok'"),
        (b"[" * 200_000, Status.FAIL, "says status None, not 'ok'"),
        (b"<html>ok</html>", Status.FAIL, "says status None, not 'ok'"),
        (b" " * 40_000_000, Status.ERROR, "did not end within 60 s and 32 MB"),
    ],
    ids=["an empty object", "nested without end", "a page", "without end"],
)
def test_whoever_answers_200_to_everything_is_no_backend(body: bytes, status: Status, told: str) -> None:
    class Always(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Always) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(url=f"http://127.0.0.1:{server.server_port}", admin_email="ana@example.com", admin_password="not-asked")
        first, *others = take(target, RealPace(), recipient=RECIPIENT)
        server.shutdown()
    assert first.status is status
    assert told in first.reason
    assert {outcome.status for outcome in others} == {Status.INCONCLUSIVE}
