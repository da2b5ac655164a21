"""What a command answers with: one format on standard output, any number in files, and one exit status for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gate.errors import GateError, UsageError
from gate.model import Decision, Finding

if TYPE_CHECKING:
    from gate.console import Console
    from gate.difference import Side
    from gate.journal import Recording
    from gate.model import Verdict
    from gate.policy import Policy
    from gate.result import Result

__all__ = ["FORMATS", "Output", "OutputFile", "Teller"]

FORMATS = ("text", "json", "junit", "sarif", "github", "github-summary", "gitlab", "tap")
TEXT = "text"
GITHUB = "github"


class OutputFile(click.ParamType[tuple[str, Path]]):
    """`FORMAT=PATH`, as a pair. What cannot be written to is refused here, before anything runs."""

    name = "FORMAT=PATH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Path]:
        if isinstance(value, tuple):
            return value
        from gate.policy import nearest

        form, sign, name = str(value).partition("=")
        if not sign or not name:
            self.fail(f"{str(value)!r} is not of the form FORMAT=PATH, such as junit=gate.xml", param, ctx)
        if form not in FORMATS:
            self.fail(f"no format {form!r}{nearest(form, FORMATS)}; there are {', '.join(FORMATS)}", param, ctx)
        path = Path(name)
        if path.is_dir():
            self.fail(f"{path} is a directory; name a file in it", param, ctx)
        # As root a device would be replaced by a file.
        if (path.exists() and not path.is_file()) or path.absolute().parts[1:2] in (("dev",), ("proc",)):
            self.fail(f"{path} is no place for a file; --format {form} answers on standard output", param, ctx)
        above = next(parent for parent in (path.parent, *path.parent.parents) if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            self.fail(f"{path} cannot be written: {above} is not a directory that can be written to", param, ctx)
        return form, path


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What was asked for: `form` on standard output, `files` besides, compared with the run `baseline`."""

    form: str = TEXT
    files: tuple[tuple[str, Path], ...] = ()
    baseline: Path | None = None

    def teller(self, policy: Policy) -> Teller:
        """Reads the baseline. Raises UsageError for one that is none, or when two formats would go to one file."""
        paths = [path.resolve() for _, path in self.files]
        for path in paths:
            if paths.count(path) > 1:
                raise UsageError(f"--output {path}: two formats cannot go to one file")
        before = None
        if self.baseline is not None:
            from gate.baseline import last_go

            before = last_go(self.baseline, policy)
        return Teller(self, policy, before)


class Teller:
    """Tells a verdict in every format that was asked for."""

    def __init__(self, output: Output, policy: Policy, baseline: Side | None) -> None:
        from gate.console import Console

        self.form = output.form
        self.policy = policy
        self._files = output.files
        self._baseline = baseline
        # Progress goes to standard output with text, else to standard error, so that output stays a document.
        self.console: Console = Console(sys.stdout if output.form == TEXT else sys.stderr)

    def tell(
        self,
        verdict: Verdict,
        recording: Recording,
        *,
        summary: bool = False,
        environment: Mapping[str, str] = os.environ,
    ) -> int:
        """Writes the files, then answers on standard output, with the summary of each family where `summary` asks for it.

        The exit status is the verdict's, whatever the format. A file that could not be written makes HOLD of a GO: somebody was
        to read it there.
        """
        from gate.formats import render

        result = self._result(verdict, recording)
        complaints = self._write(result)
        if self.form == GITHUB and environment.get("GITHUB_STEP_SUMMARY"):
            complaints += _append_summary(Path(environment["GITHUB_STEP_SUMMARY"]), result)
        if complaints and verdict.decision is Decision.GO:
            unwritten = tuple(Finding(id="output.written", why=f"error: {complaint}") for complaint in complaints)
            verdict = replace(verdict, decision=Decision.HOLD, unanswered=unwritten)
            result = replace(result, verdict=verdict)
        if self.form == TEXT:
            if summary:
                self.console.summary(result.outcomes)
            if result.difference is not None:
                self.console.difference(result.difference)
            self.console.verdict(verdict)
        else:
            click.echo(render(self.form, result), nl=False)
        for complaint in complaints:
            click.echo(f"golive: {complaint}", err=True)
        return verdict.exit_status

    def _result(self, verdict: Verdict, recording: Recording) -> Result:
        from gate.result import Result

        difference = None
        if self._baseline is not None:
            from gate.baseline import identity_of
            from gate.difference import Side, compare

            # A damaged journal is compared as far as it goes: that it is damaged stands in the verdict.
            difference = compare(self._baseline, Side(outcomes=recording.outcomes, identity=identity_of(recording)))
        return Result(outcomes=recording.outcomes, verdict=verdict, release=recording.release, difference=difference)

    def _write(self, result: Result) -> list[str]:
        from gate.formats import render
        from gate.journal import write_atomically

        complaints = []
        for form, path in self._files:
            try:
                write_atomically(path, render(form, result))
            except GateError as error:
                complaints.append(str(error))
        return complaints


def _append_summary(path: Path, result: Result) -> list[str]:
    """GitHub gives a step one file for its summary and limits the whole of it; an earlier command may have written there."""
    from gate.formats.github_summary import LIMIT_BYTES, SMALLEST_BYTES, within

    try:
        room = LIMIT_BYTES - (path.stat().st_size if path.exists() else 0)
        if room < SMALLEST_BYTES:
            return [f"{path}: the step summary is full, so the verdict is not in it"]
        with path.open("a", encoding="utf-8") as file:
            file.write(within(result, room))
    except OSError as error:
        return [f"{path}: the step summary cannot be written ({error.strerror})"]
    return []
