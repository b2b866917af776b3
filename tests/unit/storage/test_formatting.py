from itertools import pairwise

import pytest

from allegro.errors import InvalidInput
from allegro.storage.formatting import (
    START,
    Kind,
    Wish,
    check_command,
    checked_label,
    label_command,
    make_command,
    markers,
    table_script,
)

pytestmark = pytest.mark.spec("W5")
TB = 10**12


@pytest.mark.parametrize(
    ("label", "kind", "taken"),
    [
        ("ALLEGRO", "exfat", "ALLEGRO"),
        (" Hall 3 ", "exfat", "Hall 3"),
        ("sixteen_letters_", "ext4", "sixteen_letters_"),
        ("eleven_let1", "exfat", "eleven_let1"),
    ],
)
def test_a_name_that_fits_is_taken(label: str, kind: Kind, taken: str) -> None:
    assert checked_label(label, kind) == taken


@pytest.mark.parametrize(
    ("label", "kind", "words"),
    [
        ("", "exfat", "needs a name"),
        ("   ", "ext4", "needs a name"),
        ("twelve_lette", "exfat", "too long: exFAT has room for 11"),
        ("seventeen_letters", "ext4", "too long: ext4 has room for 16"),
        ("-U", "ext4", "cannot be the name"),
        ("a/b", "exfat", "cannot be the name"),
        ("Prüfung", "exfat", "cannot be the name"),
        ("a\nb", "exfat", "cannot be the name"),
        (".hidden", "exfat", "cannot be the name"),
    ],
)
def test_a_name_that_does_not_is_refused_with_the_reason(label: str, kind: Kind, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        checked_label(label, kind)
    assert refused.value.place == "label"


def test_the_table_is_the_one_that_everything_reads_as_far_as_it_goes() -> None:
    assert table_script(32 * 10**9, "exfat") == "label: dos\nstart=2048, type=7\n"
    assert table_script(2 * TB, "ext4") == "label: dos\nstart=2048, type=83\n"
    assert table_script(4 * TB, "exfat").startswith("label: gpt\nstart=2048, type=EBD0A0A2")
    assert "start=256," in table_script(4 * TB, "ext4", sector=4096)


def test_programs_get_the_name_and_the_partition() -> None:
    assert make_command(Wish("exfat", "A B"), "/dev/sdb1") == ["mkfs.exfat", "-L", "A B", "/dev/sdb1"]
    ext4 = make_command(Wish("ext4", "A"), "/dev/sdb1")
    assert (ext4[0], ext4[-1], ext4[ext4.index("-L") + 1]) == ("mke2fs", "/dev/sdb1", "A")
    assert label_command("ext4", "A", "/dev/sdb1") == ["tune2fs", "-L", "A", "/dev/sdb1"]
    assert label_command("exfat", "A", "/dev/sdb1")[0] == "tune.exfat"
    assert all("-n" in check_command(kind, "/dev/sdb1") for kind in ("exfat", "ext4"))


@pytest.mark.parametrize("size", [64 << 20, 300 << 20, 8 * 10**9, 4 * TB])
def test_a_disk_is_looked_at_wherever_one_that_pretends_could_end(size: int) -> None:
    first, *places = markers(size)
    assert (first, places[0]) == (0, START)
    assert all(before < place <= 2 * before for before, place in pairwise(places))
    assert size - 2 * START <= places[-1] <= size - START
    assert all(place % START == 0 for place in places)


@pytest.mark.parametrize("size", [64 << 20, 300 << 20, 8 * 10**9, 8 << 30, 64 << 30])
def test_a_disk_that_writes_what_is_behind_its_end_at_its_beginning_is_found(size: int) -> None:
    end = START << 1
    while end < size:
        kept = {place % end: place for place in markers(size)}  # the last that was written there
        assert any(kept[place % end] != place for place in markers(size)), end
        end <<= 1
