"""The device's own SSH key: made at first use, never leaves the device. Its public half is shown."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from allegro.atomic import write_atomically
from allegro.errors import Unavailable

PRIVATE_NAME = "id_ed25519"
PUBLIC_NAME = "id_ed25519.pub"

_making = threading.Lock()  # whoever asks first makes it, and all others get that one


@dataclass(frozen=True)
class DeviceKey:
    """`private` logs in; `public_line` goes into the server's authorized_keys."""

    private: paramiko.PKey
    public_line: str


def device_key(directory: Path, host_name: str) -> DeviceKey:
    """The ed25519 key in `directory`, made now if there is none (directory 0700, private key 0600).

    A private key that cannot be read is not replaced, because the server knows its public half: raises
    Unavailable. `host_name` goes into the comment of the public key, `allegro@<host name>`.
    """
    private = directory / PRIVATE_NAME
    try:
        with _making:
            if not private.exists():
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_atomically(private, _new_private_key(), mode=0o600)
            key = paramiko.Ed25519Key.from_private_key_file(str(private))
            line = f"{key.get_name()} {key.get_base64()} allegro@{host_name}"
            public = directory / PUBLIC_NAME
            if not public.exists() or public.read_text(encoding="ascii").strip() != line:
                write_atomically(public, f"{line}\n".encode(), mode=0o644)
    except (OSError, paramiko.SSHException, ValueError) as error:
        raise Unavailable(
            f"The device's SSH key cannot be used: {_reason(error)}.",
            place=str(private),
            remedy="Use a password instead, or delete this file: then a new key is made, "
            "which the server must be told.",
        ) from error
    return DeviceKey(key, line)


def _new_private_key() -> bytes:
    """In the format of OpenSSH (PROTOCOL.key), not encrypted: the device must start without a person."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error).rstrip(".") or type(error).__name__
