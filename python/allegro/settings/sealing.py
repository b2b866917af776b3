"""Secrets that leave the device only under a password of their own.

scrypt (RFC 7914) makes the key of the password, with the parameters that OWASP recommends for 32 MiB of
memory (Password Storage Cheat Sheet); AES-256-GCM (NIST SP 800-38D) seals. What the secrets belong to stays
readable, but cannot be changed: nobody can have them sent to another server by changing the settings around
them.
"""

import base64
import binascii
import os
from collections.abc import Mapping
from typing import Any, Final

from allegro.errors import InvalidInput

_N, _R, _P = 1 << 15, 8, 3
_COST: Final = {"kdf": "scrypt", "n": _N, "r": _R, "p": _P}
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12


def sealed(content: bytes, belongs_to: bytes, password: str) -> dict[str, Any]:
    """As JSON. `password` is not empty; takes some tenths of a second, and 32 MiB."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # not before somebody asks for it

    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    closed = AESGCM(_key(password, salt)).encrypt(nonce, content, belongs_to)
    texts = {"salt": salt, "nonce": nonce, "sealed": closed}
    return {**_COST, **{name: base64.b64encode(value).decode("ascii") for name, value in texts.items()}}


def opened(box: Mapping[str, Any], belongs_to: bytes, password: str) -> bytes:
    """What was sealed. Raises InvalidInput for another password, and for what was changed since."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if {name: box.get(name) for name in _COST} != _COST:  # another cost could ask for any amount of memory
        raise InvalidInput("Its secrets are sealed in a way that this version does not know.", place="file")
    try:
        salt, nonce, closed = (
            base64.b64decode(box[name], validate=True) for name in ("salt", "nonce", "sealed")
        )
        if (len(salt), len(nonce)) != (_SALT_BYTES, _NONCE_BYTES):
            raise ValueError
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise InvalidInput("Its secrets are damaged.", place="file", remedy="Export it again.") from None
    try:
        return AESGCM(_key(password, salt)).decrypt(nonce, closed, belongs_to)
    except InvalidTag:
        raise InvalidInput(
            "The secrets cannot be opened: this is another password, or the file was changed.",
            place="password",
            remedy="Without a password everything but the secrets is imported.",
        ) from None


def _key(password: str, salt: bytes) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    kdf = Scrypt(salt=salt, length=32, n=_N, r=_R, p=_P)
    return kdf.derive(password.encode("utf-8", "surrogatepass"))
