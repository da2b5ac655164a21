"""The bodies of `golive sign` and `golive verify`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate import attestation, signing
from gate.attestation import FILE, Envelope, Signature, Wanted
from gate.errors import Failure, JournalError, UsageError
from gate.journal import JOURNAL, conclude, read, write_atomically
from gate.model import Decision
from gate.policy import Policy
from harness.policies import policy_of_run

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

__all__ = ["generate", "run_sign", "run_verify"]

# What a run writes for people to read; its journal is always attested.
DOCUMENTS = ("*.md", "*.html", "*.pdf")


def generate(path: Path) -> Path:
    """Makes a pair of keys; the path of the public one. Raises UsageError where one is there already."""
    return signing.generate(path)


def run_sign(
    run: Path,
    key: Path,
    policy: Policy | None,
    *,
    artifacts: Sequence[Path],
    commit: str,
    out: Path | None,
    environment: Mapping[str, str],
    form: str,
    echo: Callable[[str], None],
) -> int:
    """Attests what a run found, GO or not, and tells where. Raises UsageError for a run or key that cannot be used."""
    journal = run / JOURNAL
    if not journal.is_file():
        raise UsageError(f"{run}: no such run (it has no {JOURNAL})")
    policy = policy if policy is not None else policy_of_run(run, Path.cwd())
    private = signing.private_key(key, environment.get(signing.PASSPHRASE_VARIABLE, ""))
    recording, now = read(journal), datetime.now(UTC)
    verdict = conclude(recording, policy, now.date())
    named = {str(path.relative_to(run)): path for pattern in DOCUMENTS for path in sorted(run.glob(pattern))}
    for path in artifacts:
        name = path.as_posix() if not path.is_absolute() and ".." not in path.parts else path.name
        if name in named or name == JOURNAL:
            raise UsageError(f"--artifact {path}: {name} is attested already")
        named[name] = path
    found = attestation.statement(
        recording,
        verdict,
        {name: _required_digest(path) for name, path in named.items()},
        journal_sha256=_required_digest(journal),
        signed_at=now,
        commit=commit,
    )
    payload = attestation.encode(found)
    signed = signing.sign(private, attestation.pre_authentication_encoding(attestation.PAYLOAD_TYPE, payload))
    keyid = signing.key_id(private.public_key())
    envelope = Envelope(
        payload_type=attestation.PAYLOAD_TYPE, payload=payload, signatures=(Signature(keyid=keyid, value=signed),)
    )
    target = out if out is not None else run / FILE
    write_atomically(target, attestation.sealed(envelope))
    if form == "json":
        echo(json.dumps({"attestation": str(target), "keyid": keyid, "statement": found}, indent=2))
    else:
        echo(f"{target}: {verdict.decision}, {len(found['subject'])} subjects, key {keyid[:16]}")
        if verdict.decision is not Decision.GO:
            echo(f"signed as what it is: `golive verify` will refuse a {verdict.decision}")
        if found["predicate"]["release"]["dirty"]:
            echo("the working tree held changes that its commit does not have")
    return 0


def run_verify(
    source: Path,
    key: Path,
    *,
    artifacts: Sequence[Path],
    commit: str,
    schema: str,
    policy: str,
    max_age: timedelta,
    form: str,
    echo: Callable[[str], None],
) -> int:
    """0 when the attestation releases, 1 when it does not, with every reason that could be found."""
    public = signing.public_key(key)
    path = source / FILE if source.is_dir() else source
    shown: dict[str, Any] = {}
    try:
        reasons, shown = _judge(path, public, artifacts=artifacts, commit=commit, schema=schema, policy=policy, max_age=max_age)
    except Failure as failure:
        reasons = [str(failure)]
    if form == "json":
        echo(json.dumps({"verified": not reasons, "reasons": reasons, "attestation": str(path)} | shown, indent=2))
    elif reasons:
        echo("\n".join([f"{path}: NOT VERIFIED", *(f"  {reason}" for reason in reasons)]))
    else:
        echo(f"{path}: verified, {shown['decision']} for commit {shown['commit']}, begun {shown['timestamp']}")
        echo(f"  {', '.join(shown['files'])}")
    return 1 if reasons else 0


def _judge(
    path: Path,
    public: EllipticCurvePublicKey,
    *,
    artifacts: Sequence[Path],
    commit: str,
    schema: str,
    policy: str,
    max_age: timedelta,
) -> tuple[list[str], dict[str, Any]]:
    try:
        text = path.read_bytes().decode("ascii")
    except OSError as error:
        raise Failure(f"there is no attestation ({error.strerror}); `golive sign RUN --key KEY` writes one") from None
    except UnicodeDecodeError:
        raise Failure("the attestation is no DSSE envelope (not ASCII)") from None
    envelope = attestation.open_envelope(text)
    keyid = signing.key_id(public)
    ours = [signature for signature in envelope.signatures if signature.keyid in ("", keyid)]
    if not ours:
        raise Failure(f"signed by another key ({envelope.signatures[0].keyid[:16]}), not by {keyid[:16]}")
    data = attestation.pre_authentication_encoding(envelope.payload_type, envelope.payload)
    for signature in ours:
        signing.verify(public, signature.value, data)
    found = attestation.read_statement(envelope.payload)
    given = {item.name: item for item in artifacts} | {item.as_posix(): item for item in artifacts}
    places = {
        name: next((place for place in (given.get(name), path.parent / name, Path(name)) if place and place.is_file()), None)
        for name in attestation.files_of(found)
    }
    digests = {name: _digest(place) if place else None for name, place in places.items()}
    wanted = Wanted(now=datetime.now(UTC), max_age=max_age, commit=commit, schema=schema, policy=policy)
    reasons = list(attestation.faults(found, digests, wanted))
    reasons += [f"--artifact {item}: the attestation does not speak of it" for item in artifacts if not _named(item, places)]
    journal = places[JOURNAL]
    if journal is not None:
        try:
            reasons += [f"{JOURNAL}: {damage}" for damage in read(journal).damage[:1]]
        except JournalError as error:
            reasons.append(str(error))
    commits = [item["digest"].get("gitCommit", "") for item in found["subject"] if item["name"] == attestation.COMMIT]
    predicate = found["predicate"]
    return reasons, {
        "decision": predicate["decision"],
        "result": predicate["result"],
        "timestamp": predicate["timestamp"],
        "commit": commits[0] if commits else "",
        "files": sorted(places),
        "keyid": keyid,
    }


def _named(path: Path, places: Mapping[str, Path | None]) -> bool:
    return path.name in places or path.as_posix() in places


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _required_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
