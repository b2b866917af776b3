from pathlib import Path

import pytest

from allegro.network import configure
from allegro.paths import Paths
from allegro.supervisor.kept_files import KeptFiles, kept_files
from allegro.system.identity import system_id


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "data", tmp_path / "run")
    made.state.mkdir(parents=True)
    return made


def seen(paths: Paths) -> list[tuple[str, bool]]:
    kept = KeptFiles(paths)
    kept.look()
    return [(problem.id, problem.backed) for problem in kept.problems()]


@pytest.mark.spec("S2")
def test_a_new_device_and_one_without_its_data_partition_have_no_such_problems(
    paths: Paths, tmp_path: Path
) -> None:
    assert seen(paths) == []
    assert seen(Paths(tmp_path / "not mounted")) == []
    assert list(paths.state.iterdir()) == []


@pytest.mark.spec("S2")
def test_what_a_copy_replaces_is_told_until_the_next_start(paths: Paths) -> None:
    made = system_id(paths.system_id)
    paths.system_id.write_bytes(b"\x00")
    assert seen(paths) == [("system-id", True)]
    assert paths.system_id.read_text() == f"{made}\n"
    assert seen(paths) == []


@pytest.mark.spec("S2")
def test_what_nothing_replaces_is_told_at_every_start(paths: Paths) -> None:
    configure.memory(paths.state).mkdir()  # as a file that the disk does not give
    assert seen(paths) == seen(paths) == [("port-names", False)]


def test_ids_are_unique_and_names_are_sentences(paths: Paths) -> None:
    kept = kept_files(paths)
    assert len({each.id for each in kept}) == len(kept)
    assert all(each.name[0].isupper() and each.without.endswith(".") for each in kept)
