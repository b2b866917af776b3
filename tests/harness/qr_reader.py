"""QR codes read from pictures of a screen, by a library that phones' apps use, too (ZXing)."""

import re
import struct
import zlib

import zxingcpp

from tests.harness.bench_errors import BenchError

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
_PPM = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s")
_PNG = b"\x89PNG\r\n\x1a\n"


def texts(picture: bytes) -> list[str]:
    """What the codes in a picture (binary PPM or PNG) say, sorted. Raises BenchError for other formats."""
    width, height, channels, samples = _unpacked(picture) if picture.startswith(_PNG) else _plain(picture)
    pixels = memoryview(samples).cast("B", (height, width, channels))
    return sorted(code.text for code in zxingcpp.read_barcodes(pixels, formats=_QR))


def _plain(picture: bytes) -> tuple[int, int, int, bytes]:
    """PPM with 8 bits (netpbm, ppm(5))."""
    head = _PPM.match(picture)
    if head is None:
        raise BenchError("the picture is neither PNG nor PPM with 8 bits")
    width, height = map(int, head.groups())
    return width, height, 3, picture[head.end() : head.end() + 3 * width * height]


def _unpacked(picture: bytes) -> tuple[int, int, int, bytes]:
    """PNG with 8 bits in three or four channels, not interlaced (W3C, "PNG Specification", 9 and 11)."""
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", picture, 16)
    if depth != 8 or colour not in (2, 6) or interlaced:
        raise BenchError("the PNG picture is not of 8 bits in three or four channels")
    channels = 3 if colour == 2 else 4
    packed, at = b"", len(_PNG)
    while at < len(picture):
        length, kind = struct.unpack_from(">I4s", picture, at)
        packed += picture[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    data, stride = zlib.decompress(packed), width * channels
    above, samples = bytearray(stride), bytearray()
    for line in range(height):
        start = line * (stride + 1)
        above = _unfiltered(data[start], bytearray(data[start + 1 : start + 1 + stride]), above, channels)
        samples += above
    return width, height, channels, bytes(samples)


def _unfiltered(kind: int, line: bytearray, above: bytearray, channels: int) -> bytearray:
    """A line as it was before one of the filters 0 to 4."""
    for at in range(len(line) if kind else 0):
        left, corner = (line[at - channels], above[at - channels]) if at >= channels else (0, 0)
        match kind:
            case 1:
                guess = left
            case 2:
                guess = above[at]
            case 3:
                guess = (left + above[at]) // 2
            case _:
                straight = left + above[at] - corner
                guess = min((left, above[at], corner), key=lambda near: abs(straight - near))
        line[at] = (line[at] + guess) & 0xFF
    return line
