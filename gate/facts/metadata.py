"""Whether all migrations together make the schema that the application's SQLAlchemy metadata says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gate.errors import GateError
from gate.facts import definition, throwaway
from gate.facts.connections import backend_of, postgres
from gate.facts.interpreter import ask
from gate.facts.rehearsed import run_plainly, text_of
from gate.facts.subject import Subject

__all__ = ["MetadataComparison", "read"]

TIMEOUT_S = 60.0
# What metadata does not say: triggers, policies, functions and rights are the migration's alone.
_KINDS = ("table", "column", "constraint", "index", "type")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataComparison:
    """`compared` definitions of the tables that the metadata names; `differences` a sentence each. error: the migration's."""

    script: str
    metadata: str
    compared: int
    differences: tuple[str, ...]
    error: str


def read(subject: Subject) -> MetadataComparison | None:
    """None where there is no Postgres or no metadata. Raises GateError when the metadata cannot be had."""
    server = subject.scratch_url or subject.database_url
    if not subject.metadata or (server and backend_of(server) == "sqlite"):
        return None
    if subject.migration is None or subject.baseline is None:
        raise GateError("no migration to try: the subject names no migration script, or no baseline to run it on")
    found = ask(
        "gate.facts.metadata_probe",
        {"metadata": subject.metadata},
        paths=subject.source_paths,
        timeout_s=TIMEOUT_S,
        what=f"reading the metadata {subject.metadata}",
        environment=subject.application_environment,
    )
    if found["error"]:
        raise GateError(f"the metadata {subject.metadata} cannot be had: {found['error']}")
    if not found["statements"]:
        raise GateError(f"the metadata {subject.metadata} names no table; is its module the one that defines them?")
    with throwaway.on_postgres(server) as made, throwaway.on_postgres(server) as migrated:
        for statement in found["statements"]:
            made.execute(statement)
        migrated.execute(text_of(subject.baseline))
        error = run_plainly(migrated.url, text_of(subject.migration))
        with postgres(made.url, autocommit=True) as connection:
            wanted = definition.read(connection)
        with postgres(migrated.url, autocommit=True) as connection:
            there = definition.read(connection)
    tables = {name.partition(" ")[2] for name in wanted if name.startswith("table ")}
    left, right = dict(_of(wanted, tables)), dict(_of(there, tables))
    return MetadataComparison(
        script=subject.migration.name,
        metadata=subject.metadata,
        compared=len(left),
        differences=() if error else tuple(definition.differences(left, right)),
        error=error,
    )


def _of(found: Mapping[str, str], tables: set[str]) -> Iterator[tuple[str, str]]:
    """What is said of these tables. Constraints and indexes go by what they are: a name is nobody's promise."""
    for name, text in found.items():
        kind, _, rest = name.partition(" ")
        if kind not in _KINDS:
            continue
        if kind == "table" and rest in tables:
            yield name, text.partition(" row security")[0]
        elif kind == "column" and rest.rpartition(".")[0] in tables:
            yield name, text
        elif kind == "constraint" and rest.rpartition(".")[0] in tables:
            yield f"constraint of {rest.rpartition('.')[0]} {text}", text
        elif kind == "index":
            head, _, body = text.partition(" ON ")
            table = body.partition(" ")[0].removeprefix("ONLY ").removeprefix("public.")
            if table in tables:
                yield (
                    f"index {head.partition(' INDEX ')[0].partition('CREATE ')[2]} on {body}".replace("  ", " "),
                    text.partition(" ON ")[2],
                )
        elif kind == "type":
            yield name, text
