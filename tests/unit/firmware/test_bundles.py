from pathlib import Path
from typing import Any

import pytest

from allegro.errors import Conflict
from allegro.firmware import bundles
from allegro.firmware.bundles import Refusal
from allegro.firmware.rauc import Refused
from tests.unit.firmware.bundle_making import COMPATIBLE, make_bundle


def test_what_a_manifest_says(tmp_path: Path) -> None:
    bundle = bundles.from_manifest(make_bundle(tmp_path / "a.raucb", "1.4.0"))
    assert (bundle.version, bundle.compatible, bundle.date, bundle.image_size) == (
        "1.4.0",
        COMPATIBLE,
        "2026-11-01",
        1000,
    )
    assert bundle.notes == "All about 1.4.0."
    bundles.check_fits(bundle, COMPATIBLE, 1000)
    with pytest.raises(Refusal, match="another device"):
        bundles.check_fits(bundle, "toaster", 1000)
    with pytest.raises(Refusal, match="too large"):
        bundles.check_fits(bundle, COMPATIBLE, 999)


@pytest.mark.parametrize(
    "changes",
    [
        {"update": {}},
        {"bundle__format": "plain"},
        {"bundle__verity-hash": "xyz"},
        {"images": []},
        {"images": [{"size": 1}, {"size": 2}]},
        {"update__version": "latest"},
        {"images": [{"slot-class": "system"}]},
    ],
)
def test_manifests_of_something_else_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Refusal):
        bundles.from_manifest(make_bundle(tmp_path / "a.raucb", **changes))


def test_notes_and_date_may_be_missing(tmp_path: Path) -> None:
    bundle = bundles.from_manifest(make_bundle(tmp_path / "a.raucb", meta={}))
    assert (bundle.date, bundle.notes) == ("", "")


def test_a_step_back_needs_a_confirmation() -> None:
    for version in ("1.1.0", "1.2.0-rc.1", "strange"):
        with pytest.raises(Conflict, match="older") as caught:
            bundles.check_not_older(version, "1.2.0", confirmed=False, what="install")
        assert caught.value.place == "older"
        bundles.check_not_older(version, "1.2.0", confirmed=True, what="install")
    for version in ("1.2.0", "1.2.1"):
        bundles.check_not_older(version, "1.2.0", confirmed=False, what="install")


# What RAUC 1.13 with OpenSSL 3.5 says.
@pytest.mark.parametrize(
    ("reason", "head", "words"),
    [
        (
            "signature verification failed: Verify error: self-signed certificate in certificate chain",
            b"hsqs",
            "does not trust",
        ),
        (
            "signature verification failed: Verify error: unable to get local issuer certificate",
            b"hsqs",
            "trust",
        ),
        ("signature verification failed: Verify error: certificate has expired", b"hsqs", "expired"),
        (
            "signature verification failed: Verify error: certificate is not yet valid",
            b"hsqs",
            "not valid yet then",
        ),
        ("signature verification failed: bad signature", b"hsqs", "damaged"),
        ("Signature size (8367534523455) exceeds bundle size", b"hsqs", "incomplete"),
        ("Signature size (8367534523455) exceeds bundle size", b"\x7fELF", "not a firmware bundle"),
        ("Bundle size (0) is too small", b"", "empty"),
        ("Bundle format 'plain' not allowed", b"hsqs", "plain"),
        ("Something new", b"hsqs", "Something new."),
    ],
)
def test_reasons_of_rauc_in_plain_words(reason: str, head: bytes, words: str) -> None:
    assert words in bundles.in_words(reason, head).message


def test_an_installation_that_broke_off_in_plain_words() -> None:
    def words(message: str) -> str:
        return bundles.installing_failed(Refused(message)).message

    assert "damaged" in words("Failed updating slot system.1: failed to copy: Input/output error")
    assert "space" in words("failed: No space left on device")
    assert "Slot is mounted." in words("Slot is mounted")
