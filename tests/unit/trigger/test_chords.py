import pytest

from allegro.trigger.chords import ALONE_AFTER_S, KEY_R, KEY_S, Chords, Shortcut
from allegro.trigger.keys import EV_KEY, PRESSED, RELEASED, REPEATED, RawEvent

LEFT_SHIFT, RIGHT_SHIFT, CTRL, ALT, META, KEY_A = 42, 54, 29, 56, 125, 30


class Hands:
    """Types on one keyboard."""

    def __init__(self) -> None:
        self.chords = Chords()
        self.now_s = 100.0
        self.told: list[Shortcut] = []

    def key(self, code: int, value: int) -> None:
        self.chords.feed(RawEvent(0, EV_KEY, code, value), self.now_s)
        self.wait(0.01)

    def stroke(self, *codes: int) -> None:
        for code in codes:
            self.key(code, PRESSED)
        for code in reversed(codes):
            self.key(code, RELEASED)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        if shortcut := self.chords.due(self.now_s):
            self.told.append(shortcut)


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.mark.spec("U5", "N3")
@pytest.mark.parametrize("shift", [LEFT_SHIFT, RIGHT_SHIFT])
@pytest.mark.parametrize(("code", "shortcut"), [(KEY_R, "reset"), (KEY_S, "temporary-address")])
def test_shift_with_the_letter_is_the_shortcut(
    hands: Hands, shift: int, code: int, shortcut: Shortcut
) -> None:
    hands.stroke(shift, code)
    assert hands.told == []
    assert hands.chords.waits()
    hands.wait(ALONE_AFTER_S)
    assert hands.told == [shortcut]
    assert not hands.chords.waits()


@pytest.mark.parametrize(
    "codes",
    [
        (KEY_R,),
        (LEFT_SHIFT, CTRL, KEY_R),
        (LEFT_SHIFT, ALT, KEY_R),
        (META, LEFT_SHIFT, KEY_S),
        (CTRL, KEY_R),
        (KEY_A, LEFT_SHIFT, KEY_R),
        (LEFT_SHIFT, KEY_A),
        (KEY_R, LEFT_SHIFT),
    ],
)
def test_anything_else_is_none(hands: Hands, codes: tuple[int, ...]) -> None:
    hands.stroke(*codes)
    hands.wait(2)
    assert hands.told == []


def test_a_key_held_down_is_one_press(hands: Hands) -> None:
    hands.key(LEFT_SHIFT, PRESSED)
    hands.key(KEY_R, PRESSED)
    for _ in range(100):
        hands.key(KEY_R, REPEATED)
    hands.wait(1)
    assert hands.told == ["reset"]


def test_a_letter_pressed_twice_is_one_shortcut(hands: Hands) -> None:
    hands.stroke(LEFT_SHIFT, KEY_R)
    hands.stroke(LEFT_SHIFT, KEY_R)
    hands.wait(2)
    assert hands.told == ["reset"]


def test_what_is_typed_is_no_shortcut(hands: Hands) -> None:
    for shift, code in ((1, KEY_R), (0, KEY_A), (1, KEY_S), (0, KEY_A), (1, KEY_R)):
        hands.stroke(*([LEFT_SHIFT] if shift else []), code)
        hands.wait(0.1)
    hands.stroke(KEY_A)
    hands.wait(2)
    assert hands.told == []


def test_a_while_after_typing_it_is_a_shortcut_again(hands: Hands) -> None:
    hands.stroke(KEY_A)
    hands.wait(1)
    hands.stroke(LEFT_SHIFT, KEY_S)
    hands.wait(1)
    assert hands.told == ["temporary-address"]


def test_two_shortcuts_one_after_the_other(hands: Hands) -> None:
    hands.stroke(LEFT_SHIFT, KEY_S)
    hands.wait(2)
    hands.stroke(RIGHT_SHIFT, KEY_R)
    hands.wait(2)
    assert hands.told == ["temporary-address", "reset"]
