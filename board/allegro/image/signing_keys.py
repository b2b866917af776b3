"""Keys that sign update bundles: those of a release, or a development authority made at first use.

Nothing of it is in the repository. A release names its files by the environment: ALLEGRO_KEYRING (the
authorities that devices trust), ALLEGRO_SIGNING_CERT and ALLEGRO_SIGNING_KEY, all PEM. Otherwise image and
bundles use the authority in build/keys, which is made once and kept.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from board.allegro.image.workshop import BuildError

VARIABLES = ("ALLEGRO_KEYRING", "ALLEGRO_SIGNING_CERT", "ALLEGRO_SIGNING_KEY")
VALID_DAYS = 20 * 365


@dataclass(frozen=True)
class Keys:
    """PEM files: what devices trust, and what signs."""

    keyring: Path
    certificate: Path
    key: Path


def find_keys(folder: Path, environment: Mapping[str, str] = os.environ) -> Keys:
    """Return the release's keys if the environment names them, else the development ones in `folder`.

    Raises BuildError when the environment names only some of them, or files that are not there.
    """
    named = {name: environment[name] for name in VARIABLES if environment.get(name)}
    if not named:
        keys = Keys(folder / "keyring.pem", folder / "signing.pem", folder / "signing.key")
        if not keys.keyring.exists():
            make_authority(folder)
        return keys
    if missing := [name for name in VARIABLES if name not in named]:
        raise BuildError(
            f"{', '.join(named)} is set, but {', '.join(missing)} is not.\n"
            "Remedy: set all three (release keys) or none (development keys)."
        )
    for name, text in named.items():
        if not Path(text).is_file():
            raise BuildError(f"{name} names a file that is not there: {text}")
    return Keys(*(Path(named[name]).resolve() for name in VARIABLES))


def for_development(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether what leaves this machine is signed by its development authority: DEVELOPMENT=1.

    Raises BuildError if it would be, and nobody has asked for that.
    """
    if any(environment.get(name) for name in VARIABLES):
        return False
    if environment.get("DEVELOPMENT") == "1":
        return True
    raise BuildError(
        "There are no release keys, and the development key of this machine signs nothing that others run.\n"
        f"Remedy: {', '.join(VARIABLES)} name the release's keys; or DEVELOPMENT=1 makes an image that calls"
        " itself one for development, by its version."
    )


def make_authority(folder: Path) -> None:
    """Make a development authority and a signing key in `folder`; the keyring appears last."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority, root = make_certificate("Allegro development authority")
    key, certificate = make_certificate("Allegro development signing", issuer=(authority, root))
    write_key(folder / "authority.key", authority)
    write_key(folder / "signing.key", key)
    (folder / "signing.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    partial = folder / "keyring.partial"
    partial.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    partial.rename(folder / "keyring.pem")


def make_certificate(
    name: str,
    issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None = None,
    *,
    valid_from: datetime.datetime | None = None,
    valid_days: int = VALID_DAYS,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return a new key and its certificate: for signing code, or, without `issuer`, of an authority.

    Valid from a day before `valid_from` (default: now), for `valid_days`.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    start = (valid_from or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(days=1)
    signer, above = issuer if issuer else (key, None)
    usage = x509.KeyUsage(
        digital_signature=issuer is not None,
        key_cert_sign=issuer is None,
        crl_sign=issuer is None,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=valid_days))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if issuer:
        signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        builder = builder.add_extension(signing, critical=False)
    return key, builder.sign(signer, hashes.SHA256())


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key that only its owner can read."""
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(text)
