from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.domain.connections import ConnectionEvent, EventKind, apply_event, instance_name, unit_of_instance
from reference_impl.domain.records import Connection

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
PROVIDER_TIME = datetime(2026, 11, 22, 11, 0, tzinfo=UTC)
QR = "data:image/png;base64,AAAA"


def a_connection(**changes: Any) -> Connection:
    connection = Connection(
        id=uuid4(),
        unit_id=uuid4(),
        provider="evolution",
        instance_id="unit_x",
        phone=None,
        status="connecting",
        status_reason="initializing",
        qr_code=None,
        webhook_secret="s",
        previous_webhook_secret=None,
        previous_webhook_secret_expires_at=None,
        connected_at=None,
        disconnected_at=None,
        qr_updated_at=None,
        connection_epoch=1,
        last_event_at=None,
        last_poll_at=None,
        connect_lease_until=None,
        degraded=False,
        last_error=None,
        next_send_at=None,
        updated_at=NOW,
    )
    return replace(connection, **changes)


def an_event(kind: EventKind, second: float = 0, **more: Any) -> ConnectionEvent:
    return ConnectionEvent(kind=kind, occurred_at=PROVIDER_TIME + timedelta(seconds=second), **more)


def after(connection: Connection, *events: ConnectionEvent) -> Connection:
    for number, event in enumerate(events):
        connection = apply_event(connection, event, NOW + timedelta(seconds=number)) or connection
    return connection


def test_the_instance_is_named_after_the_unit() -> None:
    assert instance_name(UUID(int=7)) == "unit_00000000-0000-0000-0000-000000000007"


def test_a_qr_code_waits_for_its_scan() -> None:
    connection = after(a_connection(), an_event(EventKind.QR, qr_code=QR))
    assert (connection.status, connection.status_reason, connection.qr_code) == ("qr", "waiting_scan", QR)
    assert connection.qr_updated_at == NOW


def test_a_scan_connects_and_clears_the_qr_code() -> None:
    connection = after(
        a_connection(),
        an_event(EventKind.QR, 1, qr_code=QR),
        an_event(EventKind.CONNECTING, 2),
        an_event(EventKind.OPEN, 3, phone="5511999990000"),
    )
    assert (connection.status, connection.status_reason) == ("connected", "scan_completed")
    assert (connection.qr_code, connection.phone) == (None, "5511999990000")
    assert connection.connected_at is not None


def test_an_open_after_a_drop_is_a_reconnection() -> None:
    connection = after(a_connection(), an_event(EventKind.QR, 1, qr_code=QR), an_event(EventKind.OPEN, 2))
    again = after(connection, an_event(EventKind.CONNECTING, 60), an_event(EventKind.OPEN, 61))
    assert again.status_reason == "reconnected"


def test_an_open_after_a_new_scan_is_no_reconnection() -> None:
    connection = after(a_connection(), an_event(EventKind.QR, 1, qr_code=QR), an_event(EventKind.OPEN, 2))
    later = NOW + timedelta(hours=1)
    closed = apply_event(connection, an_event(EventKind.CLOSE, 3600, code=401), later)
    assert closed is not None
    shown = apply_event(closed, an_event(EventKind.QR, 3601, qr_code=QR), later)
    assert shown is not None
    opened = apply_event(shown, an_event(EventKind.OPEN, 3602), later)
    assert opened is not None
    assert opened.status_reason == "scan_completed"


@pytest.mark.parametrize(
    ("code", "reason"), [(401, "logged_out"), (403, "banned"), (428, "disconnected"), (None, "disconnected")]
)
def test_a_close_says_why(code: int | None, reason: str) -> None:
    connection = after(a_connection(status="connected"), an_event(EventKind.CLOSE, code=code))
    assert (connection.status, connection.status_reason, connection.disconnected_at) == ("disconnected", reason, NOW)


def test_the_limit_of_qr_codes_is_an_error() -> None:
    connection = after(a_connection(status="qr", qr_code=QR), an_event(EventKind.QR_EXPIRED))
    assert (connection.status, connection.status_reason, connection.qr_code) == ("error", "qr_expired", None)


def test_an_older_open_never_beats_a_newer_close() -> None:
    connection = after(a_connection(), an_event(EventKind.CLOSE, 10, code=401), an_event(EventKind.OPEN, 5))
    assert connection.status == "disconnected"


def test_a_late_qr_code_does_not_come_back_after_the_scan() -> None:
    connection = after(a_connection(), an_event(EventKind.OPEN, 10), an_event(EventKind.QR, 9, qr_code=QR))
    assert (connection.status, connection.qr_code) == ("connected", None)


def test_the_same_event_twice_changes_nothing_more() -> None:
    event = an_event(EventKind.OPEN, 1, phone="5511999990000")
    once = after(a_connection(), event)
    assert apply_event(once, event, NOW + timedelta(minutes=5)) is None


@given(st.permutations([EventKind.CONNECTING, EventKind.QR, EventKind.OPEN, EventKind.CLOSE]))
def test_whatever_the_order_of_arrival_the_newest_event_stands(arrival: list[EventKind]) -> None:
    moment = {EventKind.CONNECTING: 1, EventKind.QR: 2, EventKind.OPEN: 3, EventKind.CLOSE: 4}
    events = [an_event(kind, moment[kind], qr_code=QR, code=401) for kind in arrival]
    assert after(a_connection(), *events).status == "disconnected"


@given(st.permutations([EventKind.CONNECTING, EventKind.QR, EventKind.OPEN]))
def test_at_one_moment_the_later_stage_stands(arrival: list[EventKind]) -> None:
    events = [an_event(kind, 1, qr_code=QR) for kind in arrival]
    assert after(a_connection(), *events).status == "connected"


@given(st.lists(st.tuples(st.sampled_from(EventKind), st.integers(0, 5)), max_size=8))
def test_every_accepted_change_is_a_new_epoch(events: list[tuple[EventKind, int]]) -> None:
    connection = a_connection()
    for kind, second in events:
        changed = apply_event(connection, an_event(kind, second, qr_code=QR), NOW)
        if changed is not None:
            assert changed.connection_epoch == connection.connection_epoch + 1
            connection = changed


@given(st.uuids())
def test_the_name_of_an_instance_tells_its_unit(unit_id: UUID) -> None:
    assert unit_of_instance(instance_name(unit_id)) == unit_id


@pytest.mark.parametrize(
    "name", ["", "unit_", "unit_x", "{id}", "unit_{hex}", "unit_{upper}", "unit_{{{id}}}", "unit_{id} ", "Unit_{id}"]
)
def test_a_name_that_no_instance_has_tells_none(name: str) -> None:
    unit_id = UUID("0f9f3a5e-3c1d-4c5b-9d54-2f1c2b7a8e10")
    assert unit_of_instance(name.format(id=unit_id, hex=unit_id.hex, upper=str(unit_id).upper())) is None
