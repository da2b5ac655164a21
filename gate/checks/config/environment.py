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

from gate.errors import Failure, Inconclusive, NotApplicable
from gate.facts.environment import Environment
from gate.facts.worlds import Deployment
from gate.model import Evidence, Severity
from gate.registry import check

SECRETS = ("EVOLUTION_API_KEY", "JWT_ACCESS_SECRET", "JWT_REFRESH_SECRET")
SHORTEST_SECRET = 32
REHEARSAL = "rehearsal"
SHORTEST_OF_OTHERS = 8
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

_SECRET_NAME = re.compile(
    r"(?:^|_)(?:SECRETS?|PASSWORD|PASSWD|PASSPHRASE|TOKEN|API_?KEY|PRIVATE_KEY|SERVICE_ROLE_KEY|ACCESS_KEY)$", re.IGNORECASE
)
_KNOWN_TO_ALL = {
    "admin", "administrator", "password", "passw0rd", "postgres", "postgresql", "root", "secret", "test", "testing", "guest",
    "12345678",
    "123456789", "qwertyui", "letmein", "default", "development", "supersecret",
}  # fmt: skip


@check(severity=Severity.CRITICAL, order=70)
def run(environment: Environment) -> Iterator[Evidence]:
    if environment.get("APP_ENV") == REHEARSAL and not environment.given:
        raise NotApplicable("these are the settings of a rehearsal; give those of the deployment with --env-file")
    contract = _contract(environment) if environment.rules.contract else ()
    faults = list(dict.fromkeys([*contract, *_added(environment), *_written(environment), *_misspelt(environment)]))
    if faults:
        raise Failure("; ".join(faults))
    unseen = [name for name in _judged(environment) if name in environment.elsewhere]
    if unseen:
        raise Inconclusive(f"the values of {', '.join(unseen)} are set elsewhere and were not seen; give the file with them")
    yield Evidence(label="settings looked at", value=len(environment.values))
    if environment.rules.contract:
        yield Evidence(label="environment", value=environment.get("APP_ENV", "NODE_ENV"))
    for name in _secret_names(environment):
        yield Evidence(label=f"length of {name}", value=len(environment.get(name)), unit="characters")


def _secret_names(environment: Environment) -> tuple[str, ...]:
    return (*(SECRETS if environment.rules.contract else ()), *environment.rules.secrets)


def _judged(environment: Environment) -> tuple[str, ...]:
    """The names whose values have to be seen."""
    contract = ("APP_ENV", "NODE_ENV", "EVOLUTION_API_URL", "BASE_URL", "DATABASE_URL") if environment.rules.contract else ()
    return (*contract, *_secret_names(environment), *environment.rules.https)


def _added(environment: Environment) -> Iterator[str]:
    """What the release demands besides, and what no secret of any name may be."""
    for name in environment.rules.required:
        if not environment.get(name) and name not in environment.elsewhere:
            yield _missing(environment, name)
    for name in environment.rules.secrets:
        yield from _weakness(environment, name, SHORTEST_SECRET)
    for name in environment.rules.https:
        yield from _address(environment, name, ("https",))
    if environment.rules.process:
        # Most names of a process are somebody else's.
        return
    for name, value in sorted(environment.values.items()):
        if not _SECRET_NAME.search(name) or not value.strip():
            continue
        if value.strip().lower() in _KNOWN_TO_ALL or (_EXAMPLE.search(value) and "://" not in value):
            yield f"{name} is an example value"
        elif len(value.strip()) < SHORTEST_OF_OTHERS:
            yield f"{name} has {len(value.strip())} characters, expected at least {SHORTEST_OF_OTHERS}"


def _written(environment: Environment) -> Iterator[str]:
    for name in sorted(environment.written & environment.values.keys()):
        if environment.values[name].strip() and (name in _secret_names(environment) or _SECRET_NAME.search(name)):
            yield f"{name} is written in the manifest, for everybody who reads it; let the platform keep it"


def _missing(environment: Environment, name: str) -> str:
    unseen = (
        f"; it may come from {', '.join(environment.open_ended)}, give the file with what that sets"
        if environment.open_ended
        else ""
    )
    return f"{name} is missing{unseen}"


def _contract(environment: Environment) -> Iterator[str]:
    for name in ("APP_ENV", "NODE_ENV"):
        if environment.get(name) not in ("", "production"):
            yield f"{name} is not production"
    if not environment.get("APP_ENV", "NODE_ENV") and not {"APP_ENV", "NODE_ENV"} & environment.elsewhere:
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
    elif "DATABASE_URL" in environment.elsewhere:
        return
    elif not environment.get("SUPABASE_URL"):
        yield "DATABASE_URL is missing (or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY)"
    else:
        yield from _address(environment, "SUPABASE_URL", ("https",))
        yield from _weakness(environment, "SUPABASE_SERVICE_ROLE_KEY", SHORTEST_SECRET)


def _weakness(environment: Environment, name: str, shortest: int) -> Iterator[str]:
    value = environment.get(name)
    if name in environment.elsewhere:
        return
    if not value:
        yield _missing(environment, name)
    elif value == environment.documented.get(name, "") or _EXAMPLE.search(value):
        yield f"{name} is an example value"
    elif len(value) < shortest:
        yield f"{name} has {len(value)} characters, expected at least {shortest}"
    elif len(set(value)) < FEWEST_CHARACTERS:
        yield f"{name} is made of {len(set(value))} different characters, expected a random value"


def _address(environment: Environment, name: str, schemes: tuple[str, ...]) -> Iterator[str]:
    value = environment.get(name)
    if name in environment.elsewhere:
        return
    if not value:
        yield _missing(environment, name)
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
    rules = environment.rules
    known = {*(KNOWN if rules.contract else ()), *environment.documented, *rules.required, *rules.secrets, *rules.https}
    for name in sorted({*environment.values, *environment.elsewhere}):
        if name in known:
            continue
        close = get_close_matches(name.upper(), sorted(known - set(environment.values) - environment.elsewhere), n=1, cutoff=0.85)
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
