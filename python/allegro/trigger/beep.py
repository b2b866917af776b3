"""Tones on a USB sound device: one short = accepted, two short = file complete, one low and long = refused or
failed.

The tones are made here as WAV (RIFF, PCM 16 bit mono); `aplay` of alsa-utils plays them. No sound device, or
one that does not work, is no error: the player is an extra.
"""

import array
import contextlib
import functools
import io
import logging
import math
import queue
import re
import subprocess
import sys
import threading
import wave
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from allegro.errors import Unavailable

SAMPLE_RATE: Final = 48000  # Hz; what every USB sound device can do
SHORT_HZ, SHORT_MS = 880, 150
LOW_HZ, LOW_MS = 330, 900
PAUSE_MS: Final = 120
# Many devices swallow the first milliseconds after they are opened.
LEAD_MS, TAIL_MS = 60, 40
FADE_MS: Final = 8  # without it a tone begins and ends with a click
AMPLITUDE: Final = 0.6  # of full scale, if nothing else is set

_QUEUE_LENGTH: Final = 8
_PLAY_TIMEOUT_S: Final = 5.0
_PROC_ASOUND = Path("/proc/asound")

log = logging.getLogger(__name__)


class Signal(Enum):
    """What the person in front of the device is told."""

    ACCEPTED = "accepted"
    COMPLETE = "complete"
    REFUSED = "refused"


@dataclass(frozen=True)
class Tone:
    """`hertz` 0 is silence."""

    hertz: int
    milliseconds: int


_SHORT = Tone(SHORT_HZ, SHORT_MS)

TONES: Final[dict[Signal, tuple[Tone, ...]]] = {
    Signal.ACCEPTED: (_SHORT,),
    Signal.COMPLETE: (_SHORT, Tone(0, PAUSE_MS), _SHORT),
    Signal.REFUSED: (Tone(LOW_HZ, LOW_MS),),
}


def samples(tone: Tone, rate: int = SAMPLE_RATE, amplitude: float = AMPLITUDE) -> "array.array[int]":
    """The tone as signed 16-bit samples, faded in and out. `amplitude`: 0 to 1, of full scale."""
    count = rate * tone.milliseconds // 1000
    fade = max(1, rate * FADE_MS // 1000)
    step = 2 * math.pi * tone.hertz / rate
    peak = amplitude * 32767
    envelope = (min(1.0, i / fade, (count - 1 - i) / fade) for i in range(count))
    return array.array("h", (round(peak * level * math.sin(step * i)) for i, level in enumerate(envelope)))


@functools.lru_cache(maxsize=2 * len(Signal))
def wav(signal: Signal, rate: int = SAMPLE_RATE, amplitude: float = AMPLITUDE) -> bytes:
    """The WAV file of a signal."""
    pcm = array.array("h")
    for tone in (Tone(0, LEAD_MS), *TONES[signal], Tone(0, TAIL_MS)):
        pcm += samples(tone, rate, amplitude)
    if sys.byteorder == "big":
        pcm.byteswap()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


@dataclass(frozen=True)
class SoundCard:
    """A USB sound card by its ALSA numbers."""

    card: int
    device: int

    @property
    def alsa_name(self) -> str:
        """The name for `aplay -D`; plug converts rate and channels to what the device can do."""
        return f"plughw:{self.card},{self.device}"


def usb_sound_cards(proc: Path = _PROC_ASOUND) -> list[SoundCard]:
    """USB sound cards that can play, in the order of their numbers.

    `cardN/usbid` exists for USB cards only, `cardN/pcmMp` for each playback device
    (Documentation/sound/designs/procfile.rst).
    """
    found: list[SoundCard] = []
    for card in proc.glob("card[0-9]*"):
        number = re.fullmatch(r"card(\d+)", card.name)
        if number is None or not (card / "usbid").exists():
            continue
        matches = (re.fullmatch(r"pcm(\d+)p", pcm.name) for pcm in card.iterdir())
        devices = sorted(int(match[1]) for match in matches if match is not None)
        if devices:
            found.append(SoundCard(int(number[1]), devices[0]))
    return sorted(found, key=lambda entry: entry.card)


def play_with_aplay(card: SoundCard, sound: bytes) -> None:
    """Plays a WAV file and waits for its end. Raises OSError or subprocess.SubprocessError."""
    command = ["aplay", "-q", "-D", card.alsa_name, "-t", "wav", "-"]
    done = subprocess.run(command, input=sound, capture_output=True, timeout=_PLAY_TIMEOUT_S, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(lines[-1] if lines else f"aplay ended with code {done.returncode}")


class Player:
    """Plays signals one after the other in a thread of its own; `play` never waits and never fails.

    The device is looked up for every signal, so it may be plugged in and out at any time. When signals come
    faster than they can be heard, the newest are left out. `amplitude`: 0 to 1, of full scale.
    """

    def __init__(
        self,
        enabled: Callable[[], bool],
        *,
        find: Callable[[], list[SoundCard]] = usb_sound_cards,
        output: Callable[[SoundCard, bytes], None] = play_with_aplay,
        amplitude: Callable[[], float] = lambda: AMPLITUDE,
    ) -> None:
        self._enabled = enabled
        self._find = find
        self._output = output
        self._amplitude = amplitude
        self._queue: queue.Queue[Signal | None] = queue.Queue(_QUEUE_LENGTH)
        self._failure = ""
        self._playing = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beep", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread after the signal that is being played."""
        self._stop.set()
        with contextlib.suppress(queue.Full):  # then it wakes up for what is in the queue
            self._queue.put_nowait(None)
        self._thread.join()

    def play(self, signal: Signal) -> None:
        """Asks for a signal."""
        try:
            self._queue.put_nowait(signal)
        except queue.Full:
            log.debug("Tone left out: %s", signal.value)

    def has_device(self) -> bool:
        """Whether there is a USB sound device. Raises nothing."""
        try:
            return bool(self._find())
        except OSError:
            return False

    def test(self, signal: Signal) -> None:
        """Plays a signal now, whether or not tones are wanted; answers at its end. Raises Unavailable."""
        if not self.has_device():
            raise Unavailable("No USB sound device is plugged in.")
        if failure := self._play(signal, lambda: True):
            raise Unavailable(
                f"The tone cannot be played: {failure}.", remedy="Plug the sound device out and in again."
            )

    def _run(self) -> None:
        while (signal := self._queue.get()) is not None and not self._stop.is_set():
            failure = self._play(signal, self._enabled)
            if failure and failure != self._failure:
                log.warning("The tone cannot be played: %s", failure)
            self._failure = failure

    def _play(self, signal: Signal, enabled: Callable[[], bool]) -> str:
        """Why it could not be heard, in words; empty if it could, or if there is nothing to play it on."""
        try:
            cards = self._find() if enabled() else []
            if cards:
                with self._playing:
                    self._output(cards[0], wav(signal, amplitude=self._amplitude()))
        except Exception as error:  # the player must outlive whatever a sound device does
            return str(error) or type(error).__name__
        return ""
