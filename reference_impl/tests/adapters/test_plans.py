"""The statements that run for every message take as long with many rows as with few: the planner finds each an index."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from harness.datastores import Database as Server
from reference_impl.adapters.clock import SystemClock
from reference_impl.adapters.database import Database
from reference_impl.migrations.migrate import runtime_url
from reference_impl.ports import UnitOfWork

pytestmark = pytest.mark.postgres
UNITS, CONTACTS, MESSAGES = 20, 4_000, 60_000
_FILL = """
INSERT INTO units (id, name, slug) SELECT md5('u' || n)::uuid, 'Unit', 'unit-' || n FROM generate_series(1, {units}) n;
INSERT INTO unit_whatsapp_connections (unit_id, instance_id, status)
  SELECT md5('u' || n)::uuid, 'unit_' || md5('u' || n)::uuid, 'connected' FROM generate_series(1, {units}) n;
INSERT INTO contacts (id, unit_id, phone)
  SELECT md5('c' || n)::uuid, md5('u' || (n % {units} + 1))::uuid, (5511900000000 + n)::text
  FROM generate_series(1, {contacts}) n;
INSERT INTO conversations (id, unit_id, contact_id, last_message_at)
  SELECT md5('v' || n)::uuid, md5('u' || (n % {units} + 1))::uuid, md5('c' || n)::uuid, now()
  FROM generate_series(1, {contacts}) n;
INSERT INTO messages (id, unit_id, conversation_id, direction, sender, content, status, external_id, client_message_id,
                      recipient_phone, attempts, created_at, lease_until, next_attempt_at)
  SELECT md5('m' || n)::uuid, md5('u' || (n % {contacts} % {units} + 1))::uuid, md5('v' || (n % {contacts} + 1))::uuid,
         CASE WHEN n % 2 = 0 THEN 'outbound' ELSE 'inbound' END, CASE WHEN n % 2 = 0 THEN 'agent' ELSE 'customer' END,
         'hello ' || n,
         CASE WHEN n % 2 = 1 THEN 'received' WHEN n % 400 = 0 THEN 'unknown' WHEN n % 1000 = 2 THEN 'queued'
              WHEN n % 1000 = 4 THEN 'sending' ELSE 'delivered' END,
         'key-' || n, 'client-' || n, (5511900000000 + n % {contacts} + 1)::text, CASE WHEN n % 2 = 0 THEN 1 ELSE 0 END,
         now() - n * interval '1 second', CASE WHEN n % 1000 = 4 THEN now() - interval '1 hour' END,
         CASE WHEN n % 1000 = 2 THEN now() - interval '1 hour' END
  FROM generate_series(1, {messages}) n;
"""


@pytest.fixture(scope="module")
def filled(server: Server, migrated_template: str) -> Iterator[str]:
    """The URL of a database with many rows, whose statistics are known."""
    with server.throwaway(template=migrated_template) as database:
        with psycopg.connect(database.conninfo, autocommit=True) as connection:
            connection.execute(_FILL.format(units=UNITS, contacts=CONTACTS, messages=MESSAGES).encode())
            connection.execute("ANALYZE")
        # As the role that row-level security holds for: its conditions must not keep the planner from an index.
        yield runtime_url(database.url)


Use = Callable[[UnitOfWork, UUID], Awaitable[Any]]


async def _contact(work: UnitOfWork, unit: UUID) -> None:
    phones = ("5511900000019", "551190000019")
    contact = await work.contacts.get_or_add(unit_id=unit, phone=phones[0], lid=None, name=None, now=work.now, variants=phones)
    await work.conversations.open_of(contact, work.now)


HOT: dict[str, Use] = {
    "the connection of an event": lambda work, unit: work.connections.by_instance(f"unit_{unit}", "evolution"),
    "the message of an acknowledgement": lambda work, unit: work.messages.by_external_id(unit, "key-39", lock=True),
    "updates that came early": lambda work, unit: work.messages.take_updates(unit, "key-39"),
    "the message of a client's key": lambda work, unit: work.messages.by_client_id(unit, "client-39"),
    "contact and conversation": _contact,
    "messages to send": lambda work, unit: work.messages.due_queued(unit, work.now, 4),
    "units with messages to send": lambda work, _: work.messages.units_with_queued(work.now),
    "units with doubtful messages": lambda work, _: work.messages.units_with_unknown(work.now),
    "doubtful messages to a number": lambda work, unit: work.messages.doubtful_to(unit, ["5511900000401"], "hello 400"),
    "messages of lost workers": lambda work, _: work.messages.stale_sending(work.now, 100),
    "campaigns to wake": lambda work, _: work.campaigns.units_with_work(idle_since=work.now),
    "what the measurements count": lambda work, _: work.messages.gauges(work.now),
    "the next slot of a number": lambda work, unit: work.connections.take_slot(unit, now=work.now, hold_until=work.now),
}


@pytest.mark.parametrize("name", HOT)
def test_a_statement_of_every_message_reads_no_large_table_from_end_to_end(filled: str, name: str) -> None:
    plans = asyncio.run(_plans(filled, HOT[name]))
    assert plans, "no statement was seen"
    scanned = [
        (statement, line.strip())
        for statement, plan in plans
        for line in plan
        if re.search(r"Seq Scan on (messages|contacts|conversations)\b", line)
    ]
    assert not scanned, "\n".join(f"{line}: {statement}" for statement, line in scanned)


def test_a_statement_without_an_index_would_be_noticed(filled: str) -> None:
    async def search(work: Any, _: UUID) -> None:
        await work.messages._connection.execute(sa.text("SELECT id FROM messages WHERE content = 'hello 39'"))

    plans = asyncio.run(_plans(filled, search))
    assert any("Seq Scan on messages" in line for _, plan in plans for line in plan)


async def _plans(url: str, use: Use) -> list[tuple[str, list[str]]]:
    """Each statement of `use` with the plan that the server would run it by."""
    database = Database(url, clock=SystemClock())
    await database.open()
    try:
        async with database.unit_of_work(None) as work:
            units = [connection.unit_id for connection in await work.connections.all_active()]
        seen: list[tuple[str, Any]] = []
        engine = database._engine
        assert engine is not None

        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
            seen.append((statement, parameters))

        sa.event.listen(engine.sync_engine, "before_cursor_execute", note)
        async with database.unit_of_work(None) as work:
            await use(work, units[0])
        sa.event.remove(engine.sync_engine, "before_cursor_execute", note)
        return [(statement, await _explained(url, statement, parameters)) for statement, parameters in seen]
    finally:
        await database.close()


async def _explained(url: str, statement: str, parameters: Any) -> list[str]:
    async with _connected(url) as connection:
        found = await connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
        return [str(row[0]) for row in found]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql("SET LOCAL app.scope = 'system'")
            yield connection
            await connection.rollback()
    finally:
        await engine.dispose()
