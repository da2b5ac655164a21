"""What is wrong with scenarios and steps before anything runs: what could not fail, would not be missed, or means two things.

pytest-bdd lets most of it pass: of two scenarios with one name it runs one, of two steps that match it takes the last, it passes
over what it does not bind, ignores tables that no step takes, and never awaits an async step.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from features.expressions import Expression, StepError, declare_type, parameter_types
from features.gherkin_files import FeatureFile, ScenarioText, StepText, keywords, read_feature_file
from features.sources import Binding, DefinedStep, SourceFile, kinds_of, read_source
from gate.errors import UsageError
from gate.model import is_outcome_id

__all__ = [
    "FEATURE_NAME",
    "ID_TAG",
    "RULES",
    "TAGS_FILE",
    "Finding",
    "Library",
    "Report",
    "check_feature",
    "check_ids",
    "check_steps",
    "default_paths",
    "in_order",
    "lint_paths",
    "look",
    "modules_of_steps",
    "tags_known_to",
    "walk",
]

ID_TAG = "@id:"
TAGS_FILE = "tags.txt"
BUILT_IN = Path(__file__).parent
RULES: Mapping[str, str] = {
    "undefined-step": "a step that no step definition matches",
    "ambiguous-step": "a step that two step functions match",
    "unused-step": "a step function that no scenario uses",
    "async-step": "a coroutine that nobody awaits",
    "unreadable-step": "a step text that is no Cucumber Expression, or that editors take for a regular expression",
    "then-without-assertion": "a Then that could not fail",
    "table-not-taken": "a table or text below a step whose function takes none, or the other way round",
    "empty-file": "a feature file without a feature or without scenarios",
    "empty-scenario": "a scenario or background without steps, or a rule without scenarios",
    "no-then": "a scenario without a Then",
    "no-name": "a scenario without a name",
    "no-examples": "an outline without rows, a placeholder without a column, or a column without a use",
    "duplicate-name": "two scenarios in a file whose names are one to a reader",
    "duplicate-id": "two scenarios of one id",
    "id": "a scenario without an id, with two, or with one of another form",
    "unknown-tag": "a tag that is not in the vocabulary",
    "hidden-scenario": "a scenario that is skipped or commented out",
    "swallowed-line": "a scenario or step that Gherkin takes for prose",
    "unbound-file": "a feature file, or a scenario in it, that nothing executes",
    "unreadable": "a file that cannot be opened, or a link that leads back to a folder above it",
    "encoding": "a file that is not UTF-8",
    "not-gherkin": "a file that is not Gherkin",
    "not-python": "a file of steps that is not Python",
}

_SKIPPING = frozenset(
    {"@wip", "@skip", "@skipped", "@ignore", "@ignored", "@disabled", "@todo", "@pending", "@xfail", "@draft", "@manual"}
)
_ELSEWHERE = frozenset({"__pycache__", "node_modules", "build", "dist", "site-packages"})
_HIDDEN_FOLDERS = frozenset({".git", ".tox", ".venv", ".nox", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"})
FEATURE_NAME = re.compile(r"\.(?:features|gherkin|feature(?:[^a-z0-9].*)?)$", re.IGNORECASE)
# What the editor's reader of Python takes for a regular expression.
_REGEX_MARKS = re.compile(r"[().*\\|]|^/")
_PLACEHOLDER = re.compile(r"<([^<>\s][^<>]*)>")
_NEAREST = 3
_MOST_COMPARED = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, where, and what to do about it. `hint` may have several lines."""

    rule: str
    path: Path
    line: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was looked at, and what was found, by file and line."""

    findings: tuple[Finding, ...]
    files: int
    scenarios: int
    steps: int


class Library:
    """Step definitions, found by text. `usage` counts by definition how many steps of the scenarios it matched."""

    def __init__(self, steps: Iterable[DefinedStep]) -> None:
        self.steps = tuple(steps)
        self.usage: dict[tuple[Path, int], int] = dict.fromkeys((step.owner for step in self.steps), 0)
        self._literal: dict[str, list[DefinedStep]] = defaultdict(list)
        self._by_word: dict[str, list[DefinedStep]] = defaultdict(list)
        self._others: list[DefinedStep] = []
        self._found: dict[str, list[DefinedStep]] = {}
        for step in self.steps:
            if step.is_literal:
                self._literal[step.text].append(step)
            elif " " in step.beginning:
                self._by_word[step.beginning.split(" ", 1)[0]].append(step)
            else:
                self._others.append(step)

    def find(self, text: str) -> list[DefinedStep]:
        """Every definition that matches, of any kind. Raises StepError for one that is no Cucumber Expression."""
        if text not in self._found:
            candidates = (*self._by_word.get(text.split(" ", 1)[0], ()), *self._others)
            self._found[text] = [*self._literal.get(text, ()), *(step for step in candidates if step.matches(text))]
        return self._found[text]

    def nearest(self, text: str, kind: str) -> list[str]:
        """The texts of the definitions that read most like it, best first."""
        bare = _without_values(text)
        known = {_without_values(step.text): step.text for step in self.steps if step.kind in ("", kind)}
        words = set(bare.lower().split())
        # Comparing letter by letter is slow: only those that share most words are compared so.
        likely = sorted(known, key=lambda other: -len(words & set(other.lower().split())))[:_MOST_COMPARED]
        return [known[near] for near in difflib.get_close_matches(bare, likely, n=_NEAREST, cutoff=0.4)]


def default_paths(folder: Path) -> list[Path]:
    """What is looked at when nothing is named: `features` with its `steps`, else everything below the folder."""
    return [folder / "features"] if (folder / "features" / "steps").is_dir() else [folder]


def lint_paths(paths: Sequence[Path]) -> Report:
    """Looks at every feature file and every file of steps below the paths; the built-in steps are known as well.

    Raises UsageError for a path that is not there, and when there is no feature file at all.
    """
    scene = look(paths)
    findings = [*scene.findings, *scene.check_features()]
    if not scene.alone:
        findings += check_ids(scene.features)
    findings += _unbound(scene.features, scene.bindings, scene.roots)
    # What an unreadable file uses is not known.
    own = {path for path in scene.modules if _is_below(path, scene.roots)}
    unread = any(feature.faults for feature in scene.features)
    findings += [item for item in check_steps(scene.library, own) if not unread or item.rule != "unused-step"]
    return Report(
        findings=in_order(item for item in findings if _is_below(item.path, scene.roots) or item.path in scene.modules),
        files=len(scene.features),
        scenarios=sum(len(feature.scenarios) for feature in scene.features),
        steps=len(scene.library.usage),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What stands below some paths: feature files, and every step that they may use.

    `alone` says that the project binds its scenarios with pytest-bdd and uses nothing of ours. `findings` tell what could not be
    read of the modules.
    """

    roots: tuple[Path, ...]
    features: tuple[FeatureFile, ...]
    modules: frozenset[Path]
    library: Library
    bindings: tuple[Binding, ...]
    alone: bool
    findings: tuple[Finding, ...]

    def check_features(self) -> Iterator[Finding]:
        """What is wrong in each file; counts on the way how often each step is used."""
        for feature in self.features:
            yield from check_feature(feature, self.library, tags=tags_known_to(feature.path), bindings=self.bindings)


def look(paths: Sequence[Path]) -> Scene:
    """Reads what stands below the paths. Raises UsageError for a path that is not there, and when there is no feature file."""
    features: set[Path] = set()
    modules: set[Path] = set()
    findings: list[Finding] = []
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or folder")
        found = list(walk(path)) if path.is_dir() else [path]
        for item in found:
            if item.is_symlink() and item.is_dir():
                message = "the link leads back to a folder above it: what is there would run again and again"
                findings.append(Finding(rule="unreadable", path=item.absolute(), line=1, message=message, hint="remove it"))
        features |= {item.resolve() for item in found if FEATURE_NAME.search(item.name)}
        modules |= _modules_around(path, found)
    if not features:
        raise UsageError(f"{', '.join(map(str, paths))}: no feature file there: nothing was looked at")
    sources: list[SourceFile] = []
    for path in sorted(modules | {path.resolve() for path in (BUILT_IN / "steps").glob("*.py")}):
        try:
            source = read_source(path)
        except StepError as error:
            line = re.search(r":(\d+): ", str(error))
            findings.append(Finding(rule="not-python", path=path, line=int(line[1]) if line else 1, message=str(error)))
            continue
        if source is not None:
            sources.append(source)
    own = [source for source in sources if source.path in modules]
    bindings = tuple(binding for source in sources for binding in source.bindings)
    # A project that binds its scenarios itself and imports nothing of ours is pytest-bdd alone: our steps are not its own.
    alone = any(binding.paths for binding in bindings) and not any(source.uses_library for source in own)
    if alone:
        sources = own
    for name, pattern in kinds_of(sources).items():
        declare_type(name, pattern)
    return Scene(
        roots=tuple(path.resolve() for path in paths),
        features=tuple(read_feature_file(path) for path in sorted(features)),
        modules=frozenset(modules),
        library=Library(step for source in sources for step in source.steps),
        bindings=bindings,
        alone=alone,
        findings=tuple(findings),
    )


def _modules_around(path: Path, found: Iterable[Path]) -> set[Path]:
    """The Python files among those found below a path, and those above it whose steps are known below as well."""
    modules = {item.resolve() for item in found if item.suffix == ".py"}
    for folder in path.resolve().parents:
        modules |= {item for item in (folder / "conftest.py", *(folder / "steps").glob("*.py")) if item.is_file()}
    return modules


def modules_of_steps(folder: Path) -> list[Path]:
    """What a run of a folder's scenarios loads beside the library: its steps as the lint knows them, with their fixtures.

    Raises StepError for a file that is no Python.
    """
    loaded = []
    for path in sorted(_modules_around(folder, walk(folder))):
        if BUILT_IN in path.parents:
            continue
        source = read_source(path)
        if source is not None and source.bindings:
            # Steps in a module of tests are known there alone.
            continue
        if path.parent.name == "steps" or path.name == "conftest.py" or (source is not None and (source.steps or source.kinds)):
            loaded.append(path)
    return loaded


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By file and line, each once: the rows of an outline find the same again."""
    unique = {(item.path, item.line, item.rule, item.message): item for item in findings}
    return tuple(unique[key] for key in sorted(unique))


def check_steps(library: Library, own: set[Path]) -> Iterator[Finding]:
    """What is wrong with the step functions themselves, and which of `own` no scenario used (after every feature was checked)."""
    functions: dict[tuple[Path, int], DefinedStep] = {}
    for step in library.steps:
        if step.path not in own:
            continue
        if step.is_expression:
            yield from _expression_faults(step)
        if step.owner not in functions:
            functions[step.owner] = step
            for rule, message in step.faults:
                yield Finding(rule=rule, path=step.path, line=step.function_line, message=message)
    for owner, step in functions.items():
        if not library.usage[owner]:
            message = f"no scenario uses {step.kind or 'step'} {step.text!r}"
            yield Finding(rule="unused-step", path=step.path, line=step.line, message=message, hint="use it or remove it")


def _expression_faults(step: DefinedStep) -> Iterator[Finding]:
    if mark := _REGEX_MARKS.search(step.text):
        yield Finding(
            rule="unreadable-step",
            path=step.path,
            line=step.line,
            message=f"{step.text!r} holds {mark[0]!r}: editors take it for a regular expression",
            hint="write the step without brackets, dots, stars, bars and backslashes",
        )
    known = {
        *parameter_types(),
        "int",
        "float",
        "word",
        "string",
        "",
        "bigdecimal",
        "biginteger",
        "byte",
        "short",
        "long",
        "double",
    }
    for name in Expression(step.text).names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield Finding(
                rule="unreadable-step",
                path=step.path,
                line=step.line,
                message=f"{step.text!r}: there is no parameter type {{{name}}}",
                hint=f"did you mean {{{near[0]}}}?" if near else f"known are {', '.join(sorted(known - {''}))}",
            )


def check_feature(
    feature: FeatureFile, library: Library, *, tags: Iterable[str] | None, bindings: Sequence[Binding] = ()
) -> Iterator[Finding]:
    """What is wrong in one file. `tags` are those that it may carry; None leaves them to pytest's marks."""

    def finding(rule: str, line: int, message: str, hint: str = "") -> Finding:
        return Finding(rule=rule, path=feature.path, line=line, message=message, hint=hint)

    for rule, line, message, remedy in feature.faults:
        yield finding(rule, line, message, remedy)
    if feature.faults:
        return
    for line, word in feature.hollow:
        yield finding("empty-scenario", line, f"{word}: there is nothing in it", "write it or remove it")
    if not feature.scenarios:
        holds = "a background and no scenario" if feature.has_background else "no scenario"
        yield finding("empty-file", feature.line, f"the feature {feature.name!r} holds {holds}")
    yield from _tags_of(feature, None if tags is None else sorted(tags), finding)
    yield from _names_of(feature, finding)
    modules = [binding.module for binding in bindings if binding.paths and binding.covers(feature.path)]
    for scenario in feature.scenarios:
        yield from _shape_of(scenario, finding)
        for text, step in _texts_of(scenario):
            yield from _check_step(text, step, feature, library, modules, finding)
    yield from _lost_lines(feature, library, finding)


_Make = Callable[..., Finding]


def _shape_of(scenario: ScenarioText, finding: _Make) -> Iterator[Finding]:
    where = f"scenario {scenario.name!r}"
    if not scenario.name.strip():
        yield finding("no-name", scenario.line, f"{where} has no name", "say in a few words what it shows")
    if not scenario.steps:
        yield finding("empty-scenario", scenario.line, f"{where} has no step of its own", "write it or remove it")
    elif not any(step.kind == "then" for step in scenario.steps):
        yield finding("no-then", scenario.line, f"{where} has no Then: it cannot fail", "say what must be seen afterwards")
    used = {
        name
        for step in scenario.steps
        for part in (step.text, *step.placeholders_elsewhere)
        for name in _PLACEHOLDER.findall(part)
    }
    used |= set(_PLACEHOLDER.findall(scenario.name))
    if not scenario.is_outline:
        return
    if not scenario.examples or not any(examples.rows for examples in scenario.examples):
        yield finding(
            "no-examples",
            scenario.line,
            f"{where} is an outline without examples: it never runs",
            "add rows, or make it a scenario",
        )
    for examples in scenario.examples:
        if not examples.rows:
            yield finding("no-examples", examples.line, f"{where}: this table of examples has no row")
            continue
        for name in sorted(used - set(examples.columns)):
            yield finding(
                "no-examples", examples.line, f"{where}: <{name}> has no column here", f"columns: {', '.join(examples.columns)}"
            )
        for name in sorted({name for name in examples.columns if examples.columns.count(name) > 1}):
            yield finding("no-examples", examples.line, f"{where}: two columns are called {name}: only one is used", "rename one")
        for name in sorted(set(examples.columns) - used):
            yield finding("no-examples", examples.line, f"{where}: no step uses the column {name}", "its rows all test the same")
        for row in {row for row in examples.rows if examples.rows.count(row) > 1}:
            yield finding("no-examples", examples.line, f"{where}: the row {' | '.join(row)} is there twice")


def _texts_of(scenario: ScenarioText) -> Iterator[tuple[str, StepText]]:
    """Every step with its text as it will be run: once for each row of an outline."""
    rows = [dict(zip(examples.columns, row, strict=False)) for examples in scenario.examples for row in examples.rows] or [{}]
    for step in (*scenario.background, *scenario.steps):
        texts = {_PLACEHOLDER.sub(lambda found, row=row: row.get(found[1], found[0]), step.text) for row in rows}  # type: ignore[misc]
        for text in sorted(texts):
            yield text, step


def _check_step(
    text: str, step: StepText, feature: FeatureFile, library: Library, modules: Sequence[Path], finding: _Make
) -> Iterator[Finding]:
    try:
        visible = [found for found in library.find(text) if _is_visible(found, modules)]
    except StepError:
        # Reported where the expression is written.
        return
    matching = _nearest_scope([found for found in visible if found.kind in ("", step.kind)])
    for found in matching:
        library.usage[found.owner] += 1
    if not matching:
        others = sorted({found.kind.title() for found in visible})
        said = f"{step.keyword} {text!r} is no {step.kind or 'step'}" + (
            f", but a {' and a '.join(others)}" if others else ": nobody defined it"
        )
        yield finding("undefined-step", step.line, said, _advice(text, step, library, feature.language))
        return
    owners = {found.owner: found for found in matching}
    if len(owners) > 1:
        places = " and ".join(f"{found.path.name}:{found.line} {found.text!r}" for found in owners.values())
        yield finding(
            "ambiguous-step", step.line, f"{step.keyword} {text!r} is {len(owners)} steps: {places}", "make their texts differ"
        )
        return
    [definition] = owners.values()
    for there, name, what in ((step.has_table, "datatable", "table"), (step.has_text, "docstring", "text")):
        if there and name not in definition.parameters:
            yield finding(
                "table-not-taken",
                step.line,
                f"the {what} below {text!r} is not looked at: {definition.function} has no parameter {name}",
                f"add {name} to {definition.path.name}:{definition.function_line}, or remove the {what}",
            )
        elif name in definition.parameters and not there:
            yield finding("table-not-taken", step.line, f"{text!r} needs a {what} below it: {definition.function} takes {name}")


def _is_visible(step: DefinedStep, modules: Sequence[Path]) -> bool:
    if step.scope is None or not modules:
        return True
    return any(module == step.scope or step.scope in module.parents for module in modules)


def _nearest_scope(steps: list[DefinedStep]) -> list[DefinedStep]:
    """A step of the same text in a narrower place takes the place of the wider one, as fixtures do."""
    if len({step.text for step in steps}) == 1 and len({step.scope for step in steps}) > 1:
        depth = max(len(step.scope.parts) if step.scope else 0 for step in steps)
        return [step for step in steps if (len(step.scope.parts) if step.scope else 0) == depth]
    return steps


def _advice(text: str, step: StepText, library: Library, language: str) -> str:
    """The nearest steps, and a step ready to be filled in."""
    if not step.kind:
        return f"{step.keyword} goes on from the step above it, and there is none: begin with Given, When or Then"
    plain = _in_plain_signs(text)
    if plain != text and any(found.kind in ("", step.kind) for found in library.find(plain)):
        return f"type it anew with plain signs: {plain}"
    near = library.nearest(text, step.kind)
    lines = ["nearest: " + near[0], *(f"         {other}" for other in near[1:])] if near else []
    where = f"or define it in a file of the folder steps, after from features.steps import {step.kind}:"
    return "\n".join([*lines, where, *snippet(text, step, language).splitlines()])


_PLAIN = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "–": "-", "\u200b": "", "\ufeff": ""}
)


def _in_plain_signs(text: str) -> str:
    """Without what word processors put in: other quotes, blanks and dashes, accents of their own, a full stop."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_PLAIN).split()).removesuffix(".")


def snippet(text: str, step: StepText, language: str = "en") -> str:
    """A step function ready to be filled in."""
    expression, parameters = as_expression(text, language)
    taken = [f"{name}: {kind}" for name, kind in parameters]
    taken += ["datatable: Table"] if step.has_table else []
    taken += ["docstring: str"] if step.has_text else []
    taken += ["evidence: Observe"] if step.kind == "then" else []
    name = re.sub(r"\W+", "_", _without_values(expression).lower()).strip("_")[:40].strip("_") or "step"
    body = (
        '    raise NotImplementedError("say what must be seen")'
        if step.kind == "then"
        else '    raise NotImplementedError("do it")'
    )
    quote = "'" if '"' in expression else '"'
    function = name if name[0].isalpha() else f"_{name}"
    return f"@{step.kind or 'given'}({quote}{expression}{quote})\ndef {function}({', '.join(taken)}) -> None:\n{body}"


_NAMES = {"string": "text", "int": "number", "float": "number", "duration": "seconds"}
_KINDS_IN_TEXT = (
    ("string", "string", r"\"[^\"]*\"|'[^']*'", "str"),
    ("instance", "instância", "", "str"),
    ("jid", "jid", "", "str"),
    ("money", "dinheiro", "", "Decimal"),
    ("phone", "telefone", "", "str"),
    ("duration", "duração", "", "float"),
    ("times", "vezes", "", "int"),
    ("float", "float", r"-?[0-9]+[.][0-9]+", "float"),
    ("int", "int", r"-?[0-9]+", "int"),
)


def as_expression(text: str, language: str = "en") -> tuple[str, list[tuple[str, str]]]:
    """The Cucumber Expression that takes this text and others like it, and its parameters with their Python types."""
    known, found = parameter_types(), []
    for english, portuguese, pattern, python in _KINDS_IN_TEXT:
        name = portuguese if language.startswith("pt") else english

        def mark(match: re.Match[str], name: str = name, english: str = english, python: str = python) -> str:
            found.append((match.start(), _NAMES.get(english, english), python))
            # As long as what it replaces, so that places stay comparable.
            return f"{{{name}}}".ljust(len(match[0]), "\0")

        text = re.sub(rf"(?<![\w{{])(?:{pattern or known[english]})(?![\w}}])", mark, text)
    text = text.replace("\0", "")
    parameters, counts = [], defaultdict[str, int](int)
    for _, name, python in sorted(found):
        counts[name] += 1
        parameters.append((name if counts[name] == 1 else f"{name}_{counts[name]}", python))
    return text, parameters


def _without_values(text: str) -> str:
    return " ".join(re.sub(r"\{[^}]*\}|\"[^\"]*\"|'[^']*'(?!\w)|<[^>]*>|\b[0-9][0-9.,]*\b", "…", text).split())


def _names_of(feature: FeatureFile, finding: _Make) -> Iterator[Finding]:
    first: dict[str, ScenarioText] = {}
    for scenario in feature.scenarios:
        # As it is read: whoever looks at a report cannot tell names apart that differ in case, blanks or the making of accents.
        read = " ".join(unicodedata.normalize("NFC", scenario.name).casefold().split())
        other = first.setdefault(read, scenario)
        if other is not scenario:
            said = "one of the two never runs" if other.name == scenario.name else "nobody can tell them apart"
            yield finding(
                "duplicate-name",
                scenario.line,
                f"the name {scenario.name!r} is also that of line {other.line}: {said}",
                "names are unique in a file",
            )


def _tags_of(feature: FeatureFile, known: Sequence[str] | None, finding: _Make) -> Iterator[Finding]:
    for tag, line in (*feature.tags, *(tag for scenario in feature.scenarios for tag in scenario.tags)):
        if tag.lower() in _SKIPPING:
            yield finding(
                "hidden-scenario",
                line,
                f"{tag} hides scenarios that nobody misses",
                "finish them or remove them; tags only select",
            )
        elif known is not None and tag not in known and not tag.startswith(ID_TAG):
            near = difflib.get_close_matches(tag, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            yield finding(
                "unknown-tag", line, f"the tag {tag} is not known", f"{hint}; or write it down in {TAGS_FILE} beside the features"
            )


def _lost_lines(feature: FeatureFile, library: Library, finding: _Make) -> Iterator[Finding]:
    languages = dict.fromkeys((feature.language, "en", "pt", "es"))
    sections = frozenset().union(*(keywords(language)[0] for language in languages))
    for number, text in feature.prose:
        head = text.partition(":")[0].strip() if ":" in text else ""
        near = difflib.get_close_matches(head, sections, n=1, cutoff=0.8) if head and len(head) < 24 else []
        if near:
            why = f"in {feature.language} no line begins with {head!r}:" if head in sections else f"did you mean {near[0]}:?"
            hint = f"{why} the first line gives the language, as # language: pt" if head in sections else why
            yield finding("swallowed-line", number, f"{text!r} is taken for prose, with all that follows", hint)
        elif _is_step(text, library, feature.language):
            yield finding(
                "swallowed-line",
                number,
                f"{text!r} is taken for prose: it never runs",
                "misspelt keyword, no scenario above it, or something else than a blank after the keyword",
            )
    for number, text in feature.comments:
        said = text.lstrip("#").strip()
        head = said.partition(":")[0].strip() if ":" in said else ""
        if head in sections:
            yield finding("hidden-scenario", number, f"{said!r} is commented out", "finish it or remove it")
        elif _is_step(said, library, feature.language):
            yield finding("hidden-scenario", number, f"the step {said!r} is commented out", "finish it or remove it")
        elif number > 1 and re.match(r"#\s*language\s*:", text):
            yield finding("swallowed-line", number, "the language is given too late: it must be the first line")
        elif re.match(r"#\s*(?:lang|langauge|lingua|idioma|linguagem|encoding)\s*[:=]", text, re.IGNORECASE):
            yield finding(
                "swallowed-line", number, f"{text!r} says nothing", "the first line is # language: pt; every file is UTF-8"
            )


def _is_step(text: str, library: Library, language: str) -> bool:
    """Whether a line is a keyword, or something like one, with a step after it, however they are held apart."""
    words = text.split()
    rests = [" ".join(words[count:]) for count in (1, 2) if len(words) > count]
    for keyword in {word for known in (language, "en", "pt") for word in keywords(known)[1]}:
        bare = keyword.rstrip()
        if text.casefold().startswith(bare.casefold()):
            rest = text[len(bare) :]
            if rest.startswith("\t") or (rest[:1].isspace() and not rest.startswith(" ")):
                # No sentence goes on so.
                return True
            rests.append(" ".join(rest.split()))
    try:
        return any(library.find(rest) for rest in rests if rest)
    except StepError:
        return False


def check_ids(features: Sequence[FeatureFile]) -> Iterator[Finding]:
    """What is wrong with the `@id:` tags, by which a run of golive accounts for its scenarios."""
    for feature in features:
        yield from _ids_of_file(feature)
    yield from _ids_of_all(features)


def _ids_of_file(feature: FeatureFile) -> Iterator[Finding]:
    for scenario in feature.scenarios:
        tags = {tag for tag, _ in (*feature.tags, *scenario.tags) if tag.startswith(ID_TAG)}
        where = f"scenario {scenario.name!r}"
        if len(tags) != 1:
            yield Finding(
                rule="id",
                path=feature.path,
                line=scenario.line,
                message=f"{where} has {len(tags)} {ID_TAG} tags",
                hint=f"give it one, {ID_TAG}some-words",
            )
        elif not is_outcome_id(f"scenario.{next(iter(tags)).removeprefix(ID_TAG)}"):
            yield Finding(
                rule="id",
                path=feature.path,
                line=scenario.line,
                message=f"{where}: {next(iter(tags))} is no id",
                hint="use lower-case words joined by dashes",
            )


def _ids_of_all(features: Sequence[FeatureFile]) -> Iterator[Finding]:
    first: dict[str, tuple[Path, int]] = {}
    for feature in features:
        for scenario in feature.scenarios:
            rows = sum(len(examples.rows) for examples in scenario.examples)
            for tag in {tag for tag, _ in (*feature.tags, *scenario.tags) if tag.startswith(ID_TAG)}:
                # The rows of an outline have ids of their own.
                for name in (tag, *(f"{tag}-{row}" for row in range(1, rows + 1))):
                    path, line = first.setdefault(name, (feature.path, scenario.line))
                    if (path, line) != (feature.path, scenario.line):
                        yield Finding(
                            rule="duplicate-id",
                            path=feature.path,
                            line=scenario.line,
                            message=f"{name} is also the id of {path.name}:{line}; ids name one scenario",
                        )


def _unbound(features: Sequence[FeatureFile], bindings: Sequence[Binding], roots: Sequence[Path]) -> Iterator[Finding]:
    literal = [binding for binding in bindings if binding.paths]
    for feature in features:
        if reason := _never_found(feature.path, roots):
            yield Finding(
                rule="unbound-file",
                path=feature.path,
                line=1,
                message=f"no test executes it: {reason}",
                hint="rename to *.feature",
            )
            continue
        if len(literal) < len(bindings) or not literal or not feature.scenarios:
            continue
        covering = [binding for binding in literal if binding.covers(feature.path)]
        if not covering:
            yield Finding(
                rule="unbound-file", path=feature.path, line=1, message="no scenarios(…) names it: it is never executed"
            )
        elif all(binding.scenario for binding in covering):
            named = {binding.scenario for binding in covering}
            for scenario in feature.scenarios:
                if scenario.name not in named:
                    message = f"no @scenario(…) names {scenario.name!r}: it is never executed"
                    yield Finding(rule="unbound-file", path=feature.path, line=scenario.line, message=message)


def _never_found(path: Path, roots: Sequence[Path]) -> str:
    """Why pytest-bdd does not find a file below one of the folders that it is given."""
    if path.suffix != ".feature":
        return f"its name ends in {path.suffix}, not in .feature"
    inside = [path.relative_to(root).parts for root in roots if root in path.parents]
    hidden = [part for part in min(inside, key=len, default=()) if part.startswith(".")]
    return f"{hidden[-1]} is hidden" if hidden else ""


def tags_known_to(feature: Path) -> frozenset[str]:
    """The vocabulary of a feature file: ours, and that of every tags.txt from its folder upwards."""
    known: set[str] = set()
    for path in (BUILT_IN / TAGS_FILE, *(folder / TAGS_FILE for folder in feature.parents)):
        known |= _tags_in(path)
    return frozenset(known)


_vocabularies: dict[Path, frozenset[str]] = {}


def _tags_in(path: Path) -> frozenset[str]:
    if path not in _vocabularies:
        try:
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
        except UnicodeDecodeError:
            raise StepError(f"{path}: the file is not UTF-8; save it as UTF-8") from None
        _vocabularies[path] = frozenset(line.split()[0] for line in text.splitlines() if line.startswith("@"))
    return _vocabularies[path]


def walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder; not what tools put there. Also folders called as files are, and links that lead back."""
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or (path.is_symlink() and path.resolve() in (folder.resolve(), *folder.resolve().parents)):
            yield path
        elif path.name not in _ELSEWHERE and path.name not in _HIDDEN_FOLDERS and not (path / "pyvenv.cfg").is_file():
            if FEATURE_NAME.search(path.name):
                yield path
            yield from walk(path)


def _is_below(path: Path, folders: Sequence[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)
