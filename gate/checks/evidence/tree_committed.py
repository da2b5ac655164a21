"""What is looked at is what is committed.

Why: a gate that passes on changes that are in no commit says nothing of the commit that is deployed.
Fix: commit the files in the reason, or put them away; then run the gate again.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.working_tree import WorkingTree
from gate.facts.worlds import RepositoryCopy
from gate.model import Evidence, Severity
from gate.registry import check

MOST_NAMED = 3


@check(severity=Severity.MAJOR, order=89)
def run(working_tree: WorkingTree) -> Iterator[Evidence]:
    if not working_tree.given:
        raise NotApplicable("no release is named: the shipped example is looked at as it is installed")
    if not working_tree.commit:
        raise Inconclusive("the repository has no commit")
    if working_tree.changed:
        raise Failure(f"{len(working_tree.changed)} tracked files differ from the commit: {_some(working_tree.changed)}")
    if working_tree.unknown:
        raise Failure(f"{len(working_tree.unknown)} files of the released code are in no commit: {_some(working_tree.unknown)}")
    if working_tree.hidden:
        told = "git update-index --no-assume-unchanged --no-skip-worktree"
        raise Inconclusive(f"git was told not to look at {_some(working_tree.hidden)}; {told} takes that back")
    yield Evidence(label="commit", value=working_tree.commit[:12])


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


@run.breaks
def a_file_that_was_changed(repository: RepositoryCopy) -> None:
    repository.write("README.md", "# Not committed\n")
