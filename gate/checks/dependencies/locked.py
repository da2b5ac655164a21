"""A lock file says which versions are released, and it is the declaration's.

Why: without one, the build of tomorrow takes other versions than the ones that were tried; an old one takes what nobody declared.
Fix: lock again (`uv lock`, `pip-compile`, `npm install --package-lock-only`) and commit the lock file with the declaration.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Failure, NotApplicable
from gate.facts.locks import LockedDependencies
from gate.facts.worlds import RepositoryCopy
from gate.model import Evidence
from gate.registry import check


@check(order=91)
def run(locked: LockedDependencies) -> Iterator[Evidence]:
    if locked.faults:
        more = f"; and {len(locked.faults) - 5} more" if len(locked.faults) > 5 else ""
        raise Failure("; ".join(locked.faults[:5]) + more)
    if not locked.declared:
        raise NotApplicable("the repository declares no dependency in pyproject.toml, requirements.txt, Pipfile or package.json")
    for pair, number in locked.declared.items():
        yield Evidence(label=f"dependencies of {pair}", value=number)


@run.breaks
def no_lock_file(repository: RepositoryCopy) -> None:
    repository.write("pyproject.toml", '[project]\nname = "a"\ndependencies = ["httpx>=0.28"]\n')
    for name in ("requirements.txt", "uv.lock"):
        (repository.path / name).unlink(missing_ok=True)


@run.breaks
def a_dependency_that_was_not_locked(repository: RepositoryCopy) -> None:
    repository.write("pyproject.toml", '[project]\nname = "a"\ndependencies = ["httpx>=0.28", "nobody-locked-it"]\n')
    repository.write("requirements.txt", "httpx==0.28.1\n")


@run.breaks
def locked_for_one_language_alone(repository: RepositoryCopy) -> None:
    repository.write("package.json", '{"dependencies": {"express": "^5.0.0"}}')


@run.breaks
def locked_before_the_declaration_changed(repository: RepositoryCopy) -> None:
    repository.write("pyproject.toml", '[project]\nname = "a"\ndependencies = ["httpx>=0.28"]\n')
    repository.write("requirements.txt", "httpx==0.27.0\n")
