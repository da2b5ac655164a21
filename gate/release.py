"""A release as its `golive.toml` describes it: where its parts are, which answers it must have, and whom to call.

The file is checked by the schema that is published for editors (`gate/schemas/golive.schema.json`). It never holds a password: it
names the variables of the environment that do.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate import documents
from gate.errors import UsageError
from gate.policy import Policy, Waiver, matches, nearest

if TYPE_CHECKING:
    from gate.facts.subject import Subject

__all__ = ["FILE", "PARTS", "Release", "find", "load"]

FILE = "golive.toml"
# What a run besides the gate answers, and a release may name as well.
PARTS = ("scenario", "smoke", "load", "watch", "rollback", "journal")
SHADOW_RECORD = ".golive/shadow.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One `golive.toml`. `document` is its content, as the schema allows it; paths in it are relative to its folder."""

    path: Path
    document: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.document["release"]["name"])

    @property
    def version(self) -> str:
        return str(self.document["release"].get("version", ""))

    @property
    def commits(self) -> str:
        return str(self.document["release"].get("commits", ""))

    @property
    def repository(self) -> Path:
        return self._path(self.section("repository").get("path", "."))

    @property
    def contacts(self) -> Mapping[str, str]:
        return dict(self.section("contacts"))

    @property
    def platform(self) -> Mapping[str, str]:
        return dict(self.section("platform"))

    @property
    def backend(self) -> tuple[str, str]:
        """Address of the running backend and of the fake behind it; empty where none is named."""
        section = self.section("backend")
        return str(section.get("url", "")), str(section.get("evolution", ""))

    @property
    def own_checks(self) -> tuple[Path, ...]:
        return tuple(self._path(item) for item in self.document["gate"].get("checks", ()))

    @property
    def check_timeout_s(self) -> float:
        return float(self.section("thresholds").get("check_timeout_s", 120.0))

    @property
    def shadow_record(self) -> Path:
        return self._path(self.document["gate"].get("shadow_record", SHADOW_RECORD))

    @property
    def policy(self) -> Policy:
        """What the judge goes by. Raises PolicyError for a waiver or a pattern that cannot be."""
        gate, thresholds = self.document["gate"], self.section("thresholds")
        return Policy(
            name=self.name,
            required=tuple(gate["required"]),
            may_skip=tuple(gate.get("may_skip", ())),
            advisory=tuple(gate.get("advisory", ())),
            waivers=tuple(Waiver(**entry) for entry in self.document.get("waiver", ())),
            hold_at_warnings=thresholds.get("hold_at_warnings", 1),
            no_go_at_warnings=thresholds.get("no_go_at_warnings", 3),
        )

    def section(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document.get(name, {})
        return found

    def expected(self, known: Collection[str]) -> frozenset[str]:
        """The known checks that the release must have answered.

        Raises UsageError for a name in `[gate]` or in a waiver that names nothing: a misspelt check must not silently be none.
        """
        families = {item.split(".", maxsplit=1)[0] for item in known} | set(PARTS)
        gate = self.document["gate"]
        for key in ("required", "may_skip", "advisory"):
            for pattern in gate.get(key, ()):
                self._known(pattern, known, families, where=f"gate.{key}")
        for entry in self.document.get("waiver", ()):
            self._known(entry["id"], known, families, where="waiver.id")
        policy = self.policy
        for pattern in policy.required:
            hits = [item for item in known if matches(pattern, item)]
            if hits and all(policy.is_advisory(item) for item in hits):
                raise UsageError(f"{self.path.name}, gate: {pattern!r} is required and all of it is advisory; it cannot be both")
        return frozenset(item for item in known if policy.requires(item) and not policy.is_advisory(item))

    def asked(self, known: Collection[str]) -> frozenset[str]:
        """What a run answers: the expected checks and the advisory ones."""
        policy = self.policy
        return self.expected(known) | {item for item in known if policy.is_advisory(item)}

    def database_url(self, environment: Mapping[str, str]) -> str:
        """The URL of the database; empty when the file names none and the variable is not set."""
        section = self.section("database")
        return str(section.get("url") or environment.get(section.get("url_from", "DATABASE_URL"), ""))

    def database_source(self) -> str:
        """Where the URL is looked for, in words."""
        return str(self.section("database").get("url_from", "DATABASE_URL"))

    def record(self) -> dict[str, Any]:
        """What a journal says of the release, besides its commit."""
        found: dict[str, Any] = {"name": self.name, "version": self.version}
        if self.contacts:
            found["contacts"] = self.contacts
        if self.platform:
            found["platform"] = self.platform
        return found

    def subject(self, *, database_url: str, environment: Mapping[str, str]) -> Subject:
        """What the gate looks at. Raises GateError in one line for a file that is named and not there.

        `environment` is that of this process: it holds what the file only names.
        """
        from gate.facts import expected
        from gate.facts.allowances import Allowance, LintWaiver
        from gate.facts.evidence import FAMILIES
        from gate.facts.subject import EnvironmentRules, ImportedModule, Journals, Route, Subject

        repository, database, modules = self.section("repository"), self.section("database"), self.section("modules")
        settings, backend, evidence = self.section("environment"), self.section("backend"), self.section("evidence")
        migration, dependencies = self.section("migration"), self.section("dependencies")
        schema = str(database.get("expected", "seed"))
        if "file" in settings and settings.get("process"):
            raise UsageError(f"{self.path.name}, environment: file and process are given; name one place of the values")
        return Subject(
            name=self.name,
            repository=self.repository,
            commits=self.commits,
            artefacts=tuple(
                path for item in self.document["release"].get("artefacts", ()) for path in self._files(item, "release.artefacts")
            ),
            documents=tuple(self._path(item) for item in self.document["release"].get("documents", ())),
            allowances=tuple(Allowance(**entry) for entry in self.section("secrets").get("allow", ())),
            database_url=database_url,
            scratch_url=str(environment.get(database.get("scratch_from", ""), "")),
            schema=expected.load(schema if schema == "seed" else str(self._path(schema))),
            modules=tuple(
                ImportedModule(
                    role=role,
                    name=entry["name"],
                    routes=tuple(
                        Route(method=method, path=path)
                        for method, _, path in (route.partition(" ") for route in entry.get("routes", ()))
                    ),
                )
                for role, entry in modules.items()
                if role not in ("application", "environment")
            ),
            application=str(modules.get("application", "")),
            application_environment=dict(modules.get("environment", {})),
            source_paths=tuple(self._path(item) for item in repository.get("import_path", ())),
            datastore=str(database.get("datastore", "")),
            migration=self._optional(database, "migration"),
            baseline=self._optional(database, "baseline"),
            migration_rows=self._optional(migration, "rows"),
            previous_statements=self._optional(migration, "previous_statements"),
            metadata=str(migration.get("metadata", "")),
            lint_waivers=tuple(LintWaiver(**entry) for entry in migration.get("waive", ())),
            requirements=tuple(self._path(item) for item in dependencies.get("requirements", ())),
            audit_report=self._optional(dependencies, "report"),
            environment=dict(environment) if settings.get("process") else None,
            environment_file=self._optional(settings, "file"),
            environment_manifest=self._optional(settings, "manifest"),
            environment_service=str(settings.get("service", "")),
            environment_rules=EnvironmentRules(
                contract=bool(settings.get("contract", True)),
                process=bool(settings.get("process", False)),
                required=tuple(settings.get("required", ())),
                secrets=tuple(settings.get("secrets", ())),
                https=tuple(settings.get("https", ())),
                undocumented=tuple(settings.get("undocumented", ())),
            ),
            example_file=self._optional(settings, "example"),
            logs=tuple(path for item in backend.get("logs", ()) for path in self._files(item, "backend.logs")),
            source_roots=tuple(self._path(item) for item in repository.get("source", ())),
            features=self._optional(repository, "features"),
            scenario_tests=tuple(repository.get("scenario_tests", ())),
            journals=Journals(
                paths={part: self._path(evidence[part]) for part in FAMILIES if part in evidence},
                max_age_hours=float(evidence.get("max_age_hours", 24)),
                may_skip=self.policy.may_skip,
            ),
        )

    def _known(self, pattern: str, known: Collection[str], families: Collection[str], *, where: str) -> None:
        family = pattern.split(".", maxsplit=1)[0]
        if pattern == "*" or (family in PARTS and family not in {item.split(".", maxsplit=1)[0] for item in known}):
            return
        if not any(matches(pattern, item) for item in known):
            options = {*known, *(f"{name}.*" for name in families)}
            raise UsageError(f"{self.path.name}, {where}: no check is named {pattern!r}{nearest(pattern, options)}")

    def _path(self, text: str) -> Path:
        return self.path.parent / text

    def _optional(self, section: Mapping[str, Any], key: str) -> Path | None:
        return self._path(section[key]) if key in section else None

    def _files(self, pattern: str, where: str) -> list[Path]:
        """Raises UsageError for a pattern that names no file: what was to be looked at is then not."""
        plain = self._path(pattern)
        if plain.is_file():
            return [plain]
        absolute = Path(pattern).is_absolute()
        try:
            found = [] if absolute else sorted(path for path in self.path.parent.glob(pattern) if path.is_file())
        except (ValueError, NotImplementedError, OSError):
            found = []
        if not found:
            raise UsageError(f"{self.path.name}, {where}: {pattern} names no file")
        return found


def load(path: Path) -> Release:
    """Raises UsageError in one line for a file that is not there or cannot be understood."""
    release = Release(path=path.absolute(), document=documents.read(path, "golive"))
    # Waivers and patterns are refused here, before anything runs.
    _ = release.policy
    return release


def find(given: Path | None, directory: Path) -> Release | None:
    """The release of the file that was given, else of the nearest one from `directory` up to the root of its git repository.

    None where there is none.
    """
    if given is not None:
        return load(given / FILE if given.is_dir() else given)
    for folder in _up_to_repository(directory.absolute()):
        path = folder / FILE
        # A link that leads nowhere is a mistake to tell, not an absence.
        if path.exists() or path.is_symlink():
            return load(path)
    return None


def _up_to_repository(directory: Path) -> list[Path]:
    """Outside of a repository the directory alone: what lies above it is somebody else's."""
    folders = []
    for folder in (directory, *directory.parents):
        folders.append(folder)
        if (folder / ".git").exists():
            return folders
    return [directory]
