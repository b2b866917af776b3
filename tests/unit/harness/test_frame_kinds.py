from tests.harness.frame_kinds import KINDS, LARGEST, SMALLEST, beyond_a_bridge, frames

PORTS = (bytes.fromhex("02a11e000101"), bytes.fromhex("02a11e000102"))


def test_a_thousand_frames_of_all_kinds_and_sizes() -> None:
    made = frames(1000, 1)
    assert len(set(made)) == len(made) == 1000
    sizes = {len(frame) for frame in made}
    assert (min(sizes), max(sizes)) == (SMALLEST, LARGEST)
    assert all(any(frame.startswith(kind.start) for frame in made) for kind in KINDS)
    assert not any(frame[6] & 1 for frame in made), "no bridge passes on what a group has sent"
    assert frames(1000, 1) == made
    assert frames(1000, 2) != made


def test_what_no_bridge_passes() -> None:
    kinds = beyond_a_bridge(*PORTS)
    made = frames(100, 1, kinds)
    assert all(any(frame.startswith(kind.start) for frame in made) for kind in kinds)
    pause = bytes.fromhex("0180c2000001")
    assert all(frame[:6] in (pause, *PORTS) or frame[6] & 1 or frame[6:12] == bytes(6) for frame in made), (
        "see is_valid_ether_addr and BR_GROUPFWD_MACPAUSE in the kernel"
    )
