"""Host keys of a server: their types, and in which order they are asked for.

A server has one key of each type, and shows the first of those asked for that it has. So the order decides
which one is compared: it is fixed here, because another version of a library may ask in another one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Signature algorithms of each type (RFC 8709, 5656, 8332), in the order in which 0.1.0 asked for them."""


@dataclass(frozen=True)
class HostKey:
    """`fingerprint` is SHA256:…, as `ssh-keygen -l` prints it; `type` is empty if only that is known."""

    fingerprint: str
    type: str = ""

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.type})" if self.type else self.fingerprint


def asked_for(first: str, seen: Collection[HostKey] = ()) -> tuple[str, ...]:
    """The algorithms to ask for: those of the type `first` (empty: any), the others, last what was seen."""
    shown = {key.type for key in seen}
    types = sorted(ALGORITHMS, key=lambda each: (each in shown, each != first))  # sorting is stable
    return tuple(algorithm for each in types for algorithm in ALGORITHMS[each])
