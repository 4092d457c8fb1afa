"""Signatures of versions: who may publish, where checksums alone say that nothing was changed by accident.

    openssl genpkey -algorithm ed25519 -out signing.pem                 # stays with whoever publishes
    openssl pkey -in signing.pem -pubout -out verifying.pem             # goes to whoever loads, promotes or serves
    export HEMLINE_SIGNING_KEY=/etc/hemline/signing.pem HEMLINE_VERIFYING_KEY=/etc/hemline/verifying.pem

The signature is Ed25519's over manifest.json, which has the SHA-256 of every other file. Its raw bytes are in
manifest.sig, so OpenSSL can check it too.
"""

import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hemline.errors import ConfigurationError

SIGNATURE = "manifest.sig"
SIGNING, VERIFYING = "HEMLINE_SIGNING_KEY", "HEMLINE_VERIFYING_KEY"


def signature_of(manifest: bytes) -> bytes | None:
    """None unless this machine has a key to sign with."""
    key: Ed25519PrivateKey | None = _key(SIGNING)
    return key.sign(manifest) if key else None


def problem_of(manifest: bytes, signature: Path) -> str | None:
    """What is wrong with the signature of these bytes. Without a key to verify with, any will do, or none."""
    key: Ed25519PublicKey | None = _key(VERIFYING)
    if key is None:
        return None
    try:
        key.verify(signature.read_bytes(), manifest)
    except FileNotFoundError:
        return f"it is not signed, and {VERIFYING} is set"
    except InvalidSignature:
        return f"its signature is not by the key in {VERIFYING}"
    return None


def check_keys() -> None:
    """Raises ConfigurationError for keys that will not do, before a night is spent on a version."""
    signing, verifying = _key(SIGNING), _key(VERIFYING)
    if signing and verifying and signing.public_key() != verifying:
        raise ConfigurationError(
            f"what {SIGNING} signs, {VERIFYING} must verify. Received: keys that do not belong together. "
            "Make the one from the other; docs/team.md says how."
        )


def _key(setting: str) -> Any:
    """The key in the file that an environment variable names; None if it names none."""
    if not (name := os.environ.get(setting)):
        return None
    try:
        content = Path(name).read_bytes()
        key = load_pem_private_key(content, None) if setting == SIGNING else load_pem_public_key(content)
        if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
            raise ValueError("a key of another kind")
    except (OSError, TypeError, ValueError) as error:  # TypeError: it has a password
        raise ConfigurationError(
            f"{setting} must name an Ed25519 key in PEM without a password. Received: {setting}={name} "
            f"({type(error).__name__}). docs/team.md says how to make one."
        ) from error
    return key
