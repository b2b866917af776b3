"""The device's own SSH keys: made at first use, never leave the device. Their public halves are shown."""

import io
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from allegro.atomic import write_atomically
from allegro.errors import Unavailable
from allegro.export.key_file import KeyKind, kept
from allegro.keeping import Absent, Unreadable, Value, trouble

RSA_BITS = 3072
"""As strong as the other two: 128 bits (NIST SP 800-57, part 1, table 2)."""

_CLASSES: dict[KeyKind, type[paramiko.PKey]] = {
    "ed25519": paramiko.Ed25519Key,
    "rsa": paramiko.RSAKey,
    "ecdsa": paramiko.ECDSAKey,
}
_making = threading.Lock()  # whoever asks first makes it, and all others get that one


@dataclass(frozen=True)
class DeviceKey:
    """`private` logs in; `public_line` goes into the server's authorized_keys."""

    private: paramiko.PKey
    public_line: str


def device_key(directory: Path, host_name: str, kind: KeyKind = "ed25519") -> DeviceKey:
    """The key of this kind in `directory`, made now if there is none (directory 0700, private key 0600).

    A private key that cannot be read is not replaced, because the server knows its public half: raises
    Unavailable. `host_name` goes into the comment of the public key, `allegro@<host name>`.
    """
    file = kept(directory, kind)
    try:
        with _making:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if isinstance(file.read(), Absent):
                file.write(_new_private_key(kind))
            found = file.read()
            if isinstance(found, Unreadable):
                raise OSError(found.number, found.reason)
            if not isinstance(found, Value):
                raise ValueError(f"it {trouble(found)}")
            key = _CLASSES[kind].from_private_key(io.StringIO(found.value))
            line = f"{key.get_name()} {key.get_base64()} allegro@{host_name}"
            public = directory / f"id_{kind}.pub"
            if _text(public).strip() != line:
                write_atomically(public, f"{line}\n".encode(), mode=0o644)
    except (OSError, paramiko.SSHException, ValueError) as error:
        raise Unavailable(
            f"The device's SSH key cannot be used: {_reason(error)}.",
            place=str(file.path),
            remedy="Use a password, or choose another kind of the device's own key.",
        ) from error
    return DeviceKey(key, line)


def _new_private_key(kind: KeyKind) -> bytes:
    """In the format of OpenSSH (PROTOCOL.key), not encrypted: the device must start without a person."""
    key: Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    match kind:
        case "ed25519":
            key = Ed25519PrivateKey.generate()
        case "rsa":
            key = rsa.generate_private_key(65537, RSA_BITS)
        case "ecdsa":
            key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _text(public: Path) -> str:
    """What is derived is made anew for whatever reason it cannot be read."""
    try:
        return public.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error).rstrip(".") or type(error).__name__
