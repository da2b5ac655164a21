"""How a step is defined: `given`, `when` and `then` take bare Cucumber Expressions, in English and in Portuguese.

    @then("the phone {phone} receives {string} within {duration}", "o telefone {telefone} recebe {string} em {duração}")
    async def receives(phone: str, text: str, within_s: float, unit: Tenant, eventually: Eventually) -> None: ...

The values of the expression come first, in its order; what follows are fixtures. An `async` step is awaited, and a Then that
returns False fails.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_bdd.parsers import StepParser
from pytest_bdd.steps import step as register

from features.expectations import Mismatch
from features.expressions import Expression, StepError
from features.tables import Table

if TYPE_CHECKING:
    import asyncio

__all__ = ["CucumberParser", "StepDefinition", "given", "then", "when"]

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDefinition:
    """One step function with the texts that call it; `kind` is given, when or then."""

    kind: str
    expressions: tuple[str, ...]
    function: Callable[..., Any]

    @property
    def place(self) -> tuple[str, int]:
        code = inspect.unwrap(self.function).__code__
        return code.co_filename, code.co_firstlineno


class CucumberParser(StepParser):
    """Lets pytest-bdd match a step by a Cucumber Expression."""

    def __init__(self, expression: Expression, parameters: Sequence[str], definition: StepDefinition) -> None:
        super().__init__(expression.source)
        self.expression = expression
        self.definition = definition
        self._parameters = tuple(parameters)

    def is_matching(self, name: str) -> bool:
        return self.expression.matches(name)

    def parse_arguments(self, name: str) -> dict[str, Any] | None:
        values = self.expression.values(name)
        return None if values is None else dict(zip(self._parameters, values, strict=True))


def given(*expressions: str, target_fixture: str | None = None) -> Callable[[F], F]:
    """A step that brings the world into a state. `target_fixture` names the fixture that its return value becomes."""
    return _defining("given", expressions, target_fixture)


def when(*expressions: str, target_fixture: str | None = None) -> Callable[[F], F]:
    """A step that does what the scenario is about. `target_fixture` names the fixture that its return value becomes."""
    return _defining("when", expressions, target_fixture)


def then(*expressions: str, target_fixture: str | None = None) -> Callable[[F], F]:
    """A step that looks, and fails by raising or by returning False; anything else than True that it returns is an error."""
    return _defining("then", expressions, target_fixture)


def _defining(kind: str, expressions: tuple[str, ...], target_fixture: str | None) -> Callable[[F], F]:
    def define(function: F) -> F:
        name = getattr(function, "__qualname__", repr(function))
        if not expressions or not all(text.strip() == text != "" for text in expressions):
            raise StepError(f"@{kind} on {name}: give it the step's text, without blanks around it")
        if inspect.isasyncgenfunction(function):
            raise StepError(f"@{kind} on {name}: an async step that yields is not supported; clean up in a fixture")
        parsed = [Expression(text) for text in expressions]
        taken = [
            parameter.name
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        ]
        for expression in parsed:
            if len(expression.names) != len(parsed[0].names):
                raise StepError(f"@{kind} on {name}: {expressions[0]!r} and {expression.source!r} take unlike many values")
            if len(expression.names) > len(taken):
                raise StepError(
                    f"@{kind} on {name}: {expression.source!r} has {len(expression.names)} values and the function takes "
                    f"{len(taken)}; they are its first parameters, before any fixture"
                )
        definition = StepDefinition(kind=kind, expressions=expressions, function=function)
        run = _runnable(kind, expressions[0], function, keeps=target_fixture is not None)
        for expression in parsed:
            parser = CucumberParser(expression, taken[: len(expression.names)], definition)
            register(parser, kind, target_fixture=target_fixture, stacklevel=2)(run)  # type: ignore[arg-type]
        return function

    return define


def _runnable(kind: str, text: str, function: Callable[..., Any], *, keeps: bool) -> Callable[..., Any]:
    """What pytest-bdd calls: it gives tables and texts their type, awaits, and looks at what a Then returns.

    `keeps` says that what is returned becomes a fixture.
    """
    if inspect.isgeneratorfunction(function):
        if kind == "then":
            raise StepError(f"@then on {function.__qualname__}: a Then that yields cannot say no; clean up in a fixture")

        @functools.wraps(function)
        def run_and_clean_up(**arguments: Any) -> Generator[Any, None, None]:
            yield from function(**_typed(arguments))

        return run_and_clean_up

    @functools.wraps(function)
    def run(**arguments: Any) -> Any:
        result = function(**_typed(arguments))
        if inspect.isawaitable(result):
            result = _await(result)
        if kind == "then" and result is False:
            raise Mismatch(text, expected="it to be so", seen="it is not")
        if kind == "then" and not (result is None or result is True or keeps):
            raise StepError(f"{function.__qualname__} returned a {type(result).__name__}: a Then says True or False, or raises")
        return result

    return run


def _typed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(arguments.get("datatable"), list):
        return {**arguments, "datatable": Table(arguments["datatable"])}
    return dict(arguments)


_loops: list[asyncio.Runner] = []


def _await(awaitable: Any) -> Any:
    """Waits on one event loop for all steps of the process, so that what one step opened another may use."""

    async def wait() -> Any:
        return await awaitable

    if not _loops:
        # Most runs have no async step: they need not pay for the import.
        import asyncio

        _loops.append(asyncio.Runner())
    return _loops[0].run(wait())


def close_loop() -> None:
    """Ends the event loop of the async steps, if there was one."""
    while _loops:
        _loops.pop().close()
