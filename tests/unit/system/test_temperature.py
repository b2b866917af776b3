from pathlib import Path

import pytest

from allegro.system.temperature import warmest_c


@pytest.mark.parametrize(
    ("told", "celsius"),
    [
        ({}, None),
        ({"thermal_zone0": "41000\n", "thermal_zone1": "52500\n"}, 52.5),
        ({"thermal_zone0": "-273200\n", "thermal_zone1": "nonsense", "cooling_device0": "99000"}, None),
    ],
)
@pytest.mark.spec("W3")
def test_the_warmest_sensor_counts(tmp_path: Path, told: dict[str, str], celsius: float | None) -> None:
    for name, text in told.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "temp").write_text(text)
    (tmp_path / "thermal_zone9").mkdir()
    assert warmest_c(tmp_path) == celsius


def test_where_there_is_no_such_directory_nothing_is_known(tmp_path: Path) -> None:
    assert warmest_c(tmp_path / "none") is None
