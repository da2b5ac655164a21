"""One way to add anything: a file below a package, one function under a decorator, found by itself.

The id is the path (`gate/checks/schema/idempotency_index.py` is `schema.idempotency-index`); the module's docstring is title and
paragraphs such as `Why:` and `Fix:`, which feed `explain`, the console and the report. A function names the facts that it needs
as parameters. There is no list to keep by hand, so there is none to forget.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gate.errors import RegistryError, SelectionError
from gate.model import Severity
from gate.policy import matches, nearest

__all__ = [
    "Item",
    "Kind",
    "Registry",
    "Saboteur",
    "check",
    "fault",
    "id_of",
    "parse_docstring",
    "probe",
    "registry",
    "section",
    "signal",
]


class Kind(StrEnum):
    CHECK = "check"
    PROBE = "probe"
    SIGNAL = "signal"
    FAULT = "fault"
    SECTION = "section"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Where items of a kind live, what their ids begin with, which paragraphs their docstring must have."""

    folder: str
    prefix: str
    paragraphs: tuple[str, ...]


_FORMS = {
    Kind.CHECK: _Form(folder="checks", prefix="", paragraphs=("Why", "Fix")),
    Kind.PROBE: _Form(folder="probes", prefix="smoke.", paragraphs=("Why", "Fix")),
    Kind.SIGNAL: _Form(folder="signals", prefix="watch.", paragraphs=("Why", "Fix")),
    Kind.FAULT: _Form(folder="faults", prefix="", paragraphs=("Why", "Evidence")),
    Kind.SECTION: _Form(folder="sections", prefix="", paragraphs=()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Saboteur:
    """A change to a throw-away copy of the world after which its check must turn red. `worlds` are its parameters' names."""

    name: str
    function: Callable[..., Any]
    worlds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One check, probe, signal, fault or section; calling it calls its function."""

    kind: Kind
    id: str
    title: str
    paragraphs: Mapping[str, str]
    function: Callable[..., Any]
    facts: tuple[str, ...]
    module: str
    severity: Severity = Severity.MAJOR
    order: int = 0
    tags: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    saboteurs: list[Saboteur] = field(default_factory=list)

    @property
    def is_shipped(self) -> bool:
        """Not brought along by a release or by an installed package."""
        return self.module.startswith("gate.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def breaks(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorates a saboteur of this check."""
        self.saboteurs.append(
            Saboteur(name=function.__name__, function=function, worlds=tuple(inspect.signature(function).parameters))
        )
        return function


class Registry:
    """The items of one kind, by id, in the order of `order` and then of id."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}

    def add(self, item: Item) -> None:
        """Raises RegistryError when another module already holds the id."""
        known = self._items.get(item.id)
        if known is not None and known.module != item.module:
            raise RegistryError(f"{self.kind} {item.id} is defined twice: in {known.module} and in {item.module}")
        self._items[item.id] = item

    def load(self, package: str) -> Registry:
        """Imports every module below `package`, which registers its item. Raises RegistryError for a module without one."""
        for info in pkgutil.iter_modules(importlib.import_module(package).__path__, prefix=f"{package}."):
            if info.ispkg:
                # Tests may lie beside items; they are not imported, so that loading stays quick and free of test libraries.
                if not info.name.endswith(".tests"):
                    self.load(info.name)
                continue
            module = importlib.import_module(info.name)
            if not any(item.module == module.__name__ for item in self._items.values()):
                raise RegistryError(f"{info.name} holds no @{self.kind}: a file there is one {self.kind}")
        return self

    def __iter__(self) -> Iterator[Item]:
        return iter(sorted(self._items.values(), key=lambda item: (item.order, item.id)))

    def __len__(self) -> int:
        return len(self._items)

    def get(self, item_id: str) -> Item:
        """Raises SelectionError with the nearest id."""
        try:
            return self._items[item_id]
        except KeyError:
            raise SelectionError(f"no {self.kind} {item_id!r}{nearest(item_id, self._items)}") from None

    def select(self, names: list[str]) -> list[Item]:
        """The items that ids, families (`schema.*`, `schema`) or tags (`@seed`) name; all for an empty list.

        Raises SelectionError for a name that selects nothing: a typo must not shrink a run in silence.
        """
        if not names:
            return list(self)
        families = {item.id.split(".")[0] for item in self}
        tags = {f"@{tag}" for item in self for tag in item.tags}
        chosen: set[str] = set()
        for name in names:
            hits = {
                item.id
                for item in self
                if (name.startswith("@") and name[1:] in item.tags) or matches(f"{name}.*" if name in families else name, item.id)
            }
            if not hits:
                known = {*self._items, *families, *tags}
                raise SelectionError(f"nothing is named {name!r}{nearest(name, known)}")
            chosen |= hits
        return [item for item in self if item.id in chosen]


_REGISTRIES = {kind: Registry(kind) for kind in Kind}


def registry(kind: Kind) -> Registry:
    """The one registry of a kind in this process."""
    return _REGISTRIES[kind]


_Decorator = Callable[[Callable[..., Any]], Item]


def check(*, severity: Severity = Severity.MAJOR, order: int = 0, tags: frozenset[str] | set[str] = frozenset()) -> _Decorator:
    """A gate check: yields Evidence; raises Failure, Inconclusive or NotApplicable."""
    return _decorator(Kind.CHECK, severity=severity, order=order, tags=tags)


def probe(*, severity: Severity = Severity.CRITICAL, order: int, **options: Any) -> _Decorator:
    """One step of the smoke test, in the order of `order`."""
    return _decorator(Kind.PROBE, severity=severity, order=order, options=options)


def signal(*, severity: Severity = Severity.MAJOR, order: int = 0, **options: Any) -> _Decorator:
    """One signal of the first hour with its limits."""
    return _decorator(Kind.SIGNAL, severity=severity, order=order, options=options)


def fault(*, order: int = 0, **options: Any) -> _Decorator:
    """One way in which the fake Evolution API misbehaves."""
    return _decorator(Kind.FAULT, order=order, options=options)


def section(*, order: int, **options: Any) -> _Decorator:
    """One section of the generated documents."""
    return _decorator(Kind.SECTION, order=order, options=options)


def _decorator(kind: Kind, **settings: Any) -> _Decorator:
    def decorate(function: Callable[..., Any]) -> Item:
        module = sys.modules[function.__module__]
        title, paragraphs = parse_docstring(module.__doc__ or "", where=function.__module__, kind=kind)
        options = settings.get("options", {})
        item = Item(
            kind=kind,
            id=id_of(function.__module__, kind),
            title=title,
            paragraphs=paragraphs,
            function=function,
            facts=tuple(inspect.signature(function).parameters),
            module=function.__module__,
            severity=settings.get("severity", Severity.MAJOR),
            order=settings.get("order", 0),
            tags=frozenset(settings.get("tags", ())),
            options=options,
        )
        _REGISTRIES[kind].add(item)
        return item

    return decorate


def parse_docstring(text: str, *, where: str, kind: Kind) -> tuple[str, Mapping[str, str]]:
    """Splits a module's docstring into its title and its named paragraphs. Raises RegistryError when one is missing."""
    text = inspect.cleandoc(text)
    title, _, rest = text.partition("\n")
    if not title.strip():
        raise RegistryError(f"{where}: the docstring is the {kind}'s documentation, and it has none")
    paragraphs: dict[str, str] = {}
    name = ""
    for line in rest.splitlines():
        found = re.match(r"([A-Z][a-z]+):\s+(.*)", line)
        if found:
            name = found[1]
            paragraphs[name] = found[2].strip()
        elif name and line.strip():
            paragraphs[name] += " " + line.strip()
        elif not line.strip():
            name = ""
    missing = [word for word in _FORMS[kind].paragraphs if not paragraphs.get(word)]
    if missing:
        raise RegistryError(f"{where}: the docstring lacks {', '.join(f'{word}:' for word in missing)}")
    return title.strip(), paragraphs


def id_of(module: str, kind: Kind) -> str:
    form = _FORMS[kind]
    parts = module.split(".")
    if form.folder in parts:
        parts = parts[parts.index(form.folder) + 1 :]
    return form.prefix + ".".join(part.replace("_", "-") for part in parts)
