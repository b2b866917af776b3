"""From the first password of the WiFi to the device's own: who is in stays in until the new one is used."""

import pytest

from allegro.errors import Unavailable
from allegro.network import wifi_handover
from allegro.settings.model import Settings
from allegro.settings.wifi import AccessPoint, Wifi
from tests.unit.network.wifi_bench import Bench

pytestmark = pytest.mark.spec("S6", "N2")
STARTED = "start allegro-wifi-access-point allegro-wifi-dhcp"
OWN = "bafu-kilo-mena-sotu-rivu-gape"


def with_password(password: str, **more: str) -> Wifi:
    return Wifi(access_point=AccessPoint(password=password, **more))  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.refreshed()
    return made


def both_s(bench: Bench) -> float | None:
    return bench.care.status().both_passwords_s


def test_a_new_device_takes_its_first_password_alone(bench: Bench) -> None:
    assert (bench.care.status().first_password, both_s(bench)) == (True, None)
    assert "wpa_passphrase=Allegro-MM\n" in bench.system.orders["access-point"]
    assert "wpa_psk_file" not in bench.system.orders["access-point"]


def test_the_own_one_comes_beside_it_and_nothing_starts_again(bench: Bench) -> None:
    assert bench.set(with_password(OWN)) == ["change passwords"]
    assert bench.system.said == [
        f"SET sae_password {OWN}",
        "SET wpa_psk_file /run/allegro/wifi-passwords/passwords",
        "RELOAD_WPA_PSK",
    ]
    # What hostapd gets if it has to start again meanwhile.
    conf = bench.system.orders["access-point"]
    assert f"wpa_passphrase={OWN}\nap_isolate=1\nwpa_psk_file=/run/credentials/passwords\n" in conf
    assert "channel=6\n" in conf
    assert "SAE" in conf
    assert bench.system.orders["passwords"].splitlines()[1:] == [
        "keyid=first 00:00:00:00:00:00 Allegro-MM",
        f"keyid=own 00:00:00:00:00:00 {OWN}",
    ]
    left_s = both_s(bench)
    assert left_s is not None
    assert 3500 < left_s <= 3600
    status = bench.care.status()
    assert (status.state, status.first_password, status.channel) == ("on", False, 6)
    assert bench.refreshed() == [], "nobody has joined yet"
    assert OWN not in bench.system.note


@pytest.mark.parametrize("how", ["WPA2", "WPA3", "an hour"])
def test_then_the_first_one_does_not_count_any_more(
    bench: Bench, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "an hour":
        monkeypatch.setattr(wifi_handover, "LONGEST_S", 0.0)
    bench.system.keys = {"key of who was in before"}
    bench.set(with_password(OWN))
    if how != "an hour":
        assert bench.refreshed() == []
        if how == "WPA2":
            bench.system.joined_with = {"own"}
        else:
            bench.system.keys.add("another key")
        assert bench.refreshed() == ["change passwords"]
    assert bench.system.said == [
        "SET wpa_psk_file /run/allegro/wifi-passwords/passwords",
        f"SET wpa_passphrase {OWN}",
        "PMKSA_FLUSH",
        "RELOAD_WPA_PSK",
    ]
    assert "Allegro-MM" not in "".join(bench.system.orders.values())
    assert both_s(bench) is None
    assert bench.refreshed() == []


def test_who_used_the_first_one_ends_nothing(bench: Bench) -> None:
    bench.set(with_password(OWN))
    bench.system.joined_with = {"first"}
    assert bench.refreshed() == []
    assert both_s(bench) is not None


@pytest.mark.parametrize(
    "changed", [with_password(OWN, ssid="Van"), with_password("0" * 64), with_password("a bar | in it")]
)
def test_what_cannot_be_said_to_a_running_one_starts_it_with_both(bench: Bench, changed: Wifi) -> None:
    bench.system.keys = {"key"}
    assert bench.set(changed)[-1] == STARTED
    assert "wpa_psk_file=/run/credentials/passwords\n" in bench.system.orders["access-point"]
    assert "keyid=first 00:00:00:00:00:00 Allegro-MM\n" in bench.system.orders["passwords"]
    assert bench.refreshed() == []
    bench.system.joined_with = {"own"}
    done = bench.refreshed()
    assert done[-1] in (STARTED, "change passwords")
    assert "Allegro-MM" not in "".join(bench.system.orders.values())
    assert bench.refreshed() == []


def test_a_silent_hostapd_is_started_again_with_both(bench: Bench) -> None:
    bench.system.silent = Unavailable("no answer")
    assert bench.set(with_password(OWN))[-1] == STARTED
    assert "Allegro-MM" in bench.system.orders["passwords"]
    bench.system.joined_with = {"own"}
    assert bench.refreshed()[-1] == STARTED
    assert "Allegro-MM" not in "".join(bench.system.orders.values())
    assert both_s(bench) is None


def test_a_program_that_starts_again_goes_on_with_it(bench: Bench) -> None:
    bench.system.keys = {"old key"}
    bench.set(with_password(OWN))
    bench.care = bench.another_care()
    assert bench.refreshed() == []
    assert both_s(bench) is not None
    bench.system.keys.add("new key")
    assert bench.refreshed() == ["change passwords"]


@pytest.mark.parametrize("changed", [with_password(OWN), with_password(OWN, ssid="Van")])
def test_a_program_that_ended_between_saving_and_this_cuts_nobody_off(bench: Bench, changed: Wifi) -> None:
    bench.settings = Settings(wifi=changed)
    bench.care = bench.another_care()
    done = bench.refreshed()
    assert done == ["change passwords"] if changed == with_password(OWN) else done[-1] == STARTED
    assert "keyid=first 00:00:00:00:00:00 Allegro-MM\n" in bench.system.orders["passwords"]
    assert (both_s(bench) or 0) > 3500
    assert bench.care.status().state == "on"
    assert bench.refreshed() == []


def test_an_adapter_that_is_plugged_in_again_takes_both(bench: Bench) -> None:
    bench.set(with_password(OWN))
    adapter, bench.system.found = bench.system.found, []
    bench.refreshed()
    bench.system.found = adapter
    assert bench.refreshed()[-1] == STARTED
    assert "Allegro-MM" in bench.system.orders["passwords"]


def test_a_second_change_of_mind_takes_the_first_one_too(bench: Bench) -> None:
    bench.set(with_password(OWN))
    assert bench.set(with_password("another one"))[-1] == STARTED
    assert "keyid=first" in bench.system.orders["passwords"]
    assert "keyid=own 00:00:00:00:00:00 another one\n" in bench.system.orders["passwords"]


def test_a_change_between_own_passwords_takes_one_only(bench: Bench) -> None:
    own = Bench()
    own.set(with_password(OWN))
    assert own.set(with_password("another one"))[-1] == STARTED
    assert own.system.orders["passwords"].count("keyid=") == 1
    assert both_s(own) is None


def test_a_change_that_is_taken_back_ends_it(bench: Bench) -> None:
    bench.set(with_password(OWN))
    assert bench.set(Wifi())[-1] == STARTED
    assert OWN not in "".join(bench.system.orders.values())
    assert both_s(bench) is None


def test_the_first_password_is_closed_to_a_device_that_had_its_own() -> None:
    bench = Bench()
    bench.own_is_lost = True
    assert "start" not in " ".join(bench.refreshed())
    status = bench.care.status()
    assert status.state == "failed"
    assert "stays off" in status.message
    problem = bench.care.problem()
    assert problem is not None
    assert "Choose a password" in problem.remedy
    assert bench.refreshed() == ["stop"]
    bench.own_is_lost = False  # as it is in force again
    assert bench.set(with_password(OWN))[-1] == STARTED
    assert bench.care.status().state == "on"
    assert both_s(bench) is None, "nobody can have been in by the first one"
