import json
from pathlib import Path

import pytest

from allegro.errors import InvalidInput
from allegro.firmware import release_index
from board.allegro.image.bundle import key_file_value
from board.allegro.image.signing_keys import Keys
from board.allegro.image.workshop import BuildError
from scripts.catalogue import unescaped, write_index
from tests.harness.certificates import TestAuthority, cms

MANIFEST = """\
[update]
compatible={compatible}
version={version}

[bundle]
format={format}

[meta.allegro]
date=2026-11-05
notes={notes}
"""
NOTES = " With a \\ and\nlines,\tand 100 %."


def bundle(
    path: Path,
    authority: TestAuthority,
    version: str,
    kind: str = "verity",
    compatible: str = "x",
) -> None:
    text = MANIFEST.format(version=version, compatible=compatible, format=kind, notes=key_file_value(NOTES))
    signed = cms(text.encode(), authority.issue("maker"))
    path.write_bytes(bytes(8192) + signed + len(signed).to_bytes(8, "big"))


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path / "authority")


@pytest.fixture
def keys(authority: TestAuthority) -> Keys:
    signer = authority.issue("maker")
    return Keys(authority.certificate, signer.certificate, signer.key)


@pytest.mark.spec("U2")
def test_the_index_lists_all_bundles_and_a_device_believes_it(
    tmp_path: Path, authority: TestAuthority, keys: Keys
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    assert write_index(folder, keys) == []
    for version in ("1.2.0", "1.10.0"):
        bundle(folder / f"allegro-{version}.raucb", authority, version)
    assert write_index(folder, keys) == ["1.10.0", "1.2.0"]
    found = release_index.parsed(
        release_index.verified((folder / release_index.NAME).read_bytes(), authority.certificate)
    )
    assert [offer.version for offer in found.offers] == ["1.10.0", "1.2.0"]
    assert found.compatible == "x"
    offer = found.offers[0]
    assert (offer.file, offer.date, offer.notes) == ("allegro-1.10.0.raucb", "2026-11-05", NOTES)
    assert offer.size == (folder / offer.file).stat().st_size
    assert sorted(path.name for path in folder.iterdir()) == [
        "allegro-1.10.0.raucb",
        "allegro-1.2.0.raucb",
        "index.cms",
    ]


def test_what_devices_would_refuse_is_not_listed(
    tmp_path: Path, authority: TestAuthority, keys: Keys
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    path = folder / "a.raucb"
    with pytest.raises(BuildError, match="no folder"):
        write_index(tmp_path / "missing", keys)
    path.write_bytes(b"short")
    with pytest.raises(BuildError, match="no bundle, or it is incomplete"):
        write_index(folder, keys)
    bundle(path, TestAuthority(tmp_path / "other"), "1.0.0")
    with pytest.raises(InvalidInput, match=r"a\.raucb is refused: .* does not trust"):
        write_index(folder, keys)
    bundle(path, authority, "1.0.0", kind="plain")
    with pytest.raises(BuildError, match="format verity"):
        write_index(folder, keys)
    bundle(path, authority, "1.0.0")
    bundle(folder / "b.raucb", authority, "1.0.1", compatible="toaster")
    with pytest.raises(BuildError, match="different devices"):
        write_index(folder, keys)
    assert not (folder / release_index.NAME).exists()


def test_texts_in_key_files() -> None:
    for text in ("", "a", " a", "a\\nb", "a\nb", "\\", "a\tb"):
        assert unescaped(key_file_value(text)) == text
    assert json.dumps(key_file_value("a\nb")) == '"a\\\\nb"'
