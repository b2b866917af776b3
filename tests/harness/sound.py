"""Reading tones out of a WAV file that QEMU wrote for the guest's USB sound device.

QEMU records only while the guest plays: silence between two sounds is missing, unless the guest played it.
The header's lengths are right only after QEMU has ended, so the length is taken from the file.
"""

import math
import struct
from array import array
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.waiting import wait_for

_WINDOW_SECONDS = 0.005
_SILENCE = 0.01  # of full scale
_SAME_PITCH = 0.08  # relative difference of two periods of one tone
_SHORTEST_TONE = 0.02  # seconds


@dataclass(frozen=True)
class Tone:
    """One tone: when it began in the file (seconds), how long it lasted (seconds), its pitch (Hz)."""

    start: float
    duration: float
    frequency: float


def read_samples(path: Path) -> tuple[int, list[float]]:
    """Return sampling rate and the first channel, -1..1, of a 16-bit PCM WAV file.

    Format: RIFF/WAVE, chunks "fmt " and "data" (Multimedia Data Standards Update, 1994).
    """
    content = path.read_bytes()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or content[12:16] != b"fmt ":
        raise BenchError(f"{path} is no WAV file")
    length, kind, channels, rate, _, _, bits = struct.unpack_from("<IHHIIHH", content, 16)
    if kind != 1 or bits != 16:
        raise BenchError(f"{path}: not 16-bit PCM")
    data = content[20 + length + 8 :]
    samples = array("h", data[: len(data) // (2 * channels) * 2 * channels])
    return rate, [value / 32768 for value in samples[::channels]]


def _rising_crossings(samples: list[float]) -> list[float]:
    """Return where the samples rise through zero, placed between two samples by interpolation."""
    return [
        position + before / (before - after)
        for position, (before, after) in enumerate(pairwise(samples))
        if before < 0 <= after
    ]


def _split_by_pitch(samples: list[float], rate: int) -> list[tuple[int, int, float]]:
    """Cut a loud stretch where the pitch changes: (first sample, sample after the last, Hz)."""
    crossings = _rising_crossings(samples)
    parts: list[list[float]] = []  # crossings of each part
    for before, after in pairwise(crossings):
        period = after - before
        if parts and len(parts[-1]) > 1:
            usual = (parts[-1][-1] - parts[-1][0]) / (len(parts[-1]) - 1)
            if abs(period / usual - 1) < _SAME_PITCH:
                parts[-1].append(after)
                continue
        parts.append([before, after])
    # A single odd period (the seam of two sounds) is not a tone.
    parts = [part for part in parts if (part[-1] - part[0]) / rate >= _SHORTEST_TONE]
    return [
        (int(part[0]), int(part[-1]) + 1, (len(part) - 1) * rate / (part[-1] - part[0])) for part in parts
    ]


def find_tones(samples: list[float], rate: int) -> list[Tone]:
    """Return the tones in order: stretches louder than silence, cut where the pitch changes."""
    window = max(1, int(rate * _WINDOW_SECONDS))
    loud = [
        math.sqrt(sum(v * v for v in samples[i : i + window]) / window) > _SILENCE
        for i in range(0, len(samples) - window + 1, window)
    ]
    tones = []
    position = 0
    while position < len(loud):
        end = position
        while end < len(loud) and loud[end]:
            end += 1
        begin = position * window
        tones += [
            Tone((begin + first) / rate, (last - first) / rate, frequency)
            for first, last, frequency in _split_by_pitch(samples[begin : end * window], rate)
        ]
        position = max(end, position + 1)
    return tones


def tones_in(path: Path) -> list[Tone]:
    """Return the tones in a WAV file."""
    rate, samples = read_samples(path)
    return find_tones(samples, rate)


def wait_tones(path: Path, count: int) -> None:
    """Wait until a running machine has played so many tones into its WAV file.

    Raises BenchTimeoutError.
    """

    def played() -> bool:
        # QEMU writes a few KiB at once: until there are as many, the file is empty.
        return path.exists() and path.stat().st_size > 0 and len(tones_in(path)) >= count

    wait_for(played, f"{count} tones", 30, 0.5)
