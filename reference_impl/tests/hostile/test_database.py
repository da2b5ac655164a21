"""Rows 68 and 69: a database that is cut off, full, busy or read-only, and a queue that comes back empty."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from reference_impl.tests.hostile.fortress import Fortress

pytestmark = [pytest.mark.postgres, pytest.mark.process]
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@contextlib.contextmanager
def failing_insert(fortress: Fortress, table: str, code: str) -> Iterator[None]:
    """Every insert into a table ends with this SQLSTATE, as of a full disk or a lost race."""
    fortress.rows(
        f"CREATE OR REPLACE FUNCTION public.hostile() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
        f" 'canary-database-error in /var/lib/postgresql' USING ERRCODE = '{code}'; END $$"
    )
    fortress.rows(f"CREATE TRIGGER hostile BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.hostile()")
    try:
        yield
    finally:
        fortress.rows(f"DROP TRIGGER hostile ON {table}")


def same(fortress: Fortress) -> tuple[Any, ...]:
    statement = (
        "SELECT (SELECT count(*) FROM messages) m, (SELECT count(*) FROM contacts) c, (SELECT count(*) FROM conversations) v"
    )
    return tuple(fortress.rows(statement)[0].values())


@pytest.mark.parametrize(
    "code",
    [
        "53100",
        "53200",
        "53300",
        "57014",
        "40001",
        "40P01",
        "25006",
        "55P03",
        "57P01",
        "57P03",
        "58030",
        "XX000",
        "08006",
        "53400",
    ],
)
@pytest.mark.answers(503)
def test_row_68_a_database_that_refuses_is_503_and_nothing_is_half_done(fortress: Fortress, code: str) -> None:
    identity, phone = str(uuid4()), fortress.number()
    before = same(fortress)
    with failing_insert(fortress, "messages", code):
        hook = fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity))
        send = fortress.as_a("POST", "/messages", {"phone": phone, "message": "x", "clientMessageId": identity})
    assert {hook.status, send.status} == {503}
    for answer in (hook, send):
        assert b"canary" not in answer.body
        assert int(answer.headers["retry-after"]) >= 1
    assert same(fortress) == before
    assert not [
        call
        for call in fortress.control.requests(path=f"/message/sendText/{fortress.a.instance}")
        if call["body"]["number"] == phone
    ]
    assert fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity)).json() == {
        "success": True,
        "received": True,
    }
    assert fortress.as_a("POST", "/messages", {"phone": phone, "message": "x", "clientMessageId": identity}).status == 200


@pytest.mark.answers(503)
def test_row_68_connections_cut_while_everybody_works(fortress: Fortress) -> None:
    ended = threading.Event()

    def cut() -> None:
        while not ended.wait(0.3):
            fortress.rows(f"SELECT pg_terminate_backend(pid) {OURS}")

    cutter = threading.Thread(target=cut)
    cutter.start()
    identities = [str(uuid4()) for _ in range(60)]
    phone = fortress.number()
    try:
        with ThreadPoolExecutor(6) as pool:
            answers = list(
                pool.map(
                    lambda identity: fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(phone, identity)), identities
                )
            )
    finally:
        ended.set()
        cutter.join()
    assert {answer.status for answer in answers} <= {200, 503}
    acked = {identity for identity, answer in zip(identities, answers, strict=True) if answer.status == 200}
    stored = fortress.rows("SELECT external_id FROM messages WHERE external_id = ANY(:ids)", ids=identities)
    assert acked <= {row["external_id"] for row in stored}, "what was acknowledged is there"
    assert len(stored) == len({row["external_id"] for row in stored})
    fortress.eventually(lambda: fortress.as_a("GET", "/contacts").status == 200 or None, what="back")


@pytest.mark.answers(503)
def test_row_68_a_locked_table_holds_nobody_for_ever(fortress: Fortress) -> None:
    with psycopg.connect(fortress.owner_url.replace("+psycopg", ""), autocommit=False) as lock:
        lock.execute("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE")
        answer = fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(fortress.number(), str(uuid4())))
        assert answer.status == 503
        assert fortress.as_b("GET", "/contacts").status == 200, "what needs no such table is served"
        lock.rollback()
    assert fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(fortress.number(), str(uuid4()))).status == 200


@pytest.mark.thorough
@pytest.mark.answers(503)
def test_row_68_all_connections_busy(fortress: Fortress) -> None:
    with psycopg.connect(fortress.owner_url.replace("+psycopg", ""), autocommit=False) as lock:
        lock.execute("LOCK TABLE contacts IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(60) as pool:
            running = [pool.submit(fortress.as_a, "GET", "/contacts") for _ in range(60)]
            statuses = {future.result().status for future in running}
        lock.rollback()
    assert statuses <= {503, 429}
    assert fortress.ask("GET", "/health").status == 200
    fortress.eventually(lambda: fortress.as_a("GET", "/contacts").status == 200 or None, what="back")


@pytest.mark.answers(503)
def test_row_68_a_database_that_has_become_read_only(fortress: Fortress) -> None:
    name = fortress.rows("SELECT current_database() AS name")[0]["name"]
    # Of the role rather than the database: the owner must be able to undo it.
    fortress.rows(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        fortress.rows(f"SELECT pg_terminate_backend(pid) {OURS}")
        answer = fortress.deliver(fortress.a, "messages.upsert", fortress.upsert(fortress.number(), str(uuid4())))
        assert answer.status == 503
        assert fortress.as_a("GET", "/contacts").status == 200, "reading goes on"
        assert fortress.as_a("POST", "/contacts", {"phone": fortress.number()}).status == 503
    finally:
        with psycopg.connect(fortress.owner_url.replace("+psycopg", ""), autocommit=True) as owner:
            owner.execute("SET default_transaction_read_only = off")
            owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        fortress.rows(f"SELECT pg_terminate_backend(pid) {OURS}")
    fortress.eventually(
        lambda: fortress.as_a("POST", "/contacts", {"phone": fortress.number()}).status == 201 or None, what="writing again"
    )


@pytest.mark.thorough
def test_row_69_a_queue_that_comes_back_empty_is_filled_from_the_rows(fortress: Fortress) -> None:
    tenant = fortress.tenant()
    ids = [fortress.ask("POST", "/contacts", {"phone": fortress.number()}, headers=tenant.headers).json()["id"] for _ in range(3)]
    made = fortress.ask("POST", "/api/campaigns", {"name": "n", "content": "c", "contactIds": ids}, headers=tenant.headers).json()
    path = f"/api/campaigns/{made['id']}"
    fortress.ask("POST", f"{path}/dispatch", headers=tenant.headers)
    fortress.eventually(lambda: fortress.control.ledger(instance=tenant.instance) or None, what="the first went out")
    fortress.rows("TRUNCATE procrastinate.procrastinate_jobs CASCADE")
    fortress.eventually(
        lambda: fortress.ask("GET", path, headers=tenant.headers).json()["status"] == "completed" or None,
        within_s=90,
        what="completed",
    )
    sends = fortress.control.ledger(instance=tenant.instance)
    assert len(sends) == len({send["number"] for send in sends}) == 3
