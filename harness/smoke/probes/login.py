"""The admin can log in.

Why: without a token no later step, and no person, can do anything.
Fix: check the admin's credentials, the token secrets of the environment, and that the users' table is the right one.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure
from gate.model import Evidence
from gate.registry import probe
from harness.smoke.walk import Walk


@probe(order=20)
def run(walk: Walk) -> Iterator[Evidence]:
    answer = walk.pace.call(walk.session.login)
    yield from answer.evidence()
    if answer.status != 200:
        raise Failure(f"POST /admin/login: {answer.told()}; expected 200")
    if not walk.session.logged_in:
        raise Failure(f"POST /admin/login answered 200 without an accessToken, {answer.request}")
    yield Evidence(label="role", value=str(answer.field("user", "role") or "not told"))
