"""The settings of the deployment are complete, strong, and spelt as the backend reads them.

Why: a misspelt name is no error anywhere: the default is used in silence, and it is the test system's.
Fix: set each name in the reason; make secrets with `openssl rand -base64 48`, a different one for each name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import combinations
from urllib.parse import urlsplit

from gate.errors import Failure, NotApplicable
from gate.facts.environment import Environment
from gate.facts.worlds import Deployment
from gate.model import Evidence, Severity
from gate.registry import check

SECRETS = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET")
SHORTEST_SECRET = 32
REHEARSAL = "rehearsal"
FEWEST_CHARACTERS = 8
KNOWN = (
    "APP_ENV",
    "NODE_ENV",
    "ENABLE_TEST_BYPASS",
    "EVOLUTION_API_URL",
    *SECRETS,
    "BASE_URL",
    "DATABASE_URL",
    "SUPABASE_URL",
    "SUPABASE_SERVICE_ROLE_KEY",
)
_EXAMPLE = re.compile(
    r"change[-_ ]?(?:me|this|it)|your[-_ ]|example|placeholder|replace[-_ ]|dummy|x{6,}|<.*>|^secret|super-?secret", re.IGNORECASE
)


@check(severity=Severity.CRITICAL, order=70)
def run(environment: Environment) -> Iterator[Evidence]:
    if environment.get("APP_ENV") == REHEARSAL:
        raise NotApplicable("these are the settings of a rehearsal; give those of the deployment with --env-file")
    faults = [*_faults(environment), *_misspelt(environment)]
    if faults:
        raise Failure("; ".join(faults))
    yield Evidence(label="settings looked at", value=len(environment.values))
    yield Evidence(label="environment", value=environment.get("APP_ENV", "NODE_ENV"))
    for name in SECRETS:
        yield Evidence(label=f"length of {name}", value=len(environment.get(name)), unit="characters")


def _faults(environment: Environment) -> Iterator[str]:
    for name in ("APP_ENV", "NODE_ENV"):
        if environment.get(name) not in ("", "production"):
            yield f"{name} is not production"
    if not environment.get("APP_ENV", "NODE_ENV"):
        yield "APP_ENV is missing, expected production"
    for name in SECRETS:
        yield from _weakness(environment, name, SHORTEST_SECRET)
    for first, second in combinations(SECRETS, 2):
        if environment.get(first) and environment.get(first) == environment.get(second):
            yield f"{first} and {second} are equal"
    yield from _address(environment, "EVOLUTION_API_URL", ("http", "https"))
    yield from _address(environment, "BASE_URL", ("https",))
    if environment.get("DATABASE_URL"):
        if environment.get("DATABASE_URL").startswith("sqlite"):
            yield "DATABASE_URL is an embedded database, which a restart empties"
    elif not environment.get("SUPABASE_URL"):
        yield "DATABASE_URL is missing (or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY)"
    else:
        yield from _address(environment, "SUPABASE_URL", ("https",))
        yield from _weakness(environment, "SUPABASE_SERVICE_ROLE_KEY", SHORTEST_SECRET)


def _weakness(environment: Environment, name: str, shortest: int) -> Iterator[str]:
    value = environment.get(name)
    if not value:
        yield f"{name} is missing"
    elif value == environment.documented.get(name, "") or _EXAMPLE.search(value):
        yield f"{name} is an example value"
    elif len(value) < shortest:
        yield f"{name} has {len(value)} characters, expected at least {shortest}"
    elif len(set(value)) < FEWEST_CHARACTERS:
        yield f"{name} is made of {len(set(value))} different characters, expected a random value"


def _address(environment: Environment, name: str, schemes: tuple[str, ...]) -> Iterator[str]:
    value = environment.get(name)
    if not value:
        yield f"{name} is missing"
        return
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        yield f"{name} is not a URL"
        return
    if parts.scheme not in schemes or not host:
        yield f"{name} does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)} and a host"
    elif parts.username or parts.password:
        yield f"{name} holds credentials, which then are in every log"
    elif host == "example.com" or host.endswith((".example", ".example.com")):
        yield f"{name} is an example value"


def _misspelt(environment: Environment) -> Iterator[str]:
    known = {*KNOWN, *environment.documented}
    for name in sorted(environment.values):
        if name in known:
            continue
        close = get_close_matches(name.upper(), sorted(known - set(environment.values)), n=1, cutoff=0.85)
        if close:
            yield f"{name} is not read by anybody; did you mean {close[0]}?"


@run.breaks
def a_misspelt_name(deployment: Deployment) -> None:
    deployment.values["JWT_ACCES_SECRET"] = deployment.values.pop("JWT_ACCESS_SECRET")


@run.breaks
def a_short_secret(deployment: Deployment) -> None:
    deployment.values["JWT_ACCESS_SECRET"] = "k3Y-9fQ2-xZ7p"  # noqa: S105


@run.breaks
def equal_secrets(deployment: Deployment) -> None:
    deployment.values["JWT_REFRESH_SECRET"] = deployment.values["JWT_ACCESS_SECRET"]


@run.breaks
def an_example_value(deployment: Deployment) -> None:
    deployment.values["EVOLUTION_API_KEY"] = "change-me-to-something-long-and-random"


@run.breaks
def without_tls(deployment: Deployment) -> None:
    deployment.values["BASE_URL"] = "http://backend.invalid"


@run.breaks
def not_in_production(deployment: Deployment) -> None:
    deployment.values["APP_ENV"] = "development"
