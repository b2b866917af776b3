"""Keys that sign bundles: release keys by the environment, or a development authority made once."""

from pathlib import Path

import pytest
from cryptography import x509

from board.allegro.image.signing_keys import find_keys, for_development
from board.allegro.image.workshop import BuildError


def test_development_keys_are_made_once_and_only_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = find_keys(folder, {})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert find_keys(folder, {}) == keys
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert folder.stat().st_mode & 0o077 == 0
    assert keys.key.stat().st_mode & 0o077 == 0


def test_the_keyring_vouches_for_the_signing_certificate(tmp_path: Path) -> None:
    keys = find_keys(tmp_path / "keys", {})
    authority = x509.load_pem_x509_certificate(keys.keyring.read_bytes())
    signing = x509.load_pem_x509_certificate(keys.certificate.read_bytes())
    signing.verify_directly_issued_by(authority)
    usage = signing.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CODE_SIGNING]
    assert not signing.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_release_keys_come_from_the_environment(tmp_path: Path) -> None:
    files = {
        name: tmp_path / name for name in ("ALLEGRO_KEYRING", "ALLEGRO_SIGNING_CERT", "ALLEGRO_SIGNING_KEY")
    }
    for file in files.values():
        file.write_text("x")
    environment = {name: str(file) for name, file in files.items()}
    keys = find_keys(tmp_path / "none", environment)
    assert (keys.keyring, keys.certificate, keys.key) == tuple(files.values())
    assert not (tmp_path / "none").exists()
    with pytest.raises(BuildError, match="ALLEGRO_SIGNING_KEY is not"):
        find_keys(tmp_path / "none", {**environment, "ALLEGRO_SIGNING_KEY": ""})
    files["ALLEGRO_KEYRING"].unlink()
    with pytest.raises(BuildError, match="not there"):
        find_keys(tmp_path / "none", environment)


@pytest.mark.spec("S4")
def test_the_development_key_signs_for_others_only_when_asked_to() -> None:
    with pytest.raises(BuildError, match="DEVELOPMENT=1"):
        for_development({})
    with pytest.raises(BuildError, match="DEVELOPMENT=1"):
        for_development({"DEVELOPMENT": "0"})
    assert for_development({"DEVELOPMENT": "1"})
    assert not for_development({"DEVELOPMENT": "1", "ALLEGRO_SIGNING_KEY": "release.key"})
