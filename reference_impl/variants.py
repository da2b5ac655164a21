"""Deviations of the reference backend, each a module of its own: what chaffs (bugs) and wheats (other right ways) share.

A module's docstring is its title, `Area: …` and, of a chaff, `Killed by: …`. It changes parts that were put together already, so
that no line of the backend itself knows of it.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from reference_impl.bootstrap import Backend
    from reference_impl.ports import UnitOfWork

__all__ = ["Reach", "Variant", "catalogue", "in_every_transaction", "load", "names", "override"]

# Called where the behaviour deviates: what was never reached shows nothing, whatever failed beside it.
Reach = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One deviation. `killed_by` are outcome ids, the first scenario among them being the one that has to fail.

    It needs so many `processes` of the backend on one database, and a real Postgres when `postgres`. An `idle` one mostly waits.
    """

    name: str
    title: str
    area: str
    killed_by: tuple[str, ...]
    processes: int = 1
    postgres: bool = False
    idle: bool = False


def names(package: str) -> list[str]:
    """Every deviation of a package, by name; one that comes in cases once for each, as `name.case`."""
    return [variant.name for variant in catalogue(package)]


def catalogue(package: str) -> list[Variant]:
    """Every deviation of a package, sorted by name. Raises ValueError for a docstring that does not say what it has to."""
    found = []
    for stem in _stems(package):
        module = importlib.import_module(f"{package}.{stem}")
        title, _, rest = (module.__doc__ or "").partition("\n")
        area = re.search(r"^Area: (.+)\.$", rest, re.MULTILINE)
        killers = re.search(r"^Killed by: ((?:.|\n)+?)\.$", rest, re.MULTILINE)
        everywhere = tuple(re.split(r",\s+", killers[1])) if killers else ()
        elsewhere: Mapping[str, str] = getattr(module, "KILLED_ELSEWHERE", {})
        if not title.strip() or area is None:
            raise ValueError(f"{module.__name__}: its docstring needs a title and a line `Area: …`")
        found += [
            Variant(
                name=name,
                title=title.strip().rstrip("."),
                area=area[1],
                killed_by=(elsewhere[case],) if (case := name.partition(".")[2]) in elsewhere else everywhere,
                processes=getattr(module, "PROCESSES", 1),
                postgres=getattr(module, "POSTGRES", False),
                idle=getattr(module, "IDLE", False),
            )
            for name in _names_of(stem, module)
        ]
    return sorted(found, key=lambda variant: variant.name)


def load(package: str, name: str) -> Callable[[Backend], None]:
    """What brings a deviation about, before the backend is opened. Raises KeyError for one that does not exist."""
    stem, _, case = name.partition(".")
    module_name = stem.replace("-", "_")
    if module_name not in _stems(package):
        raise KeyError(name)
    module = importlib.import_module(f"{package}.{module_name}")
    if name not in _names_of(module_name, module):
        raise KeyError(name)

    def apply(backend: Backend) -> None:
        module.apply(backend, backend.reach, *([case] if case else []))

    return apply


def override(owner: Any, member: str, replacement: Any) -> Any:
    """Puts `replacement` in the place of one object's method or value and returns what was there.

    Raises TypeError for a method that does not take what the one before takes: it would break the backend in another way than it
    says.
    """
    original = getattr(owner, member)
    if callable(original):
        asked = inspect.signature(original)
        positional = [name for name, parameter in asked.parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
        named = {name: None for name, parameter in asked.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
        try:
            inspect.signature(replacement).bind(*positional, **named)
        except TypeError as error:
            raise TypeError(f"{type(owner).__name__}.{member} takes {asked}, its replacement does not: {error}") from None
    setattr(owner, member, replacement)
    return original


def in_every_transaction(backend: Backend, change: Callable[[UnitOfWork], None]) -> None:
    """Lets `change` alter each transaction's repositories before anybody uses them."""

    @contextlib.asynccontextmanager
    async def unit_of_work(unit_id: UUID | None) -> AsyncIterator[UnitOfWork]:
        async with original(unit_id) as work:
            change(work)
            yield work

    original = override(backend.store, "unit_of_work", unit_of_work)


def _stems(package: str) -> list[str]:
    path: Sequence[str] = importlib.import_module(package).__path__
    return sorted(info.name for info in pkgutil.iter_modules(path) if not info.ispkg)


def _names_of(stem: str, module: ModuleType) -> list[str]:
    name = stem.replace("_", "-")
    cases: Sequence[str] = getattr(module, "CASES", ())
    return [f"{name}.{case}" for case in cases] or [name]
