"""The bodies of `golive gate list` and `golive gate explain`: the shipped checks, and those of the release in a directory."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.registry import Item, Kind, Registry, registry

if TYPE_CHECKING:
    from gate.release import Release

__all__ = ["described", "explained", "known_checks", "listed"]


def known_checks(config: Path | None, directory: Path, *, whole: bool = True) -> tuple[Registry, Release | None]:
    """Every check that there is here, and the release that may bring some of its own.

    Without `whole` the checks cannot be asked and have no saboteurs, which takes a fraction of the time to find out. Raises
    UsageError or RegistryError in one line for a golive.toml or an own check that cannot be read.
    """
    # Looking for installed packages costs more than the listing, so only a release makes us do it.
    release = _release(config, directory)
    if release is None and not whole:
        from gate.outline import outline

        return outline("gate.checks"), None
    checks = registry(Kind.CHECK).load("gate.checks")
    if release is not None:
        from gate import own

        own.load(checks, release.own_checks)
    return checks, release


def _release(config: Path | None, directory: Path) -> Release | None:
    # The name alone, because reading such a file needs what listing the shipped checks does not.
    if config is None and not os.path.lexists(directory / "golive.toml"):
        return None
    from gate.release import find

    return find(config, directory)


def listed(items: Sequence[Item], *, tags: bool) -> Iterator[str]:
    """A line for each check, and how many they are; with `tags` also what each is tagged with, and how many have each tag."""
    width = max(len(item.id) for item in items)
    for item in items:
        shown = f"  [{' '.join(f'@{tag}' for tag in sorted(item.tags))}]" if tags and item.tags else ""
        yield f"{item.id:<{width}}  {item.severity:<8}  {item.title}{shown}"
    if tags:
        counts = Counter(tag for item in items for tag in item.tags)
        yield "tags: " + (", ".join(f"@{tag} ({number})" for tag, number in sorted(counts.items())) or "none")
        families = Counter(item.id.partition(".")[0] for item in items)
        yield "families: " + ", ".join(f"{family} ({number})" for family, number in families.items())
    yield f"{len(items)} checks"


def described(item: Item, release: Release | None = None) -> dict[str, Any]:
    """Everything that is known of a check, for programs; `explain` says the same in words."""
    return {
        "id": item.id,
        "severity": str(item.severity),
        "title": item.title,
        "tags": sorted(item.tags),
        "facts": list(item.facts),
        "saboteurs": [saboteur.name.replace("_", " ") for saboteur in item.saboteurs],
        **({"in_this_release": _place_in(release, item.id)} if release is not None else {}),
        **item.paragraphs,
    }


def explained(item: Item, release: Release | None) -> Iterator[str]:
    """`golive gate explain` in lines."""
    yield f"{item.id} ({item.severity}{''.join(f', @{tag}' for tag in sorted(item.tags))})"
    yield f"\n{item.title}\n"
    for name, text in item.paragraphs.items():
        yield f"{name}: {text}\n"
    yield f"Looks at: {', '.join(item.facts) or 'nothing that others look at too'}"
    yield "Seen to fail when: " + ("; ".join(saboteur.name.replace("_", " ") for saboteur in item.saboteurs) or "never yet")
    if release is not None:
        yield f"In {release.name} {release.version}: {_place_in(release, item.id)}"


def _place_in(release: Release, item_id: str) -> str:
    policy = release.policy
    for waiver in policy.waivers:
        if waiver.id == item_id:
            return f"waived by {waiver.owner} until {waiver.expires}, {waiver.ticket}: {waiver.reason}"
    if policy.is_advisory(item_id):
        return "advisory: shown, never decisive"
    if policy.requires(item_id):
        return "required" + (", may be skipped" if policy.allows_skip(item_id) else "")
    return "not asked"
