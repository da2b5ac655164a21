"""What was signed verifies, with openssl too; whatever was changed, is old, is for something else or was no GO does not."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gate import attestation, signing
from gate.errors import GateError, UsageError
from gate.journal import JOURNAL, Journal
from gate.model import Evidence, Outcome, Status
from gate.policy import Policy
from harness.attest_command import run_sign, run_verify
from harness.policies import policy_of_run
from harness.tests.running import golive

POLICY = Policy(name="test")
COMMIT = "c0ffee" * 6 + "beef"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "attestation.md"


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "golive.pem"
    signing.generate(path)
    return path


def outcome(status: Status, name: str = "schema.a") -> Outcome:
    evidence = (Evidence(label="rows", value=1),) if status is Status.PASS else ()
    return Outcome(id=name, status=status, reason="" if evidence else "because", evidence=evidence, observed_at=datetime.now(UTC))


def recorded(directory: Path, *statuses: Status, age: timedelta = timedelta(0), commit: str = COMMIT) -> Path:
    journal = Journal.create(directory / JOURNAL, release={"name": "shop", "commit": commit}, now=lambda: datetime.now(UTC) - age)
    for number, status in enumerate(statuses or (Status.PASS,)):
        journal.append(outcome(status, f"schema.n-{number}"))
    journal.fact("schema_digest", "ab" * 32)
    (directory / "GOLIVE_REPORT.md").write_text("# The report\n")
    return directory


def sign(run: Path, keys: Path, *, artifacts: tuple[Path, ...] = (), commit: str = "", policy: Policy = POLICY) -> list[str]:
    said: list[str] = []
    status = run_sign(
        run, keys, policy, artifacts=artifacts, commit=commit, out=None, environment={}, form="text", echo=said.append
    )
    assert status == 0
    return said


def verify(source: Path, key: Path, **more: Any) -> tuple[int, str]:
    said: list[str] = []
    options: dict[str, Any] = {"artifacts": (), "commit": "", "schema": "", "policy": "", "max_age": timedelta(hours=24)} | more
    status = run_verify(source, key, form="text", echo=said.append, **options)
    return status, "\n".join(said)


def public(keys: Path) -> Path:
    return keys.with_name(f"{keys.name}.pub")


@pytest.fixture
def signed(tmp_path: Path, keys: Path) -> Path:
    run = recorded(tmp_path / "run")
    sign(run, keys)
    return run


def test_what_was_signed_verifies_by_its_run_and_by_its_file(signed: Path, keys: Path) -> None:
    for source in (signed, signed / attestation.FILE):
        status, said = verify(source, public(keys), commit=COMMIT, schema="ab" * 32, policy="test")
        assert status == 0, said
        assert f"verified, GO for commit {COMMIT}" in said
        assert "GOLIVE_REPORT.md, journal.jsonl" in said


def test_the_statement_is_bound_to_journal_commit_schema_documents_and_artifacts(tmp_path: Path, keys: Path) -> None:
    run = recorded(tmp_path / "run", Status.PASS, Status.WARN)
    wheel = tmp_path / "backend.whl"
    wheel.write_bytes(b"PK")
    sign(run, keys, artifacts=(wheel,), policy=Policy(name="test", hold_at_warnings=2))
    payload = attestation.open_envelope((run / attestation.FILE).read_text()).payload
    statement = attestation.read_statement(payload)
    assert [item["name"] for item in statement["subject"]] == [
        "journal.jsonl",
        "commit",
        "database schema",
        "GOLIVE_REPORT.md",
        "backend.whl",
    ]
    predicate = statement["predicate"]
    assert (predicate["result"], predicate["decision"]) == ("WARNED", "GO")
    assert (predicate["passedTests"], predicate["warnedTests"], predicate["failedTests"]) == (["schema.n-0"], ["schema.n-1"], [])
    assert verify(run, public(keys), artifacts=(wheel,))[0] == 0
    status, said = verify(run, public(keys))
    assert status == 1
    assert "backend.whl is missing" in said
    wheel.write_bytes(b"PK!")
    assert "backend.whl is not what was attested" in verify(run, public(keys), artifacts=(wheel,))[1]
    other = tmp_path / "other.whl"
    other.write_bytes(b"PK")
    assert "the attestation does not speak of it" in verify(run, public(keys), artifacts=(wheel, other))[1]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_bit_of_payload_signature_journal_or_document_can_change(data: st.DataObject, signed: Path, keys: Path) -> None:
    name = data.draw(st.sampled_from(["payload", "sig", "keyid", "payloadType", JOURNAL, "GOLIVE_REPORT.md"]))
    path = signed / (name if (signed / name).exists() else attestation.FILE)
    whole = path.read_bytes()
    if path.name == attestation.FILE:
        value = json.loads(whole) | json.loads(whole)["signatures"][0]
        begin = whole.index(value[name].encode())
        position = begin + data.draw(st.integers(0, len(value[name]) - 1))
    else:
        position = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(changed)
        assert verify(signed, public(keys))[0] == 1
    finally:
        path.write_bytes(whole)
    assert verify(signed, public(keys))[0] == 0


@pytest.mark.parametrize("name", [JOURNAL, "GOLIVE_REPORT.md", attestation.FILE])
def test_a_file_that_is_gone_is_no_proof(name: str, signed: Path, keys: Path) -> None:
    (signed / name).unlink()
    assert verify(signed, public(keys))[0] == 1


def test_another_key_does_not_verify(signed: Path, tmp_path: Path) -> None:
    other = signing.generate(tmp_path / "other.pem")
    status, said = verify(signed, other)
    assert status == 1
    assert "signed by another key" in said
    # Nor does a signature of another that calls itself by our name.
    path = signed / attestation.FILE
    document = json.loads(path.read_text())
    document["signatures"][0]["keyid"] = signing.key_id(signing.public_key(other))
    path.write_text(json.dumps(document))
    assert "the signature is not this key's" in verify(signed, other)[1]


@pytest.mark.parametrize(("status", "word"), [(Status.FAIL, "NO-GO"), (Status.ERROR, "HOLD"), (Status.INCONCLUSIVE, "HOLD")])
def test_what_was_no_go_can_be_signed_and_never_verifies(status: Status, word: str, tmp_path: Path, keys: Path) -> None:
    run = recorded(tmp_path / "run", Status.PASS, status)
    assert f"`golive verify` will refuse a {word}" in " ".join(sign(run, keys))
    code, said = verify(run, public(keys))
    assert code == 1
    assert f"the run was {word} (FAILED), not GO" in said


def test_age_is_that_of_the_run_and_not_of_the_signature(tmp_path: Path, keys: Path) -> None:
    run = recorded(tmp_path / "run", age=timedelta(hours=25))
    sign(run, keys)
    status, said = verify(run, public(keys))
    assert status == 1
    assert "25 h 0 min ago, expected at most 24 h 0 min" in said
    assert verify(run, public(keys), max_age=timedelta(hours=26))[0] == 0
    future = recorded(tmp_path / "future", age=-timedelta(hours=1))
    sign(future, keys)
    assert "in the future" in verify(future, public(keys))[1]


def test_another_commit_schema_or_policy_is_told(signed: Path, keys: Path) -> None:
    status, said = verify(signed, public(keys), commit="d" * 40, schema="cd" * 32, policy="release")
    assert status == 1
    assert f"is for commit {COMMIT}, expected {'d' * 40}" in said
    assert f"is for database schema {'ab' * 32}, expected {'cd' * 32}" in said
    assert "judged by policy test, expected policy release" in said


def test_a_run_without_a_commit_is_bound_by_hand_or_not_signed(tmp_path: Path, keys: Path) -> None:
    run = recorded(tmp_path / "run", commit="")
    with pytest.raises(UsageError, match="names no commit"):
        sign(run, keys)
    sign(run, keys, commit=COMMIT)
    assert verify(run, public(keys), commit=COMMIT)[0] == 0
    with pytest.raises(UsageError, match=f"is of commit {COMMIT}, not of"):
        sign(recorded(tmp_path / "other"), keys, commit="d" * 40)


def test_a_damaged_journal_is_not_signed(tmp_path: Path, keys: Path) -> None:
    run = recorded(tmp_path / "run")
    (run / JOURNAL).write_bytes((run / JOURNAL).read_bytes()[:-30])
    with pytest.raises(UsageError, match="not whole"):
        sign(run, keys)


def resigned(run: Path, keys: Path, change: Any) -> None:
    """Signs the statement again after a change that `golive sign` would not make."""
    path = run / attestation.FILE
    statement = attestation.read_statement(attestation.open_envelope(path.read_text()).payload)
    change(statement)
    payload = attestation.encode(statement)
    key = signing.private_key(keys)
    value = signing.sign(key, attestation.pre_authentication_encoding(attestation.PAYLOAD_TYPE, payload))
    signature = attestation.Signature(keyid=signing.key_id(key.public_key()), value=value)
    path.write_text(
        attestation.sealed(attestation.Envelope(payload_type=attestation.PAYLOAD_TYPE, payload=payload, signatures=(signature,)))
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda one: one.update(predicateType="https://slsa.dev/provenance/v1"),
            "expected https://in-toto.io/Statement/v1 about",
        ),
        (lambda one: one["predicate"].pop("timestamp"), "no statement about a test result"),
        (lambda one: one["predicate"].update(passedTests=[]), "nothing passed in the run"),
        (lambda one: one["subject"].pop(0), "does not speak of journal.jsonl"),
        (lambda one: one["subject"].pop(1), "bound to no commit"),
        (lambda one: one["subject"][3].update(name="../../etc/passwd"), "is not a file by its SHA-256"),
        (lambda one: one["subject"][3].update(digest={"md5": "0" * 32}), "is not a file by its SHA-256"),
        (lambda one: one["predicate"].update(result="FAILED"), "not GO"),
    ],
)
def test_a_good_signature_alone_is_not_enough(change: Any, complaint: str, signed: Path, keys: Path) -> None:
    resigned(signed, keys, change)
    status, said = verify(signed, public(keys))
    assert status == 1
    assert complaint in said


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "{" * 100_000, '{"payloadType": 1}', "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")],
)
def test_what_is_no_envelope_is_one_reason_and_no_traceback(text: str, signed: Path, keys: Path) -> None:
    (signed / attestation.FILE).write_text(text)
    status, said = verify(signed, public(keys))
    assert status == 1
    assert "no DSSE envelope" in said


def test_base64_that_says_the_same_in_another_way_is_refused(signed: Path, keys: Path) -> None:
    path = signed / attestation.FILE
    document = json.loads(path.read_text())
    # Two bytes leave two bits of the last character to spare.
    document["payload"] = base64.b64encode(b"xy").decode().replace("k=", "l=")
    assert base64.b64decode(document["payload"]) == b"xy"
    path.write_text(json.dumps(document))
    assert "base64 that is not canonical" in verify(signed, public(keys))[1]


def test_an_unsigned_envelope_and_one_of_another_kind_are_refused(signed: Path, keys: Path) -> None:
    path = signed / attestation.FILE
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"signatures": []}))
    assert "is not signed" in verify(signed, public(keys))[1]
    path.write_text(json.dumps(document | {"payloadType": "text/plain"}))
    assert "holds 'text/plain'" in verify(signed, public(keys))[1]
    path.write_text(path.read_text()[:-1] + ', "payload": "e30="}')
    assert "stands twice" in verify(signed, public(keys))[1]


def test_a_key_is_made_for_its_owner_alone_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "golive.pem"
    assert signing.generate(path) == tmp_path / "keys" / "golive.pem.pub"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UsageError, match="never overwritten"):
        signing.generate(path)


def test_what_is_no_key_on_p256_is_one_clear_line_without_the_key(tmp_path: Path, keys: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP384R1())
    pem = serialization.Encoding.PEM
    path = tmp_path / "p384.pem"
    path.write_bytes(
        other.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"canary"))
    )
    for passphrase, complaint in (("", "needs a passphrase"), ("wrong", "another passphrase"), ("canary", "not a key on P-256")):
        with pytest.raises(UsageError, match=complaint) as told:
            signing.private_key(path, passphrase)
        assert "canary" not in str(told.value)
    with pytest.raises(UsageError, match="it has no passphrase"):
        signing.private_key(keys, "x")
    with pytest.raises(UsageError, match="a private key; verify with the public one"):
        signing.public_key(keys)
    with pytest.raises(UsageError, match="No such file"):
        signing.public_key(tmp_path / "nowhere")
    path.write_text("x")
    with pytest.raises(UsageError, match="no public key in PEM"):
        signing.public_key(path)
    with pytest.raises(UsageError, match="no private key in PEM"):
        signing.private_key(path)


def test_without_the_extra_it_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, keys: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography.exceptions", None)
    with pytest.raises(GateError, match=r"need the extra 'attest': python -m pip install 'golive\[attest\]'"):
        signing.private_key(keys)


def test_the_policy_is_that_by_which_the_run_was_judged(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="give --policy"):
        policy_of_run(tmp_path / "run", tmp_path)
    (tmp_path / "run" / "verdict.json").write_text('{"policy": "release"}')
    assert policy_of_run(tmp_path / "run", tmp_path).name == "release"
    (tmp_path / "run" / "verdict.json").write_text('{"policy": "nobody\'s"}')
    with pytest.raises(UsageError, match="'nobody's' was|which is not found here"):
        policy_of_run(tmp_path / "run", tmp_path)


@pytest.mark.process
def test_the_commands_sign_and_verify_and_never_print_a_key(tmp_path: Path) -> None:
    recorded(tmp_path / "run")
    made = golive("sign", "--generate-key", "golive.pem", cwd=tmp_path)
    assert made.status == 0
    done = golive("sign", "run", "--key", "golive.pem", "--policy", "gate", "--format", "json", cwd=tmp_path)
    assert done.status == 0
    assert json.loads(done.output)["statement"]["predicate"]["decision"] == "GO"
    verified = golive("verify", "run", "--key", "golive.pem.pub", "--format", "json", cwd=tmp_path)
    assert verified.status == 0
    assert json.loads(verified.output)["verified"] is True
    (tmp_path / "run" / "GOLIVE_REPORT.md").write_text("# Another report\n")
    refused = golive("verify", "run", "--key", "golive.pem.pub", cwd=tmp_path)
    assert refused.status == 1
    assert "NOT VERIFIED\n  GOLIVE_REPORT.md is not what was attested" in refused.output
    body = "".join((tmp_path / "golive.pem").read_text().splitlines()[1:-1])
    assert body[40:80] not in "".join(item.output + item.errors for item in (made, done, verified, refused))
    assert golive("sign", "run", cwd=tmp_path).status == 2
    assert golive("verify", "run", "--key", "nowhere", cwd=tmp_path).status == 2


def needs_openssl() -> None:
    missing = [tool for tool in ("openssl", "jq", "bash", "sha256sum") if shutil.which(tool) is None]
    if missing and not os.environ.get("GOLIVE_REQUIRE_OPENSSL"):
        pytest.skip(f"there is no {' and no '.join(missing)} here")
    assert not missing


def recipe() -> str:
    found = re.search(r"<!-- verified with openssl alone -->\n```bash\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def run_recipe(run: Path, key: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", recipe()], cwd=run, env=os.environ | {"P": str(key)}, capture_output=True, text=True, check=False
    )


@pytest.mark.process
def test_the_recipe_of_the_documentation_verifies_with_openssl_and_jq_alone(signed: Path, keys: Path, tmp_path: Path) -> None:
    needs_openssl()
    done = run_recipe(signed, public(keys))
    assert done.returncode == 0, done.stderr
    assert "Verified OK" in done.stdout
    assert f"commit {COMMIT}" in done.stdout
    assert run_recipe(signed, signing.generate(tmp_path / "other.pem")).returncode != 0
    path = signed / attestation.FILE
    whole = path.read_text()
    document = json.loads(whole)
    payload = base64.b64decode(document["payload"]).replace(b'"result":"PASSED"', b'"result":"WARNED"')
    path.write_text(json.dumps(document | {"payload": base64.b64encode(payload).decode()}))
    assert run_recipe(signed, public(keys)).returncode != 0
    path.write_text(whole)
    (signed / "GOLIVE_REPORT.md").write_text("# Another report\n")
    assert run_recipe(signed, public(keys)).returncode != 0


@pytest.mark.process
def test_the_recipe_refuses_what_is_signed_and_no_go(tmp_path: Path, keys: Path) -> None:
    needs_openssl()
    run = recorded(tmp_path / "run", Status.FAIL)
    sign(run, keys)
    done = run_recipe(run, public(keys))
    assert "Verified OK" in done.stdout
    assert done.returncode != 0


@pytest.mark.process
def test_a_key_of_openssl_signs_as_well_as_one_of_ours(tmp_path: Path) -> None:
    needs_openssl()
    script = re.search(r"```bash\n(openssl genpkey.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    subprocess.run(["bash", "-ec", script[1]], cwd=tmp_path, check=True, capture_output=True)
    run = recorded(tmp_path / "run")
    sign(run, tmp_path / "golive.pem")
    assert verify(run, tmp_path / "golive.pem.pub")[0] == 0
