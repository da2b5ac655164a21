"""Every fact that the gate can read by itself, from one subject. What needs a running backend (`flow`) comes from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gate.facts.subject import Subject

__all__ = ["providers"]


def providers(subject: Subject) -> Mapping[str, Callable[[], Any]]:
    """Providers by the names that checks use as parameters, for `gate.runner.Facts`. Nothing is read before it is asked for."""
    from gate.facts import (
        catalog,
        code,
        code_writes,
        convoy,
        datastore,
        dependencies,
        environment,
        evidence,
        features,
        left_in_code,
        locks,
        logs,
        metadata,
        migration_lint,
        migrations,
        modules,
        old_statements,
        rehearsed,
        secret_places,
        working_tree,
    )

    return {
        "subject": lambda: subject,
        "schema": lambda: subject.schema,
        "catalog": lambda: catalog.read(subject.database_url, subject.schema),
        "datastore": lambda: datastore.read(subject),
        "modules": lambda: modules.read(subject),
        "rehearsed": lambda: rehearsed.read(subject),
        "convoy": lambda: convoy.read(subject),
        "old_statements": lambda: old_statements.read(subject),
        "metadata_comparison": lambda: metadata.read(subject),
        "migration_lint": lambda: migration_lint.read(subject),
        "migration": lambda: migrations.read(subject),
        "environment": lambda: environment.read(subject),
        "logs": lambda: logs.read(subject),
        "code_writes": lambda: code_writes.read(subject),
        "left_in_code": lambda: left_in_code.read(subject),
        "code": lambda: code.read(subject),
        "repository_scan": lambda: secret_places.of_repository(subject),
        "history_scan": lambda: secret_places.of_commits(subject),
        "package_scan": lambda: secret_places.of_packages(subject),
        "document_scan": lambda: secret_places.of_documents(subject),
        "audit": lambda: dependencies.audit(subject),
        "locked": lambda: locks.locked(subject),
        "features": lambda: features.read(subject),
        "journals": lambda: evidence.read(subject),
        "working_tree": lambda: working_tree.read(subject),
    }
