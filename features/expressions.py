"""What the text of a step may say: Cucumber Expressions, and the kinds of value that WhatsApp integrations speak of.

Every kind has an English and a Portuguese name and takes the forms of both languages. The official Cucumber extension reads the
definitions below as they stand, which is why each is a call with plain strings, and no pattern holds a backslash.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from cucumber_expressions.errors import CucumberExpressionError
from cucumber_expressions.expression import CucumberExpression
from cucumber_expressions.parameter_type import ParameterType
from cucumber_expressions.parameter_type_registry import ParameterTypeRegistry

from gate.errors import GateError

__all__ = ["Expression", "StepError", "chosen", "declare_type", "parameter_type", "parameter_types", "seconds_of", "value_of"]

T = TypeVar("T")

_BRAZIL = "55"
_NATIONAL_LENGTHS = (10, 11)
_registry = ParameterTypeRegistry()
_BUILT_IN = frozenset(_registry.parameter_type_by_name)


class StepError(GateError):
    """A step is written in a way that cannot work."""


def parameter_type(*, name: str, regexp: str, transform: Callable[[str], Any] = str) -> None:
    """Makes `{name}` known to the steps: it takes what `regexp` matches, and the step is given what `transform` makes of it.

    The pattern is read by Python and by JavaScript (editors): write `[0-9]` and `[.]` rather than use backslashes, and group with
    `(?:…)`. Raises StepError for a name that is taken, or a pattern that is none.
    """
    known = _registry.lookup_by_type_name(name)
    if known is not None and [*known.regexps] == [regexp] and known.transformer is transform:
        return
    if "\\" in regexp or re.search(r"(?<!\[)\((?!\?:)", regexp):
        raise StepError(f"parameter type {{{name}}}: use [0-9] instead of backslashes and (?:…) instead of (…): {regexp}")
    try:
        re.compile(regexp)
        _registry.define_parameter_type(ParameterType(name, regexp, str, transform, use_for_snippets=True))
    except (re.error, CucumberExpressionError) as error:
        raise StepError(f"parameter type {{{name}}}: {' '.join(str(error).split())}") from None


def declare_type(name: str, regexp: str) -> None:
    """As `parameter_type`, for a definition that was read and not run: values stay texts, and what is defined already stays."""
    known = _registry.lookup_by_type_name(name)
    if known is None or [*known.regexps] != [regexp]:
        parameter_type(name=name, regexp=regexp)


def parameter_types() -> dict[str, str]:
    """Our own kinds of value by name, each with its pattern."""
    return {name: kind.regexps[0] for name, kind in _registry.parameter_type_by_name.items() if name not in _BUILT_IN}


def value_of(kind: str, text: str) -> Any:
    """What `{kind}` makes of a text, as in a cell of a table.

    Raises StepError when there is no such kind, or when it takes no such text.
    """
    values = _alone(kind).values(text)
    if values is None:
        raise StepError(f"{text!r} is no {{{kind}}}")
    return values[0]


def chosen(known: Mapping[str, T], word: str) -> T:
    """What a word of a step stands for. Raises StepError, with those that are known, for another."""
    if word not in known:
        raise StepError(f"{word!r} is none of {', '.join(map(repr, known))}")
    return known[word]


class Expression:
    """One Cucumber Expression. It is compiled when the beginning of a text first matches: most never are."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.names = tuple(re.findall(r"(?<!\\)\{([^}]*)\}", source))
        self.is_literal = not re.search(r"[{(/\\]", source)
        self.beginning = source if self.is_literal else _constant_beginning(source)

    def matches(self, text: str) -> bool:
        if self.is_literal or not text.startswith(self.beginning):
            return self.is_literal and text == self.source
        return self._pattern.match(text) is not None

    def values(self, text: str) -> list[Any] | None:
        """What the parameters of the expression stand for in a text; None when it does not match."""
        if self.is_literal:
            return [] if text == self.source else None
        found = self._pattern.match(text) if text.startswith(self.beginning) else None
        return None if found is None else [kind.transform([found[group] for group in groups]) for kind, groups in self._arguments]

    @functools.cached_property
    def compiled(self) -> CucumberExpression:
        """Raises StepError when the text is no Cucumber Expression, or names a parameter type that nobody defined."""
        try:
            return CucumberExpression(self.source, _registry)
        except CucumberExpressionError as error:
            raise StepError(f"step {self.source!r}: {' '.join(str(error).split())}") from None

    @functools.cached_property
    def _arguments(self) -> list[tuple[ParameterType, tuple[int, ...]]]:
        """The kind of each value and the groups of the pattern that it is made of: those directly inside its own, or its own."""
        numbers = itertools.count()
        # `CucumberExpression.match` finds the same, and builds a tree of groups for every text: half the cost of a short step.
        _, arguments = _numbered(self.compiled.tree_regexp.group_builder, numbers)
        return [
            (kind, tuple(number for number, _ in inner) or (own,))
            for kind, (own, inner) in zip(self.compiled.parameter_types, arguments, strict=True)
        ]

    @functools.cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.compiled.regexp)


def _numbered(builder: Any, numbers: Iterator[int]) -> tuple[int, list[Any]]:
    """The number of a group in its pattern, and the same of each group inside it."""
    own = next(numbers)
    return own, [_numbered(inner, numbers) for inner in builder.children]


@functools.lru_cache
def _alone(kind: str) -> Expression:
    return Expression(f"{{{kind}}}")


def _constant_beginning(source: str) -> str:
    """The words that every text begins with; the last of them is left out, for it may have alternatives or an ending."""
    constant = re.split(r"[{(/\\]", source, maxsplit=1)[0]
    return constant[: constant.rfind(" ") + 1]


def seconds_of(text: str) -> float:
    """The seconds of `6 minutes`, `25 horas`, `1,5 s` or `300 ms`."""
    number, unit = re.fullmatch(r"([0-9.,]+) ?([a-z]+)", text).groups()  # type: ignore[union-attr]
    return float(number.replace(",", ".")) * _SECONDS[next(name for name in _SECONDS if unit.startswith(name))]


# By the beginning of the unit's name in either language.
_SECONDS = {"ms": 0.001, "min": 60.0, "s": 1.0, "h": 3600.0, "d": 86400.0}


def _digits(text: str) -> str:
    """A phone as the contract writes it: digits alone, Brazilian ones with 55."""
    digits = "".join(filter(str.isdigit, text))
    return digits if text.startswith("+") or len(digits) not in _NATIONAL_LENGTHS else _BRAZIL + digits


def _reais(text: str) -> Decimal:
    amount = Decimal(text.replace("R$", "").strip().lstrip("-").replace(".", "").replace(",", "."))
    return -amount if "-" in text else amount


def _times(text: str) -> int:
    return {"once": 1, "twice": 2, "uma": 1, "duas": 2}.get(text.split()[0]) or int(text.split()[0])


parameter_type(
    name="phone",
    regexp="[+]?(?:55 ?)?(?:[(][1-9][0-9][)]|[1-9][0-9]) ?9?[0-9]{4}[- ]?[0-9]{4}|[+][1-9][0-9]{0,2}(?:[ -]?[0-9]{2,5}){2,4}",
    transform=_digits,
)
parameter_type(
    name="telefone",
    regexp="[+]?(?:55 ?)?(?:[(][1-9][0-9][)]|[1-9][0-9]) ?9?[0-9]{4}[- ]?[0-9]{4}|[+][1-9][0-9]{0,2}(?:[ -]?[0-9]{2,5}){2,4}",
    transform=_digits,
)
parameter_type(
    name="jid",
    regexp="[0-9]+(?::[0-9]+)?@s[.]whatsapp[.]net|[0-9]+@lid|[0-9]+(?:-[0-9]+)?@g[.]us|status@broadcast",
)
parameter_type(
    name="duration",
    regexp="[0-9]+(?:[.,][0-9]+)? ?(?:ms|s|seconds?|segundos?|min|minutes?|minutos?|h|hours?|horas?|days?|dias?)",
    transform=seconds_of,
)
parameter_type(
    name="duração",
    regexp="[0-9]+(?:[.,][0-9]+)? ?(?:ms|s|seconds?|segundos?|min|minutes?|minutos?|h|hours?|horas?|days?|dias?)",
    transform=seconds_of,
)
parameter_type(name="times", regexp="once|twice|uma vez|duas vezes|[0-9]+ (?:times|vezes)", transform=_times)
parameter_type(name="vezes", regexp="once|twice|uma vez|duas vezes|[0-9]+ (?:times|vezes)", transform=_times)
parameter_type(name="money", regexp="-?R[$] ?-?(?:[0-9]{1,3}(?:[.][0-9]{3})+|[0-9]+)(?:,[0-9]{2})?", transform=_reais)
parameter_type(name="dinheiro", regexp="-?R[$] ?-?(?:[0-9]{1,3}(?:[.][0-9]{3})+|[0-9]+)(?:,[0-9]{2})?", transform=_reais)
parameter_type(name="instance", regexp="unit_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
parameter_type(name="instância", regexp="unit_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
