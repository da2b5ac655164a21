"""The gate by itself: `python -m harness.benchmarks.gate [engine|mixed|columns|list …]` prints medians of five beside their aims.

Each figure is wall seconds; the CPU seconds of the same runs stand beside it, because on a shared machine they alone can be
compared with those of another day. A run that is not counted goes before. A median above its aim ends the script with status 1.

engine    trivial checks a second, without a journal: what a check costs that costs nothing
mixed     300 checks on a Postgres that runs: the shipped ones that read the catalog, the datastore, the settings, the code and
          the tree, again and again under other ids; facts, journal, verdict and JSON included. What starts a process of its own
          (imports, flow, migration, features) takes as long as that process, whatever the gate does, and is not among them
columns   1,000 expected columns on Postgres: catalog read and compared, by the check that compares everything
compared  the same without the reading
list      `golive gate list`, a process from start to end
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gate import policy as policies
from gate.checks.schema import as_expected
from gate.facts import catalog, expected
from gate.facts.providers import providers
from gate.facts.throwaway import ThrowawayDatabase
from gate.formats import render
from gate.journal import JOURNAL, Journal, conclude, read
from gate.model import Decision, Evidence, Outcome, Status
from gate.registry import Item, Kind, registry
from gate.result import Result
from gate.runner import Facts, run
from harness.datastores import Database, open_database
from harness.reference import migrate
from harness.release_gate import subject_of

__all__ = ["MIXED", "main", "mixed_items", "wide_schema"]

RUNS = 5
TRIVIAL_CHECKS = 100_000
MIXED_CHECKS = 300
TABLES, COLUMNS = 20, 50
# Not config.environment: the reference has no settings of a deployment to look at.
MIXED = ("schema", "datastore", "config.test-bypass", "config.names-documented", "secrets.repository")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`measure` returns how many things it did; `aim` is seconds at most, or things a second at least."""

    name: str
    measure: Callable[[], int]
    aim: float
    a_second: bool = False


def trivial(catalog: int) -> Iterator[Evidence]:
    yield Evidence(label="columns", value=catalog)


def copies(items: Sequence[Item], number: int) -> list[Item]:
    """`number` items under ids of their own, each of `items` in its turn."""
    return [replace(item, id=f"{item.id}-{turn}") for turn, item in zip(range(number), itertools.cycle(items), strict=False)]


def mixed_items() -> list[Item]:
    chosen = registry(Kind.CHECK).load("gate.checks").select(list(MIXED))
    return copies(chosen, MIXED_CHECKS)


def wide_schema() -> tuple[str, str]:
    """SQL that makes TABLES × COLUMNS columns, and the expected schema that says so."""
    kinds = (("text", "text"), ("bigint", "bigint"), ("timestamptz", "timestamptz"), ("varchar(40)", "varchar(40)"))
    sql, toml = [], ["schema_version = 1", 'schema = "public"']
    for table in range(TABLES):
        columns = [(f"c{number}", *kinds[number % len(kinds)], number % 2 == 0) for number in range(COLUMNS)]
        lines = ", ".join(f"{name} {kind}{' NOT NULL' if required else ''}" for name, kind, _, required in columns)
        sql.append(f"CREATE TABLE wide_{table} ({lines});")
        toml.append(f"[tables.wide_{table}.columns]")
        toml += [f'{name} = {{ type = "{kind}", nullable = {str(not required).lower()} }}' for name, _, kind, required in columns]
    return "\n".join(sql), "\n".join(toml) + "\n"


def trivial_items() -> list[Item]:
    item = Item(kind=Kind.CHECK, id="schema.n", title="T.", paragraphs={}, function=trivial, facts=("catalog",), module="m")
    return copies([item], TRIVIAL_CHECKS)


def engine(items: Sequence[Item]) -> int:
    outcomes = run(items, Facts({"catalog": lambda: 4}))
    _all_passed(outcomes)
    return len(outcomes)


def mixed(database: Database, items: Sequence[Item], scratch: Path) -> int:
    directory = scratch / f"run-{time.monotonic_ns()}"
    journal = Journal.create(directory / JOURNAL, release={"name": "benchmark"}, expected=[item.id for item in items])
    facts = dict(providers(subject_of(database)))
    with journal.part("gate", expected=[item.id for item in items]):
        outcomes = run(items, Facts(facts), on_outcome=journal.append)
    _all_passed(outcomes)
    recording = read(directory / JOURNAL)
    verdict = conclude(recording, policies.load("gate"), datetime.now(UTC).date())
    if verdict.decision is not Decision.GO:
        sys.exit(f"the mixed checks are {verdict.decision}, so there is no figure")
    render("json", Result(outcomes=recording.outcomes, verdict=verdict))
    return len(outcomes)


def compared(found: catalog.Catalog, wanted: expected.ExpectedSchema) -> int:
    evidence = {piece.label: piece.value for piece in as_expected.run(found, wanted)}
    if evidence["columns"] != TABLES * COLUMNS:
        sys.exit(f"{evidence['columns']} columns were compared, so there is no figure")
    return int(evidence["columns"])


def listed() -> int:
    done = subprocess.run(
        (sys.executable, "-m", "harness.cli", "gate", "list"), capture_output=True, text=True, check=True, cwd=ROOT
    )
    return len(done.stdout.splitlines())


@contextlib.contextmanager
def figures(names: Sequence[str]) -> Iterator[list[Figure]]:
    known = ("engine", "mixed", "columns", "compared", "list")
    strangers = set(names) - set(known)
    if strangers:
        sys.exit(f"no benchmark is named {', '.join(sorted(strangers))}; there are {', '.join(known)}")
    chosen = names or known
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="golive-bench-")))
        found: list[Figure] = []
        if "engine" in chosen:
            trivia = trivial_items()
            # Else the collector goes through these hundred thousand again and again, which no real run has.
            gc.collect()
            gc.freeze()
            found.append(Figure(name="engine", measure=lambda: engine(trivia), aim=100_000, a_second=True))
        if "mixed" in chosen:
            database = stack.enter_context(open_database("embedded"))
            migrate(database.url)
            items = mixed_items()
            found.append(Figure(name="mixed", measure=lambda: mixed(database, items, scratch), aim=1.0))
        if {"columns", "compared"} & set(chosen):
            wide = stack.enter_context(open_database("embedded"))
            sql, text = wide_schema()
            ThrowawayDatabase(url=wide.url).execute(sql)
            wanted = expected.parse(text, name="wide")
            if "columns" in chosen:
                found.append(Figure(name="columns", measure=lambda: compared(catalog.read(wide.url, wanted), wanted), aim=0.1))
            if "compared" in chosen:
                seen = catalog.read(wide.url, wanted)
                found.append(Figure(name="compared", measure=lambda: compared(seen, wanted), aim=0.1))
        if "list" in chosen:
            found.append(Figure(name="list", measure=listed, aim=0.15))
        yield found


def measured(figure: Figure) -> dict[str, object]:
    wall, cpu, things = [], [], 0
    for turn in range(RUNS + 1):
        began, spent = time.perf_counter(), _cpu_s()
        things = figure.measure()
        if turn:
            wall.append(time.perf_counter() - began)
            cpu.append(_cpu_s() - spent)
    median, cpu_median = statistics.median(wall), statistics.median(cpu)
    result: dict[str, object] = {
        "name": figure.name,
        "things": things,
        "median_s": round(median, 4),
        "min_s": round(min(wall), 4),
        "max_s": round(max(wall), 4),
        "cpu_s": round(cpu_median, 4),
    }
    if figure.a_second:
        result |= {"a_second": round(things / median), "a_cpu_second": round(things / cpu_median), "aim_a_second": figure.aim}
    else:
        result["aim_s"] = figure.aim
    return result | {"reached": things / median >= figure.aim if figure.a_second else median <= figure.aim}


def main(names: Sequence[str]) -> int:
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, medians of {RUNS}")  # noqa: T201
    with figures(names) as chosen:
        results = [measured(figure) for figure in chosen]
    for result in results:
        print(json.dumps(result))  # noqa: T201
    return int(not all(result["reached"] for result in results))


def _all_passed(outcomes: Sequence[Outcome]) -> None:
    bad = [outcome for outcome in outcomes if outcome.status is not Status.PASS]
    if bad:
        sys.exit(f"{bad[0].id} is {bad[0].status}: {bad[0].reason}; what did not look is no figure")


def _cpu_s() -> float:
    """Of this process and of its children that have ended; not of the database server."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
