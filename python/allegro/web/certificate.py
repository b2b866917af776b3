"""The certificate of the page that the device makes itself at the first start (X.509, RFC 5280; EC P-256)."""

import ipaddress
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from allegro.keeping import Damaged, KeptFile, Unreadable, Value
from allegro.network.wifi_address import DEFAULT_ADDRESS

ORGANIZATION = "Allegro, made by the device itself"
LONGEST = timedelta(days=398)
"""What browsers and systems accept (CA/Browser Forum, Baseline Requirements, 6.3.2)."""

# The device's clock may be ahead of the browser's.
BACKDATED = timedelta(days=30)
VALID = LONGEST - BACKDATED - timedelta(days=1)
RENEW_BEFORE_END = timedelta(days=30)

_LONGEST_COMMON_NAME = 64  # ub-common-name of RFC 5280, appendix A; browsers look at the alternative names
EARLIER_ADDRESSES = 8
"""So many addresses that the device had before stay in it: it may get them again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CertificateInfo:
    """What a user compares before trusting it. `fingerprint` is SHA-256, pairs of hex digits with colons.

    `issuer`: who has signed it (RFC 4514).
    """

    fingerprint: str
    names: tuple[str, ...]
    begins: datetime
    ends: datetime
    issuer: str


def names_for(host_name: str, addresses: Sequence[str] = ()) -> list[str]:
    """Names by which the page is called: those of the device; in its own WiFi `allegro` and its address."""
    names = [*dict.fromkeys((*addresses, str(DEFAULT_ADDRESS.ip))), "allegro", "allegro.local"]
    if host_name not in ("", "allegro", "localhost"):
        names += [host_name, f"{host_name}.local"]
    return names


def ensure(file: Path, names: Sequence[str], now: datetime, passing: Sequence[str] = ()) -> CertificateInfo:
    """Certificate and key in `file` (PEM, mode 0600).

    Made anew, with the same key, if it is ending or lacks one of `names`; with another key if they are
    missing or unusable. `passing`: addresses that come in with a new one, but are no reason for one. As long
    as the file cannot be mended its last good copy counts (`usable`). Raises OSError if they cannot be read
    or written.
    """
    stored = kept(file)
    stored.mend()
    key = None
    match stored.read():
        case Unreadable(reason, number):
            raise OSError(number, reason)
        case Value(present, instead):
            if _holds(present, names, now):
                return present
            if isinstance(instead, Unreadable):
                raise OSError(instead.number, instead.reason)
            log.info(
                "The certificate is made anew: it ends or lasts too long, or a name or address is not in it"
            )
            key = _own_key(usable(file))
            names = [*_more(present.names, names, passing), *names]
        case Damaged(reason):
            log.error("The certificate cannot be used (%s) and is made anew", reason)
    made = _made(names, now, key or ec.generate_private_key(ec.SECP256R1()))
    stored.write(made)
    return _info(made)


def _own_key(file: Path) -> ec.EllipticCurvePrivateKey | None:
    """The key in `file`, if it is of the kind that is made here. Raises OSError, ValueError."""
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _more(present: Sequence[str], names: Sequence[str], passing: Sequence[str]) -> list[str]:
    earlier = [name for name in present if _is_address(name)][-EARLIER_ADDRESSES:]
    return [name for name in dict.fromkeys((*passing, *earlier)) if name not in names]


def _holds(present: CertificateInfo, names: Sequence[str], now: datetime) -> bool:
    soon = present.ends - now <= RENEW_BEFORE_END or now < present.begins
    return not soon and present.ends - present.begins <= LONGEST and set(names) <= set(present.names)


def kept(file: Path) -> KeptFile[CertificateInfo]:
    """The file of certificate and key."""
    return KeptFile(file, _info)


def usable(file: Path) -> Path:
    """Where certificate and key can be read: in `file`, or else in its last good copy."""
    stored = kept(file)
    match stored.read():
        case Value(_, instead) if instead is not None:
            return stored.copy
        case _:
            return file


def tls(file: Path) -> ssl.SSLContext:
    """What connections are greeted with: this certificate, TLS 1.2 or later."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def public_part(file: Path) -> bytes:
    """The certificate without its key, PEM."""
    return _certificate(file.read_bytes()).public_bytes(serialization.Encoding.PEM)


def _certificate(content: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(content)


def _info(content: bytes) -> CertificateInfo:
    certificate = _certificate(content)
    key = serialization.load_pem_private_key(content, password=None)
    if key.public_key() != certificate.public_key():
        raise ValueError("its key is another one's")
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    names = (
        *alternative.get_values_for_type(x509.DNSName),
        *map(str, alternative.get_values_for_type(x509.IPAddress)),
    )
    return CertificateInfo(
        certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
        names,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.issuer.rfc4514_string(),
    )


def request(file: Path, names: Sequence[str]) -> str:
    """A request for a certificate of the key in `file` (PKCS #10, RFC 2986; PEM).

    Raises OSError, or ValueError for a key of another kind than the device makes.
    """
    key = _own_key(file)
    if key is None:
        raise ValueError("the key is of another kind than the device makes")
    made = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[-1][:_LONGEST_COMMON_NAME])]))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _made(names: Sequence[str], now: datetime, key: ec.EllipticCurvePrivateKey) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, names[-1][:_LONGEST_COMMON_NAME]),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + private


def _general_name(name: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_address(name)) if _is_address(name) else x509.DNSName(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)
