import subprocess

import pytest

from allegro.errors import Unavailable
from allegro.system.power import Action, power


@pytest.mark.parametrize(("action", "verb"), [("reboot", "reboot"), ("power-off", "poweroff")])
def test_systemd_is_asked(action: Action, verb: str) -> None:
    asked: list[list[str]] = []
    power(action, lambda command, **_: asked.append(command))
    (command,) = asked
    assert command[:2] == ["systemd-run", "--quiet"]
    assert command[-3:] == ["systemctl", "--no-block", verb]


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file"), subprocess.CalledProcessError(1, "systemctl")]
)
def test_a_refusal_is_told(error: Exception) -> None:
    def refuse(_command: list[str], **_: object) -> None:
        raise error

    with pytest.raises(Unavailable, match="power switch"):
        power("reboot", refuse)
