import io
import itertools
import logging
import threading
import time
import wave
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.trigger.beep import (
    LOW_HZ,
    SAMPLE_RATE,
    SHORT_HZ,
    TONES,
    Player,
    Signal,
    SoundCard,
    Tone,
    samples,
    usb_sound_cards,
    wav,
)

CARD = SoundCard(1, 0)


def sounding(signal: Signal) -> list[float]:
    """Lengths (ms) of the parts that can be heard."""
    with wave.open(io.BytesIO(wav(signal))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, SAMPLE_RATE)
        pcm = memoryview(file.readframes(file.getnframes())).cast("h")
    window = SAMPLE_RATE // 100
    loud = [max(abs(value) for value in pcm[at : at + window]) > 1000 for at in range(0, len(pcm), window)]
    parts = "".join("x" if value else " " for value in loud).split()
    return [10.0 * len(part) for part in parts]


def crossings(pcm: "list[int]") -> int:
    return sum(1 for before, after in itertools.pairwise(pcm) if before < 0 <= after)


@pytest.mark.spec("T7")
class TestTones:
    def test_one_short_two_short_one_long(self) -> None:
        accepted, complete, refused = (
            sounding(signal) for signal in (Signal.ACCEPTED, Signal.COMPLETE, Signal.REFUSED)
        )
        assert [len(accepted), len(complete), len(refused)] == [1, 2, 1]
        assert accepted[0] == pytest.approx(150, abs=20)
        assert complete == [pytest.approx(150, abs=20)] * 2
        assert refused[0] == pytest.approx(900, abs=20)

    @pytest.mark.parametrize(("signal", "hertz"), [(Signal.ACCEPTED, SHORT_HZ), (Signal.REFUSED, LOW_HZ)])
    def test_pitch(self, signal: Signal, hertz: int) -> None:
        tone = TONES[signal][0]
        measured = crossings(samples(tone).tolist()) / (tone.milliseconds / 1000)
        assert measured == pytest.approx(hertz, rel=0.02)

    def test_no_click_at_its_ends(self) -> None:
        pcm = samples(Tone(880, 100))
        assert pcm[0] == 0
        assert pcm[-1] == 0
        assert max(abs(value) for value in pcm[:10]) < 400
        assert max(pcm) < 32767 * 0.7

    def test_silence(self) -> None:
        assert set(samples(Tone(0, 10))) == {0}


def make_card(proc: Path, number: int, *parts: str) -> None:
    for part in parts:
        path = proc / f"card{number}" / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


@pytest.mark.spec("T7")
class TestCards:
    def test_no_sound_system(self, tmp_path: Path) -> None:
        assert usb_sound_cards(tmp_path / "missing") == []

    def test_only_usb_cards_that_play(self, tmp_path: Path) -> None:
        make_card(tmp_path, 0, "id", "pcm0p/info")  # on board
        make_card(tmp_path, 10, "usbid", "pcm0p/info")
        make_card(tmp_path, 2, "usbid", "pcm0c/info")  # microphone
        make_card(tmp_path, 3, "usbid", "pcm0c/info", "pcm2p/info", "pcm1p/info")
        (tmp_path / "cards").write_text("")
        assert usb_sound_cards(tmp_path) == [SoundCard(3, 1), SoundCard(10, 0)]
        assert SoundCard(3, 1).alsa_name == "plughw:3,1"


@pytest.mark.spec("T7")
class TestPlayer:
    def test_plays_in_order_on_the_first_card_of_the_moment(self) -> None:
        cards = [[CARD], [SoundCard(4, 0), CARD], []]
        played: list[tuple[SoundCard, bytes]] = []
        player = Player(lambda: True, find=lambda: cards.pop(0), output=lambda *what: played.append(what))
        for signal in (Signal.ACCEPTED, Signal.REFUSED, Signal.COMPLETE):
            player.play(signal)
        player.start()
        wait_for(lambda: not cards)
        player.stop()
        assert played == [(CARD, wav(Signal.ACCEPTED)), (SoundCard(4, 0), wav(Signal.REFUSED))]

    def test_can_be_turned_off(self) -> None:
        asked = threading.Event()
        played: list[bytes] = []

        def disabled() -> bool:
            asked.set()
            return False

        player = Player(disabled, find=lambda: [CARD], output=lambda card, sound: played.append(sound))
        player.start()
        player.play(Signal.ACCEPTED)
        assert asked.wait(10)
        player.stop()
        assert played == []

    def test_never_blocks_and_leaves_out_what_is_too_much(self) -> None:
        hold, played = threading.Event(), []

        def output(card: SoundCard, sound: bytes) -> None:
            played.append(sound)
            hold.wait(10)

        player = Player(lambda: True, find=lambda: [CARD], output=output)
        player.start()
        for _ in range(500):
            player.play(Signal.ACCEPTED)  # would never return if it waited for the one that is held
        wait_for(lambda: played)
        hold.set()
        player.stop()
        assert 1 <= len(played) < 20

    def test_broken_device_is_told_once_and_outlived(self, caplog: pytest.LogCaptureFixture) -> None:
        attempts: list[int] = []
        working = threading.Event()

        def output(card: SoundCard, sound: bytes) -> None:
            attempts.append(1)
            if not working.is_set():
                raise OSError("Device or resource busy")

        player = Player(lambda: True, find=lambda: [CARD], output=output)
        with caplog.at_level(logging.WARNING):
            player.start()
            for count in (1, 2, 3):
                player.play(Signal.ACCEPTED)
                wait_for(lambda count=count: len(attempts) == count)
            working.set()
            player.play(Signal.ACCEPTED)
            wait_for(lambda: len(attempts) == 4)
            player.stop()
        assert [record.getMessage() for record in caplog.records] == [
            "The tone cannot be played: Device or resource busy"
        ]


def wait_for(condition: object) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.spec("T7", "T8")
class TestTestTone:
    def test_plays_at_once_at_the_volume_that_is_set_also_where_tones_are_off(self) -> None:
        played: list[bytes] = []
        level = [0.3]
        player = Player(
            lambda: False,
            find=lambda: [CARD],
            output=lambda _card, sound: played.append(sound),
            amplitude=lambda: level[0],
        )
        player.test(Signal.COMPLETE)
        level[0] = 1.0
        player.test(Signal.COMPLETE)
        assert played == [wav(Signal.COMPLETE, amplitude=0.3), wav(Signal.COMPLETE, amplitude=1.0)]
        assert max(samples(Tone(880, 150), amplitude=1.0)) > 3 * max(samples(Tone(880, 150), amplitude=0.3))

    def test_says_what_keeps_it_from_being_heard(self) -> None:
        with pytest.raises(Unavailable, match="No USB sound device"):
            Player(lambda: True, find=list).test(Signal.ACCEPTED)

        def output(_card: SoundCard, _sound: bytes) -> None:
            raise OSError("Device or resource busy")

        with pytest.raises(Unavailable, match="cannot be played: Device or resource busy"):
            Player(lambda: True, find=lambda: [CARD], output=output).test(Signal.ACCEPTED)
