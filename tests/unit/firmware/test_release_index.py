import json
from pathlib import Path
from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.firmware import release_index
from tests.harness.certificates import TestAuthority, cms

OFFER = {
    "version": "2.0.0",
    "file": "allegro-2.0.0.raucb",
    "size": 7,
    "sha256": "a" * 64,
    "date": "2026-11-01",
    "notes": "New.",
}
INDEX: dict[str, Any] = {"format": 1, "compatible": "x", "created": "2026-11-02", "versions": [OFFER]}


def text(**changes: Any) -> bytes:
    return json.dumps({**INDEX, **changes}).encode()


def test_what_the_authority_signed_is_taken_and_nothing_else(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    signed = cms(text(), authority.issue("maker"))
    assert release_index.verified(signed, authority.certificate) == text()
    refused = {
        "does not trust|not trust": cms(text(), TestAuthority(tmp_path / "other").issue("stranger")),
        "expired": cms(text(), authority.issue("old", days=(-300, -1))),
        "not valid yet": cms(text(), authority.issue("early", days=(1, 300))),
        "damaged": text(),
    }
    damaged = bytearray(signed)
    damaged[signed.index(b"2.0.0")] ^= 1
    refused["damaged|not signed"] = bytes(damaged)
    for words, content in refused.items():
        with pytest.raises(InvalidInput, match=words):
            release_index.verified(content, authority.certificate)


def test_the_offers_newest_first_without_nonsense() -> None:
    strange = [
        {**OFFER, "version": "latest"},
        {**OFFER, "file": "../x.raucb"},
        {**OFFER, "sha256": "?"},
        {**OFFER, "size": 0},
        {},
        "x",
    ]
    older = {**OFFER, "version": "1.9.0"}
    newer = {**OFFER, "version": "2.1.0"}
    found = release_index.parsed(text(versions=[OFFER, *strange, older, newer]))
    assert [offer.version for offer in found.offers] == ["2.1.0", "2.0.0", "1.9.0"]
    offer = found.offer("2.0.0")
    assert offer is not None
    assert vars(offer) == OFFER
    assert found.offer("3.0.0") is None
    assert found.compatible == "x"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", text(versions=5), text(format=2)])
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="index of the update server"):
        release_index.parsed(content)
