"""A proxy in front of the server answers 429, with Retry-After in any of its forms or without.

Why: the server itself never limits; whoever runs it behind a gateway meets this and must slow down, not fail.
Retry-After may be seconds or an HTTP date, and proxies send what is neither: taken at its word, `huge` stops a queue for ever.
Evidence: section 3: no 429 is ever produced by the server, so it comes from what stands before it.
"""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from typing import Annotated, Literal

from gate.registry import fault
from harness.evolution.injection import Arrival, Option, refusal


@fault()
def run(
    at: Arrival,
    seconds: Annotated[
        int, Option(text="how long to wait, for the forms `seconds`, `date` and `past-date`", unit="s", most=10**9)
    ] = 2,
    retry_after: Annotated[
        Literal["seconds", "date", "past-date", "absent", "zero", "negative", "garbage", "huge"],
        Option(text="the form of the header Retry-After; `huge` is 31 years"),
    ] = "seconds",
    message: Annotated[str, Option(text="the error's text")] = "Too Many Requests",
) -> None:
    error = refusal(429, message)
    wait = timedelta(seconds=seconds)
    value = {
        "seconds": str(seconds),
        "date": format_datetime(at.now + wait, usegmt=True),
        "past-date": format_datetime(at.now - wait, usegmt=True),
        "absent": "",
        "zero": "0",
        "negative": "-1",
        "garbage": "soon",
        "huge": "999999999",
    }[retry_after]
    if value:
        error.headers["Retry-After"] = value
    raise error
