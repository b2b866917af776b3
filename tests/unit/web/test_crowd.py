"""Who has to go when the house is full."""

import pytest

from allegro.web.crowd import Crowd, Guest, Limits, Stage

LIMITS = Limits(silent=6, silent_of_one=3, inside=6, inside_of_one=3, told=1)


class House:
    """A crowd, and who was sent away."""

    def __init__(self) -> None:
        self.crowd = Crowd(LIMITS)
        self.gone: list[str] = []
        self.told: list[str] = []
        self.now_s = 0.0

    def arrives(self, name: str, neighbourhood: str) -> Guest:
        self.now_s += 1
        guest = Guest(neighbourhood, self.now_s, lambda: self.gone.append(name))
        self.crowd.arrive(guest)
        return guest

    def enters(self, name: str, neighbourhood: str, stage: Stage = Stage.IDLE) -> bool:
        guest = self.arrives(name, neighbourhood)
        entered = self.crowd.enter(guest, self.now_s)
        self.told += [name] if guest.told else []
        if not entered:
            self.crowd.gone(guest)
            return False
        self.crowd.move(guest, stage, self.now_s)
        return True


@pytest.mark.spec("S3")
def test_silent_ones_push_out_the_oldest_of_their_own_neighbourhood() -> None:
    house = House()
    house.arrives("owner", "b")
    for number in range(5):
        house.arrives(f"a{number}", "a")
    assert house.gone == ["a0", "a1"]


@pytest.mark.spec("S3")
def test_many_neighbourhoods_push_out_of_the_one_with_most() -> None:
    house = House()
    house.arrives("owner", "b")
    for number in range(3):
        house.arrives(f"a{number}", "a")
    for number in range(3):
        house.arrives(f"c{number}", f"c{number}")
    assert house.gone == ["a0"]


@pytest.mark.spec("S3")
def test_inside_who_has_got_least_far_goes_first_and_a_user_stays() -> None:
    house = House()
    assert house.enters("user", "a", Stage.KNOWN)
    assert house.enters("login", "a", Stage.ASKING)
    assert house.enters("idle", "a", Stage.IDLE)
    assert house.enters("new", "a", Stage.KNOWN)
    assert house.gone == ["idle"]
    assert house.enters("newer", "a", Stage.KNOWN)
    assert house.gone == ["idle", "login"]
    assert house.enters("told", "a"), "is let in to be told that the house is full"
    assert house.gone == ["idle", "login"]


@pytest.mark.spec("S3")
def test_a_house_full_of_users_lets_in_only_whom_it_tells_so() -> None:
    house = House()
    for number in range(LIMITS.inside):
        assert house.enters(f"user{number}", f"{number % 2}", Stage.KNOWN)
    assert house.enters("told", "c", Stage.KNOWN)
    assert not house.enters("beyond", "d")
    assert house.told == ["told", "beyond"]
    assert house.gone == []


def test_who_is_gone_counts_no_more_and_the_end_sends_the_silent_away() -> None:
    house = House()
    guest = house.arrives("a", "a")
    house.crowd.gone(guest)
    house.crowd.gone(guest)
    house.arrives("b", "a")
    assert house.enters("c", "a")
    house.crowd.end()
    assert house.gone == ["b"]
    assert len(house.crowd) == 1
