"""Certificate authorities, signers and servers made for a test."""

import datetime
import ipaddress
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A key and its certificate as files (PEM); `chain` is both in one."""

    key: Path
    certificate: Path
    chain: Path


class TestAuthority:
    """A certificate authority in a folder."""

    __test__ = False

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 400 * DAY)
            .not_valid_after(now + 400 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = made.public_bytes(serialization.Encoding.PEM).decode()
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_text(self.pem)

    def issue(
        self, name: str, *, server: bool = False, client: bool = False, days: tuple[int, int] = (-1, 100)
    ) -> Signed:
        """A key with a certificate that is valid from the first to the second day from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * DAY)
            .not_valid_after(now + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if server:
            addresses = [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "10.0.2.2")]
            names = [x509.DNSName("localhost"), *addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            usage = ExtendedKeyUsageOID.SERVER_AUTH
        else:
            usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.EMAIL_PROTECTION
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made = Signed(*(self._folder / f"{name}.{kind}.pem" for kind in ("key", "certificate", "chain")))
        made.key.write_bytes(private)
        made.certificate.write_bytes(certificate)
        made.chain.write_bytes(private + certificate)
        return made


def cms(content: bytes, signer: Signed, *, day: int = 0, options: tuple[str, ...] = ()) -> bytes:
    """The content, signed so many days from now; `options` are further ones of openssl cms."""
    command = ["faketime", "-f", f"{day:+}d"] if day else []
    command += ["openssl", "cms", "-sign", "-binary", "-nodetach", "-outform", "DER", *options]
    command += ["-signer", str(signer.certificate), "-inkey", str(signer.key)]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout
