import contextlib

import pytest

from allegro.errors import Conflict
from allegro.supervisor.rescue import BETWEEN_S, restart_without_data


@pytest.mark.spec("S2", "S3")
@pytest.mark.parametrize(
    ("wrong", "up_s", "said"),
    [
        ("", BETWEEN_S * 9, "can be used"),
        ("it is missing.", BETWEEN_S - 1, "only just started"),
        ("it is missing.", BETWEEN_S, ""),
    ],
)
def test_only_without_data_and_only_once_in_a_while(wrong: str, up_s: float, said: str) -> None:
    done: list[str] = []
    with pytest.raises(Conflict, match=said) if said else contextlib.nullcontext():
        restart_without_data(lambda: wrong, done.append, lambda: up_s)
    assert done == ([] if said else ["reboot"])
