"""The settings of the deployment are complete, strong, and spelt as the backend reads them.

Why: a misspelt name is no error anywhere: the default is used in silence, and it is the test system's.
Fix: set each name in the reason; make secrets with `openssl rand -base64 48`, a different one for each name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import combinations
from urllib.parse import unquote, urlsplit

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
    r"change[-_ ]?(?:me|this|it)|your[-_ ]|example|placeholder|replace[-_ ]|dummy|x{6,}|<.*>|^secret|super-?secret"
    # A place of a value that nobody put there.
    r"|\$[({]|\{\{|^\$\w+$|^%\w+%$",
    re.IGNORECASE,
)
# What Evolution API's own example has.
_PUBLISHED = ("429683C4C977415CAAFCCE10F7D57E11",)
_WORDS = re.compile(r"[A-Za-z]+(?:[-_. ]?[A-Za-z]+)*[-_. ]?\d{0,4}[!.]?")
_COUNTED = "0123456789abcdefghijklmnopqrstuvwxyz" * 2 + "0123456789" * 20 + "0123456789abcdef" * 10

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
    yield from _of_this_machine(environment, "BASE_URL")
    if environment.get("DATABASE_URL"):
        yield from _database(environment.get("DATABASE_URL"))
    elif "DATABASE_URL" in environment.elsewhere:
        return
    elif not environment.get("SUPABASE_URL"):
        yield "DATABASE_URL is missing (or SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY)"
    else:
        yield from _address(environment, "SUPABASE_URL", ("https",))
        yield from _weakness(environment, "SUPABASE_SERVICE_ROLE_KEY", SHORTEST_SECRET)
        if _role(environment.get("SUPABASE_SERVICE_ROLE_KEY")) == "anon":
            yield "SUPABASE_SERVICE_ROLE_KEY is the anonymous key, which may read what everybody may"


def _database(url: str) -> Iterator[str]:
    if url.startswith("sqlite"):
        yield "DATABASE_URL is an embedded database, which a restart empties"
        return
    try:
        parts = urlsplit(url)
        password = unquote(parts.password or "")
    except ValueError:
        yield "DATABASE_URL is not a URL"
        return
    if parts.scheme.partition("+")[0] not in ("postgresql", "postgres") or not (parts.hostname or "host=" in parts.query):
        yield "DATABASE_URL is no address of a Postgres server"
    elif password and (password.lower() in _KNOWN_TO_ALL or password == parts.username or _EXAMPLE.search(password)):
        yield "DATABASE_URL has a password that every example has"


def _of_this_machine(environment: Environment, name: str) -> Iterator[str]:
    """What nobody else can reach."""
    try:
        host = urlsplit(environment.get(name)).hostname or ""
    except ValueError:
        return
    if host in ("localhost", "0.0.0.0", "::1", "::") or host.startswith("127.") or host.endswith(".localhost"):  # noqa: S104
        yield f"{name} is an address of the machine itself, which Evolution API cannot reach"


def _role(token: str) -> str:
    """Which role a JSON Web Token of Supabase is for."""
    try:
        payload = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).get("role", ""))
    except (IndexError, ValueError, AttributeError):
        return ""


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
    elif value.upper() in _PUBLISHED:
        yield f"{name} is the value that everybody finds in an example"
    elif _WORDS.fullmatch(value) or value.lower() in _COUNTED or value in (value * 2)[1:-1]:
        yield f"{name} is made of words, counted up or said again, expected a random value"


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
