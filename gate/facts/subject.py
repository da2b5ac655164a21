"""What the gate looks at, as plain configuration: names, paths and URLs. The gate imports none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from gate.facts.allowances import Allowance, LintWaiver
from gate.facts.expected import ExpectedSchema

__all__ = ["EnvironmentRules", "ImportedModule", "Journals", "Route", "Subject"]


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
class EnvironmentRules:
    """What is demanded of the settings. contract: those of the WhatsApp integration; the rest are names that the release adds.

    process: the settings are those of a whole process, where most names belong to somebody else.
    """

    contract: bool = True
    process: bool = False
    required: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    https: tuple[str, ...] = ()
    undocumented: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journals:
    """Where the journals of the other parts are, by part (`scenarios`, `smoke`, `load`, `watch`, `proof`), and how old they may
    be.

    pinned: tells the ids that each part must have executed. may_skip: patterns of ids that need not apply. commit, committed_at:
    of what is released; those of the repository without them. asked: the parts that should be here; all without it.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    max_age_hours: float = 24.0
    pinned: Callable[[], Mapping[str, frozenset[str]]] | None = None
    may_skip: tuple[str, ...] = ()
    commit: str = ""
    committed_at: datetime | None = None
    asked: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A release of a backend, as the gate is told of it. What is None or empty was not given, and its checks say so.

    database_url: of the migrated database; may hold a password. scratch_url: a Postgres server on which databases may be created
    and dropped (default: that of `database_url`). schema: what the database must hold.
    modules, application: see `gate.facts.modules`; source_paths are put before everything else on the import path.
    application_environment: variables under which `application` can be built.
    datastore: a factory or its import string, see `gate.facts.datastore`; empty tests the database's own upsert.
    migration, baseline: SQL files, see `gate.facts.migrations`. migration_rows: one with rows for the baseline; else they are
    made. previous_statements: one with what the release before this one says to its database. metadata: SQLAlchemy's, as
    `package.module:name`. lint_waivers: rules of the migration linter that do not apply.
    requirements: files of pinned requirements to audit, else what is installed; audit_report: what pip-audit said elsewhere.
    name: of the release. repository: its root, when it is known; commits: those of the release, as FIRST..LAST; artefacts: built
    packages; documents: generated ones, and the journals of runs; allowances: secrets that somebody answers for.
    environment: the settings of the deployment, or environment_file: the .env file with them; environment_manifest: what sets
    them there, for the service environment_service; example_environment: the documented ones with their example values, or
    example_file with them.
    logs: log files of the backend. canaries: values that went through the backend and must not be in a log, by what they are.
    source_roots: folders whose code is released, without its tests. features: folder with `.feature` files. scenario_tests:
    arguments with which pytest collects the tests that run them; scenario_environment: variables that it needs for that.
    journals: the evidence of the other parts.
    """

    name: str = ""
    repository: Path | None = None
    commits: str = ""
    artefacts: tuple[Path, ...] = ()
    documents: tuple[Path, ...] = ()
    allowances: tuple[Allowance, ...] = ()
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
    migration_rows: Path | None = None
    previous_statements: Path | None = None
    metadata: str = ""
    lint_waivers: tuple[LintWaiver, ...] = ()
    requirements: tuple[Path, ...] = ()
    audit_report: Path | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    environment_file: Path | None = None
    environment_manifest: Path | None = None
    environment_service: str = ""
    environment_rules: EnvironmentRules = field(default_factory=EnvironmentRules)
    example_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    example_file: Path | None = None
    logs: tuple[Path, ...] = ()
    canaries: Mapping[str, str] = field(default_factory=dict, repr=False)
    source_roots: tuple[Path, ...] = ()
    features: Path | None = None
    scenario_tests: tuple[str, ...] = ()
    scenario_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    journals: Journals | None = None
