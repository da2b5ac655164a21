"""What a run proved, as an in-toto statement in a DSSE envelope: made, and held against the files that it speaks of. Pure.

The statement is of type `https://in-toto.io/Statement/v1` with the predicate `https://in-toto.io/attestation/test-result/v0.1`;
its subjects are the journal, the commit, the schema of the database and the artefacts, each by its digest. The envelope is signed
over DSSE's pre-authentication encoding (https://github.com/secure-systems-lab/dsse, protocol 1.0). `gate.signing` holds the keys.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from gate.baseline import schema_digest
from gate.errors import Failure, UsageError
from gate.journal import JOURNAL, Recording
from gate.model import Decision, Status, Verdict

__all__ = [
    "FILE",
    "PAYLOAD_TYPE",
    "Envelope",
    "Signature",
    "Wanted",
    "encode",
    "faults",
    "files_of",
    "open_envelope",
    "pre_authentication_encoding",
    "read_statement",
    "sealed",
    "statement",
]

# Its name in the directory of a run.
FILE = "attestation.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
COMMIT, SCHEMA = "commit", "database schema"
# Clocks of two machines may differ by as much.
SKEW = timedelta(minutes=5)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`keyid` is the SHA-256 of the public key in DER, `value` the signature in DER."""

    keyid: str
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an attestation is held against besides its files; empty texts are not asked for."""

    now: datetime
    max_age: timedelta
    commit: str = ""
    schema: str = ""
    policy: str = ""


def statement(
    recording: Recording,
    verdict: Verdict,
    artifacts: Mapping[str, str],
    *,
    journal_sha256: str,
    signed_at: datetime,
    commit: str = "",
) -> dict[str, Any]:
    """The statement of a run. `artifacts` maps relative paths to SHA-256 in hex; `commit` is for a run that names none.

    Raises UsageError where the run cannot be attested: damaged, or bound to no commit.
    """
    if recording.damage or recording.started_at is None:
        raise UsageError(f"{recording.path}: not whole, so nothing is attested: {recording.damage[0]}")
    own = str(recording.release.get("commit", ""))
    if own and commit and own != commit:
        raise UsageError(f"the run is of commit {own}, not of {commit}")
    bound = own or commit
    if not _COMMIT.fullmatch(bound):
        raise UsageError(
            "the run names no commit, so nothing would tie it to a release: run it in a git repository, or give --commit SHA"
        )
    by_status: dict[Status, list[str]] = {}
    worst: dict[str, Status] = {}
    for outcome in recording.outcomes:
        known = worst.get(outcome.id, Status.PASS)
        worst[outcome.id] = max(known, outcome.status, key=lambda status: status.rank)
    for item in sorted(worst):
        by_status.setdefault(worst[item], []).append(item)
    subjects = [
        {"name": JOURNAL, "digest": {"sha256": journal_sha256}},
        {"name": COMMIT, "digest": {"gitCommit": bound}},
    ]
    schema = schema_digest(recording)
    if schema:
        subjects.append({"name": SCHEMA, "digest": {"sha256" if _SHA256.fullmatch(schema) else "golive": schema}})
    subjects += [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(artifacts.items())]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": _result(verdict),
            "configuration": [{"name": f"policy {verdict.policy}"}],
            "passedTests": by_status.get(Status.PASS, []),
            "warnedTests": [*by_status.get(Status.WARN, []), *by_status.get(Status.SKIP, [])],
            "failedTests": sorted(
                item for status in (Status.FAIL, Status.ERROR, Status.INCONCLUSIVE) for item in by_status.get(status, [])
            ),
            # The age of an attestation is that of its oldest evidence, not of its signature.
            "timestamp": _instant(recording.started_at),
            "signedAt": _instant(signed_at),
            "decision": str(verdict.decision),
            "waived": [finding.id for finding in verdict.waived],
            "release": {
                **{key: str(recording.release.get(key, "")) for key in ("name", "version")},
                "dirty": bool(recording.release.get("dirty")),
            },
        },
    }


def encode(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":")).encode()


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length, so that neither can pass for a part of the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sealed(envelope: Envelope) -> str:
    """The envelope as JSON in one line."""
    return (
        json.dumps(
            {
                "payloadType": envelope.payload_type,
                "payload": base64.b64encode(envelope.payload).decode(),
                "signatures": [
                    {"keyid": signature.keyid, "sig": base64.b64encode(signature.value).decode()}
                    for signature in envelope.signatures
                ],
            }
        )
        + "\n"
    )


def open_envelope(text: str) -> Envelope:
    """Raises Failure for what is no DSSE envelope of an in-toto statement; base64 with a bit to spare is none."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
        kind, payload = document["payloadType"], _decoded(document["payload"])
        signatures = tuple(
            Signature(keyid=str(item.get("keyid", "")), value=_decoded(item["sig"])) for item in document["signatures"]
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"the attestation is no DSSE envelope ({type(error).__name__}: {error})") from None
    if kind != PAYLOAD_TYPE:
        raise Failure(f"the attestation holds {kind!r}, expected {PAYLOAD_TYPE}")
    if not signatures:
        raise Failure("the attestation is not signed")
    return Envelope(payload_type=PAYLOAD_TYPE, payload=payload, signatures=signatures)


def read_statement(payload: bytes) -> dict[str, Any]:
    """The statement, once its signature was verified. Raises Failure for one that is none or that is about something else."""
    try:
        found = json.loads(payload, object_pairs_hook=_once)
        kinds = found["_type"], found["predicateType"]
        predicate, subjects = found["predicate"], found["subject"]
        for subject in subjects:
            str(subject["name"]), dict(subject["digest"])
        str(predicate["result"]), str(predicate["decision"]), datetime.fromisoformat(predicate["timestamp"]).astimezone(UTC)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"the payload is no statement about a test result ({type(error).__name__}: {error})") from None
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise Failure(f"the payload is {kinds[0]} about {kinds[1]}, expected {STATEMENT_TYPE} about {PREDICATE_TYPE}")
    statement: dict[str, Any] = found
    return statement


def files_of(statement: Mapping[str, Any]) -> Mapping[str, str]:
    """The relative paths of the files that a statement speaks of, with their SHA-256. Raises Failure for one that leads away."""
    found: dict[str, str] = {}
    for subject in statement["subject"]:
        name = str(subject["name"])
        if name in (COMMIT, SCHEMA):
            continue
        digest = str(subject["digest"].get("sha256", ""))
        path = PurePosixPath(name)
        if not _SHA256.fullmatch(digest) or path.is_absolute() or ".." in path.parts or name in found:
            raise Failure(f"the statement's subject {name!r} is not a file by its SHA-256")
        found[name] = digest
    if JOURNAL not in found:
        raise Failure(f"the statement does not speak of {JOURNAL}")
    return found


def faults(statement: Mapping[str, Any], digests: Mapping[str, str | None], wanted: Wanted) -> Iterator[str]:
    """Everything for which a statement with a good signature does not release. `digests` are those found; None: no such file."""
    predicate = statement["predicate"]
    if predicate["decision"] != Decision.GO or predicate["result"] not in ("PASSED", "WARNED"):
        yield f"the run was {predicate['decision']} ({predicate['result']}), not GO"
    if not predicate.get("passedTests"):
        yield "nothing passed in the run"
    began = datetime.fromisoformat(predicate["timestamp"]).astimezone(UTC)
    age = wanted.now - began
    if age > wanted.max_age:
        yield f"the run began at {_instant(began)}, {_span(age)} ago, expected at most {_span(wanted.max_age)}"
    elif age < -SKEW:
        yield f"the run began at {_instant(began)}, which is {_span(-age)} in the future"
    for name, digest in files_of(statement).items():
        found = digests.get(name)
        if found is None:
            yield f"{name} is missing; the attestation speaks of it"
        elif found != digest:
            yield f"{name} is not what was attested: its SHA-256 is {found}, expected {digest}"
    policies = [str(item.get("name", "")) for item in predicate.get("configuration", ())]
    if wanted.policy and policies != [f"policy {wanted.policy}"]:
        yield f"the run was judged by {', '.join(policies) or 'no policy'}, expected policy {wanted.policy}"
    yield from _bound(statement, COMMIT, "gitCommit", wanted.commit, always=True)
    yield from _bound(statement, SCHEMA, "", wanted.schema, always=False)


def _bound(statement: Mapping[str, Any], name: str, algorithm: str, wanted: str, *, always: bool) -> Iterator[str]:
    subject = next((item for item in statement["subject"] if item["name"] == name), None)
    digests = dict(subject["digest"]) if subject else {}
    found = str(digests.get(algorithm, "")) if algorithm else str(next(iter(digests.values()), ""))
    if not found and (always or wanted):
        yield f"the attestation is bound to no {name}"
    elif wanted and found != wanted:
        yield f"the attestation is for {name} {found}, expected {wanted}"


def _result(verdict: Verdict) -> str:
    if verdict.decision is not Decision.GO:
        return "FAILED"
    return "WARNED" if verdict.waived or verdict.noted else "PASSED"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _span(span: timedelta) -> str:
    minutes = int(span.total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _decoded(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 that is not canonical")
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # Two readers may take different ones.
        raise ValueError("a name stands twice in one object")
    return found
