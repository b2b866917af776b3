"""What is offered to who writes a filter: values that the newest packets of a ring have."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from allegro.capture.extraction import seen_values as module
from allegro.capture.extraction.seen_values import seen_values
from allegro.capture.ring.record import FIRST_PACKET_OFFSET
from allegro.filters.fields import Field
from tests.harness.frames import udp_frame
from tests.unit.capture.blocks import Frame
from tests.unit.capture.rings import RUN, Ring

pytestmark = pytest.mark.spec("F5", "R13")


def frames(*receivers: str, tci: int | None = None) -> list[Frame]:
    return [
        Frame(RUN + number, udp_frame(number, size=72, destination=receiver), tci)
        for number, receiver in enumerate(receivers)
    ]


@pytest.fixture
def ring(tmp_path: Path) -> Ring:
    return Ring(tmp_path / "ring")


def test_values_of_the_summaries_come_with_the_usual_first(ring: Ring) -> None:
    ring.add(1, frames("192.0.2.9"))
    ring.add(2, frames("192.0.2.200", tci=7))
    ring.add(1, frames("192.0.2.9", tci=300))
    ring.summarize()
    seen = seen_values(ring.directory)
    assert seen[Field.DESTINATION_IP] == seen[Field.IP] == ["192.0.2.1", "192.0.2.9", "192.0.2.200"]
    assert seen[Field.VLAN] == ["7", "300"]
    assert seen[Field.UDP_PORT] == ["40000", "40001"]
    assert seen[Field.MPLS] == []


def test_records_of_which_no_summary_lists_addresses_are_read_the_newest_first(ring: Ring) -> None:
    for number in range(4):
        ring.add(1, frames(f"192.0.2.{100 + number}"))
    assert seen_values(ring.directory)[Field.IP] == ["192.0.2.1", "192.0.2.102", "192.0.2.103"]
    many = [str(IPv4Address("10.0.0.0") + number) for number in range(3000)]
    ring.add(1, frames(*many))
    ring.summarize()
    assert set(many) < set(seen_values(ring.directory)[Field.IP])


def test_a_look_ends_however_large_the_ring_is(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "NEWEST", 2)
    for number in range(5):
        ring.new_segment()
        ring.add(1, frames(f"192.0.2.{100 + number}"))
    ring.summarize()
    assert seen_values(ring.directory)[Field.IP] == ["192.0.2.1", "192.0.2.103", "192.0.2.104"]


def test_of_no_ring_and_of_damage_nothing_is_known(ring: Ring, tmp_path: Path) -> None:
    assert not any(seen_values(tmp_path / "none").values())
    ring.add(1, frames("192.0.2.9"))
    ring.damage(0, FIRST_PACKET_OFFSET, b"\xff" * 60)
    assert not any(seen_values(ring.directory).values())
