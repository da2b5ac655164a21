"""Runs the scenarios of `features/` against a target, in a child process, and accounts for every one that was planned.

What is planned is read from the feature files before anything runs; what was executed is read from the journal afterwards. A
planned scenario without an outcome is an ERROR, however the child ended.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from gate import journal as journals
from gate.errors import SelectionError
from gate.journal import Journal
from gate.masking import Masker
from gate.model import Outcome, Severity, Status, is_outcome_id
from harness.errors import HarnessError
from harness.target import OWN_SYSTEM, Target

__all__ = [
    "CRITICAL_TAG",
    "FAMILY",
    "FEATURES",
    "ID_TAG",
    "PART",
    "PROFILES",
    "SEED_TAG",
    "PlannedScenario",
    "asked_for",
    "declared",
    "feature_files",
    "read_features",
    "run",
    "select",
]

FAMILY = "scenario"
PART = "scenarios"
RUNNER_ID = f"{FAMILY}.run"
ID_TAG = "@id:"
CRITICAL_TAG = "@critical"
# The nine that every release is held to; what is run where nothing else is asked for.
SEED_TAG = "@seed"
PROFILES = ("core", "outbound", "campaigns", "security", "chaos")
FEATURES = Path(__file__).resolve().parents[1] / "features"

MESSAGES = "scenarios.ndjson"
# Without -P a package of the same name in the current directory would be taken for ours.
_PYTEST = (sys.executable, "-P", "-m", "pytest")
_POLL_S = 0.05
_CONNECT_S = 10.0
# In real time a connection alone takes five seconds, and a backend that hangs is waited for half a minute.
LIMIT_OF_EACH_S = 30.0
LEAST_LIMIT_S = 900.0
_TAIL_LINES = 12
# What pytest calls a normal end: everything passed, or something failed.
_ORDINARY_ENDS = (0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScenario:
    """One scenario, or one row of a scenario outline, as a feature file states it.

    `slugs` are the values of its `@id:` tags (a sound scenario has one); `row` counts an outline's rows from 1, and is 0 for a
    plain scenario. `tags` are its own and those it inherits, with their @. `step_types` are Context, Action, Outcome or Unknown.
    """

    name: str
    path: Path
    line: int
    slugs: tuple[str, ...]
    row: int
    tags: frozenset[str]
    step_types: tuple[str, ...]

    @property
    def id(self) -> str:
        """`scenario.<slug>`, for an outline's row `scenario.<slug>-<row>`; empty without an `@id:` tag."""
        if not self.slugs:
            return ""
        return scenario_id(self.slugs[0], self.row)

    @property
    def severity(self) -> Severity:
        return Severity.CRITICAL if CRITICAL_TAG in self.tags else Severity.MAJOR

    @property
    def place(self) -> str:
        return f"{self.path.name}:{self.line}"


def scenario_id(slug: str, row: int = 0) -> str:
    return f"{FAMILY}.{slug}" + (f"-{row}" if row else "")


def feature_files(folder: Path) -> list[Path]:
    """Every feature file below a folder, however its suffix is written, hidden folders included; sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".feature" and path.is_file())


def read_features(folder: Path) -> list[PlannedScenario]:
    """Reads every scenario below `folder`, in the order of files and lines.

    Raises HarnessError when there is no such folder, when a file is not Gherkin, or when the reader of Gherkin is not installed.
    """
    if not folder.is_dir():
        raise HarnessError(f"{folder}: no such folder of feature files")
    return [scenario for path in feature_files(folder) for scenario in _read_feature(path)]


def asked_for(tags: Sequence[str], *, profile: str = "", everything: bool = False, own: bool = False) -> tuple[str, ...]:
    """The tags to select by: those given and the profile's, or @seed where nothing was asked for and the scenarios are ours.

    Raises SelectionError for a profile that does not exist.
    """
    if profile and profile.removeprefix("@") not in PROFILES:
        near = difflib.get_close_matches(profile, PROFILES, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(PROFILES)}"
        raise SelectionError(f"profile {profile}: {hint}")
    wanted = (*tags, *([f"@{profile.removeprefix('@')}"] if profile else []))
    return wanted if wanted or everything or own else (SEED_TAG,)


def select(planned: Sequence[PlannedScenario], tags: Iterable[str], only: Iterable[str] = ()) -> list[PlannedScenario]:
    """The scenarios that carry every one of `tags` (with or without @), and of those the ones whose ids are in `only`, if any.

    Raises SelectionError for a tag or an id that no scenario has, with the nearest one, and when nothing is selected.
    """
    wanted = [tag if tag.startswith("@") else f"@{tag}" for tag in tags]
    known = sorted({tag for scenario in planned for tag in scenario.tags})
    for tag in wanted:
        if tag not in known:
            near = difflib.get_close_matches(tag, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none at all'}"
            raise SelectionError(f"tag {tag}: no scenario carries it; {hint}")
    ids = [scenario.id for scenario in planned]
    asked = set(only)
    for item in sorted(asked - set(ids)):
        near = difflib.get_close_matches(item, ids, n=1)
        raise SelectionError(f"{item}: no such scenario{f'; did you mean {near[0]}?' if near else ''}")
    selected = [scenario for scenario in planned if scenario.tags.issuperset(wanted) and (not asked or scenario.id in asked)]
    if not selected:
        among = " among those asked for" if asked else ""
        raise SelectionError(
            f"no scenario{among} carries all of {', '.join(wanted)}" if wanted else "there is no scenario at all"
        )
    return selected


def declared(selected: Sequence[PlannedScenario], words: Iterable[str]) -> dict[str, str]:
    """Which of the scenarios a backend declares not to support, by id, with the reason; a word is `@tag` or `id`, or `…=REASON`.

    Raises SelectionError for a word that fits none of them, with the nearest that does.
    """
    found: dict[str, str] = {}
    names = {one.id: {one.id, *map(scenario_id, one.slugs), *one.slugs, *one.tags} for one in selected}
    for word in words:
        name, _, reason = (part.strip() for part in word.partition("="))
        fitting = [item for item in names if name in names[item]]
        if not fitting:
            near = difflib.get_close_matches(name, sorted(set().union(*names.values())), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SelectionError(f"{name or word!r} is declared as not supported, and no scenario asked for is called so{hint}")
        found |= dict.fromkeys(fitting, f"the backend is declared not to support {name}" + (f": {reason}" if reason else ""))
    return found


def run(
    target: Target,
    journal: Journal,
    *,
    log: Path,
    tags: Sequence[str] = (),
    only: Sequence[str] = (),
    unsupported: Sequence[str] = (),
    features: Path | None = None,
    workers: int = 1,
    time_limit_s: float | None = None,
    on_progress: Callable[[Outcome], None] | None = None,
    in_process: bool = False,
    lint: bool = True,
) -> list[Outcome]:
    """Runs the selected scenarios and returns one outcome for each, in the order of the feature files; all are in the journal.

    What the backend is declared not to support (`declared`) is not run, and is a SKIP with the reason.

    `in_process` spares the child: for a process that was made for this one run and ends with it, and that others watch over.
    Without `lint` the scenarios are not checked at their collection: for whoever has had the same ones checked.

    The child's output goes to `log`; secrets are masked in what is taken from it. `on_progress` gets each outcome as soon as it
    is known. Without a `time_limit_s` there is one that grows with the scenarios.

    Raises SelectionError before anything runs when the selection is wrong, HarnessError when the scenarios cannot be read or
    started. Interrupted, it ends the child and everything that the child started.
    """
    folder = (FEATURES if features is None else features).resolve()
    selected = select(read_features(folder), tags, only)
    nameless = [scenario.place for scenario in selected if not is_outcome_id(scenario.id)]
    if nameless:
        raise HarnessError(f"{nameless[0]}: the scenario needs one tag of the form {ID_TAG}some-words")
    if workers < 1:
        raise HarnessError(f"{workers} workers: at least one is needed")
    expected = list(dict.fromkeys(scenario.id for scenario in selected))
    left_out = declared(selected, unsupported)
    asked = [scenario for scenario in selected if scenario.id not in left_out]
    if left_out:
        only = list(dict.fromkeys(scenario.id for scenario in asked))
    already = len(journals.read(journal.path).outcomes)
    nobody = "" if target.own_system else _nobody_there(target.url)
    masker = Masker((target.admin_password, target.control_token, target.metrics_token, target.signing_key))
    with journal.part(PART, expected=expected):
        command = _command(target, journal, folder, tags, workers, only)
        if not lint:
            command += ["-o", "golive_lint=false"]
        skipped = [_skip(scenario, left_out[scenario.id]) for scenario in selected if scenario.id in left_out]
        if not asked:
            ended = _End(status=0)
        elif nobody:
            ended = _End(status=0, cut_short=nobody)
        elif in_process:
            ended = _run_here(command[len(_PYTEST) :], environment=_environment(target), log=log)
        else:
            ended = _run_child(
                command,
                environment=_environment(target),
                log=log,
                time_limit_s=time_limit_s if time_limit_s is not None else max(LEAST_LIMIT_S, LIMIT_OF_EACH_S * len(asked)),
                each_moment=_Progress(journal.path, already, on_progress),
            )
        found = [item for item in journals.read(journal.path).outcomes[already:] if item.id.startswith(f"{FAMILY}.")]
        said = "" if nobody or not asked else masker.text(_tail(log))
        for outcome in (*(_account_for(asked, found, ended, said) if asked else ()), *skipped):
            journal.append(outcome)
            found.append(outcome)
            if on_progress is not None:
                on_progress(outcome)
    order = {item: number for number, item in enumerate(expected)}
    return sorted(found, key=lambda outcome: order.get(outcome.id, len(order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """How the child ended: its exit status, or what cut it short."""

    status: int
    cut_short: str = ""

    def __str__(self) -> str:
        return self.cut_short or f"pytest ended with exit status {self.status}"


def _nobody_there(url: str) -> str:
    """Why nothing can be asked there: a scenario of somebody's own might never ask, and pass. Empty when somebody listens."""
    parts = urlsplit(url)
    try:
        socket.create_connection(
            (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)), _CONNECT_S
        ).close()
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached ({error})"
    return ""


def _account_for(selected: Sequence[PlannedScenario], found: Sequence[Outcome], ended: _End, tail: str) -> list[Outcome]:
    """What the child left unsaid, as outcomes: scenarios that never answered, and answers that nobody planned."""
    said = f"{ended}; last output: {tail}" if tail else str(ended)
    answers = Counter(outcome.id for outcome in found)
    missing = {scenario.id: scenario for scenario in selected if scenario.id not in answers}
    added = [
        _error(scenario.id, f"planned ({scenario.place}) and never answered: {said}", scenario.name, scenario.severity)
        for scenario in missing.values()
    ]
    planned = {scenario.id for scenario in selected}
    added += [_error(item, "answered without having been planned") for item in sorted(set(answers) - planned)]
    added += [_error(item, f"answered {count} times") for item, count in sorted(answers.items()) if count > 1]
    all_passed = bool(found) and all(outcome.status is Status.PASS for outcome in found)
    agrees = ended.status in _ORDINARY_ENDS and not ended.cut_short and (ended.status == 0) is all_passed
    if not agrees and not missing:
        added.append(_error(RUNNER_ID, f"the scenarios' answers and the end of their process do not agree: {said}"))
    return added


def _skip(scenario: PlannedScenario, reason: str) -> Outcome:
    return Outcome(
        id=scenario.id,
        status=Status.SKIP,
        severity=scenario.severity,
        title=scenario.name,
        reason=reason,
        observed_at=datetime.now(UTC),
    )


def _error(item: str, reason: str, title: str = "", severity: Severity = Severity.CRITICAL) -> Outcome:
    return Outcome(id=item, status=Status.ERROR, severity=severity, title=title, reason=reason, observed_at=datetime.now(UTC))


def _command(
    target: Target, journal: Journal, folder: Path, tags: Sequence[str], workers: int, only: Sequence[str] = ()
) -> list[str]:
    for module, extra in (("pytest_bdd", "scenarios"), *((("xdist", "test"),) if workers > 1 else ())):
        if importlib.util.find_spec(module) is None:
            raise HarnessError(f"{module} is not installed, the scenarios cannot run; pip install 'golive[{extra}]'")
    bound = importlib.util.find_spec("features")
    if bound is None or not bound.submodule_search_locations:
        raise HarnessError("the package features is not installed, the scenarios cannot run")
    module = Path(next(iter(bound.submodule_search_locations))) / "test_scenarios.py"
    return [
        *_PYTEST,
        str(module),
        # The caller's pytest configuration, plugins and cache have no say here: only what is named below is loaded.
        *("-c", os.devnull, "--rootdir", str(module.parent), "--noconftest", "--disable-plugin-autoload"),
        *("-p", "pytest_bdd.plugin", "-p", "features.plugin", "-p", "no:cacheprovider", "--assert", "plain"),
        *("-q", "--tb", "short", "--color", "no", "-W", "error"),
        *(("-p", "xdist", "-n", str(workers)) if workers > 1 else ()),
        *("--golive-target", target.url, "--golive-journal", str(journal.path.resolve()), "--golive-features", str(folder)),
        *("--golive-messages", str(journal.path.resolve().with_name(MESSAGES))),
        *(("--golive-evolution", target.evolution_url) if target.evolution_url else ()),
        # Without the @: pytest would take it for the name of a file of arguments.
        *(f"--golive-tag={tag.removeprefix('@')}" for tag in tags),
        *(f"--golive-only={item}" for item in only),
    ]


def _environment(target: Target) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "GOLIVE_"))}
    here = str(Path(__file__).resolve().parents[1])
    return inherited | {
        "GOLIVE_ADMIN_EMAIL": target.admin_email,
        "GOLIVE_ADMIN_PASSWORD": target.admin_password,
        "GOLIVE_CONTROL_TOKEN": target.control_token,
        "GOLIVE_METRICS_TOKEN": target.metrics_token,
        "GOLIVE_LOG": str(target.log_path or ""),
        "GOLIVE_OPERATIONS_URL": target.operations_url,
        "GOLIVE_SIGNING_KEY": target.signing_key,
        OWN_SYSTEM: target.own_system,
        # The child may start in any directory: the packages are found where this one was.
        "PYTHONPATH": os.pathsep.join(filter(None, (here, inherited.get("PYTHONPATH", "")))),
        "PYTHONUTF8": "1",
    }


class _Progress:
    """Reports outcomes as they reach the journal."""

    def __init__(self, path: Path, already: int, report: Callable[[Outcome], None] | None) -> None:
        self._path = path
        self._seen = already
        self._size = -1
        self._report = report

    def __call__(self) -> None:
        if self._report is None:
            return
        size = self._path.stat().st_size
        if size == self._size:
            return
        self._size = size
        outcomes = journals.read(self._path).outcomes
        for outcome in outcomes[self._seen :]:
            if outcome.id.startswith(f"{FAMILY}."):
                self._report(outcome)
        self._seen = len(outcomes)


def _run_here(arguments: Sequence[str], *, environment: Mapping[str, str], log: Path) -> _End:
    import pytest

    os.environ.clear()
    os.environ.update(environment)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        sys.stdout.flush()
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        return _End(status=int(pytest.main(list(arguments))))


def _run_child(
    command: Sequence[str], *, environment: Mapping[str, str], log: Path, time_limit_s: float, each_moment: Callable[[], None]
) -> _End:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        output = log.open("wb")
    except OSError as error:
        raise HarnessError(f"{log}: cannot be written ({error.strerror})") from error
    with output:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
        deadline = time.monotonic() + time_limit_s
        try:
            while True:
                try:
                    status = child.wait(timeout=_POLL_S)
                except subprocess.TimeoutExpired:
                    each_moment()
                else:
                    each_moment()
                    return _End(status=status)
                if time.monotonic() >= deadline:
                    return _End(status=-1, cut_short=f"stopped after its time limit of {time_limit_s:g} s")
        finally:
            # Also after an ordinary end: what the child started and left behind must not outlive it.
            _end_group(child)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _tail(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-_TAIL_LINES:])


def _read_feature(path: Path) -> tuple[PlannedScenario, ...]:
    try:
        return _planned(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"{path}: cannot be read ({error})") from error


# One run reads the same files several times: to plan, to select, to bind.
@functools.lru_cache(maxsize=1024)
def _planned(path: Path, text: str) -> tuple[PlannedScenario, ...]:
    try:
        from gherkin.errors import ParserError
        from gherkin.parser import Parser
        from gherkin.pickles.compiler import Compiler
    except ModuleNotFoundError as error:
        raise HarnessError(
            f"{error.name} is not installed, feature files cannot be read; pip install 'golive[scenarios]'"
        ) from None
    try:
        document = Parser().parse(text)
    except ParserError as error:
        raise HarnessError(f"{path.name}: not Gherkin: {' '.join(str(error).split())}") from error
    rows: Counter[str] = Counter()
    scenarios: list[PlannedScenario] = []
    for pickle in Compiler().compile({**document, "uri": str(path)}):
        scenario, *row = pickle["astNodeIds"]
        rows[scenario] += 1
        tags = [tag["name"] for tag in pickle["tags"]]
        scenarios.append(
            PlannedScenario(
                name=pickle["name"],
                path=path,
                line=pickle["location"]["line"],
                slugs=tuple(tag.removeprefix(ID_TAG) for tag in tags if tag.startswith(ID_TAG)),
                row=rows[scenario] if row else 0,
                tags=frozenset(tags),
                step_types=tuple(step["type"] for step in pickle["steps"]),
            )
        )
    return tuple(scenarios)
