"""Passwords as they are kept: argon2id (RFC 9106), as a string that says its own parameters."""

import os
import threading

from allegro.accounts.evident import evident
from allegro.errors import InvalidInput

# One of the settings that OWASP recommends (Password Storage Cheat Sheet); a small device can afford 19 MiB.
_MEMORY_KIB = 19 * 1024
_ITERATIONS = 2
_LANES = 1
_SALT_BYTES = 16
_HASH_BYTES = 32

_FEW = threading.BoundedSemaphore(2)
"""Each needs its 19 MiB, and the page's program has a limit: more at once wait for each other."""

SHORTEST = 8
LONGEST = 256


def hashed(password: str) -> str:
    """`$argon2id$v=19$m=…`, with a salt of its own."""
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # not before somebody has a password

    kdf = Argon2id(
        salt=os.urandom(_SALT_BYTES),
        length=_HASH_BYTES,
        iterations=_ITERATIONS,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
    )
    with _FEW:
        return kdf.derive_phc_encoded(password.encode())


def matches(password: str, kept: str) -> bool:
    """Whether this is the password; takes some ten milliseconds, whatever the answer is."""
    from cryptography.exceptions import InvalidKey
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    try:
        with _FEW:
            Argon2id.verify_phc_encoded(password.encode(), kept)
    except (InvalidKey, ValueError):  # not this one, or what is kept is none
        return False
    return True


def check_new(password: str, user: str, *, place: str = "password") -> None:
    """Raises InvalidInput for a password that is not worth the name."""
    if len(password) < SHORTEST:
        raise InvalidInput(f"A password has at least {SHORTEST} characters.", place=place)
    if len(password) > LONGEST:
        raise InvalidInput(f"A password has at most {LONGEST} characters.", place=place)
    if made_of := evident(password, user):
        raise InvalidInput(
            f"This password is too easy to guess: there is nothing in it but {made_of}. Capitals, and digits"
            " and signs beside it, do not help.",
            place=place,
            remedy="Take several words that do not belong together.",
        )
