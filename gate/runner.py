"""Runs checks against facts: each fact is read once, at the same time as the others, and each check answers with an outcome.

A check that raises Failure fails, Inconclusive and NotApplicable speak for themselves, and anything else – a fact that could not
be read, a crash, a pass without evidence, no answer in time – is an ERROR: we could not look. What kept several checks from being
asked is told by the first of them; the others name it as their cause.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
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
        self._values: dict[str, Any] = {}
        self._causes: dict[str, str] = {}

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
        if name in self._values:
            return self._values[name]
        if name not in self._providers:
            raise GateError(f"nothing provides the fact {name!r} here")
        self.prefetch([name])
        try:
            value = self._read[name].result(timeout=timeout_s)
        except TimeoutError as error:
            if self._read[name].done():
                # The provider's own.
                raise GateError(f"the fact {name!r} could not be read: {_named(error)}") from error
            late = GateError(f"the fact {name!r} was not there after {timeout_s:g} s")
            # The next check that needs it must not wait as long again.
            self._read[name] = Future()
            self._read[name].set_exception(late)
            raise late from None
        self._values[name] = value
        return value

    def of(self, names: Iterable[str], *, timeout_s: float | None = None) -> dict[str, Any]:
        """Each fact by its name. Raises as `get` does, for the first that cannot be had."""
        try:
            values = self._values
            return {name: values[name] for name in names}
        except KeyError:
            return {name: self.get(name, timeout_s=timeout_s) for name in names}

    def cause(self, reason: str, item_id: str) -> str:
        """The id of the first item that could not be asked for this reason; empty when it is this one."""
        first = self._causes.setdefault(reason, item_id)
        return "" if first == item_id else first


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

    A fact may take `timeout_s`, and so may a check once its facts are there; what takes longer is left to itself and is an
    ERROR. Reasons and evidence leave here masked: a crash may quote anything. `on_outcome` is called from a thread of the runner,
    one call at a time; what it raises is raised here.
    """
    chosen = list(items)
    facts.prefetch(name for item in chosen for name in item.facts)
    answers = _Answers(
        chosen,
        facts,
        on_outcome=on_outcome,
        now=now,
        timeout_s=timeout_s,
        masker=masker if masker is not None else Masker(),
    )
    return answers.all()


class _Answers:
    """Asks one check after the other in a thread, and watches from another that none takes for ever."""

    def __init__(
        self,
        items: Sequence[Item],
        facts: Facts,
        *,
        on_outcome: Callable[[Outcome], None],
        now: Callable[[], datetime],
        timeout_s: float,
        masker: Masker,
    ) -> None:
        self._items = items
        self._facts = facts
        self._on_outcome = on_outcome
        self._now = now
        self._timeout_s = timeout_s
        self._masker = masker
        self._outcomes: list[Outcome] = []
        self._lock = threading.Lock()
        self._turn = 0
        self._began: float | None = None
        self._raised: BaseException | None = None

    def all(self) -> list[Outcome]:
        try:
            while len(self._outcomes) < len(self._items) and self._raised is None:
                self._take_turn()
        finally:
            # Whoever is still at work – after Ctrl-C, or after its time – must neither append nor tell any more.
            with self._lock:
                self._turn += 1
        if self._raised is not None:
            raise self._raised
        return self._outcomes

    def _take_turn(self) -> None:
        """One thread answers from the first item that has no answer until all have one or one takes too long."""
        done = threading.Event()
        turn = self._turn
        threading.Thread(target=self._work, args=(turn, done), name="checks", daemon=True).start()
        while not done.wait(self._patience_s()):
            with self._lock:
                late = self._began is not None and time.monotonic() - self._began >= self._timeout_s
                if late and not done.is_set():
                    self._turn += 1
                    item = self._items[len(self._outcomes)]
                    reason = f"the check did not answer within {self._timeout_s:g} s"
                    self._keep(self._outcome(item, Status.ERROR, reason, (), seconds=self._timeout_s))
                    return

    def _patience_s(self) -> float:
        began = self._began
        return self._timeout_s if began is None else max(0.001, began + self._timeout_s - time.monotonic())

    def _work(self, turn: int, done: threading.Event) -> None:
        try:
            for item in self._items[len(self._outcomes) :]:
                self._began = None
                outcome = self._answer(item, turn)
                with self._lock:
                    if self._turn != turn:
                        return
                    self._began = None
                    self._keep(outcome)
        except BaseException as error:
            self._raised = error
        finally:
            done.set()

    def _keep(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._on_outcome(outcome)

    def _answer(self, item: Item, turn: int) -> Outcome:
        began = time.monotonic()
        evidence: list[Evidence] = []
        cause = ""
        asked = False
        try:
            arguments = self._facts.of(item.facts, timeout_s=self._timeout_s)
            asked = True
            if self._turn == turn:
                self._began = time.monotonic()
            for piece in item.function(**arguments):
                evidence.append(_evidence(piece))  # noqa: PERF401 – what was seen before a failure stays as its evidence
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
        # A check that ends the process would otherwise end it with its own status, which may be 0.
        except (Exception, SystemExit) as crash:
            status = Status.ERROR
            reason = f"{'the check crashed' if asked else 'its facts could not be read'}: {_named(crash)}"
        if status is Status.ERROR and not asked:
            cause = self._facts.cause(reason, item.id)
            reason = f"not asked, because of {cause}" if cause else reason
        return self._outcome(item, status, reason, evidence, seconds=time.monotonic() - began, cause=cause)

    def _outcome(
        self, item: Item, status: Status, reason: str, evidence: Iterable[Evidence], *, seconds: float, cause: str = ""
    ) -> Outcome:
        reason = self._masker.text(reason) if reason else reason
        return Outcome(
            id=item.id,
            status=status,
            severity=item.severity,
            title=item.title,
            reason=reason or ("" if status is Status.PASS else "no reason was given"),
            evidence=tuple([self._masked(piece) if isinstance(piece.value, str) else piece for piece in evidence]),
            duration_s=seconds,
            observed_at=self._now(),
            cause=cause,
        )

    def _masked(self, piece: Evidence) -> Evidence:
        value = self._masker.text(str(piece.value))
        return piece if value == piece.value else replace(piece, value=value)


def _evidence(piece: object) -> Evidence:
    if isinstance(piece, Evidence):
        return piece
    raise TypeError(f"it yielded a {type(piece).__name__}, expected Evidence")


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _fulfil(future: Future[Any], provider: Callable[[], Any]) -> None:
    try:
        future.set_result(provider())
    except BaseException as error:
        future.set_exception(error)
