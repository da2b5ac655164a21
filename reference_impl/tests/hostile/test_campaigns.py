"""Rows 63 to 67: campaigns that are too large, too small, too late, or started by ten people at once."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from reference_impl.tests.hostile.fortress import Fortress, Tenant, resident_mb

pytestmark = [pytest.mark.postgres, pytest.mark.process]


def campaign(fortress: Fortress, tenant: Tenant, ids: Any, **more: Any) -> Any:
    body = {"name": "News", "content": "Hello", "contactIds": ids} | more
    return fortress.ask("POST", "/api/campaigns", body, headers=tenant.headers)


def contacts(fortress: Fortress, tenant: Tenant, count: int) -> list[str]:
    return [
        fortress.ask("POST", "/contacts", {"phone": fortress.number()}, headers=tenant.headers).json()["id"] for _ in range(count)
    ]


def adds_up(found: dict[str, Any]) -> None:
    counts = found["counts"]
    assert counts["total"] == sum(count for name, count in counts.items() if name != "total")


@pytest.mark.parametrize(
    "ids", [[], None, "x", {}, 5, [5], [None], ["x"], [""], [[]], ["\x00"], ["' OR 1=1"], [str(uuid4())], ["0" * 32], [True]]
)
def test_row_63_recipients_that_are_none(fortress: Fortress, ids: Any) -> None:
    assert campaign(fortress, fortress.a, ids).status in (404, 422)
    assert isinstance(fortress.a.ids["contact_id"], str)
    if isinstance(ids, list):
        assert campaign(fortress, fortress.a, [fortress.a.ids["contact_id"], *ids]).status in (201, 404, 422)


def test_row_63_one_and_the_same_recipient_often_is_one(fortress: Fortress) -> None:
    own = fortress.a.ids["contact_id"]
    made = campaign(fortress, fortress.a, [own, own.upper(), own] * 100)
    assert (made.status, made.json()["counts"]["total"]) == (201, 1)


@pytest.mark.thorough
def test_row_63_a_hundred_thousand_recipients(fortress: Fortress) -> None:
    fortress.rows(
        "INSERT INTO contacts (id, unit_id, phone)"
        " SELECT gen_random_uuid(), :unit, '5512' || (900000000 + n) FROM generate_series(1, 100001) n",
        unit=fortress.b.id,
    )
    ids = [
        str(row["id"])
        for row in fortress.rows("SELECT id FROM contacts WHERE unit_id = :unit AND phone LIKE '5512%'", unit=fortress.b.id)
    ]
    before = resident_mb(fortress.workers)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(campaign, fortress, fortress.b, ids[:100_000])
        served = 0
        while not running.done():
            assert fortress.as_a("GET", "/contacts?limit=1", timeout=30).status == 200
            served += 1
        made = running.result()
    assert made.status == 201, made.body[:200]
    assert made.json()["counts"]["total"] == 100_000
    assert served > 2, "others are served meanwhile"
    assert campaign(fortress, fortress.b, ids).status == 422
    assert resident_mb(fortress.workers) - before < 600
    fortress.rows("DELETE FROM campaigns WHERE id = :id", id=made.json()["id"])
    fortress.rows("DELETE FROM contacts WHERE unit_id = :unit AND phone LIKE '5512%'", unit=fortress.b.id)


def test_row_63_the_same_upload_twice_is_one_contact_and_one_recipient_each(fortress: Fortress) -> None:
    phones = [fortress.number() for _ in range(5)]
    uploads = [
        [fortress.as_a("POST", "/contacts", {"phone": phone, "name": "Row"}).json()["id"] for phone in phones] for _ in range(2)
    ]
    assert uploads[0] == uploads[1]
    assert campaign(fortress, fortress.a, uploads[0] + uploads[1]).json()["counts"]["total"] == 5


@pytest.mark.thorough
def test_row_64_ten_starts_at_once_are_one_run(fortress: Fortress) -> None:
    tenant = fortress.tenant()
    made = campaign(fortress, tenant, contacts(fortress, tenant, 3)).json()
    path = f"/api/campaigns/{made['id']}"
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: fortress.ask("POST", f"{path}/dispatch", headers=tenant.headers), range(10)))
    assert {answer.status for answer in answers} == {200}
    fortress.eventually(
        lambda: fortress.ask("GET", path, headers=tenant.headers).json()["status"] == "completed" or None, what="completed"
    )
    sends = fortress.control.ledger(instance=tenant.instance)
    assert len(sends) == len({send["number"] for send in sends}) == 3
    moments = [send["monotonic"] for send in sends]
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 2.0


@pytest.mark.thorough
def test_row_64_a_hundred_random_changes_keep_the_counts(fortress: Fortress) -> None:
    tenant = fortress.tenant()
    made = campaign(fortress, tenant, contacts(fortress, tenant, 4)).json()
    path = f"/api/campaigns/{made['id']}"
    assert fortress.ask("POST", f"{path}/dispatch", headers=tenant.headers).status == 200
    chosen = random.Random(64).choices(["pause", "resume", "dispatch"], k=100)
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda verb: fortress.ask("POST", f"{path}/{verb}", headers=tenant.headers), chosen):
            assert answer.status in (200, 409)
            if answer.status == 200:
                adds_up(answer.json())
    assert fortress.ask("POST", f"{path}/resume", headers=tenant.headers).status in (200, 409)
    fortress.eventually(
        lambda: fortress.ask("GET", path, headers=tenant.headers).json()["status"] == "completed" or None, what="completed"
    )
    sends = fortress.control.ledger(instance=tenant.instance)
    assert len(sends) == len({send["number"] for send in sends}) == 4


def test_row_64_cancel_during_a_send_ends_it(fortress: Fortress) -> None:
    tenant = fortress.tenant()
    made = campaign(fortress, tenant, contacts(fortress, tenant, 3)).json()
    path = f"/api/campaigns/{made['id']}"
    fortress.control.inject("slow-answer", route="message/sendText", instance=tenant.instance, count=1, seconds=2)
    fortress.ask("POST", f"{path}/dispatch", headers=tenant.headers)
    fortress.eventually(lambda: fortress.control.requests(path=f"/message/sendText/{tenant.instance}") or None, what="a send")
    assert fortress.ask("POST", f"{path}/cancel", headers=tenant.headers).status == 200
    for verb in ("resume", "pause", "dispatch"):
        assert fortress.ask("POST", f"{path}/{verb}", headers=tenant.headers).status == 409
    assert fortress.ask("POST", f"{path}/cancel", headers=tenant.headers).status == 200
    fortress.eventually(
        lambda: fortress.ask("GET", path, headers=tenant.headers).json()["counts"]["pending"] == 2 or None,
        what="only one went out",
    )
    found = fortress.ask("GET", path, headers=tenant.headers).json()
    adds_up(found)
    assert found["status"] == "cancelled"
    assert len(fortress.control.ledger(instance=tenant.instance)) == 1


NOW = datetime.now(UTC)
MOMENTS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "past": ((NOW - timedelta(days=1)).isoformat(), (422,)),
    "year 9999": ("9999-12-31T23:59:59Z", (422,)),
    "year 1": ("0001-01-01T00:00:00+23:59", (422,)),
    "end of time west": ("9999-12-31T23:59:59-23:59", (422,)),
    "no zone": ((NOW + timedelta(days=1)).replace(tzinfo=None).isoformat(), (422,)),
    "zone name": ("2026-12-01T00:00:00 America/Sao_Paulo", (422,)),
    "other zone": ((NOW + timedelta(days=1)).astimezone().isoformat(), (201,)),
    "offset": ((NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S-03:00"), (201,)),
    "offset of half an hour": ((NOW + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S+05:30"), (201,)),
    "gap of a DST": ("2027-03-28T02:30:00+01:00", (201, 422)),
    "leap second": ("2026-12-31T23:59:60Z", (422,)),
    "february 30": ("2027-02-30T00:00:00Z", (422,)),
    "date only": ("2027-01-01", (422,)),
    "number": (1893456000, (422,)),
    "text number": ("1893456000", (422,)),
    "float": (1e400, (422,)),
    "words": ("tomorrow", (422,)),
    "list": ([], (422,)),
    "truth": (True, (422,)),
    "week date": ("2027-W01-1T00:00:00Z", (422,)),
    "nul": ("\x00", (422,)),
    "long": ("2" * 10_000, (422,)),
}


@pytest.mark.parametrize("kind", MOMENTS)
def test_row_67_a_schedule_is_a_moment_within_a_year_and_names_its_zone(fortress: Fortress, kind: str) -> None:
    moment, statuses = MOMENTS[kind]
    body = {"name": "n", "content": "c", "contactIds": [fortress.a.ids["contact_id"]], "scheduledAt": moment}
    content = json.dumps(body).encode()
    answer = fortress.as_a("POST", "/api/campaigns", content=content, headers={"Content-Type": "application/json"})
    assert answer.status in statuses, answer.body
    if answer.status == 201:
        assert answer.json()["scheduledAt"].endswith("Z")
        assert datetime.fromisoformat(answer.json()["scheduledAt"]) == datetime.fromisoformat(moment).astimezone(UTC).replace(
            microsecond=datetime.fromisoformat(moment).microsecond // 1000 * 1000
        )
        assert fortress.as_a("POST", f"/api/campaigns/{answer.json()['id']}/cancel").status == 200


@pytest.mark.parametrize("policy", ["", "exactly_once", 5, None, [], "AT_MOST_ONCE", "\x00"])
def test_row_67_a_policy_that_is_none(fortress: Fortress, policy: Any) -> None:
    assert campaign(fortress, fortress.a, [fortress.a.ids["contact_id"]], deliveryPolicy=policy).status == 422
