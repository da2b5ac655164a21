"""What the gate looks at, as plain configuration: names, paths and URLs. The gate imports none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gate.facts.expected import ExpectedSchema

__all__ = ["ImportedModule", "Route", "Subject"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route that the application must serve, with its path parameters in braces: `POST /messages`."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedModule:
    """A module by the name that the application uses.

    role: which check asks for it (`webhook-route`, `messages-route`, `message-handler`, `webhook-helper`, `campaign-service`,
    `evolution-provider`). name: `package.module:attribute`. routes: what must be mounted because of it.
    """

    role: str
    name: str
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A release of a backend, as the gate is told of it. What is None or empty was not given, and its checks say so.

    database_url: of the migrated database; may hold a password. scratch_url: a Postgres server on which databases may be created
    and dropped (default: that of `database_url`). schema: what the database must hold.
    modules, application: see `gate.facts.modules`; source_paths are put before everything else on the import path.
    application_environment: variables under which `application` can be built.
    datastore: a factory or its import string, see `gate.facts.datastore`; empty tests the database's own upsert.
    migration, baseline: SQL files, see `gate.facts.migrations`.
    environment: the settings of the deployment; example_environment: the documented ones with their example values.
    logs: log files of the backend. canaries: values that went through the backend and must not be in a log, by what they are.
    source_roots: folders whose code is released, without its tests. features: folder with `.feature` files. scenario_tests:
    arguments with which pytest collects the tests that run them; scenario_environment: variables that it needs for that.
    """

    database_url: str = field(default="", repr=False)
    scratch_url: str = field(default="", repr=False)
    schema: ExpectedSchema
    modules: tuple[ImportedModule, ...] = ()
    application: str = ""
    application_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    source_paths: tuple[Path, ...] = ()
    datastore: str | Callable[[str], Any] = ""
    migration: Path | None = None
    baseline: Path | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    example_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    logs: tuple[Path, ...] = ()
    canaries: Mapping[str, str] = field(default_factory=dict, repr=False)
    source_roots: tuple[Path, ...] = ()
    features: Path | None = None
    scenario_tests: tuple[str, ...] = ()
    scenario_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
