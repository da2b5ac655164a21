"""Proves what the scenarios catch: every planted bug (chaff) must be killed by the scenario named in it, every other right way
to build the backend (wheat) must pass them all.

The sound reference is tried too: a scenario that is red without a bug kills nothing. Each trial has a process and a backend of
its own, so trials run beside each other.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from gate.errors import SelectionError
from gate.journal import Journal
from gate.model import Evidence, Outcome, Severity, Status
from harness.errors import HarnessError
from harness.proof.forks import Forks, forks
from harness.proof.trials import PRELOADED
from harness.reference import Variant
from harness.scenarios import FAMILY as SCENARIO
from harness.scenarios import PlannedScenario

__all__ = ["FAMILY", "MATRIX", "PART", "SOUND", "End", "Proof", "Trial", "choose", "expected_ids", "prove"]

FAMILY = "proof"
PART = "proof"
MATRIX = "proof.matrix"
SOUND = "sound"
TIME_LIMIT_S = 300.0
COUNTS = (("chaff", "chaffs-killed"), ("wheat", "wheats-passed"))
# All scenarios take long in one process; they are dealt out to so many of each wheat.
HANDS = 3
# A wheat that only waits more costs no CPU: its trials run beside all others.
IDLE_HANDS = 10
# All trials on Postgres share one server: more of them at a time would need more connections than it has.
ON_POSTGRES = 2


class End(StrEnum):
    """How a variant ended."""

    KILLED = "killed"
    SURVIVED = "survived"
    KILLED_BY_ANOTHER = "killed by another"
    NOT_REACHED = "not reached"
    PASSED = "passed"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One variant: how it ended, what each scenario that ran found, and how often the planted change was run through."""

    variant: Variant
    named: tuple[str, ...]
    end: End
    reason: str
    found: Mapping[str, Status] = field(default_factory=dict)
    reached: int = 0
    duration_s: float = 0.0

    @property
    def proves(self) -> bool:
        return self.end in (End.KILLED, End.PASSED)

    @property
    def killers(self) -> tuple[str, ...]:
        return tuple(sorted(item for item, status in self.found.items() if status is Status.FAIL))


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Every trial, in the order of the variants."""

    trials: tuple[Trial, ...]

    def counted(self, kind: str) -> tuple[int, int]:
        """How many of a kind were as they have to be, and of how many."""
        held = [trial for trial in self.trials if trial.variant.kind == kind]
        return sum(trial.proves for trial in held), len(held)

    @property
    def holds(self) -> bool:
        return bool(self.trials) and all(trial.proves for trial in self.trials)

    @property
    def could_not_look(self) -> bool:
        return not self.trials or any(trial.end is End.ERROR for trial in self.trials)


def choose(variants: Sequence[Variant], names: Sequence[str]) -> list[Variant]:
    """The variants of these names, areas or kinds (chaff, wheat, `chaff:…`); all without any.

    Raises SelectionError for a word that fits none, with the nearest that does.
    """
    if not names:
        return list(variants)
    chosen: dict[tuple[str, str], Variant] = {}
    for word in names:
        fitting = [one for one in variants if word in _words_for(one)]
        if not fitting:
            known = sorted({known for one in variants for known in _words_for(one)})
            near = difflib.get_close_matches(word, known, n=1)
            raise SelectionError(f"{word}: no chaff, wheat or area is called so{f'; did you mean {near[0]}?' if near else ''}")
        chosen |= {(one.kind, one.name): one for one in fitting}
    return [one for one in variants if (one.kind, one.name) in chosen]


def expected_ids(variants: Sequence[Variant]) -> list[str]:
    """What a proof of these variants answers: each, the reference as it is, and how many of a kind held."""
    kinds = {one.kind for one in variants}
    return [*map(_outcome_id, variants), f"{FAMILY}.{SOUND}", *(f"{FAMILY}.{name}" for kind, name in COUNTS if kind in kinds)]


def prove(
    variants: Sequence[Variant],
    scenarios: Sequence[PlannedScenario],
    *,
    workdir: Path,
    journal: Journal,
    workers: int,
    full: bool = False,
    features: Path | None = None,
    on_trial: Callable[[Trial], None] = lambda _: None,
) -> Proof:
    """Holds every trial and writes its outcome, the counts and the matrix to the journal.

    Of a chaff only the scenarios named in it run, unless `full`. Raises HarnessError when trials cannot be held at all.
    """
    bench = _Bench(scenarios=[one.id for one in scenarios], workdir=workdir, features=features, full=full)
    with journal.part(PART, expected=expected_ids(variants)), contextlib.ExitStack() as stack:
        bench.forks = stack.enter_context(forks(PRELOADED, log=workdir / "forks.log"))
        if any(one.postgres for one in variants):
            from harness.datastores import open_database

            bench.postgres_url = stack.enter_context(open_database("embedded")).url
        pool = stack.enter_context(_pool(workers))
        idle = stack.enter_context(_pool(IDLE_HANDS))
        trials = _hold(variants, bench, pool, idle, journal, on_trial)
    return Proof(trials=trials)


@dataclass(slots=True, kw_only=True)
class _Bench:
    """Where trials are held."""

    scenarios: list[str]
    workdir: Path
    features: Path | None
    full: bool
    forks: Forks | None = None
    postgres_url: str = ""
    places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(ON_POSTGRES))

    def named_in(self, variant: Variant) -> tuple[str, ...]:
        """The planned scenario that must kill it, or the rows of the outline; empty when it is not there."""
        wanted = next((item for item in variant.killed_by if item.startswith(f"{SCENARIO}.")), "")
        rows = [item for item in self.scenarios if item.rpartition("-")[0] == wanted and item.rpartition("-")[2].isdigit()]
        return (wanted,) if wanted in self.scenarios else tuple(rows)

    def run(self, variant: Variant, only: Sequence[str], hand: int) -> _Found:
        """What these scenarios found against the variant."""
        if self.forks is None:
            raise HarnessError("the process that forks was not started")
        with self.places if variant.postgres else contextlib.nullcontext():
            return self._run(self.forks, variant, only, hand)

    def _run(self, forks: Forks, variant: Variant, only: Sequence[str], hand: int) -> _Found:
        folder = self.workdir / f"{variant.kind}-{variant.name}-{hand}"
        began = time.monotonic()
        status = forks.run(
            "harness.proof.trials:hold",
            {
                "kind": variant.kind,
                "name": "" if variant.name == SOUND else variant.name,
                "processes": variant.processes,
                "database": self.postgres_url if variant.postgres else "memory",
                "folder": str(folder),
                "scenarios": list(only),
                "features": str(self.features) if self.features is not None else "",
            },
            time_limit_s=TIME_LIMIT_S,
        )
        took_s = time.monotonic() - began
        if status != 0:
            ended = f"ended after {TIME_LIMIT_S:g} s" if status is None else f"ended with status {status}"
            return _Found(problem=f"the trial {ended}: {self._last_words(folder)}", took_s=took_s)
        found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
        outcomes = tuple(Outcome.from_json(outcome) for outcome in found["outcomes"])
        return _Found(outcomes=outcomes, reached=int(found["reached"]), took_s=took_s)

    def _last_words(self, folder: Path) -> str:
        for log in (folder / "scenarios.log", self.workdir / "forks.log"):
            if log.exists() and (lines := log.read_text(encoding="utf-8", errors="replace").strip().splitlines()):
                return lines[-1]
        return "it wrote nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    outcomes: tuple[Outcome, ...] = ()
    reached: int = 0
    took_s: float = 0.0
    problem: str = ""


def _hold(
    variants: Sequence[Variant],
    bench: _Bench,
    pool: ThreadPoolExecutor,
    idle: ThreadPoolExecutor,
    journal: Journal,
    on_trial: Callable[[Trial], None],
) -> tuple[Trial, ...]:
    sound = Variant(kind="wheat", name=SOUND, title="The reference as it is", area="wheat", killed_by=(), processes=1)
    everything = any(one.kind == "wheat" for one in variants) or bench.full
    needed = sorted({item for one in variants for item in bench.named_in(one)})
    begun: dict[Future[_Found], Variant] = {}
    due: dict[Variant, int] = {}

    def begin(variant: Variant, only: Sequence[str], hands: int) -> None:
        dealt = [list(only[hand::hands]) for hand in range(hands)]
        due[variant] = sum(bool(hand) for hand in dealt)
        for number, hand in enumerate(dealt):
            if hand:
                begun[(idle if variant.idle else pool).submit(bench.run, variant, hand, number)] = variant

    missing = [one for one in variants if one.kind == "chaff" and not bench.named_in(one)]
    # The longest first, so that none of them is left alone at the end.
    for one in sorted(variants, key=lambda variant: (not variant.idle, variant.kind != "wheat")):
        if one.kind == "wheat":
            begin(one, bench.scenarios, IDLE_HANDS if one.idle else HANDS)
        elif one not in missing:
            begin(one, bench.scenarios if bench.full else bench.named_in(one), HANDS if bench.full else 1)
    begin(sound, bench.scenarios if everything else needed, HANDS if everything else 1)

    found: dict[Variant, list[_Found]] = {variant: [] for variant in due}
    trials: dict[Variant, Trial] = {}

    def conclude(trial: Trial) -> None:
        trials[trial.variant] = trial
        journal.append(_outcome(trial))
        on_trial(trial)

    for one in missing:
        conclude(Trial(variant=one, named=(), end=End.SURVIVED, reason=f"no scenario {' or '.join(one.killed_by) or 'is named'}"))
    try:
        for future in as_completed(begun):
            variant = begun[future]
            found[variant].append(future.result())
            if len(found[variant]) == due[variant]:
                conclude(_judged(variant, bench.named_in(variant), found[variant]))
    except BaseException:
        for future in begun:
            future.cancel()
        raise
    held = tuple(trials[one] for one in (*variants, sound) if one in trials)
    for kind, name in COUNTS:
        if any(trial.variant.kind == kind and trial.variant is not sound for trial in held):
            journal.append(_count(Proof(trials=held), kind, f"{FAMILY}.{name}"))
    journal.fact(
        MATRIX,
        {
            f"{trial.variant.kind} {trial.variant.name}": {
                "title": trial.variant.title,
                "area": trial.variant.area,
                "end": str(trial.end),
                "named": list(trial.named),
                "reached": trial.reached,
                "found": {item: str(status) for item, status in sorted(trial.found.items())},
            }
            for trial in held
        },
    )
    return held


def _judged(variant: Variant, named: tuple[str, ...], parts: Sequence[_Found]) -> Trial:
    outcomes = {outcome.id: outcome for part in parts for outcome in part.outcomes}
    reached = sum(part.reached for part in parts)
    problems = [part.problem for part in parts if part.problem]
    end, reason = _end_of_chaff(named, outcomes, reached) if variant.kind == "chaff" else _end_of_wheat(outcomes)
    if problems:
        end, reason = End.ERROR, problems[0]
    return Trial(
        variant=variant,
        named=named,
        end=end,
        reason=reason,
        found={item: outcome.status for item, outcome in outcomes.items()},
        reached=reached,
        duration_s=sum(part.took_s for part in parts),
    )


def _end_of_chaff(named: tuple[str, ...], outcomes: Mapping[str, Outcome], reached: int) -> tuple[End, str]:
    failed = [item for item in named if item in outcomes and outcomes[item].status is Status.FAIL]
    if failed and not reached:
        return End.NOT_REACHED, f"{failed[0]} failed, and the planted change was never run through: {outcomes[failed[0]].reason}"
    if failed:
        return End.KILLED, outcomes[failed[0]].reason
    others = [item for item, outcome in outcomes.items() if outcome.status is Status.FAIL]
    if others:
        return End.KILLED_BY_ANOTHER, f"{', '.join(sorted(others))} failed, and {' and '.join(named)} did not"
    unanswered = [outcome for outcome in outcomes.values() if outcome.status is not Status.PASS]
    if unanswered:
        return End.ERROR, f"{unanswered[0].id} is {unanswered[0].status}: {unanswered[0].reason}"
    if not reached:
        return End.NOT_REACHED, "nothing failed, and the planted change was never run through"
    return End.SURVIVED, f"{' and '.join(named)} passed although the planted change was run through {reached} times"


def _end_of_wheat(outcomes: Mapping[str, Outcome]) -> tuple[End, str]:
    refusing = [outcome for outcome in outcomes.values() if outcome.status is not Status.PASS]
    if refusing:
        more = f" (and {len(refusing) - 1} more)" if len(refusing) > 1 else ""
        return End.REFUSED, f"{refusing[0].id} is {refusing[0].status}{more}: {refusing[0].reason}"
    return (End.PASSED, "") if outcomes else (End.ERROR, "no scenario answered")


def _outcome_id(variant: Variant) -> str:
    return f"{FAMILY}.sound" if variant.name == SOUND else f"{FAMILY}.{variant.kind}.{variant.name}"


def _outcome(trial: Trial) -> Outcome:
    status = Status.PASS if trial.proves else Status.ERROR if trial.end is End.ERROR else Status.FAIL
    evidence = [
        Evidence(label="scenarios that ran", value=len(trial.found)),
        Evidence(label="scenarios that failed", value=", ".join(trial.killers) or "none"),
    ]
    if trial.variant.kind == "chaff":
        evidence.append(Evidence(label="planted change run through", value=trial.reached, unit="times"))
    return Outcome(
        id=_outcome_id(trial.variant),
        status=status,
        severity=Severity.CRITICAL,
        title=trial.variant.title,
        reason="" if status is Status.PASS else f"{trial.end}: {trial.reason}",
        evidence=tuple(evidence),
        duration_s=trial.duration_s,
        observed_at=datetime.now(UTC),
    )


def _count(proof: Proof, kind: str, item: str) -> Outcome:
    good, of = proof.counted(kind)
    bad = [trial.variant.name for trial in proof.trials if trial.variant.kind == kind and not trial.proves]
    word = "killed" if kind == "chaff" else "passed"
    return Outcome(
        id=item,
        status=Status.FAIL if bad else Status.PASS,
        severity=Severity.CRITICAL,
        title=f"Every {kind} is {word}" if kind == "chaff" else "Every wheat passes",
        reason=f"not {word}: {', '.join(bad)}" if bad else "",
        evidence=(Evidence(label=f"{kind}s {word}", value=good, unit=f"of {of}"),),
        observed_at=datetime.now(UTC),
    )


def _words_for(variant: Variant) -> set[str]:
    return {
        variant.name,
        variant.name.partition(".")[0],
        variant.area,
        variant.kind,
        f"{variant.kind}:{variant.name}",
    }


@contextlib.contextmanager
def _pool(workers: int) -> Any:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="trial")
    try:
        yield pool
    finally:
        # Whoever still waits is told when the forking process ends.
        pool.shutdown(wait=False, cancel_futures=True)
