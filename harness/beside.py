"""The parts of a rehearsal that run beside the others, on other cores: scenarios and rollback, each on a system of its own.

A child process has its own database, fake, backend and clock; only the journal is shared. It ends when the pipe to its standard
input does, so neither Ctrl-C nor the death of its parent leaves it behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.errors import GateError
from gate.journal import Journal, read
from gate.masking import Masker
from gate.model import Outcome
from harness.children import child
from harness.datastores import Database, open_database
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.rehearsal import Listener, Plan

__all__ = ["PARTS", "Beside", "beside"]

PARTS = {"scenarios": "Scenarios", "rollback": "Rollback"}
TIME_LIMIT_S = 900.0
_POLL_S = 0.05
_STOP_S = 20.0


@dataclass(slots=True, kw_only=True)
class Beside:
    """The child as its parent sees it. `part` is what it does; `backend_log` is where its backend logs."""

    part: str
    child: subprocess.Popen[bytes]
    journal: Path
    backend_log: Path
    output: Path
    masker: Masker
    _shown: set[str] = field(default_factory=set)

    def follow(self, ids: tuple[str, ...], listener: Listener) -> None:
        """Tells the outcomes of the part as they come, until it has ended. Raises HarnessError when it never will."""
        deadline = time.monotonic() + TIME_LIMIT_S
        while True:
            over = self.child.poll() is not None
            recording = read(self.journal)
            for outcome in recording.outcomes:
                if outcome.id in ids and outcome.id not in self._shown:
                    self._shown.add(outcome.id)
                    listener.outcome(outcome)
            if any(part.name == self.part and part.ended_at is not None for part in recording.parts):
                return
            if over:
                raise HarnessError(f"the process of this part ended with status {self.child.returncode}: {self._last_words()}")
            if time.monotonic() >= deadline:
                raise HarnessError(f"the process of this part did not end it within {TIME_LIMIT_S:g} s and was stopped")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(_POLL_S)

    def _last_words(self) -> str:
        lines = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return self.masker.text(lines[-1]) if lines else "it wrote nothing"


@contextlib.contextmanager
def beside(part: str, plan: Plan, journal: Journal, database: Database, *, secrets: Mapping[str, str]) -> Iterator[Beside]:
    """Starts a child for one of PARTS on a new database of the same kind and stops it at the end.

    Raises GateError when it cannot be started.
    """
    with contextlib.ExitStack() as stack:
        url = "memory"
        if database.backend == "postgresql":
            url = stack.enter_context(database.throwaway()).url
        question = {
            "part": part,
            "out": str(plan.out.absolute()),
            "database": url,
            "release": dict(plan.release),
            "scenario_ids": plan.scenario_ids,
            "features": str(plan.features.absolute()) if plan.features is not None else None,
            "tags": plan.tags,
            "seed": plan.seed,
            "commits": plan.commits,
            "environment": dict(plan.environment),
            "journal": str(journal.path.absolute()),
            "secrets": dict(secrets),
        }
        log = plan.out / f"{part}-process.log"
        output = stack.enter_context(log.open("wb"))
        running, question_to = stack.enter_context(
            child("harness.beside", stop_s=_STOP_S, stdout=output, stderr=subprocess.STDOUT)
        )
        question_to.write(json.dumps(question).encode() + b"\n")
        question_to.flush()
        yield Beside(
            part=part,
            child=running,
            journal=journal.path,
            backend_log=_workdir(plan, part) / "backend.log",
            output=log,
            masker=Masker(secrets.values()),
        )


def _workdir(plan: Plan, part: str) -> Path:
    return plan.out / f"{part}-system"


def main() -> int:
    """The child: its question is one line of JSON on standard input."""
    question = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        _work(question)
    except KeyboardInterrupt:
        return 130
    except (GateError, OSError) as error:
        print(Masker(question["secrets"].values()).text(str(error)), file=sys.stderr)  # noqa: T201 - the child's last words
        return 1
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _work(question: Mapping[str, Any]) -> None:
    from harness import rehearsal
    from harness.reference import migrate, start

    plan = rehearsal.Plan(
        out=Path(question["out"]),
        database=question["database"],
        release=question["release"],
        checks=(),
        scenario_ids=tuple(question["scenario_ids"]),
        features=Path(question["features"]) if question["features"] else None,
        tags=tuple(question["tags"]),
        seed=question["seed"],
        commits=tuple(question["commits"]) if question["commits"] else None,
        environment=question["environment"],
    )
    masker = Masker(question["secrets"].values())
    run = rehearsal.Run(
        plan=plan,
        journal=Journal(Path(question["journal"]), masker=masker),
        listener=_Silent(),
        masker=masker,
        expected=plan.expected,
    )
    part = question["part"]
    with open_database(plan.database) as database:
        migrate(database.url)
        with start(
            database=database,
            workdir=_workdir(plan, part),
            seed=plan.seed,
            secrets=question["secrets"],
            environment=plan.environment,
        ) as system:
            with system.current() as target:
                if part == "scenarios":
                    rehearsal.scenarios(run, target)
                    return
                rehearsal.connect_a_unit(target, system)
            rehearsal.rollback(run, system, database)


class _Silent:
    """The parent shows what the journal says."""

    def part(self, title: str, expected: int) -> None:
        del title, expected

    def outcome(self, outcome: Outcome) -> None:
        del outcome

    def note(self, text: str) -> None:
        del text


if __name__ == "__main__":
    sys.exit(main())
