"""Whole commands: `python -m harness.benchmarks [NAME …]` prints medians of five beside what they are meant to take.

Each run is a process of its own, timed from outside, after one that is not counted. A figure above its aim is shown, not hidden,
and ends the script with status 1. The machine is named, because absolute times mean nothing without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).resolve().parents[2]
GOLIVE = (sys.executable, "-m", "harness.cli")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One command. `aim_s` is what it should take at most on two cores; `arguments` are made anew for each run."""

    name: str
    arguments: Callable[[Path], Sequence[str]]
    aim_s: float


def benchmarks(postgres_url: str) -> tuple[Benchmark, ...]:
    return (
        Benchmark(name="golive --help", arguments=lambda _: (*GOLIVE, "--help"), aim_s=0.15),
        Benchmark(name="golive gate list", arguments=lambda _: (*GOLIVE, "gate", "list"), aim_s=0.15),
        Benchmark(
            name="the 23 named checks, SQLite",
            arguments=lambda _: (*GOLIVE, "gate", "--select", "@seed", "--database", "memory"),
            aim_s=1.5,
        ),
        Benchmark(
            name="the 23 named checks, Postgres running",
            arguments=lambda _: (*GOLIVE, "gate", "--select", "@seed", "--database", postgres_url),
            aim_s=3.0,
        ),
        Benchmark(name="the 9 scenarios", arguments=lambda _: (*GOLIVE, "e2e"), aim_s=6.0),
        Benchmark(
            name="golive rehearse",
            arguments=lambda scratch: (*GOLIVE, "rehearse", "--out", str(scratch / f"run-{time.monotonic_ns()}")),
            aim_s=20.0,
        ),
    )


def measure(benchmark: Benchmark, scratch: Path) -> dict[str, object]:
    """Wall seconds of each counted run. Raises SystemExit when the command itself does not succeed: then there is no figure."""
    seconds = []
    for run in range(RUNS + 1):
        arguments = benchmark.arguments(scratch)
        began = time.perf_counter()
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(f"{benchmark.name}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        if run:
            seconds.append(time.perf_counter() - began)
    return {
        "name": benchmark.name,
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "aim_s": benchmark.aim_s,
    }


@contextlib.contextmanager
def migrated_postgres() -> Iterator[str]:
    """The URL of a migrated database on a Postgres that is already running."""
    from harness.datastores import open_database

    with open_database("embedded") as database:
        subprocess.run((*GOLIVE, "backend", "migrate", "--database", database.url), check=True, capture_output=True, cwd=ROOT)
        yield database.url


def main(names: Sequence[str]) -> int:
    scratch = Path(tempfile.mkdtemp(prefix="golive-bench-"))
    try:
        with migrated_postgres() as url:
            chosen = [item for item in benchmarks(url) if not names or any(name in item.name for name in names)]
            if not chosen:
                sys.exit(f"no benchmark is named {' '.join(names)!r}")
            print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, medians of {RUNS}")  # noqa: T201
            results = []
            for item in chosen:
                results.append(measure(item, scratch))
                print(json.dumps(results[-1]))  # noqa: T201
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return int(any(float(str(result["median_s"])) > float(str(result["aim_s"])) for result in results))
