"""hostapd's control socket, with a program in its place that answers as hostapd 2.10 does."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.network import hostapd_control
from allegro.network.wifi_system import WifiSystem

pytestmark = pytest.mark.spec("S6")

STATIONS = {
    "STA-FIRST": "02:00:00:00:01:00\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=1\nkeyid=first\n",
    "STA-NEXT 02:00:00:00:01:00": "02:00:00:00:01:01\nflags=[AUTH][ASSOC]\nkeyid=own\n",
    "STA-NEXT 02:00:00:00:01:01": "02:00:00:00:01:02\nflags=[AUTH][ASSOC][AUTHORIZED]\naid=3\n",
    "STA-NEXT 02:00:00:00:01:02": "",
}
KEYS = (
    "Index / SPA / PMKID / expiration (in seconds) / opportunistic\n"
    "1 02:00:00:00:01:02 0123456789abcdef0123456789abcdef 43190 0\n"
    "2 02:00:00:00:01:03 ffffffffffffffffffffffffffffffff 12 0\n"
)


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Its answers, by request; what it was asked stands in "asked"."""
    folder = tmp_path / "wifi-access-point"
    folder.mkdir()
    known: dict[str, str] = {"asked": ""}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(folder / "wifi0"))

        def serve() -> None:
            while True:
                request, asker = server.recvfrom(4096)
                if request == b"end":
                    return
                known["asked"] += request.decode() + "\n"
                server.sendto(known.get(request.decode(), "OK\n").encode(), asker)

        thread = threading.Thread(target=serve)
        thread.start()
        yield known
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"end", str(folder / "wifi0"))
        thread.join()


def test_who_is_in_with_which_password(tmp_path: Path, answers: dict[str, str]) -> None:
    answers |= STATIONS
    system = WifiSystem(tmp_path)
    assert system.somebody_used("first")
    assert not system.somebody_used("own"), "it is not in yet"
    answers["STA-NEXT 02:00:00:00:01:00"] += "flags=[AUTH][ASSOC][AUTHORIZED]\n"
    assert system.somebody_used("own")
    answers |= {"STA-FIRST": "FAIL\n"}
    assert not system.somebody_used("first")


def test_keys_that_wpa3_has_agreed_on(tmp_path: Path, answers: dict[str, str]) -> None:
    answers["PMKSA"] = KEYS
    assert WifiSystem(tmp_path).keys_kept() == {"0123456789abcdef" * 2, "f" * 32}


def test_new_passwords_are_said_in_order_and_nothing_is_left(tmp_path: Path, answers: dict[str, str]) -> None:
    (tmp_path / "wifi").mkdir()
    system = WifiSystem(tmp_path)
    system.change_passwords({"access-point": "conf"}, "keys", ["SET sae_password a b", "RELOAD_WPA_PSK"])
    assert answers["asked"] == "SET sae_password a b\nRELOAD_WPA_PSK\n"
    assert Path(system.passwords_while_running).read_text() == "keys"
    assert (tmp_path / "wifi/access-point").read_text() == "conf"
    folder = tmp_path / "wifi-access-point"
    assert [path.name for path in folder.iterdir()] == ["wifi0"], "nothing of ours where its user may write"
    assert Path(system.passwords_while_running).parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("SET wpa_passphrase not this one", "refused SET wpa_passphrase."),
        ("PMKSA_FLUSH", "refused PMKSA_FLUSH."),
    ],
)
def test_what_it_refuses_is_told_without_the_password(
    tmp_path: Path, answers: dict[str, str], request_: str, said: str
) -> None:
    answers[request_] = "FAIL\n"
    with pytest.raises(Unavailable) as refused:
        hostapd_control.tell(tmp_path / "wifi-access-point", "wifi0", [request_])
    assert said in str(refused.value)


@pytest.mark.parametrize("made", [True, False])
def test_one_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: bool
) -> None:
    monkeypatch.setattr(hostapd_control, "TIMEOUT_S", 0.1)
    ask: Callable[[], object] = WifiSystem(tmp_path).keys_kept
    if made:
        (tmp_path / "wifi-access-point").mkdir()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
            deaf.bind(str(tmp_path / "wifi-access-point/wifi0"))
            with pytest.raises(Unavailable, match="no answer"):
                ask()
    else:
        with pytest.raises(Unavailable, match="No such file"):
            ask()
