"""Synthetic traffic of a watch: messages sent through the API, customers' messages through the fake, and one dropped connection.

A watch without traffic sees nothing. What was done here is known exactly, so that it also proves the backend's own counts.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.monitor.decision import Rate, required_sample
from harness.monitor.sources import Readings
from harness.smoke.session import Answer, Session
from harness.target import Pace

if TYPE_CHECKING:
    from harness.evolution.client import ControlVerbs

__all__ = ["ACCEPTED", "FAILED", "NOT_KNOWN", "RECEIVED", "REFUSED", "Plan", "Traffic", "due", "schedule"]

# A batch that takes longer than this waits for something on the target's clock, which the pace then moves.
PATIENCE_S = 1.0
AT_A_TIME = 4
DROP_CODE = 428
FAILURES_BORNE = 1
ACCEPTED, NOT_KNOWN, FAILED, REFUSED, RECEIVED = "sends accepted", "sends not known", "sends failed", "sends refused", "inbound"
_PROBLEMS_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Traffic of an hour: what the real world is expected to send, and what is added for the watch. Rates are per hour."""

    expected_sends: int = 0
    sends: int = 0
    inbound: int = 0
    recipients: Sequence[str] = ()

    def __post_init__(self) -> None:
        if min(self.expected_sends, self.sends, self.inbound) < 0:
            raise HarnessError("traffic per hour cannot be negative")
        if (self.sends or self.inbound) and not self.recipients:
            raise HarnessError("synthetic traffic needs the numbers it may use; there is no default number")


def schedule(*, expected_sends: int, rates: Sequence[Rate], recipients: Sequence[str], inbound: int = 0) -> tuple[Plan, str]:
    """The plan for a watch, and what to tell at its start (empty when the expected traffic is enough to decide every rate).

    What is missing is sent by us when there are recipients: enough for a GO although `FAILURES_BORNE` messages fail.
    """
    required = max((required_sample(rate) for rate in rates), default=0)
    comfortable = max((required_sample(rate, bad=FAILURES_BORNE) for rate in rates), default=0)
    sends = max(0, comfortable - expected_sends) if recipients else 0
    plan = Plan(expected_sends=expected_sends, sends=sends, inbound=inbound if recipients else 0, recipients=recipients)
    if expected_sends >= required:
        return plan, ""
    told = f"{expected_sends} messages an hour are expected and a decision needs {required}"
    return plan, f"{told}: {sends} synthetic ones are scheduled" if sends else f"{told}; give recipients for synthetic ones"


class Traffic:
    """Makes the traffic minute by minute. `done` counts what became of it; `readings` compares it with what the provider saw."""

    def __init__(self, session: Session, pace: Pace, plan: Plan, *, units: Sequence[str], control: ControlVerbs | None) -> None:
        if (plan.sends or plan.inbound) and not units:
            raise HarnessError("no unit is connected: the watch could send nothing; connect one first")
        self._session = session
        self._pace = pace
        self._plan = plan
        self._units = tuple(units)
        self._control = control
        self._pool = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="traffic")
        self._numbers = itertools.count()
        self._sent_for: dict[str, str] = {}
        self._dropped: tuple[float, Answer] | None = None
        self._seen_again = False
        self.mark = f"watch-{uuid.uuid4().hex[:12]}"
        self.done: Counter[str] = Counter()
        self.problems: list[str] = []

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def minute(self, minute: int) -> bool:
        """The traffic of the minute that ends at `minute`; whether there was any."""
        sends = due(self._plan.sends, minute)
        inbound = due(self._plan.inbound, minute) if self._control is not None else 0
        work: list[Future[str]] = [self._pool.submit(self._send, next(self._numbers)) for _ in range(sends)]
        work += [self._pool.submit(self._receive, next(self._numbers)) for _ in range(inbound)]
        if work:
            _, late = wait(work, timeout=PATIENCE_S)
            if late:
                self._pace.call(lambda: wait(late))
            self.done.update(one.result() for one in work)
        return bool(work)

    def log_in_again(self) -> None:
        """A backend that refuses the log-in shows in the signals; the watch goes on."""
        try:
            self._session.must_login()
        except HarnessError as error:
            self._note("log-in refused", str(error))

    def drop_connection(self, minute: float) -> None:
        """WhatsApp drops the first unit's connection, which comes back by itself: a status change that must become visible."""
        if self._control is None or not self._units:
            return
        try:
            before = self._session.status(self._units[0])
            self._control.close(f"unit_{self._units[0]}", DROP_CODE)
        except HarnessError as error:
            self._note("drop refused", str(error))
            return
        self._dropped = (minute, before)

    def readings(self, minute: float) -> Readings:
        """`cross_tenant` and `sends_in_ledger` from the provider's ledger, `status_unseen_min` from the dropped connection."""
        readings = Readings()
        try:
            readings.values["status_unseen_min"] = self._unseen(minute)
        except HarnessError as error:
            readings.errors["status_unseen_min"] = str(error)
        if self._control is None:
            return readings
        try:
            sends = [send for send in self._control.ledger() if str(send["text"]).startswith(f"{self.mark} ")]
        except HarnessError as error:
            readings.errors |= dict.fromkeys(("cross_tenant", "sends_in_ledger"), str(error))
            return readings
        elsewhere = [send for send in sends if send["instance"] != self._sent_for.get(str(send["text"]))]
        readings.values["cross_tenant"] = float(len(elsewhere))
        readings.values["sends_in_ledger"] = float(len(sends))
        return readings

    def _unseen(self, minute: float) -> float:
        if self._dropped is None or self._seen_again:
            return 0.0
        began, before = self._dropped
        now = self._session.status(self._units[0])
        if now.status != 200:
            raise HarnessError(f"the status of the dropped connection: {now.told()}")
        changed = any(now.field(name) != before.field(name) for name in ("reason", "connectedAt", "lastUpdate"))
        self._seen_again = now.field("status") == "connected" and changed
        return 0.0 if self._seen_again else minute - began

    def _send(self, number: int) -> str:
        unit = self._units[number % len(self._units)]
        text = f"{self.mark} {number}"
        self._sent_for[text] = f"unit_{unit}"
        try:
            answer = self._session.send(
                unit=unit,
                phone=self._plan.recipients[number % len(self._plan.recipients)],
                text=text,
                client_message_id=f"{self.mark}-{number}",
            )
        except HarnessError as error:
            return self._note(REFUSED, str(error))
        if answer.status == 200 and answer.field("success") is True:
            return ACCEPTED
        if answer.status == 202:
            return NOT_KNOWN
        # 502 says that the provider was tried and refused; whatever else was answered, it was never tried.
        return self._note(FAILED if answer.status == 502 else REFUSED, f"POST /messages: {answer.told()}")

    def _receive(self, number: int) -> str:
        control: Any = self._control
        unit = self._units[number % len(self._units)]
        sender = self._plan.recipients[number % len(self._plan.recipients)]
        try:
            control.incoming(f"unit_{unit}", sender, f"{self.mark} {number}")
        except HarnessError as error:
            return self._note("inbound refused", str(error))
        return RECEIVED

    def _note(self, what: str, problem: str) -> str:
        # A bad hour has hundreds of the same.
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(problem)
        return what


def due(per_hour: int, minute: int) -> int:
    """How many of an hourly rate fall into the minute that ends at `minute`."""
    return per_hour * minute // 60 - per_hour * (minute - 1) // 60
