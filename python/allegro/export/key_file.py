"""The files of the device's private SSH keys: whether they are whole. paramiko, slow to load, uses them."""

import base64
import re
import struct
from pathlib import Path
from typing import Literal, get_args

from allegro.keeping import KeptFile

KeyKind = Literal["ed25519", "rsa", "ecdsa"]
KINDS: tuple[KeyKind, ...] = get_args(KeyKind)

_ARMOUR = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END OPENSSH PRIVATE KEY-----\n?"
)
_MAGIC = b"openssh-key-v1\0"


def kept(directory: Path, kind: KeyKind = "ed25519") -> KeptFile[str]:
    """The file of this kind of key; its text is in the format of OpenSSH."""
    return KeptFile(directory / f"id_{kind}", _whole)


def _whole(content: bytes) -> str:
    """The text of a key of which nothing is missing (OpenSSH, PROTOCOL.key). Raises ValueError."""
    armour = _ARMOUR.fullmatch(content)
    raw = base64.b64decode(armour[1].replace(b"\n", b""), validate=True) if armour else b""
    if not raw.startswith(_MAGIC):
        raise ValueError("no private key in the format of OpenSSH")
    rest = raw[len(_MAGIC) :]
    rest = _after_string(_after_string(_after_string(rest)))  # cipher, key derivation, its options
    rest = _after_string(_after_string(rest[4:]))  # number of keys; public key, private part
    if rest:
        raise ValueError("more than one private key")
    return content.decode("ascii")


def _after_string(raw: bytes) -> bytes:
    (length,) = struct.unpack_from(">I", raw)
    if len(raw) < 4 + length:
        raise ValueError("the private key is cut off")
    return raw[4 + length :]
