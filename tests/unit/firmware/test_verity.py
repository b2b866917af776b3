from pathlib import Path
from typing import Any

import pytest

from allegro.errors import InvalidInput
from allegro.firmware.verity import BLOCK, Tree, check_payload
from tests.unit.firmware.bundle_making import make_bundle


def tree(manifest: dict[str, Any]) -> Tree:
    values = manifest["bundle"]
    return Tree(
        bytes.fromhex(values["verity-hash"]), bytes.fromhex(values["verity-salt"]), values["verity-size"]
    )


# One block: the root covers the data itself. 128 fill one block of the tree; 16385 need three levels.
@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, 300, 16385])
def test_a_whole_bundle_passes_and_tells_its_progress(tmp_path: Path, blocks: int) -> None:
    path = tmp_path / "a.raucb"
    manifest = make_bundle(path, blocks=blocks)
    seen: list[float] = []
    check_payload(path, tree(manifest), seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.999])
def test_a_flipped_bit_is_found_and_its_place_told(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.raucb"
    manifest = make_bundle(path, blocks=300)
    content = bytearray(path.read_bytes())
    at = int(300 * BLOCK * share)
    content[at] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged") as caught:
        check_payload(path, tree(manifest), lambda _: None)
    assert f"at {at // BLOCK * BLOCK / 1e6:.1f} MB" in caught.value.message


@pytest.mark.parametrize("offset", [0, 4096, 3 * 4096 + 50, 4 * 4096 - 1])
def test_damage_of_the_tree_is_found_too(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "a.raucb"
    manifest = make_bundle(path, blocks=300)
    assert manifest["bundle"]["verity-size"] == 4 * BLOCK
    content = bytearray(path.read_bytes())
    content[300 * BLOCK + offset] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged"):
        check_payload(path, tree(manifest), lambda _: None)


@pytest.mark.parametrize("size", [0, 5, 8, 4096, 200 * 4096, 300 * 4096 + 100])
def test_what_is_cut_off_is_incomplete_or_damaged(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.raucb"
    manifest = make_bundle(path, blocks=300)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InvalidInput, match=r"incomplete|damaged"):
        check_payload(path, tree(manifest), lambda _: None)


def test_another_root_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.raucb"
    manifest = make_bundle(path, blocks=300)
    right = tree(manifest)
    with pytest.raises(InvalidInput, match="damaged"):
        check_payload(path, Tree(bytes(32), right.salt, right.size), lambda _: None)
    with pytest.raises(InvalidInput, match="damaged"):
        check_payload(path, Tree(right.root, right.salt, right.size - BLOCK), lambda _: None)
