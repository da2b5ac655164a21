"""No commit of the release brought a secret, not even one that a later commit took away.

Why: whoever has the repository has every version; a key that was committed for an hour is known for ever.
Fix: revoke the secret; taking it out of the newest version does not take it back.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import Inconclusive, NotApplicable
from gate.facts.planted import Planted
from gate.facts.secret_places import SecretScan
from gate.facts.secret_verdict import judge_scan
from gate.facts.worlds import RepositoryCopy
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=82)
def run(history_scan: SecretScan | None) -> Iterator[Evidence]:
    if history_scan is None:
        raise NotApplicable("the release's commits were not named; name them as FIRST..LAST in golive.toml, release.commits")
    if not history_scan.commits:
        raise Inconclusive(f"{history_scan.place} names no commit, so nothing is known of the release's commits")
    yield from judge_scan(history_scan)
    yield Evidence(label="commits looked through", value=history_scan.commits)


@run.breaks
def added_and_taken_away(repository: RepositoryCopy) -> None:
    repository.write("deploy.yaml", f"token: {Planted().render()}\n")
    repository.commit("add the deployment")
    repository.write("deploy.yaml", "token: ${RENDER_TOKEN}\n")
    repository.commit("read the token from the environment")


@run.breaks
def in_a_message(repository: RepositoryCopy) -> None:
    repository.write("README.md", "a service\n")
    repository.commit(f"deploy by hand\n\nwith RAILWAY_TOKEN={Planted().railway()}")
