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
# What fails by raising, of ours and by the usual names; and what catches that.
_LOOKS = frozenset({"same", "eventually", "becomes", "expect", "expect_json"})
_CAUGHT = frozenset({"AssertionError", "Mismatch", "Exception", "BaseException"})


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
        self._coroutines = {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}

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
                name = _name_of(item.value.func)
                if name in self._coroutines:
                    yield "async-step", f"{node.name} calls {name} without await: it never runs"
                elif name in ("create_task", "ensure_future"):
                    yield "async-step", f"{node.name} starts a task and does not await it: what it finds is lost"
        if kind == "then" and ours and any(isinstance(item, ast.Yield) for item in own):
            yield "then-without-assertion", f"{node.name} yields and so cannot say no; clean up in a fixture"
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
    for item in (node, *own):
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Compare | ast.BoolOp):
            yield "then-without-assertion", f"{node.name} compares and drops the result: write assert before it"
        if isinstance(item, ast.Assert) and _is_always_true(item.test):
            yield "then-without-assertion", f"{node.name} asserts what is always true, in line {item.lineno}"
        if _swallows(item):
            yield "then-without-assertion", f"{node.name} catches its own assertion and goes on"
        for lost in _never_reached(item):
            yield "then-without-assertion", f"{node.name} asserts in line {lost}, which is never reached"
    # What is called may look as well: only what certainly looks at nothing is a fault. A function inside has to be called.
    if not any(_may_fail(item, ours=ours) for item in own):
        yield "then-without-assertion", f"{node.name} has nothing in it that could fail: assert what the step says"


def _may_fail(item: ast.AST, *, ours: bool) -> bool:
    match item:
        case ast.Raise():
            return True
        case ast.Assert(test=test):
            return not _is_always_true(test)
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


def _is_always_true(test: ast.expr) -> bool:
    match test:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Tuple(elts=[_, *_]) | ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.JoinedStr(values=parts):
            return any(isinstance(part, ast.Constant) for part in parts)
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_is_always_true, values))
        case ast.BoolOp(values=values):
            return all(map(_is_always_true, values))
        case ast.Compare(left=ast.Name(id=left), ops=[ast.Eq() | ast.Is()], comparators=[ast.Name(id=right)]):
            return left == right
    return False


def _asserts(nodes: Iterable[ast.AST]) -> list[int]:
    """The lines of what looks, in statements and what they hold."""
    return [
        item.lineno
        for node in nodes
        for item in (node, *_own_nodes(node))
        if isinstance(item, ast.Assert) or (isinstance(item, ast.Call) and _name_of(item.func) in _LOOKS)
    ]


def _never_reached(item: ast.AST) -> Iterator[int]:
    """The lines of assertions below `if False`, and of those after a return."""
    if isinstance(item, ast.If) and isinstance(item.test, ast.Constant):
        yield from _asserts(item.orelse if item.test.value else item.body)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(item, name, ())
        for number, statement in enumerate(block if isinstance(block, list) else ()):
            if isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break):
                yield from _asserts(block[number + 1 :])


def _swallows(item: ast.AST) -> bool:
    if isinstance(item, ast.With | ast.AsyncWith) and _asserts(item.body):
        for held in item.items:
            call = held.context_expr
            if isinstance(call, ast.Call) and _name_of(call.func) in ("suppress", "raises") and _names_in(call.args) & _CAUGHT:
                return True
    if not isinstance(item, ast.Try) or not _asserts(item.body):
        return False
    if any(isinstance(statement, ast.Return) for statement in item.finalbody):
        return True
    for handler in item.handlers:
        caught = _names_in([handler.type]) if handler.type else {"Exception"}
        if caught & _CAUGHT and not any(
            map(_goes_on_to_fail, (inner for part in handler.body for inner in (part, *_own_nodes(part))))
        ):
            return True
    return False


def _goes_on_to_fail(item: ast.AST) -> bool:
    match item:
        case ast.Raise() | ast.Assert():
            return True
        case ast.Return(value=value):
            return value is not None and not (isinstance(value, ast.Constant) and value.value is not False)
        case ast.Call(func=func):
            return _name_of(func) in (*_LOOKS, "fail")
    return False


def _names_in(nodes: Iterable[ast.AST]) -> set[str]:
    return {_name_of(inner) for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name | ast.Attribute)}


def _name_of(node: ast.AST) -> str:
    """The last part of a name: what is called in `a.b()`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


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
