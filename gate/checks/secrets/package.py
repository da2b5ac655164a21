"""The built packages hold no secret.

Why: a build takes along what lies in the folder, tracked or not: a .env file, a dump, a key.
Fix: revoke the secret, leave the file out of the build (package data, .dockerignore, MANIFEST.in), and build again.
"""

from __future__ import annotations

from collections.abc import Iterator

from gate.errors import NotApplicable
from gate.facts.planted import Planted
from gate.facts.secret_places import SecretScan
from gate.facts.secret_verdict import judge_scan
from gate.facts.worlds import PackageCopy
from gate.model import Evidence, Severity
from gate.registry import check


@check(severity=Severity.CRITICAL, order=83)
def run(package_scan: SecretScan | None) -> Iterator[Evidence]:
    if package_scan is None:
        raise NotApplicable("no built package was named; name it in golive.toml, release.artefacts")
    yield from judge_scan(package_scan)


@run.breaks
def a_settings_file_taken_along(package: PackageCopy) -> None:
    package.add("app/.env", f"JWT_REFRESH_SECRET={Planted().signing_secret()}\n")


@run.breaks
def a_key_in_minified_code(package: PackageCopy) -> None:
    code = "!function(){var e={};" + "e.a=1;" * 400 + f'e.apiKey="{Planted().signing_secret()}"' + "}();"
    package.add("app/static/app.min.js", code)
