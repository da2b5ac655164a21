"""No tracked file of the repository holds a secret.

Why: what is tracked is cloned, forked and copied into images; a key in it belongs to everybody who ever reads it.
Fix: revoke the secret first, then take it out and read it from the environment. What is none gets a comment
`golive:allow RULE: the reason` in its line or above, or an entry [[secrets.allow]] in golive.toml.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.facts.planted import Planted
from gate.facts.secret_places import SecretScan
from gate.facts.secret_verdict import judge_scan
from gate.facts.worlds import RepositoryCopy
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=81)
def run(repository_scan: SecretScan) -> Iterator[Evidence]:
    yield from judge_scan(repository_scan)


@run.breaks
def in_a_file_that_is_no_source(repository: RepositoryCopy) -> None:
    repository.write("ops/notes.txt", f"new key of the server\nEVOLUTION_API_KEY: {Planted().evolution_key()}\n")


@run.breaks
def behind_a_comment(repository: RepositoryCopy) -> None:
    repository.write("settings.py", f"import os\n\n# password = {Planted().password()!r}\nPASSWORD = os.environ['PASSWORD']\n")


@run.breaks
def with_a_type_annotation(repository: RepositoryCopy) -> None:
    repository.write("keys.py", f"JWT_ACCESS_SECRET: str = {Planted().signing_secret()!r}\n")


@run.breaks
def in_utf_16(repository: RepositoryCopy) -> None:
    repository.write("export.csv", f"name,value\r\nkey,{Planted().service_role()}\r\n".encode("utf-16"))


@run.breaks
def in_an_archive(repository: RepositoryCopy) -> None:
    repository.archive("backup.zip", ".env.production", f"DATABASE_URL={Planted().database_url()}\n")


@run.breaks
def allowed_without_a_reason(repository: RepositoryCopy) -> None:
    repository.write("settings.js", f"const token = '{Planted().github()}' // golive:allow github-token\n")
