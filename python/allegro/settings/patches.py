"""Settings as nested objects of JSON: laid over each other, compared, told apart. Loads no models."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> JsonObject:
    """`base` with `patch` laid over it, section by section (RFC 7396 without its rule for null)."""
    result = dict(base)
    for name, value in patch.items():
        present = result.get(name)
        result[name] = (
            merged(present, value) if isinstance(present, dict) and isinstance(value, Mapping) else value
        )
    return result


def differing(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> JsonObject:
    """The part of `wanted` that is not so in `present`: the smallest patch that makes one of the other."""
    result: JsonObject = {}
    for name, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(below := present.get(name), Mapping):
            if inner := differing(value, below):
                result[name] = inner
        elif name not in present or present[name] != value:
            result[name] = value
    return result


def digest(shown: Mapping[str, Any]) -> str:
    """Says whether settings, as they are shown, are still the same.

    A secret counts only by whether it is set: one that somebody else has changed is not put back by who did
    not see it, and a digest of it could be guessed at.
    """
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
