"""The ear of the bench hears what was played."""

import math
import struct
from pathlib import Path

import pytest

from tests.harness.bench_errors import BenchError
from tests.harness.sound import find_tones, tones_in

RATE = 44100


def tone(frequency: float, seconds: float, level: float = 0.5) -> list[float]:
    return [level * math.sin(2 * math.pi * frequency * i / RATE) for i in range(int(seconds * RATE))]


def silence(seconds: float) -> list[float]:
    return [0.0] * int(seconds * RATE)


def test_two_short_tones_and_a_low_long_one() -> None:
    samples = silence(0.1) + tone(880, 0.15) + silence(0.12) + tone(880, 0.15) + silence(0.3) + tone(330, 0.9)
    tones = find_tones(samples, RATE)
    assert [round(t.frequency) for t in tones] == [880, 880, 330]
    assert [t.duration for t in tones] == pytest.approx([0.15, 0.15, 0.9], abs=0.01)
    assert [t.start for t in tones] == pytest.approx([0.1, 0.37, 0.82], abs=0.01)


def test_tones_without_a_gap_are_told_apart_by_pitch() -> None:
    assert [round(t.frequency) for t in find_tones(tone(330, 0.2) + tone(880, 0.2), RATE)] == [330, 880]


def test_silence_and_a_click_are_no_tones() -> None:
    assert find_tones([*silence(0.2), 0.9, -0.9, *silence(0.2)], RATE) == []


def test_first_channel_of_a_stereo_file_whose_lengths_were_never_written(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    frames = b"".join(struct.pack("<hh", int(20000 * value), 0) for value in tone(440, 0.2))
    head = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, RATE, RATE * 4, 4, 16)
    path.write_bytes(head + b"data\0\0\0\0" + frames)
    (heard,) = tones_in(path)
    assert heard.frequency == pytest.approx(440, abs=1)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"no sound at all, only text")
    with pytest.raises(BenchError, match="no WAV file"):
        tones_in(path)
