"""Signed versions: what a key refuses, wherever a version is used, and that OpenSSL agrees."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from hemline.errors import ConfigurationError, VersionError
from hemline.records.run import Decision
from hemline.registry import versions
from hemline.registry.champion import Registry
from hemline.registry.signatures import SIGNATURE, SIGNING, VERIFYING, check_keys
from hemline.registry.versions import DIGEST, MANIFEST
from hemline.storage.files import sha256_of
from tests.hemline.registry.published import make_version


def write_key(directory: Path, name: str) -> tuple[Path, Path]:
    """A private key and its public one, in the format of `openssl genpkey` and `openssl pkey -pubout`."""
    key, private, public = Ed25519PrivateKey.generate(), directory / f"{name}.pem", directory / f"{name}-public.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """This machine signs and verifies."""
    private, public = write_key(tmp_path, "ours")
    monkeypatch.setenv(SIGNING, str(private))
    monkeypatch.setenv(VERIFYING, str(public))
    return private, public


@pytest.fixture
def signed(keys: tuple[Path, Path], tmp_path: Path) -> Path:
    return tmp_path / "models" / "tiny" / make_version(tmp_path)


def refused(path: Path) -> str:
    with pytest.raises(VersionError, match="Do not use it; take another version") as caught:
        versions.verify(path)
    return caught.value.problem


def test_a_signed_version_verifies_with_and_without_the_key(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SIGNATURE not in versions.verify(signed).files
    monkeypatch.delenv(VERIFYING)
    assert versions.verify(signed).version == "1"


def test_openssl_checks_it_too(signed: Path, keys: tuple[Path, Path]) -> None:
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"]
    files = ["-in", str(signed / MANIFEST), "-sigfile", str(signed / SIGNATURE)]
    assert "Verified Successfully" in subprocess.run([*command, *files], capture_output=True, text=True).stdout


def test_one_that_is_not_signed_is_refused(tmp_path: Path, keys: tuple[Path, Path]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(SIGNING)
        path = tmp_path / "models" / "tiny" / make_version(tmp_path)
    assert not (path / SIGNATURE).exists()
    assert refused(path) == f"it is not signed, and {VERIFYING} is set"


def test_one_that_another_key_signed_is_refused(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VERIFYING, str(write_key(tmp_path, "theirs")[1]))
    assert refused(signed) == f"its signature is not by the key in {VERIFYING}"


def test_whoever_changes_a_file_and_all_checksums_is_refused(signed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checksums alone let this pass: it is what signatures are for."""
    before = sha256_of(signed / "model.keras")
    (signed / "model.keras").write_bytes(b"other weights")
    manifest = (signed / MANIFEST).read_text().replace(before, sha256_of(signed / "model.keras"))
    (signed / MANIFEST).write_text(manifest)
    (signed / DIGEST).write_text(f"{sha256_of(signed / MANIFEST)}  {MANIFEST}\n")
    assert refused(signed).startswith("its signature is not by")
    monkeypatch.delenv(VERIFYING)
    assert versions.verify(signed)


@pytest.mark.parametrize("position", [0, 31, -1])
def test_a_flipped_bit_of_the_signature_is_refused(
    signed: Path, position: int, flip_byte: Callable[[Path, int], None]
) -> None:
    flip_byte(signed / SIGNATURE, position)
    assert refused(signed).startswith("its signature is not by")


def test_a_signature_that_is_a_link_is_refused(signed: Path, tmp_path: Path) -> None:
    (signed / SIGNATURE).rename(tmp_path / "elsewhere")
    (signed / SIGNATURE).symlink_to(tmp_path / "elsewhere")
    assert refused(signed) == f"{SIGNATURE} is a symbolic link"


def test_no_way_makes_an_unsigned_version_the_champion(signed: Path, tmp_path: Path) -> None:
    registry, unsigned = Registry(tmp_path, "tiny"), make_version(tmp_path)
    registry.promote(unsigned, by="ada@laptop", reason="it was signed")
    registry.promote("1", by="ada@laptop", reason="better")
    (tmp_path / "models" / "tiny" / unsigned / SIGNATURE).unlink()
    verdict = Decision(verdict="promoted", champion="1", challenger=unsigned, sentence="better", measurements={})
    for attempt in (
        lambda: registry.promote(unsigned, "ada@laptop", "better"),
        lambda: registry.rollback("ada@laptop", "worse", unsigned),
        lambda: registry.record(verdict, "a run"),
        lambda: versions.load(registry.path(unsigned)),
    ):
        with pytest.raises(VersionError, match="it is not signed"):
            attempt()
    assert [entry.version for entry in registry.entries()] == [unsigned, "1"]


def test_a_key_that_cannot_be_used_is_refused_before_anything_is_trained(
    keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_keys()
    other = generate_private_key(SECP256R1())
    (tmp_path / "curve.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name in ("none.pem", "curve.pem", "ours-public.pem"):
        monkeypatch.setenv(SIGNING, str(tmp_path / name))
        with pytest.raises(ConfigurationError, match=f"{SIGNING} must name an Ed25519 key in PEM"):
            check_keys()
    monkeypatch.setenv(SIGNING, str(write_key(tmp_path, "theirs")[0]))
    with pytest.raises(ConfigurationError, match="keys that do not belong together"):
        check_keys()
