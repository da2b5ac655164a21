"""What a journal says of the release that it is about: name, version, commit, and the schema of its database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.errors import GateError
from gate.facts.evidence import SCHEMA_FACT
from gate.journal import Journal
from gate.release import Release, find

if TYPE_CHECKING:
    from gate.facts.catalog import Catalog

__all__ = ["bind_catalog", "bind_schema", "people_of", "pinned", "proof_ids", "record_of"]


def record_of(directory: Path) -> tuple[dict[str, Any], Release | None]:
    """The release that the `golive.toml` of a directory describes, else what git and the installation say."""
    from harness.rehearsal import release_of

    release = find(None, directory)
    if release is None:
        return release_of(directory), None
    return release_of(release.repository, name=release.name, version=release.version) | release.record(), release


def people_of(directory: Path) -> dict[str, Any]:
    """Contacts and platform that the `golive.toml` of a directory names, for the documents; nothing where there is none."""
    release = find(None, directory)
    return {
        key: value for key, value in (release.record() if release is not None else {}).items() if key in ("contacts", "platform")
    }


def bind_schema(journal: Journal, release: Release | None) -> None:
    """Records the digest of the schema of the release's database; nothing where there is none to read, which the gate tells."""
    url = release.database_url(os.environ) if release is not None else ""
    if release is None or "://" not in url:
        return
    from gate.facts.catalog import snapshot

    try:
        subject = release.subject(database_url=url, environment=os.environ)
        bind_catalog(journal, snapshot(url, subject.schema.schema))
    except GateError:
        return


def bind_catalog(journal: Journal, catalog: Catalog) -> None:
    """Records the digest of a catalog."""
    from gate.facts.catalog import digest

    journal.fact(SCHEMA_FACT, digest(catalog))


def proof_ids() -> frozenset[str]:
    """The ids that a whole proof answers."""
    from harness.proof.backends import expected_ids
    from harness.reference import variants

    return frozenset(expected_ids([*variants("chaff"), *variants("wheat")]))


def pinned(features: Path | None, *, proof: bool = False) -> Mapping[str, frozenset[str]]:
    """The ids that each part must have executed: every step and signal, and every scenario of a folder of the release's own.

    Without such a folder the scenarios of the seed, which `golive e2e` runs by default. With `proof` also every planted bug.
    """
    from harness import load, monitor, smoke
    from harness.scenarios import FEATURES, asked_for, read_features, select

    planned = select(read_features(features or FEATURES), asked_for((), own=features is not None))
    return {
        "scenarios": frozenset(scenario.id for scenario in planned),
        "smoke": frozenset(smoke.expected_ids()),
        "load": frozenset(load.expected_ids()),
        "watch": frozenset(monitor.expected_ids()),
    } | ({"proof": proof_ids()} if proof else {})
