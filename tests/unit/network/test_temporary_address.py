from collections.abc import Callable
from pathlib import Path

import pytest

from allegro.errors import Conflict, Unavailable
from allegro.network.temporary_address import Claim, Probe, TemporaryAddress, candidates, load

pytestmark = pytest.mark.spec("N3")


class Network:
    """Addresses that others hold, and what the device did."""

    def __init__(self, kept_in: Path, *taken: int, own: tuple[str, ...] = (), cable: bool = True) -> None:
        self.taken = {f"192.168.77.{number}" for number in taken}
        self.cable = cable
        self.probed: list[str] = []
        self.applied: list[Claim | None] = []
        self.announced: list[str] = []
        self.address = TemporaryAddress(
            kept_in, lambda: own, self.applied.append, self._probe, self.announced.append
        )

    def _probe(self, address: str) -> Probe:
        self.probed.append(address)
        if not self.cable:
            return "no link"
        return "taken" if address in self.taken else "free"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Network]:
    return lambda *taken, **more: Network(tmp_path / "claim.json", *taken, **more)


def test_the_first_address_if_nobody_holds_it(make: Callable[..., Network]) -> None:
    network = make()
    assert network.address.claim() == Claim("192.168.77.1/24")
    assert network.probed == ["192.168.77.1"]
    assert network.applied == [Claim("192.168.77.1/24")]
    assert network.announced == ["192.168.77.1"]


def test_the_next_one_that_is_free(make: Callable[..., Network]) -> None:
    network = make(1, 2, 4)
    assert network.address.claim().address == "192.168.77.3/24"
    assert make(*range(1, 20)).address.claim().address == "192.168.77.3/24", "what is claimed is kept"


def test_twenty_is_the_last(make: Callable[..., Network]) -> None:
    assert make(*range(1, 20)).address.claim().address == "192.168.77.20/24"


def test_all_are_taken(make: Callable[..., Network]) -> None:
    network = make(*range(1, 21))
    with pytest.raises(Conflict, match=r"192\.168\.77\.1 to 192\.168\.77\.20 are in use"):
        network.address.claim()
    assert network.address.current is None
    assert network.applied == []


def test_own_addresses_are_not_claimed_twice() -> None:
    assert candidates(["192.168.77.1/24", "10.0.0.1/8"])[:2] == ["192.168.77.2", "192.168.77.3"]
    assert len(candidates([])) == 20


def test_it_lasts_over_a_restart_of_the_program(make: Callable[..., Network]) -> None:
    make(1).address.claim()
    again = make()
    assert again.address.current == Claim("192.168.77.2/24")
    assert again.address.claim() == Claim("192.168.77.2/24")
    assert again.probed == []


def test_a_dhcp_server_can_be_asked_for_later(make: Callable[..., Network]) -> None:
    network = make()
    network.address.claim()
    assert network.address.claim(dhcp_server=True) == Claim("192.168.77.1/24", dhcp_server=True)
    assert network.probed == ["192.168.77.1"]


def test_it_can_be_given_back(make: Callable[..., Network], tmp_path: Path) -> None:
    network = make()
    network.address.claim()
    network.address.release()
    assert network.address.current is None
    assert network.applied[-1] is None
    assert load(tmp_path / "claim.json") is None


def test_without_a_cable_it_is_taken_and_asked_for_when_one_is_plugged_in(
    make: Callable[..., Network],
) -> None:
    network = make(1, cable=False)
    assert network.address.claim() == Claim("192.168.77.1/24", probed=False)
    assert network.announced == []
    network.cable = True
    network.address.probe_again()
    assert network.address.current == Claim("192.168.77.2/24")
    assert network.applied[1:] == [None, Claim("192.168.77.2/24")]
    asked = len(network.probed)
    network.address.probe_again()
    assert len(network.probed) == asked, "it was asked for"


@pytest.mark.parametrize("content", ["", "{", '{"address": "x"}', '{"nonsense": 1}', "[]"])
def test_a_damaged_note_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "claim.json").write_text(content)
    assert load(tmp_path / "claim.json") is None


def test_without_a_place_for_the_note_it_is_told(tmp_path: Path) -> None:
    network = Network(tmp_path / "missing" / "claim.json")
    with pytest.raises(Unavailable, match="could not be kept"):
        network.address.claim()
    assert network.applied == []
