import hashlib
import re

import pytest

from scripts.blockmap import BlockMapError, Range, parse_block_map

SUM = "a" * 64
TEXT = f"""<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> 20000 </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlocksCount> 5 </BlocksCount>
    <MappedBlocksCount> 3 </MappedBlocksCount>
    <ChecksumType> sha256 </ChecksumType>
    <BmapFileChecksum> {"0" * 64} </BmapFileChecksum>
    <BlockMap>
        <Range chksum="{SUM}"> 0-1 </Range>
        <Range chksum="{SUM}"> 4 </Range>
    </BlockMap>
</bmap>
"""


def summed(text: str) -> bytes:
    """The text with its own checksum in it."""
    zeros = "0" * 64
    return text.replace(zeros, hashlib.sha256(text.encode()).hexdigest(), 1).encode()


def test_ranges_are_bytes_and_end_with_the_image() -> None:
    block_map = parse_block_map(summed(TEXT))
    assert block_map.size == 20000
    assert block_map.ranges == (Range(0, 8192, SUM), Range(16384, 20000, SUM))
    assert block_map.mapped == 8192 + 3616


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (' version="2.0"', ' version="3.0"', "version 3.0"),
        ("> sha256 <", "> sha1 <", "another checksum"),
        (" 4 </Range>", " 5 </Range>", "outside of the image"),
        (" 4 </Range>", " 1 </Range>", "overlap"),
        (" 4 </Range>", " four </Range>", "cannot be read"),
        ("<ImageSize> 20000 </ImageSize>", "", "has no ImageSize"),
        ("<ImageSize> 20000 ", "<ImageSize> 0 ", "not complete"),
        ("<bmap", '<!DOCTYPE bmap [<!ENTITY a "b">]><bmap', "do not belong"),
        ("</bmap>", "", "cannot be read"),
    ],
)
def test_a_wrong_map_is_refused_with_the_reason(old: str, new: str, why: str) -> None:
    assert old in TEXT
    with pytest.raises(BlockMapError, match=re.escape(why)):
        parse_block_map(summed(TEXT.replace(old, new, 1)))


def test_a_changed_map_is_noticed_by_its_own_checksum() -> None:
    with pytest.raises(BlockMapError, match="damaged"):
        parse_block_map(summed(TEXT).replace(b"0-1", b"0-2"))
