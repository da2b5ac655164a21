"""Keys: ECDSA on P-256 with SHA-256, in PEM, as openssl makes and reads them. The one home of `cryptography`.

No key is ever printed or put into an error.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gate.errors import Failure, GateError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

__all__ = ["generate", "key_id", "private_key", "public_key", "sign", "verify"]

CURVE = "secp256r1"
PASSPHRASE_VARIABLE = "GOLIVE_KEY_PASSPHRASE"  # noqa: S105 – the name of one


def generate(path: Path) -> Path:
    """Writes a new private key to `path`, for its owner alone, and the public one beside it, whose path is returned.

    Raises UsageError where either is there already: a key that was lost cannot be had back.
    """
    crypto = _crypto()
    key = crypto.ec.generate_private_key(crypto.ec.SECP256R1())
    public = path.with_name(f"{path.name}.pub")
    serialization = crypto.serialization
    texts = (
        (
            path,
            0o600,
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        ),
        (
            public,
            0o644,
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        ),
    )
    for target, _, _ in texts:
        if target.exists():
            raise UsageError(f"{target} exists; a key is never overwritten")
    for target, mode, text in texts:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        except OSError as error:
            raise UsageError(f"{target}: cannot be written ({error.strerror})") from None
    return public


def private_key(path: Path, passphrase: str = "") -> EllipticCurvePrivateKey:
    """Raises UsageError for a file that is not there, is no private key on P-256, or needs another passphrase."""
    crypto = _crypto()
    try:
        key = crypto.serialization.load_pem_private_key(_read(path), password=passphrase.encode() or None)
    except TypeError:
        hint = "it has no passphrase" if passphrase else f"it needs a passphrase: set {PASSPHRASE_VARIABLE}"
        raise UsageError(f"{path}: the key cannot be read, {hint}") from None
    except (ValueError, crypto.UnsupportedAlgorithm):
        raise UsageError(f"{path}: no private key in PEM, or another passphrase is needed") from None
    if not isinstance(key, crypto.ec.EllipticCurvePrivateKey) or key.curve.name != CURVE:
        raise UsageError(f"{path}: not a key on P-256; make one with `golive sign --generate-key`")
    found: EllipticCurvePrivateKey = key
    return found


def public_key(path: Path) -> EllipticCurvePublicKey:
    """Raises UsageError for a file that is not there or is no public key on P-256."""
    crypto = _crypto()
    text = _read(path)
    if b"PRIVATE KEY" in text:
        raise UsageError(f"{path}: a private key; verify with the public one, and keep this one to yourself")
    try:
        key = crypto.serialization.load_pem_public_key(text)
    except (ValueError, crypto.UnsupportedAlgorithm):
        raise UsageError(f"{path}: no public key in PEM") from None
    if not isinstance(key, crypto.ec.EllipticCurvePublicKey) or key.curve.name != CURVE:
        raise UsageError(f"{path}: not a key on P-256")
    found: EllipticCurvePublicKey = key
    return found


def key_id(key: EllipticCurvePublicKey) -> str:
    """SHA-256 in hex of the key in DER: `openssl pkey -pubin -in KEY -outform DER | openssl dgst -sha256`."""
    serialization = _crypto().serialization
    return hashlib.sha256(
        key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ).hexdigest()


def sign(key: EllipticCurvePrivateKey, data: bytes) -> bytes:
    """The signature in DER."""
    crypto = _crypto()
    return key.sign(data, crypto.ec.ECDSA(crypto.hashes.SHA256()))


def verify(key: EllipticCurvePublicKey, signature: bytes, data: bytes) -> None:
    """Raises Failure when the signature is not this key's over these bytes."""
    crypto = _crypto()
    try:
        key.verify(signature, data, crypto.ec.ECDSA(crypto.hashes.SHA256()))
    except crypto.InvalidSignature:
        raise Failure("the signature is not this key's over this attestation") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the key cannot be read ({error.strerror})") from None


class _Crypto:
    """What is used of `cryptography`, so that its absence is one clear line."""

    def __init__(self) -> None:
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        self.InvalidSignature = InvalidSignature
        self.UnsupportedAlgorithm = UnsupportedAlgorithm
        self.hashes: Any = hashes
        self.serialization: Any = serialization
        self.ec: Any = ec


def _crypto() -> _Crypto:
    try:
        return _Crypto()
    except ImportError:
        raise GateError("signing and verifying need the extra 'attest': python -m pip install 'golive[attest]'") from None
