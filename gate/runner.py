"""Runs checks against facts: each fact is read once, at the same time as the others, and each check answers with an outcome.

A check that raises Failure fails, Inconclusive and NotApplicable speak for themselves, and anything else – a fact that could not
be read, a crash, a pass without evidence – is an ERROR: we could not look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gate.errors import Failure, GateError, Inconclusive, NotApplicable
from gate.masking import Masker
from gate.model import Evidence, Outcome, Status
from gate.registry import Item

__all__ = ["Facts", "run"]


class Facts:
    """Providers of facts by name; each is called at most once, in a thread of its own, and its error is remembered."""

    def __init__(self, providers: Mapping[str, Callable[[], Any]]) -> None:
        self._providers = dict(providers)
        self._read: dict[str, Future[Any]] = {}

    def provide(self, name: str, provider: Callable[[], Any]) -> None:
        """Adds a provider of one more fact."""
        self._providers[name] = provider

    def prefetch(self, names: Iterable[str]) -> None:
        """Starts reading; returns at once."""
        for name in sorted(set(names) & set(self._providers)):
            if name not in self._read:
                future: Future[Any] = Future()
                self._read[name] = future
                # A daemon: a fact that hangs must not keep the process alive after its time limit or Ctrl-C.
                threading.Thread(target=_fulfil, args=(future, self._providers[name]), name=f"fact-{name}", daemon=True).start()

    def get(self, name: str, *, timeout_s: float | None = None) -> Any:
        """Raises GateError when nothing provides the fact or it was not there in time, else what its provider raised."""
        if name not in self._providers:
            raise GateError(f"nothing provides the fact {name!r} here")
        self.prefetch([name])
        try:
            return self._read[name].result(timeout=timeout_s)
        except TimeoutError:
            raise GateError(f"the fact {name!r} was not there after {timeout_s:g} s") from None


def run(
    items: Iterable[Item],
    facts: Facts,
    *,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    timeout_s: float = 120.0,
    masker: Masker | None = None,
) -> list[Outcome]:
    """Answers every item, in order; `on_outcome` hears of each as soon as it is there. Never raises for what an item does.

    Reasons and evidence leave here masked: a crash may quote anything.
    """
    masker = masker if masker is not None else Masker()
    chosen = list(items)
    facts.prefetch(name for item in chosen for name in item.facts)
    outcomes = []
    for item in chosen:
        outcome = _answer(item, facts, now=now, timeout_s=timeout_s, masker=masker)
        outcomes.append(outcome)
        on_outcome(outcome)
    return outcomes


def _answer(item: Item, facts: Facts, *, now: Callable[[], datetime], timeout_s: float, masker: Masker) -> Outcome:
    began = time.monotonic()
    evidence: list[Evidence] = []
    try:
        arguments = {name: facts.get(name, timeout_s=timeout_s) for name in item.facts}
        for piece in item.function(**arguments):
            evidence.append(piece)  # noqa: PERF402 – what was seen before a failure stays as its evidence
        status, reason = Status.PASS, ""
        if not evidence:
            status, reason = Status.ERROR, "passed without evidence: the check saw nothing"
    except Failure as failure:
        status, reason = Status.FAIL, str(failure)
    except Inconclusive as saw_little:
        status, reason = Status.INCONCLUSIVE, str(saw_little)
    except NotApplicable as does_not_apply:
        status, reason = Status.SKIP, str(does_not_apply)
    except GateError as error:
        status, reason = Status.ERROR, str(error)
    except Exception as crash:
        status, reason = Status.ERROR, f"the check crashed: {type(crash).__name__}: {crash}"
    return Outcome(
        id=item.id,
        status=status,
        severity=item.severity,
        title=item.title,
        reason=masker.text(reason) or ("" if status is Status.PASS else "no reason was given"),
        evidence=tuple(replace(piece, value=masker.value(piece.value)) for piece in evidence),
        duration_s=time.monotonic() - began,
        observed_at=now(),
    )


def _fulfil(future: Future[Any], provider: Callable[[], Any]) -> None:
    try:
        future.set_result(provider())
    except BaseException as error:
        future.set_exception(error)
