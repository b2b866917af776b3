from pathlib import Path

from allegro.network.networkd_files import bridges, write


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_exactly_our_files_are_kept_up_to_date(tmp_path: Path) -> None:
    directory = tmp_path / "network"
    assert write({"br1.netdev": "a", "port1.network": "b"}, directory)
    (directory / "70-other.network").write_text("not ours")
    assert not write({"br1.netdev": "a", "port1.network": "b"}, directory)
    assert bridges(directory) == {"br1"}
    assert write({"port1.network": "c"}, directory)
    assert names(directory) == ["10-allegro-port1.network", "70-other.network"]
    assert (directory / "10-allegro-port1.network").read_text() == "c"
    assert (directory / "10-allegro-port1.network").stat().st_mode & 0o777 == 0o644
    assert bridges(directory) == set()
