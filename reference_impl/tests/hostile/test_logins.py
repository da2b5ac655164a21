"""Rows 10 to 13: who guesses passwords, floods the login, or sends it what is none."""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reference_impl.tests.hostile.fortress import PASSWORD, Fortress, resident_mb

pytestmark = [pytest.mark.postgres, pytest.mark.process]
GUESS = "canary-guess-of-a-password"


@pytest.mark.thorough
def test_row_10_an_unknown_user_costs_the_time_of_a_known_one(fortress: Fortress) -> None:
    # Each account may fail a few times only, so the known ones are many.
    known = [fortress.tenant(connected=False).email for _ in range(4)]
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    answers = set()
    for number in range(32):
        for kind, email in (("known", known[number % 4]), ("unknown", f"nobody-{number}@fortress.invalid")):
            begun = time.perf_counter()
            answer = fortress.ask("POST", "/admin/login", {"email": email, "password": GUESS})
            times[kind].append(time.perf_counter() - begun)
            answers.add((answer.status, json.dumps(answer.json() | {"requestId": ""})))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    medians = {kind: statistics.median(found) for kind, found in times.items()}
    # A hash costs some twenty milliseconds of CPU; without one for strangers the medians are several times apart.
    assert 0.6 < medians["known"] / medians["unknown"] < 1.7, medians


def test_row_11_a_password_of_a_megabyte(fortress: Fortress) -> None:
    for size in (1025, 100_000, 1_000_000):
        answer = fortress.ask("POST", "/admin/login", {"email": fortress.a.email, "password": "p" * size})
        assert answer.status == 422


def test_row_11_a_hundred_logins_at_once(fortress: Fortress) -> None:
    before = resident_mb(fortress.workers)
    body = {"email": "nobody@fortress.invalid", "password": GUESS}

    def login(number: int) -> int:
        return fortress.ask("POST", "/admin/login", body | {"email": f"nobody-{number % 40}@fortress.invalid"}).status

    with ThreadPoolExecutor(100) as pool:
        running = [pool.submit(login, number) for number in range(100)]
        assert fortress.as_b("GET", "/contacts").status == 200, "others are served meanwhile"
        statuses = {future.result() for future in running}
    assert statuses <= {401, 429}
    # 19 MiB a hash, two at once in each of two processes.
    assert resident_mb(fortress.workers) - before < 200


def test_row_11_an_account_is_closed_to_guesses_whatever_the_headers_claim(fortress: Fortress) -> None:
    victim = fortress.tenant(connected=False)
    statuses = []
    for number in range(30):
        headers = {
            "X-Forwarded-For": f"10.1.2.{number}",
            "X-Real-IP": f"10.1.2.{number}",
            "Forwarded": f"for=10.1.2.{number}",
            "Client-IP": f"10.1.2.{number}",
        }
        answer = fortress.ask("POST", "/admin/login", {"email": victim.email.upper(), "password": GUESS}, headers=headers)
        statuses.append(answer.status)
    # Ten in each of two processes.
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= 20
    last = next(answer for _, answer in reversed(fortress.answers) if answer.status == 429)
    assert int(last.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": "a@b.c"},
        {"password": GUESS},
        {"email": 5, "password": GUESS},
        {"email": "a@b.c", "password": 5},
        {"email": "a@b.c", "password": ""},
        {"email": "a@b.c", "password": [GUESS]},
        {"email": "a@b.c", "password": {"$ne": GUESS}},
        {"email": {"$gt": ""}, "password": GUESS},
        {"email": ["a@b.c"], "password": GUESS},
        {"email": "a\x00@b.c", "password": GUESS},
        {"email": "\ud800@b.c", "password": GUESS},
        {"email": "a@b.c", "password": "\ud800" + GUESS},
        {"email": "a@b.c", "password": "\x00" + GUESS},
        {"email": "a@b.c" * 500, "password": GUESS},
        {"email": "' OR '1'='1", "password": GUESS},
        {"email": "a@b.c", "password": GUESS, "unitSlug": "\x00"},
        {"email": "a@b.c", "password": GUESS, "unitSlug": "' OR 1=1 --"},
        {"email": "a@b.c", "password": GUESS, "unitSlug": 5},
        {"email": "a@b.c", "password": GUESS, "role": "super_admin", "isActive": True},
        {"email": None, "password": None},
        [],
        "x",
        5,
        None,
        [{"email": "a@b.c", "password": GUESS}],
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_row_13_a_login_that_is_none_repeats_nothing(fortress: Fortress, body: Any) -> None:
    answer = fortress.ask("POST", "/admin/login", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    assert answer.status in (400, 401, 422)
    assert GUESS.encode() not in answer.body
    assert set(answer.json()) <= {"error", "details", "requestId"}
    assert GUESS not in fortress.outputs()


@pytest.mark.parametrize("value", [PASSWORD, "canary-user-text"])
def test_row_13_no_refused_body_of_any_route_is_repeated(fortress: Fortress, value: str) -> None:
    junk = {
        name: {"nested": [value]}
        for name in ("email", "password", "name", "phone", "message", "refreshToken", "content", "provider")
    }
    for path in ("/admin/login", "/admin/refresh", "/admin/users", "/admin/units", "/messages", "/contacts", "/api/campaigns"):
        for content in (
            json.dumps(junk).encode(),
            json.dumps(junk).encode()[:-1],
            json.dumps({value: value}).encode(),
            value.encode(),
        ):
            answer = fortress.ask("POST", path, content=content, headers=fortress.admin | {"Content-Type": "application/json"})
            assert 400 <= answer.status < 500
            assert value.encode() not in answer.body, f"{path}: {answer.body!r}"
    assert value not in fortress.outputs()
