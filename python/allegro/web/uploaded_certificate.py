"""What a certificate has to be that somebody uploads for the page (PEM, RFC 7468; X.509, RFC 5280)."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from allegro.errors import InvalidInput

LONGEST = 64 * 1024
"""Characters of what is uploaded."""

MOST_IN_CHAIN = 10
RSA_BITS = range(2048, 8193)
"""Browsers take no shorter ones (CA/Browser Forum, Baseline Requirements, 6.1.5); longer ones take a small
device too long."""

CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""What browsers take, as cryptography calls them."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PLACE = "pem"

# What reading certificates and keys of others may raise: their bytes can be wrong anywhere.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension)


def judged(text: str, own_key: bytes, now: datetime) -> bytes:
    """The certificate, its chain and its key in this order (PEM), if the page can be served with them.

    `text` holds them in any order; without a key the certificate has to be one for `own_key` (PEM). Raises
    InvalidInput with the reason.
    """
    if len(text) > LONGEST:
        raise _refusal("This is longer than any certificate with its chain.")
    certificates, given = _read(text)
    key = _private_key(given or own_key)
    of_key = [each for each in certificates if _public_key(each) == key.public_key()]
    if not of_key:
        if given:
            raise _refusal("The key fits none of the certificates.", "Send the key that it was made with.")
        raise _refusal(
            "The certificate is not one for the device's own key, and no other key was sent.",
            "Add its private key, or have the device's own request signed.",
        )
    chain = _in_order(of_key[0], certificates)
    try:
        parties = [party.rfc4514_string() for each in chain for party in (each.subject, each.issuer)]
    except _UNREADABLE as error:
        raise _refusal(f"A name of an owner or issuer makes no sense ({_why(error)}).") from error
    _check_shown(*parties)
    for each in chain:
        _check_time(each, now)
        _check_key(_public_key(each), _name(each))
        _check_signature(each)
    _check_purpose(chain[0])
    private: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain) + private


def _read(text: str) -> tuple[list[x509.Certificate], bytes]:
    """All certificates, each once, and the key, empty if there is none."""
    certificates: list[x509.Certificate] = []
    keys = []
    for block in _BLOCK.finditer(text):
        kind, content = block[1], block[0].encode("ascii", "replace")
        if kind == "CERTIFICATE":
            certificate = _certificate(content, len(certificates) + 1)
            if certificate not in certificates:
                certificates.append(certificate)
        elif kind == "ENCRYPTED PRIVATE KEY" or b"Proc-Type: 4,ENCRYPTED" in content:
            raise _refusal("The key is protected by a password.", "Send it without (openssl pkey -in …).")
        elif kind.endswith("PRIVATE KEY"):
            keys.append(content)
        elif kind.endswith("CERTIFICATE REQUEST"):
            raise _refusal("This is a request, not a certificate.", "Send what the authority has made of it.")
        elif kind != "EC PARAMETERS":  # openssl ecparam puts these before a key
            raise _refusal(f"This holds something else than certificates and a key ({kind.lower()}).")
    if not certificates:
        raise _refusal(
            "There is no certificate in PEM format (-----BEGIN CERTIFICATE----- …).",
            "Convert other formats first (openssl x509, openssl pkcs12).",
        )
    if len(certificates) > MOST_IN_CHAIN:
        raise _refusal(f"There are more than {MOST_IN_CHAIN} certificates.")
    if len(keys) > 1:
        raise _refusal("There is more than one key.")
    return certificates, b"".join(keys)


def _certificate(content: bytes, number: int) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(content)
        certificate.public_key()
        certificate.extensions  # noqa: B018 (read when it is first asked for)
    except _UNREADABLE as error:
        raise _refusal(f"Certificate {number} makes no sense ({_why(error)}).") from error
    return certificate


def _private_key(content: bytes) -> Any:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except _UNREADABLE as error:
        raise _refusal(f"The key makes no sense ({_why(error)}).") from error
    _check_key(key.public_key(), "the page")
    return key


def _public_key(certificate: x509.Certificate) -> Any:
    return certificate.public_key()


def _in_order(first: x509.Certificate, certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """From the page's own to that of the highest authority which was sent (RFC 8446, 4.4.2)."""
    chain = [first]
    rest = [each for each in certificates if each != first]
    while issuer := next((each for each in rest if _issued(chain[-1], each)), None):
        chain.append(issuer)
        rest.remove(issuer)
    if rest:
        raise _refusal(f"The certificate of {_name(rest[0])} has no part in the chain.", "Leave it out.")
    return chain


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def _check_shown(*names: str) -> None:
    """No name that controls a terminal, or looks like two lines."""
    if not all(each.isprintable() for each in names):
        raise _refusal("The certificate has control characters or line breaks in a name.")


def _check_time(certificate: x509.Certificate, now: datetime) -> None:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if ends <= now:
        raise _refusal(f"The certificate of {_name(certificate)} has ended on {ends:%Y-%m-%d}.")
    if begins > now:
        raise _refusal(
            f"The certificate of {_name(certificate)} is not valid before {begins:%Y-%m-%d %H:%M} UTC.",
            "Is the device's clock right?",
        )


def _check_key(key: Any, of: str) -> None:
    match key:
        case rsa.RSAPublicKey() if key.key_size < RSA_BITS.start:
            raise _refusal(
                f"The key of {of} is weak: RSA with {key.key_size} bits.",
                f"RSA needs {RSA_BITS.start} bits or more.",
            )
        case rsa.RSAPublicKey() if key.key_size not in RSA_BITS:
            raise _refusal(f"The key of {of} has more than {RSA_BITS.stop - 1} bits.")
        case ec.EllipticCurvePublicKey() if key.curve.name not in CURVES:
            raise _refusal(
                f"The key of {of} is on a curve that browsers do not take ({key.curve.name}).",
                "They take P-256, P-384 and P-521.",
            )
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return
        case _:
            raise _refusal(f"The key of {of} is of a kind that browsers do not take.", "Use RSA or P-256.")


def _check_signature(certificate: x509.Certificate) -> None:
    if certificate.subject == certificate.issuer:  # nobody trusts it for its own signature
        return
    used = certificate.signature_hash_algorithm
    if isinstance(used, hashes.MD5 | hashes.SHA1):
        raise _refusal(f"The certificate of {_name(certificate)} is signed with {used.name.upper()}: weak.")


def _check_purpose(certificate: x509.Certificate) -> None:
    names = [
        str(name.value)
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
        if isinstance(name, x509.DNSName | x509.IPAddress)
    ]
    if not any(names):
        raise _refusal("The certificate has no names or addresses that browsers look at (subjectAltName).")
    _check_shown(*names)
    for extension in certificate.extensions:
        purposes = extension.value
        if isinstance(purposes, x509.ExtendedKeyUsage) and not {
            ExtendedKeyUsageOID.SERVER_AUTH,
            ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        } & set(purposes):
            raise _refusal("The certificate is not made for servers (extended key usage).")


def _name(certificate: x509.Certificate) -> str:
    try:
        name = certificate.subject.rfc4514_string()
        return name if name and name.isprintable() else "an unnamed owner"
    except _UNREADABLE:
        return "an unreadable owner"


def _why(error: Exception) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _refusal(message: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(message, place=_PLACE, remedy=f"{remedy} Nothing was changed.".strip())
