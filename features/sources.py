"""Step definitions as they stand in Python files, read without running them.

Reading them costs a fraction of importing them, and shows what an import hides: that a step is async where nobody awaits it, or
that a Then has nothing in it that could fail.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from features.expressions import Expression, StepError

__all__ = ["Binding", "DefinedStep", "SourceFile", "read_source"]

KINDS = {"given": "given", "when": "when", "then": "then", "step": ""}
_OURS = ("features.steps", "features.definitions")
_THEIRS = "pytest_bdd"
# What a Then may call without having looked at anything.
_HARMLESS = frozenset(
    [
        "abs",
        "bool",
        "dict",
        "enumerate",
        "evidence",
        "float",
        "format",
        "int",
        "isinstance",
        "len",
        "list",
        "max",
        "min",
        "print",
        "range",
        "repr",
        "round",
        "set",
        "sorted",
        "str",
        "sum",
        "tuple",
        "zip",
    ]
)
_LOGS = frozenset({"log", "logger", "logging"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinedStep:
    """One text that calls a step function. `kind` is empty for a step that is given, when and then alike.

    `values` are the parameters that the text fills, as far as known; `faults` are (rule, message) about the function itself;
    `scope` is the folder or the module where the step is known, None when that is everywhere. Every text that
    matches has this `beginning`; a literal step matches its own text alone.
    """

    kind: str
    text: str
    path: Path
    line: int
    function: str
    function_line: int
    parameters: tuple[str, ...]
    matches: Callable[[str], bool] = field(repr=False, compare=False)
    is_expression: bool = True
    documentation: str = ""
    beginning: str = ""
    is_literal: bool = False
    faults: tuple[tuple[str, str], ...] = ()
    scope: Path | None = None

    @property
    def owner(self) -> tuple[Path, int]:
        """What tells two functions apart; the texts of one function share it."""
        return self.path, self.function_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A call of `scenarios(…)` or `@scenario(…)`: which feature files it names, or one scenario of one file.

    `paths` is empty when they are computed, and so not known before the module runs.
    """

    module: Path
    paths: tuple[Path, ...]
    scenario: str = ""

    def covers(self, feature: Path) -> bool:
        return not self.paths or any(feature == path or path in feature.parents for path in self.paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """What one Python file says about steps. `kinds` are the parameter types that it defines, with their patterns."""

    path: Path
    steps: tuple[DefinedStep, ...]
    bindings: tuple[Binding, ...]
    kinds: Mapping[str, str]
    uses_library: bool


def read_source(path: Path) -> SourceFile | None:
    """None when the file has nothing to do with steps. Raises StepError, with file and line, when it is no Python."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StepError(f"{path}: cannot be read ({error.strerror})") from error
    if not any(mark in data for mark in (b"pytest_bdd", b"features.steps", b"features.definitions")):
        return None
    try:
        tree = ast.parse(data, str(path))
    except (SyntaxError, ValueError) as error:
        raise StepError(f"{path}:{getattr(error, 'lineno', 1) or 1}: no Python: {error}") from None
    return _Reader(path, tree).read()


class _Reader:
    def __init__(self, path: Path, tree: ast.Module) -> None:
        self._path = path
        self._tree = tree
        self._names: dict[str, tuple[str, str]] = {}
        self._coroutines = {node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)}

    def read(self) -> SourceFile | None:
        self._read_imports()
        steps: list[DefinedStep] = []
        bindings: list[Binding] = []
        kinds: dict[str, str] = {}
        # Steps, bindings and parameter types stand at the top of a module: nothing else has to be searched.
        for statement in self._tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                steps += self._steps_of(statement)
                calls = [item for item in statement.decorator_list if isinstance(item, ast.Call)]
            elif isinstance(statement, ast.Expr | ast.Assign) and isinstance(statement.value, ast.Call):
                # A scenario may also be bound by assigning what scenario(…)(function) returns.
                inner = statement.value.func
                calls = [statement.value, *((inner,) if isinstance(inner, ast.Call) else ())]
            else:
                continue
            for call in calls:
                origin, name = self._called(call.func)
                if origin == _THEIRS and name in ("scenario", "scenarios"):
                    bindings.append(self._binding(call, name))
                elif name == "parameter_type":
                    kinds.update(_kind_defined(call))
        if not bindings and self._path.name.startswith("test_"):
            # Steps in a module of tests are known there alone, and no scenario runs in this one.
            steps = []
        if not (steps or bindings or kinds):
            return None
        module = self._path if bindings else self._path.parent if self._path.name == "conftest.py" else None
        return SourceFile(
            path=self._path,
            steps=tuple(_in_scope(step, module) for step in steps),
            bindings=tuple(bindings),
            kinds=kinds,
            uses_library=any(origin in _OURS for origin, _ in self._names.values()),
        )

    def _read_imports(self) -> None:
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                module = node.module
                origin = _THEIRS if module.split(".")[0] == _THEIRS else module
                for alias in node.names:
                    self._names[alias.asname or alias.name] = (origin, alias.name)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == _THEIRS:
                        self._names[alias.asname or alias.name.split(".")[0]] = (_THEIRS, "")

    def _called(self, node: ast.expr) -> tuple[str, str]:
        """(where the called name comes from, its name there); empty texts when unknown."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, ("", ""))
        if isinstance(node, ast.Attribute):
            holder = node.value
            while isinstance(holder, ast.Attribute):
                holder = holder.value
            if isinstance(holder, ast.Name) and holder.id in self._names:
                return self._names[holder.id][0], node.attr
        return "", ""

    def _steps_of(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[DefinedStep]:
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call):
                continue
            origin, name = self._called(decorator.func)
            if name not in KINDS or not (origin == _THEIRS or origin in _OURS):
                continue
            ours = origin in _OURS
            faults = tuple(self._faults(node, KINDS[name], ours=ours))
            parameters = tuple(argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
            for text, matches, line, literal in self._texts(decorator, ours=ours):
                expression = Expression(text) if ours else None
                yield DefinedStep(
                    kind=KINDS[name],
                    text=text,
                    path=self._path,
                    line=line,
                    function=node.name,
                    function_line=node.decorator_list[0].lineno,
                    parameters=parameters,
                    matches=expression.matches if expression else matches,
                    is_literal=expression.is_literal if expression else literal,
                    beginning=expression.beginning if expression else "",
                    is_expression=ours,
                    faults=faults,
                    documentation=ast.get_docstring(node) or "",
                )

    def _texts(self, decorator: ast.Call, *, ours: bool) -> Iterator[tuple[str, Callable[[str], bool], int, bool]]:
        arguments = decorator.args if ours else decorator.args[:1]
        for argument in arguments:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                text = argument.value
                yield text, functools.partial(_equal, text), argument.lineno, True
            elif not ours and isinstance(argument, ast.Call) and argument.args:
                pattern = argument.args[0]
                _, name = self._called(argument.func)
                if isinstance(pattern, ast.Constant) and isinstance(pattern.value, str) and name in _PARSERS:
                    yield pattern.value, _PARSERS[name](pattern.value), argument.lineno, False

    def _faults(self, node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str, *, ours: bool) -> Iterator[tuple[str, str]]:
        own = list(_own_nodes(node))
        if isinstance(node, ast.AsyncFunctionDef):
            if not ours:
                yield (
                    "async-step",
                    f"{node.name} is async and pytest-bdd never awaits it; import {kind or 'step'} from features.steps",
                )
            elif any(isinstance(item, ast.Yield) for item in own):
                yield "async-step", f"{node.name} is async and yields, which is not supported; clean up in a fixture"
        for item in own:
            if isinstance(item, ast.Expr) and isinstance(item.value, ast.Call):
                name = item.value.func.id if isinstance(item.value.func, ast.Name) else ""
                if name in self._coroutines:
                    yield "async-step", f"{node.name} calls {name} without await: it never runs"
        if kind == "then":
            yield from _faults_of_then(node, own, ours=ours)

    def _binding(self, node: ast.Call, name: str) -> Binding:
        literal = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
        based = any(item.arg == "features_base_dir" for item in node.keywords)
        if based or len(literal) != len(node.args) or not literal:
            return Binding(module=self._path, paths=())
        files = literal[:1] if name == "scenario" else literal
        paths = tuple((self._path.parent / item).resolve() for item in files)
        return Binding(module=self._path, paths=paths, scenario=literal[1] if name == "scenario" and len(literal) > 1 else "")


def _in_scope(step: DefinedStep, scope: Path | None) -> DefinedStep:
    if scope is None:
        return step
    return DefinedStep(**{name: getattr(step, name) for name in DefinedStep.__dataclass_fields__ if name != "scope"}, scope=scope)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Everything in a function except what its inner functions hold."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _own_nodes(child)


def _faults_of_then(
    node: ast.FunctionDef | ast.AsyncFunctionDef, own: Sequence[ast.AST], *, ours: bool
) -> Iterator[tuple[str, str]]:
    for item in own:
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Compare | ast.BoolOp):
            yield "then-without-assertion", f"{node.name} compares and drops the result: write assert before it"
        if isinstance(item, ast.Try) and _swallows(item):
            yield "then-without-assertion", f"{node.name} catches its own assertion and goes on"
    # Anything called from inside may look as well, so that only what certainly looks at nothing is a fault.
    if not any(_may_fail(item, ours=ours) for statement in node.body for item in ast.walk(statement)):
        yield "then-without-assertion", f"{node.name} has nothing in it that could fail: assert what the step says"


def _may_fail(item: ast.AST, *, ours: bool) -> bool:
    match item:
        case ast.Raise():
            return True
        case ast.Assert(test=ast.Constant(value=value)):
            return not value
        case ast.Assert(test=ast.Tuple(elts=[_, *_])):
            return False
        case ast.Assert():
            return True
        case ast.Return(value=ast.Constant(value=value)):
            return ours and value is False
        case ast.Return(value=value):
            return ours and value is not None
        case ast.Call(func=ast.Name(id=name)):
            return name not in _HARMLESS and name not in KINDS
        case ast.Call(func=ast.Attribute(value=ast.Name(id=holder))):
            return holder not in _LOGS
        case ast.Call():
            return True
    return False


def _swallows(item: ast.Try) -> bool:
    if not any(isinstance(inner, ast.Assert) for statement in item.body for inner in ast.walk(statement)):
        return False
    for handler in item.handlers:
        names = {name.id for name in ast.walk(handler.type) if isinstance(name, ast.Name)} if handler.type else {"Exception"}
        idle = all(isinstance(statement, ast.Pass | ast.Expr | ast.Continue) for statement in handler.body)
        if idle and names & {"AssertionError", "BaseException", "Exception"}:
            return True
    return False


def _kind_defined(node: ast.Call) -> dict[str, str]:
    given = {item.arg: item.value.value for item in node.keywords if isinstance(item.value, ast.Constant)}
    name, pattern = given.get("name"), given.get("regexp")
    return {name: pattern} if isinstance(name, str) and isinstance(pattern, str) else {}


def _equal(expected: str, text: str) -> bool:
    return expected == text


def _by_parse(pattern: str) -> Callable[[str], object]:
    import parse

    return parse.compile(pattern).parse  # type: ignore[no-any-return]


def _by_cfparse(pattern: str) -> Callable[[str], object]:
    from parse_type import cfparse

    return cfparse.Parser(pattern).parse  # type: ignore[no-any-return]


def _when_first_used(compiler: Callable[[str], Callable[[str], object]], pattern: str) -> Callable[[str], bool]:
    compiled = functools.cache(compiler)

    def matches(text: str) -> bool:
        try:
            return bool(compiled(pattern)(text))
        except ValueError:
            return False

    return matches


def _by_re(pattern: str) -> Callable[[str], bool]:
    def matches(text: str) -> bool:
        try:
            return re.fullmatch(pattern, text) is not None
        except re.error:
            return False

    return matches


_PARSERS: Mapping[str, Callable[[str], Callable[[str], bool]]] = {
    "parse": functools.partial(_when_first_used, _by_parse),
    "cfparse": functools.partial(_when_first_used, _by_cfparse),
    "re": _by_re,
    "string": lambda text: functools.partial(_equal, text),
}


def kinds_of(sources: Iterable[SourceFile]) -> dict[str, str]:
    """The parameter types that these files define. Raises StepError when two define one name unlike."""
    found: dict[str, str] = {}
    for source in sources:
        for name, pattern in source.kinds.items():
            if found.setdefault(name, pattern) != pattern:
                raise StepError(f"{source.path}: the parameter type {{{name}}} is defined twice, unlike")
    return found
