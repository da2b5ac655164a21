"""Which policy is meant: one by name or file, that of a `golive.toml`, or the one by which a run was judged."""

from __future__ import annotations

import json
from pathlib import Path

from gate import policy as policies
from gate import release as releases
from gate.errors import PolicyError, UsageError
from gate.policy import Policy

__all__ = ["VERDICT", "policy_named", "policy_of_run"]

VERDICT = "verdict.json"


def policy_named(source: str) -> Policy:
    """A policy file, the name of a shipped one, or a `golive.toml`. Raises UsageError for what is none of them."""
    return releases.load(Path(source)).policy if Path(source).name == releases.FILE else policies.load(source)


def policy_of_run(run: Path, directory: Path, *, otherwise: str = "") -> Policy:
    """The policy by which the run was judged: one that is shipped, or that of the `golive.toml` in `directory`.

    Raises UsageError where the run does not say and there is no `otherwise`, or names one that is not to be found here.
    """
    try:
        name = str(json.loads((run / VERDICT).read_text(encoding="utf-8"))["policy"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        if otherwise:
            return policies.load(otherwise)
        raise UsageError(f"{run}: it has no {VERDICT} that names its policy; give --policy") from None
    found = releases.find(None, directory)
    if found is not None and found.policy.name == name:
        return found.policy
    try:
        return policies.load(name)
    except PolicyError as error:
        raise UsageError(f"{run} was judged by the policy {name!r}, which is not found here; give --policy ({error})") from None
