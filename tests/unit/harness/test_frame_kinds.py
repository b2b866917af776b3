from tests.harness.frame_kinds import KINDS, LARGEST, SMALLEST, frames


def test_a_thousand_frames_of_all_kinds_and_sizes() -> None:
    made = frames(1000, 1)
    assert len(set(made)) == len(made) == 1000
    sizes = {len(frame) for frame in made}
    assert (min(sizes), max(sizes)) == (SMALLEST, LARGEST)
    starts = {kind.destination + made[0][6:12] + kind.head for kind in KINDS}
    assert all(any(frame.startswith(start) for frame in made) for start in starts)
    assert not any(frame[6] & 1 for frame in made), "no bridge passes on what a group has sent"
    assert frames(1000, 1) == made
    assert frames(1000, 2) != made
