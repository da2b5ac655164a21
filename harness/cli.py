"""The command line: `golive …`. The composition root, and the one module that may import every package – lazily."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from uuid import UUID

    from gate.console import Console
    from gate.journal import Journal, Recording
    from gate.model import Outcome, Verdict
    from gate.policy import Policy
    from harness.output import Output, Teller
    from harness.target import Pace, Target

__all__ = ["app", "main"]

NO_GO, USAGE, HOLD, INTERRUPTED = 1, 2, 3, 130
FORMATS = ("text", "json")


class Commands(click.Group):
    """A group whose unknown commands are answered with the nearest one, and that takes no empty text for an answer."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        for place, argument in enumerate(args):
            # Else `--database "$DATABASE_URL"` without the variable would look at the default instead, and say GO of it.
            if not argument.strip() or (argument.startswith("--") and argument.endswith("=")):
                after = f" after {args[place - 1]}" if place and not argument.strip() else f" of {argument}" if argument else ""
                raise click.UsageError(f"an empty text{after}; is a variable not set?", context)
        return super().parse_args(context, args)

    def resolve_command(self, context: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            from gate.policy import nearest

            raise click.UsageError(f"no command {args[0]!r}{nearest(args[0], self.list_commands(context))}") from error


class Finite(click.FloatRange):
    """A range of numbers without nan and inf, which are within every range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _format_option(*choices: str) -> _Decorator:
    return click.option(
        "--format", "form", type=click.Choice(choices or FORMATS), default="text", show_default=True, help="How to answer."
    )


def _output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--format, --output and --baseline, as one argument `output`."""
    from harness.output import FORMATS as ALL
    from harness.output import Output, OutputFile

    @functools.wraps(function)
    def with_output(*arguments: Any, form: str, files: Sequence[tuple[str, Path]], baseline: Path | None, **more: Any) -> Any:
        return function(*arguments, output=Output(form=form, files=tuple(files), baseline=baseline), **more)

    for option in (
        click.option(
            "--baseline",
            type=click.Path(path_type=Path, exists=True),
            default=None,
            metavar="RUN",
            help="Say what changed since this run; of a directory of runs, since the last GO in it.",
        ),
        click.option(
            "--output",
            "files",
            type=OutputFile(),
            multiple=True,
            metavar="FORMAT=PATH",
            help="Write this format to a file too, whole or not at all; may be repeated.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(ALL),
            default="text",
            show_default=True,
            help="How to answer on standard output.",
        ),
    ):
        with_output = option(with_output)
    return with_output


def _policy_option(default: str) -> _Decorator:
    return click.option(
        "--policy",
        "policy_name",
        default=default,
        show_default=default or "that of the run",
        help="A policy file, the name of one, or a golive.toml.",
    )


_database_option = click.option(
    "--database",
    default="embedded",
    show_default=True,
    help="A URL (postgresql://…, sqlite://…), 'embedded' (a real Postgres without a server), 'docker:' or 'docker:IMAGE' "
    "(in a container) or 'memory' (SQLite).",
)
_config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help="The golive.toml that describes the release; the one in this directory, if there is one, without it.",
)
_out_option = click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Directory of the run's journal and documents; a new one."
)


def _target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """--target, --evolution and --database; credentials come from the environment, never from arguments."""
    for option in (
        _database_option,
        click.option("--evolution", "evolution_url", default="", help="The control plane of the fake behind the target."),
        click.option("--target", "target_url", default="", help="The backend under test; without it the embedded reference."),
    ):
        function = option(function)
    return function


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="golive", prog_name="golive", message="%(prog)s %(version)s")
def app() -> None:
    """Proves, with evidence, whether a release may go live.

    The last line of a run and its exit status are the verdict: GO (0), NO-GO (1), HOLD (3); 2 is a usage error.

    \b
    Examples:
      golive rehearse                         a whole go-live on embedded defaults
      golive gate --database "$DATABASE_URL"  the release gate against your database
      golive e2e --target http://127.0.0.1:8000 --evolution http://127.0.0.1:8080
      golive report golive-run                the documents again, from the journal alone
    """


@app.command()
@_out_option
@_database_option
@_policy_option("rehearsal")
@_output_options
@click.option(
    "--env-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Settings of the deployment to check."
)
@click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another folder of scenarios.")
@click.option("--commits", default="", metavar="FIRST..LAST", help="The release's commits here, to rehearse their revert.")
@click.option(
    "--proof",
    type=click.Path(path_type=Path, exists=True),
    metavar="RUN",
    help="A proof of the scenarios, by `golive prove --out RUN`.",
)
@click.option("--load-seconds", type=Finite(min=1), default=2.0, show_default=True, help="Length of the load run.")
@click.option("--minutes", type=click.IntRange(min=5), default=60, show_default=True, help="Length of the watch, on its clock.")
@click.option("--seed", type=int, default=None, help="Makes the fake's ids and codes repeatable.")
def rehearse(
    out: Path | None,
    database: str,
    policy_name: str,
    output: Output,
    env_file: Path | None,
    features: Path | None,
    commits: str,
    proof: Path | None,
    load_seconds: float,
    minutes: int,
    seed: int | None,
) -> int:
    """Take a release through the whole go-live process, on real parts.

    Migration, release gate, scenarios, smoke test, load, the first hour on a clock that is moved, rollback, verdict, documents.
    Needs no Docker, no server, no account and no network.

    \b
    Examples:
      golive rehearse
      golive rehearse --out go-live --database postgresql://localhost/throwaway
      golive rehearse --database memory --format json
    """
    from harness import rehearsal
    from harness.policies import policy_named

    teller = output.teller(policy_named(policy_name))
    directory = out if out is not None else Path(f"golive-run-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    from harness.record import people_of

    plan = rehearsal.plan(
        out=directory,
        database=database,
        release=rehearsal.release_of(Path.cwd()) | people_of(Path.cwd()) | {"reference": True},
        env_file=env_file,
        features=features,
        commits=commits,
        load_s=load_seconds,
        minutes=minutes,
        seed=seed,
        plans=teller.policy.plans,
        proof=proof,
    )
    show = _Show(teller.console, total=sum(map(len, plan.expected.values())))
    with show:
        rehearsal.rehearse(plan, show)
    verdict, recording = _conclude(directory, teller.policy)
    _documents(directory, teller.policy, teller.console)
    # Where a bar was shown, nothing else was seen of the single answers.
    return teller.tell(verdict, recording, summary=teller.console.fancy)


@app.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path(), required=False)
@click.option(
    "--database", default="", metavar="URL", help="A database that is as it should be; its schema becomes the expected."
)
@click.option("--db-schema", default="public", show_default=True, help="Which schema of a Postgres database.")
@click.option("--name", default="", help="Name of the release; that of the project without it.")
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--schema", is_flag=True, help="Print the JSON schema of golive.toml, and write nothing.")
@click.option("--example", is_flag=True, help="Print the golive.toml of the shipped example, and write nothing.")
@_format_option()
def init(directory: Path, database: str, db_schema: str, name: str, force: bool, schema: bool, example: bool, form: str) -> int:
    """Write the golive.toml that describes the release in a directory, from what is found there.

    Looks at the repository, its packages, documented settings, manifests and migrations; with --database also at the catalog,
    which is drafted as the expected schema. Never overwrites without --force, and never writes a password or a setting's value.

    \b
    Examples:
      golive init
      golive init --database "$DATABASE_URL" --name my-backend
      golive init --schema > golive.schema.json
    """
    from harness.init_command import run_init

    return run_init(
        directory,
        database=database,
        db_schema=db_schema,
        name=name,
        force=force,
        schema=schema,
        example=example,
        form=form,
        echo=click.echo,
    )


@app.group(cls=Commands, invoke_without_command=True)
@click.option("--select", "names", multiple=True, metavar="ID|FAMILY|@TAG", help="Only these checks; may be repeated.")
@_database_option
@_policy_option("gate")
@_out_option
@click.option(
    "--env-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Settings of the deployment to check."
)
@click.option("--log", "logs", type=click.Path(path_type=Path), multiple=True, help="A log of the backend; may be repeated.")
@_config_option
@_output_options
@click.pass_context
def gate(
    context: click.Context,
    config: Path | None,
    names: tuple[str, ...],
    database: str,
    policy_name: str,
    out: Path | None,
    env_file: Path | None,
    logs: tuple[Path, ...],
    output: Output,
) -> int:
    """Run the release gate: schema, datastore, imports, flow, migration, configuration, secrets.

    Looks at the release that golive.toml describes, in this directory or by --config; `golive init` writes one. Where there is
    none it looks at the shipped example. A database given by URL is read as it is; 'embedded' and 'memory' are migrated first.

    \b
    Examples:
      golive init && golive gate
      golive gate --config deploy/golive.toml
      golive gate --select @seed --database memory
      golive gate --database "$DATABASE_URL" --env-file production.env --format junit > gate.xml
      golive gate list
      golive gate explain schema.idempotency-index
    """
    if context.invoked_subcommand is not None:
        return 0
    from harness.gate_run import GateRun
    from harness.release_gate import refuse_unknown, run_gate

    given = {
        name: context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT for name in ("database", "policy_name")
    }
    planned = GateRun.plan(
        config,
        Path.cwd(),
        names=names,
        database=database if given["database"] else "",
        policy_name=policy_name if given["policy_name"] else "",
    )
    refuse_unknown(planned.database)
    teller = output.teller(planned.policy)
    with _run_directory(out) as directory:
        show = _Show(teller.console, total=len(planned.items))
        with show:
            if planned.left_out:
                show.note(f"not asked by the policy {planned.policy.name}: {', '.join(planned.left_out)}; --select asks")
            run_gate(
                planned.items,
                directory,
                database=planned.database,
                env_file=env_file,
                logs=logs,
                listener=show,
                release=planned.release,
                expected=planned.expected,
            )
        verdict, recording = _conclude(directory, teller.policy)
        planned.record(recording.outcomes, verdict, note=teller.console.line)
        return teller.tell(verdict, recording, summary=True)


@gate.command("list")
@click.option("--select", "names", multiple=True, metavar="ID|FAMILY|@TAG", help="Only these checks; may be repeated.")
@click.option("--tags", is_flag=True, help="Show the tags too, and how many checks each tag and family has.")
@_config_option
@_format_option()
def gate_list(names: tuple[str, ...], tags: bool, config: Path | None, form: str) -> int:
    """List the checks: id, severity, title; also those that the release in this directory brings along.

    \b
    Examples:
      golive gate list
      golive gate list --tags --select schema
      golive gate list --select @seed --format json
    """
    from harness.check_listing import described, known_checks, listed

    checks, release = known_checks(config, Path.cwd(), whole=form == "json")
    items = checks.select(list(names))
    if form == "json":
        click.echo(json.dumps([described(item, release) for item in items], indent=2))
    else:
        click.echo("\n".join(listed(items, tags=tags)))
    return 0


@gate.command("explain")
@click.argument("check_id", metavar="ID")
@_config_option
@_format_option()
def gate_explain(check_id: str, config: Path | None, form: str) -> int:
    """Say what a check looks at, why, how to mend it, which saboteurs prove that it can fail, and what the release makes of it.

    \b
    Examples:
      golive gate explain schema.idempotency-index
    """
    from harness.check_listing import described, explained, known_checks

    checks, release = known_checks(config, Path.cwd())
    item = checks.get(check_id)
    if form == "json":
        click.echo(json.dumps(described(item, release), indent=2))
    else:
        click.echo("\n".join(explained(item, release)))
    return 0


@app.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path, exists=True), metavar="[PATH]...")
@click.option(
    "--commits", default="", metavar="FIRST..LAST", help="Also what these commits of the first path's repository brought."
)
@click.option("--rules", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Other rules, in gitleaks' format.")
@click.option(
    "--allow",
    "allowed",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="TOML with [[allow]] rule, path, reason.",
)
@_format_option()
def secrets(paths: tuple[Path, ...], commits: str, rules: Path | None, allowed: Path | None, form: str) -> int:
    """Look for secrets: in what git tracks below a folder, in packages and other files, in commits.

    Tells the place and the rule of each, never the value. Ends with 0 when there is none, with 1 when there is one, with 3 when
    nothing was looked through or something could not be read.

    \b
    Examples:
      golive secrets
      golive secrets . --commits v1.0..HEAD
      golive secrets dist/*.whl go-live-run --format json
    """
    from gate.model import Decision
    from harness.secret_search import search

    found = search(paths or (Path(),), commits=commits, rules=rules, allowed=allowed)
    if form == "json":
        places = [
            {
                "place": one.scan.place,
                "decision": str(one.decision),
                "reason": one.reason,
                "files": one.scan.files,
                "bytes": one.scan.size,
                "tracked": one.scan.tracked,
                "unusedAllowances": list(one.scan.unused),
                **{
                    name: [
                        {"path": hit.path, "line": hit.line, "rule": hit.rule, "digest": hit.digest, "allowed": hit.allowed}
                        for hit in getattr(one.scan, name)
                    ]
                    for name in ("found", "allowed")
                },
            }
            for one in found
        ]
        click.echo(json.dumps({"places": places}, indent=2))
    else:
        for one in found:
            for hit in one.scan.found:
                click.echo(str(hit))
            said = f"{len(one.scan.found)} found" if one.scan.found else one.reason or "none found"
            which = "tracked files" if one.scan.tracked else "files"
            click.echo(
                f"{one.scan.place}: {one.scan.files} {which}, {one.scan.size:,} bytes: {said}; {len(one.scan.allowed)} allowed"
            )
            for unused in one.scan.unused:
                click.echo(f"  nothing needs the allowance for {unused}")
    decisions = {one.decision for one in found}
    return NO_GO if Decision.NO_GO in decisions else HOLD if Decision.HOLD in decisions else 0


@gate.command("prove")
@click.option("--select", "names", multiple=True, metavar="ID|FAMILY|@TAG", help="Only these checks; may be repeated.")
@_database_option
@_config_option
@_format_option()
def gate_prove(names: tuple[str, ...], database: str, config: Path | None, form: str) -> int:
    """Prove that every check can fail: break a copy of the reference in each way that a check must notice.

    The checks that the release in this directory brings along are tried on copies of the release. Nothing but throw-away
    databases, copies of files and backends of its own is touched. Ends with 0 when every saboteur was killed, with 1 when one
    survived or a check has none, with 3 when a trial could not be held.

    \b
    Examples:
      golive gate prove
      golive gate prove --select schema --database memory
      golive gate prove --format json
    """
    from harness.check_listing import known_checks
    from harness.proof.checks import SOUND, End, Trial, prove

    checks, release = known_checks(config, Path.cwd(), whole=True)
    items = checks.select(list(names))
    shipped = [item for item in items if item.is_shipped]
    own = [item for item in items if not item.is_shipped]
    console = _console(form)

    def show(trial: Trial) -> None:
        if form == "text":
            console.line(
                f"{trial.end:<16}{trial.check}: {trial.saboteur or '-'}" + (f" – {trial.reason}" if trial.reason else "")
            )

    with _run_directory(None) as directory:
        trials = prove(shipped, database=database, workdir=directory, on_trial=show) if shipped else []
        if own:
            trials += prove(own, database=database, workdir=directory, release=release, on_trial=show)
    held = [trial for trial in trials if trial.saboteur != SOUND and trial.end is not End.DOES_NOT_APPLY]
    killed = sum(trial.end is End.KILLED for trial in held)
    if form == "json":
        shown = [{"check": one.check, "saboteur": one.saboteur, "end": str(one.end), "reason": one.reason} for one in trials]
        click.echo(json.dumps({"killed": killed, "of": len(held), "trials": shown}, indent=2))
    else:
        click.echo(f"{killed}/{len(held)} killed, {len(items)} checks")
    if not held or any(trial.end is End.ERROR for trial in trials):
        return HOLD
    return 0 if all(trial.proves for trial in trials) else NO_GO


@app.command()
@click.option("--select", "names", multiple=True, metavar="NAME|AREA|KIND", help="Only these chaffs and wheats; may be repeated.")
@click.option("--full", is_flag=True, help="Run every scenario on every chaff, for the whole matrix.")
@click.option("--workers", type=click.IntRange(min=1), default=None, help="Trials at the same time; one for each core.")
@click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another folder of scenarios.")
@click.option("--list", "only_list", is_flag=True, help="List the chaffs and wheats, and run nothing.")
@_out_option
@_format_option()
def prove(
    names: tuple[str, ...], full: bool, workers: int | None, features: Path | None, only_list: bool, out: Path | None, form: str
) -> int:
    """Prove what the scenarios catch: plant every known bug in the reference, and every other right way to build it.

    Each bug (chaff) has to be killed by the scenario named in it, each right way (wheat) has to pass all of them. Every trial has
    a backend of its own. Ends with 0 when all is so, with 1 when a bug survived or a right way was refused, with 3 when a trial
    could not be held.

    \b
    Examples:
      golive prove
      golive prove --select inbound --select stale-open-beats-newer-close
      golive prove --full --out proof --format json
    """
    from harness.proof import command

    return command.run(
        names=names,
        full=full,
        workers=workers or len(os.sched_getaffinity(0)),
        features=features,
        only_list=only_list,
        directory=lambda: _run_directory(out),
        console=_console(form),
        as_json=form == "json",
    )


@app.command()
@_target_options
@click.option("--tags", multiple=True, metavar="@TAG", help="Only scenarios of these tags; may be repeated.")
@click.option("--profile", default="", metavar="PROFILE", help="Only core, outbound, campaigns, security or chaos.")
@click.option("--all", "everything", is_flag=True, help="Every scenario, not only the nine of the seed.")
@click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Another folder of scenarios.")
@click.option(
    "--unsupported",
    multiple=True,
    metavar="@TAG|ID[=REASON]",
    help="What the backend is declared not to support: not run, and shown as skipped; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes to run them in; each starts an embedded reference of its own.",
)
@_policy_option("gate")
@_out_option
@_output_options
def e2e(
    target_url: str,
    evolution_url: str,
    database: str,
    tags: tuple[str, ...],
    profile: str,
    everything: bool,
    features: Path | None,
    unsupported: tuple[str, ...],
    workers: int,
    policy_name: str,
    out: Path | None,
    output: Output,
) -> int:
    """Run the scenarios against the embedded reference, or against any backend by URL.

    Without --tags, --profile, --all or --features: the nine of the seed (@seed). Credentials come from GOLIVE_ADMIN_EMAIL,
    GOLIVE_ADMIN_PASSWORD and GOLIVE_CONTROL_TOKEN. What is declared as not supported is skipped, and holds the release unless the
    policy lets it (may_skip).

    \b
    Examples:
      golive e2e
      golive e2e --all --workers 2
      golive e2e --profile outbound --tags @critical
      golive e2e --target http://127.0.0.1:8000 --evolution http://127.0.0.1:8080
      golive e2e --target http://127.0.0.1:8000 --profile core --unsupported "@campaigns=not sold before May"
    """
    from harness.policies import policy_named
    from harness.scenarios import FEATURES, asked_for, declared, read_features, run, select

    teller = output.teller(policy_named(policy_name))
    tags = asked_for(tags, profile=profile, everything=everything, own=features is not None)
    if features is not None:
        _refuse_unsound(features)
    selected = select(read_features(features or FEATURES), tags)
    declared(selected, unsupported)

    def work(target: Target, _: Pace, journal: Journal, directory: Path, show: _Show) -> None:
        run(
            target,
            journal,
            log=directory / "scenarios.log",
            tags=tags,
            unsupported=unsupported,
            features=features,
            workers=workers,
            on_progress=show.outcome,
        )

    return _on_target(target_url, evolution_url, database, out, teller, len(selected), work, of_each_worker=True)


def _refuse_unsound(folder: Path) -> None:
    """Says at once what the run would be refused for. Steps that nothing uses yet are no reason."""
    from dataclasses import replace

    from features.lint import lint_paths
    from features.lint_formats import render

    report = lint_paths([folder])
    findings = tuple(item for item in report.findings if item.rule != "unused-step")
    if findings:
        click.echo(render(replace(report, findings=findings), "text", Path.cwd()), err=True)
        raise click.UsageError("the scenarios are not sound: nothing was run")


@app.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@_format_option("text", "json", "sarif", "github")
def lint(paths: tuple[Path, ...], form: str) -> int:
    """Look for what is wrong with scenarios and steps, without running them.

    Undefined, ambiguous and unused steps, scenarios that cannot fail or that nobody executes, and whatever else a run would pass
    over in silence. Without PATHS: the folder features with its steps, else everything below this folder. Exit status 0 when
    nothing is found, 1 when something is, 2 when there was nothing to look at.

    \b
    Examples:
      golive lint
      golive lint scenarios/checkout.feature
      golive lint --format sarif > lint.sarif
    """
    from features.lint import default_paths, lint_paths
    from features.lint_formats import render

    here = Path.cwd()
    report = lint_paths(paths or default_paths(here))
    click.echo(render(report, form, here))
    return NO_GO if report.findings else 0


@app.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--search", "words", default="", metavar="WORDS", help="Only steps with all of these words.")
@_format_option("text", "json", "html", "vscode")
def steps(paths: tuple[Path, ...], words: str, form: str) -> int:
    """List the steps that scenarios may use, in both languages, and how often each is used.

    PATHS are folders with scenarios and steps of your own, beside the built-in ones. The format vscode gives the settings with
    which the official Cucumber extension completes them.

    \b
    Examples:
      golive steps --search "qr code"
      golive steps scenarios --format html > steps.html
      golive steps --format vscode > .vscode/settings.json
    """
    from features.catalogue import catalogue, render

    entries = catalogue(paths, words)
    click.echo(render(entries, form, Path.cwd()))
    return 0 if entries else NO_GO


@app.command()
@_target_options
@click.option("--recipient", required=True, metavar="DIGITS", help="Who gets the test message; there is no default number.")
@click.option("--unit", default="", help="Id or slug of the unit to take; any without it.")
@click.option("--pause", is_flag=True, help="Wait while a person scans the QR code, drawn in the terminal.")
@_policy_option("gate")
@_out_option
@_output_options
def smoke(
    target_url: str,
    evolution_url: str,
    database: str,
    recipient: str,
    unit: str,
    pause: bool,
    policy_name: str,
    out: Path | None,
    output: Output,
) -> int:
    """Run the smoke test after a deployment: eight steps, stopping at the first that fails.

    Credentials come from GOLIVE_ADMIN_EMAIL and GOLIVE_ADMIN_PASSWORD.

    \b
    Examples:
      golive smoke --recipient 5511987650001
      golive smoke --target https://api.example.org --recipient "$TEST_PHONE" --pause
    """
    from harness.policies import policy_named
    from harness.smoke import expected_ids
    from harness.smoke.walk import run

    teller = output.teller(policy_named(policy_name))

    def work(target: Target, pace: Pace, journal: Journal, _: Path, show: _Show) -> None:
        run(
            target,
            pace,
            recipient=recipient,
            unit=unit,
            journal=journal,
            pause=pause,
            show=lambda text: click.echo(text, err=teller.form != "text"),
            on_outcome=show.outcome,
        )

    return _on_target(target_url, evolution_url, database, out, teller, len(expected_ids()), work, with_unit=True)


@app.command()
@_target_options
@click.option("--users", type=click.IntRange(min=1), default=4, show_default=True, help="Users at the same time.")
@click.option("--seconds", type=Finite(min=1), default=10.0, show_default=True, help="How long.")
@click.option("--p95-ms", type=Finite(min=1), default=500.0, show_default=True, help="The p95 latency to keep.")
@click.option(
    "--recipient", "recipients", multiple=True, required=True, metavar="DIGITS", help="Who gets messages; may be repeated."
)
@_policy_option("gate")
@_out_option
@_output_options
def load(
    target_url: str,
    evolution_url: str,
    database: str,
    users: int,
    seconds: float,
    p95_ms: float,
    recipients: tuple[str, ...],
    policy_name: str,
    out: Path | None,
    output: Output,
) -> int:
    """Put load on a backend with locust and judge the thresholds; zero requests is not a pass.

    \b
    Examples:
      golive load --recipient 5511987650001
      golive load --target http://127.0.0.1:8000 --users 20 --seconds 60 --recipient 5511987650001
    """
    from harness.load import expected_ids
    from harness.load.run import Thresholds, Traffic, run
    from harness.policies import policy_named

    teller = output.teller(policy_named(policy_name))

    def work(target: Target, _: Pace, journal: Journal, directory: Path, show: _Show) -> None:
        traffic = Traffic(users=users, duration_s=seconds, recipients=recipients)
        thresholds = Thresholds(p95_ms=p95_ms)
        run(target, traffic, thresholds=thresholds, journal=journal, workdir=directory / "load", on_outcome=show.outcome)

    return _on_target(target_url, evolution_url, database, out, teller, len(expected_ids()), work, with_unit=True, connected=True)


@app.command()
@_target_options
@click.option("--minutes", type=click.IntRange(min=5), default=60, show_default=True, help="How long, on the target's clock.")
@click.option("--expected-sends", type=click.IntRange(min=0), default=0, help="Messages an hour that are expected anyway.")
@click.option(
    "--recipient", "recipients", multiple=True, metavar="DIGITS", help="Who may get synthetic messages; may be repeated."
)
@_policy_option("gate")
@_out_option
@_output_options
def watch(
    target_url: str,
    evolution_url: str,
    database: str,
    minutes: int,
    expected_sends: int,
    recipients: tuple[str, ...],
    policy_name: str,
    out: Path | None,
    output: Output,
) -> int:
    """Watch the first hour: prove the sources, then judge every signal at T+5, 10, 20, 30 and 60.

    On the embedded reference the hour passes on a clock that is moved; against a real target it takes an hour. Beside the
    credentials GOLIVE_METRICS_TOKEN opens the target's /metrics, and GOLIVE_LOG names its log on this machine.

    \b
    Examples:
      golive watch --recipient 5511987650001
      golive watch --target https://api.example.org --expected-sends 300
    """
    from harness.monitor import expected_ids
    from harness.monitor.watch import run
    from harness.policies import policy_named

    teller = output.teller(policy_named(policy_name))

    def work(target: Target, pace: Pace, journal: Journal, _: Path, show: _Show) -> None:
        outcomes = run(
            target,
            pace,
            journal=journal,
            minutes=minutes,
            recipients=recipients,
            expected_sends=expected_sends,
            on_note=show.note,
        )
        for outcome in outcomes:
            show.outcome(outcome)

    return _on_target(target_url, evolution_url, database, out, teller, len(expected_ids()), work, with_unit=True, connected=True)


@app.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@_policy_option("")
@_format_option()
def report(run_directory: Path, policy_name: str, form: str) -> int:
    """Write the six documents and the HTML report of a run again, from its journal alone.

    \b
    Examples:
      golive report golive-run-20261122T120000Z
      golive report go-live --policy release --format json
    """
    from reports.build import render_run

    run_directory = _run_at(run_directory)
    paths = render_run(run_directory, _policy_for(run_directory, policy_name), _today())
    if form == "json":
        click.echo(json.dumps([str(path) for path in paths], indent=2))
    else:
        for path in paths:
            click.echo(str(path))
    return 0


@app.command()
@click.argument("run_directory", metavar="RUN", type=click.Path(path_type=Path))
@_policy_option("")
@_output_options
def judge(run_directory: Path, policy_name: str, output: Output) -> int:
    """Judge a run again, from its journal alone. The exit status is the verdict.

    \b
    Examples:
      golive judge golive-run-20261122T120000Z
      golive judge go-live --policy release --format json
    """
    _load_documentation()
    run_directory = _run_at(run_directory)
    teller = output.teller(_policy_for(run_directory, policy_name))
    return teller.tell(*_conclude(run_directory, teller.policy))


@app.command()
@click.argument("run", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="The private key, in PEM; GOLIVE_KEY_PASSPHRASE opens it.")
@click.option(
    "--artifact", "artifacts", type=click.Path(path_type=Path), multiple=True, help="A file of the release; may be repeated."
)
@click.option("--commit", default="", metavar="SHA", help="The commit, where the run was not in a git repository.")
@click.option("--policy", "policy_name", default="", help="A policy file, or the name of one; that of the run without it.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; attestation.dsse.json in RUN without it.")
@click.option("--generate-key", "new_key", type=click.Path(path_type=Path), help="Make a key here, with PATH.pub beside it.")
@_format_option()
def sign(
    run: Path | None,
    key: Path | None,
    artifacts: tuple[Path, ...],
    commit: str,
    policy_name: str,
    out: Path | None,
    new_key: Path | None,
    form: str,
) -> int:
    """Attest what a run found: an in-toto statement in a DSSE envelope, bound to commit, schema and files.

    \b
    Examples:
      golive sign --generate-key keys/golive.pem
      golive sign go-live --key keys/golive.pem --artifact dist/backend.whl
    """
    from harness import attest_command

    if new_key is not None:
        if run is not None or key is not None:
            raise click.UsageError("--generate-key makes a key and signs nothing; sign in a second command")
        click.echo(f"{new_key}: private, keep it; {attest_command.generate(new_key)}: public")
        return 0
    if run is None or key is None:
        raise click.UsageError("give a RUN and --key, or --generate-key")
    from harness.policies import policy_named

    return attest_command.run_sign(
        run,
        key,
        policy_named(policy_name) if policy_name else None,
        artifacts=artifacts,
        commit=commit,
        out=out,
        environment=os.environ,
        form=form,
        echo=click.echo,
    )


@app.command()
@click.argument("source", metavar="RUN|FILE", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="The public key, in PEM.")
@click.option(
    "--artifact", "artifacts", type=click.Path(path_type=Path), multiple=True, help="A file of the release; may be repeated."
)
@click.option("--commit", default="", metavar="SHA", help="The commit that is to go live.")
@click.option("--schema", default="", metavar="DIGEST", help="The digest of the schema that it is to run on.")
@click.option("--policy", "policy_name", default="", help="The name of the policy by which it must have been judged.")
@click.option("--max-age-hours", type=Finite(min=0, min_open=True), default=24.0, show_default=True, help="Since the run began.")
@_format_option()
def verify(
    source: Path,
    key: Path,
    artifacts: tuple[Path, ...],
    commit: str,
    schema: str,
    policy_name: str,
    max_age_hours: float,
    form: str,
) -> int:
    """Hold an attestation against its key, its files, its age and its result: 0 when it releases, 1 when it does not.

    \b
    Examples:
      golive verify go-live --key keys/golive.pem.pub
      golive verify attestation.dsse.json --key golive.pub --commit "$(git rev-parse HEAD)" --artifact dist/backend.whl
    """
    from datetime import timedelta

    from harness.attest_command import run_verify

    return run_verify(
        source,
        key,
        artifacts=artifacts,
        commit=commit,
        schema=schema,
        policy=policy_name,
        max_age=timedelta(hours=max_age_hours),
        form=form,
        echo=click.echo,
    )


@app.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    required=True,
    metavar="RUN",
    help="The run before; of a directory of runs, the last GO in it by the policy.",
)
@_policy_option("")
@_format_option()
def diff(run: Path, against: Path, policy_name: str, form: str) -> int:
    """Say what changed between two runs: new, flaky, no longer answered, still failing, fixed.

    Ends with 1 when something fails that did not fail before, with 3 when an answer was lost or could not be had, else with 0.

    \b
    Examples:
      golive diff go-live --against last-week
      golive diff go-live --against runs/ --format json
    """
    from harness.diff_command import run_diff

    return run_diff(run, against, _policy_for(run, policy_name), form=form, echo=click.echo)


@app.command()
@click.option("--short", is_flag=True, help="About a minute: 120 messages, 60 events, 5 kills; else 1,000, 500 and 40.")
@click.option("--seed", type=click.IntRange(min=0), default=None, help="Repeats a run's moments; a new one without it.")
@click.option("--kills", type=click.IntRange(min=0), default=None, help="Another number of kill -9.")
@click.option("--messages", type=click.IntRange(min=40), default=None, help="Another number of messages.")
@click.option("--events", type=click.IntRange(min=12), default=None, help="Another number of inbound events.")
@click.option("--chaff", default="", metavar="NAME", help="Plant this bug in every process: then the run has to end with 1.")
@click.option("--out", type=click.Path(path_type=Path), default=None, help="A folder for chaos.json and the logs.")
@_database_option
@_format_option()
def chaos(
    short: bool,
    seed: int | None,
    kills: int | None,
    messages: int | None,
    events: int | None,
    chaff: str,
    out: Path | None,
    database: str,
    form: str,
) -> int:
    """Kill the reference's processes under load and account for every message against the provider's ledger.

    4 workers (half of them with a clock that is an hour wrong), 2 API processes, Postgres, and a provider that times out and
    fails after sending, repeats and reorders. Ends with 0 when nothing was lost, doubled or left unexplained, with 1 when
    something was, and with 3 when the run did not see every kind of trouble.

    \b
    Examples:
      golive chaos --short
      golive chaos --seed 7 --out chaos-7
      golive chaos --short --chaff timeout-taken-for-a-failure
    """
    from harness.proof.chaos_command import chaos as run_chaos

    return run_chaos(
        short=short,
        seed=seed,
        kills=kills,
        messages=messages,
        events=events,
        database=database,
        chaff=chaff,
        out=out or Path(f"golive-chaos-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"),
        form=form,
        note=lambda text: click.echo(text, err=True),
        say=click.echo,
    )


@app.group(cls=Commands)
def backend() -> None:
    """The reference backend: migrate its database, serve it, work its queue."""


@backend.command("migrate")
@click.option("--database", default="", help="The database to migrate; DATABASE_URL without it.")
@_format_option()
def backend_migrate(database: str, form: str) -> int:
    """Apply the migrations; safe to repeat, and done only when it verified itself.

    \b
    Examples:
      golive backend migrate --database postgresql://localhost/golive
    """
    from harness.reference import migrate

    url = database or os.environ.get("DATABASE_URL", "")
    if not url:
        raise click.UsageError("no database: give --database or set DATABASE_URL")
    done = migrate(url)
    if form == "json":
        click.echo(json.dumps({"statements": len(done.statements), "notices": list(done.notices)}, indent=2))
    else:
        click.echo("\n".join([f"{len(done.statements)} statements", *done.notices]))
    return 0


@backend.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
def backend_serve(host: str, port: int, workers: int) -> int:
    """Serve the reference backend; its settings come from the environment.

    \b
    Examples:
      DATABASE_URL=postgresql://golive_login@localhost/golive … golive backend serve --port 8000
    """
    from harness.reference import serve

    serve(os.environ, host=host, port=port, workers=workers)
    return 0


@backend.command("worker")
def backend_worker() -> int:
    """Work the queue of the reference backend; start as many as you like.

    \b
    Examples:
      DATABASE_URL=postgresql://golive_login@localhost/golive … golive backend worker
    """
    from harness.reference import work

    work(os.environ)
    return 0


@backend.command("replay")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many, the oldest first.")
def backend_replay(limit: int) -> int:
    """Queue the deliveries in quarantine for a worker, to be processed again; settings come from the environment.

    \b
    Examples:
      DATABASE_URL=postgresql://localhost/golive … golive backend replay --limit 500
    """
    from harness.reference import replay

    click.echo(f"{replay(os.environ, limit=limit)} deliveries queued")
    return 0


@backend.command("rotate-webhook-secret")
@click.argument("unit", type=click.UUID)
def backend_rotate_webhook_secret(unit: UUID) -> int:
    """Register a new webhook secret for the connection of UNIT; the old one stays valid for WEBHOOK_SECRET_OVERLAP_SECONDS.

    The secret is never shown. What delivers with it, and every process of the backend, goes on meanwhile; settings come from the
    environment.

    \b
    Examples:
      DATABASE_URL=postgresql://localhost/golive … golive backend rotate-webhook-secret 0f8fad5b-d9cb-469f-a165-70867728950e
    """
    from harness.reference import rotate_webhook_secret

    valid_until = rotate_webhook_secret(os.environ, unit_id=unit)
    overlap = f"; the old one is valid until {valid_until:%Y-%m-%d %H:%M:%S} UTC" if valid_until is not None else ""
    click.echo(f"unit {unit} has a new webhook secret{overlap}")
    return 0


@backend.command("check-config")
@click.option("--env-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read settings from this file.")
def backend_check_config(env_file: Path | None) -> int:
    """Say what is wrong with the settings, one line for each fault and never a value.

    \b
    Examples:
      golive backend check-config --env-file production.env
    """
    from gate.facts.environment import parse_dotenv
    from harness.reference import settings_faults

    faults = settings_faults(parse_dotenv(env_file) if env_file else os.environ)
    click.echo("\n".join(faults) if faults else "the settings can be used")
    return 1 if faults else 0


@app.group(cls=Commands)
def fake() -> None:
    """The fake Evolution API 2.3.7."""


@fake.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option(
    "--key",
    envvar=["GOLIVE_EVOLUTION_KEY", "AUTHENTICATION_API_KEY"],
    required=True,
    show_envvar=True,
    help="The global API key.",
)
@click.option(
    "--control-token", envvar="GOLIVE_CONTROL_TOKEN", default="", help="Opens the control plane; or GOLIVE_CONTROL_TOKEN."
)
@click.option(
    "--control-port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where the control plane is also served, open whatever happens to the API's port; a free one when not given.",
)
@click.option(
    "--control-from-anywhere",
    envvar="GOLIVE_CONTROL_FROM_ANYWHERE",
    is_flag=True,
    help="The control plane answers other machines too, with its token.",
)
@click.option("--virtual-clock", is_flag=True, help="A clock that the control plane can move.")
@click.option("--frozen", is_flag=True, help="With --virtual-clock: it stands still until the control plane moves it.")
@click.option("--seed", type=int, envvar="GOLIVE_FAKE_SEED", default=None, help="Makes ids, tokens and codes repeatable.")
def fake_serve(
    host: str,
    port: int,
    key: str,
    control_token: str,
    control_port: int,
    control_from_anywhere: bool,
    virtual_clock: bool,
    frozen: bool,
    seed: int | None,
) -> int:
    """Serve the fake; prints its address when it answers, and with a control token that of the phone simulator.

    The real server's own variables (SERVER_URL, QRCODE_LIMIT, WEBHOOK_GLOBAL_URL, TZ, …) are read from the environment.

    \b
    Examples:
      golive fake serve --port 0 --key test-key
      golive fake serve --key test-key --control-token secret --virtual-clock
    """
    from harness.clock import SystemClock, VirtualClock
    from harness.evolution.server import serve
    from harness.evolution.settings import ServerSettings

    if frozen and not virtual_clock:
        raise click.UsageError("--frozen is for a clock that can be moved: add --virtual-clock")
    # To be told to stop is how serving ends.
    with suppress(KeyboardInterrupt):
        serve(
            host=host,
            port=port,
            key=key,
            control_token=control_token or None,
            seed=seed,
            clock=VirtualClock(frozen=frozen) if virtual_clock else SystemClock(),
            settings=ServerSettings.from_environment(os.environ),
            control_from_anywhere=control_from_anywhere,
            control_port=control_port,
            on_ready=lambda url: click.echo(f"{url}\nphone simulator: {url}/__fake__/phone" if control_token else url),
        )
    return 0


@fake.command("image")
@click.option("--tag", default="", help="The image's name; golive-fake:VERSION or golive-postgres:VERSION when not given.")
@click.option(
    "--base",
    default="auto",
    show_default=True,
    metavar="auto|debian|IMAGE",
    help="What to build on: an image with Python, 'debian' (made with mmdebstrap), or the first of these that can be had.",
)
@click.option("--postgres", is_flag=True, help="A Postgres that stands in for the official image, instead of the fake.")
def fake_image(tag: str, base: str, postgres: bool) -> int:
    """Build a container image of the fake, also where there is no registry.

    \b
    Examples:
      golive fake image
      golive fake image --base debian --tag fake:test
      docker run --rm -p 8080:8080 -e GOLIVE_EVOLUTION_KEY -e GOLIVE_CONTROL_TOKEN golive-fake:VERSION --virtual-clock
    """
    from harness.image.build import Kind, build, default_tag

    kind: Kind = "postgres" if postgres else "fake"
    image = build(kind, tag=tag or default_tag(kind), base=base)
    click.echo(f"{image.tag}: {image.size / 1e6:.0f} MB, on {image.base}")
    return 0


@fake.command("faults")
@_format_option()
def fake_faults(form: str) -> int:
    """List the ways in which the fake can misbehave, with their evidence, scopes and options.

    Every fault also takes count, probability, seed, and from and until (seconds from now, or ISO 8601 on the fake's clock).

    \b
    Examples:
      golive fake faults
      golive fake faults --format json
    """
    from harness.evolution.injection import documentation, in_words, known_faults

    if form == "json":
        click.echo(json.dumps([documentation(item) for item in known_faults()], indent=2))
    else:
        click.echo("\n".join(line for item in known_faults() for line in in_words(item)))
    return 0


class _Show:
    """Shows a run as it goes, and keeps its outcomes. Nothing is shown where a program reads the output."""

    def __init__(self, console: Console, *, total: int) -> None:
        self._console = console
        self._total = total
        self._stack = ExitStack()
        self._advance: Callable[[Outcome], None] = lambda _: None
        self.outcomes: list[Outcome] = []

    def __enter__(self) -> _Show:
        self._advance = self._stack.enter_context(self._console.progress(self._total, "answers"))
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    def part(self, title: str, expected: int) -> None:
        self._console.line(f"{title} ({expected})", style="bold")

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._advance(outcome)

    def note(self, text: str) -> None:
        self._console.line(text)


def _on_target(
    target_url: str,
    evolution_url: str,
    database: str,
    out: Path | None,
    teller: Teller,
    expected: int,
    work: Callable[[Target, Pace, Journal, Path, _Show], None],
    *,
    with_unit: bool = False,
    connected: bool = False,
    of_each_worker: bool = False,
) -> int:
    """Runs one part against a target and tells its verdict; without an address each worker may have a reference of its own."""
    from gate.journal import Journal
    from gate.masking import Masker
    from harness import targets
    from harness.record import bind_schema, record_of
    from harness.rehearsal import JOURNAL

    record, release = record_of(Path.cwd())
    if not target_url:
        # What the reference does says nothing of a release that is described here.
        record, release = record | {"reference": True}, None
    if evolution_url and not target_url:
        raise click.UsageError("--evolution is the fake behind --target; give both, or neither for the embedded reference")
    with _run_directory(out) as directory:
        chosen = (
            targets.remote(target_url, evolution_url, os.environ)
            if target_url
            else targets.of_each_worker(database, directory)
            if of_each_worker
            else targets.embedded(database, directory, with_unit=with_unit, connected=connected)
        )
        with chosen as (target, pace):
            masker = Masker((target.admin_password, target.control_token, target.metrics_token))
            journal = Journal.create(directory / JOURNAL, release=record, masker=masker)
            with _Show(teller.console, total=expected) as show:
                work(target, pace, journal, directory, show)
            bind_schema(journal, release)
        return teller.tell(*_conclude(directory, teller.policy))


@contextmanager
def _run_directory(out: Path | None) -> Iterator[Path]:
    """The given directory, or one that is gone afterwards."""
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="golive-") as directory:
        yield Path(directory)


def _console(form: str) -> Console:
    """Where progress goes: to standard output with text, else to standard error, so that output stays a document."""
    from gate.console import Console

    return Console(sys.stdout if form == "text" else sys.stderr)


def _today() -> date:
    return datetime.now(UTC).date()


def _conclude(directory: Path, policy: Policy) -> tuple[Verdict, Recording]:
    """Judges the journal of a run and leaves the verdict beside it; the verdict and what it was made from."""
    from gate.journal import JOURNAL, conclude, read, write_atomically
    from harness.policies import VERDICT

    recording = read(directory / JOURNAL)
    verdict = conclude(recording, policy, _today())
    write_atomically(directory / VERDICT, json.dumps(verdict.as_json(), ensure_ascii=False, indent=2) + "\n")
    return verdict, recording


def _run_at(place: Path) -> Path:
    """The directory of a run, by itself or by its journal."""
    directory = place.parent if place.is_file() else place
    if not directory.is_dir():
        raise click.UsageError(f"{directory}: no such directory of a run")
    return directory


def _policy_for(run: Path, name: str) -> Policy:
    """The policy of that name, else the one by which the run was judged, else that of a rehearsal."""
    from harness.policies import policy_named, policy_of_run

    return policy_named(name) if name else policy_of_run(run, Path.cwd(), otherwise="rehearsal")


def _documents(directory: Path, policy: Policy, console: Console) -> None:
    from reports.build import render_run

    paths = render_run(directory, policy, _today())
    console.line(f"Report: {next(path for path in paths if path.suffix == '.html')}")


def _load_documentation() -> None:
    """Loads what explains an id, so that a finding can say what to do."""
    from gate.registry import Kind, registry

    registry(Kind.CHECK).load("gate.checks")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line and exits. Every refusal is one line on standard error."""
    # A service manager's stop must clean up like Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = app.main(args=arguments, prog_name="golive", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.exceptions.Abort):
        _leave("interrupted; children are stopped and the journal is whole", INTERRUPTED)
    except click.ClickException as error:
        where = getattr(error, "ctx", None)
        hint = f"; see `{where.command_path} --help`" if where is not None else ""
        _leave(" ".join(error.format_message().split()) + hint, USAGE)
    except BrokenPipeError:
        # Whoever read our output has gone; nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(HOLD)
    except Exception as error:
        from gate.errors import GateError, UsageError

        if isinstance(error, UsageError):
            _leave(str(error), USAGE)
        if isinstance(error, GateError):
            _leave(str(error), HOLD)
        # A mistake of ours is never a verdict on the release; with GOLIVE_DEBUG it is shown whole.
        if os.environ.get("GOLIVE_DEBUG"):
            raise
        _leave(f"internal error: {type(error).__name__}: {error}; set GOLIVE_DEBUG=1 to see where", HOLD)
    sys.exit(status if isinstance(status, int) else 0)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _leave(message: str, status: int) -> NoReturn:
    from gate.masking import Masker

    click.echo(f"golive: {Masker().text(' '.join(message.split()))}", err=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
