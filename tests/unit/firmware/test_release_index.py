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
        "had expired by then": cms(text(), authority.issue("old", days=(-300, -1))),
        "was not valid yet then": cms(text(), authority.issue("early", days=(1, 300))),
        "damaged": text(),
        "damaged or not signed": cms(text(), authority.issue("timeless"), options=("-noattr",)),
    }
    damaged = bytearray(signed)
    damaged[signed.index(b"2.0.0")] ^= 1
    refused["damaged|not signed"] = bytes(damaged)
    for words, content in refused.items():
        with pytest.raises(InvalidInput, match=words):
            release_index.verified(content, authority.certificate)


@pytest.mark.spec("U1")
def test_it_counts_when_it_was_signed_and_not_what_the_clock_here_says(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)  # from 400 days ago
    old = authority.issue("old", days=(-300, -200))
    # A device without a battery stands at a day before these as well.
    assert release_index.verified(cms(text(), old, day=-250), authority.certificate) == text()
    early = authority.issue("early", days=(100, 200))
    assert release_index.verified(cms(text(), early, day=150), authority.certificate) == text()
    ancient = authority.issue("ancient", days=(-900, 100))
    with pytest.raises(InvalidInput, match="was not valid yet then"):
        release_index.verified(cms(text(), ancient, day=-500), authority.certificate)


def test_the_time_of_signing_is_not_taken_from_elsewhere(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    old = authority.issue("old", days=(-300, -200))
    within = cms(text(), old, day=-250)
    with pytest.raises(InvalidInput, match="expired"):
        release_index.verified(cms(within, old), authority.certificate)
    other = authority.issue("other")
    twice = cms(text(), old, options=("-signer", str(other.certificate), "-inkey", str(other.key)))
    with pytest.raises(InvalidInput, match="damaged or not signed"):
        release_index.verified(twice, authority.certificate)


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
