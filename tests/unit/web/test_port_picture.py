from typing import Any

import pytest

from allegro.web.port_picture import Jack, jacks, missing, seeing

pytestmark = pytest.mark.spec("W11")


def port(name: str, *, up: bool = True, present: bool = True) -> dict[str, Any]:
    role = "management" if name.startswith("mgmt") else "measuring"
    return {"name": name, "role": role, "present": present, "link_up": up}


def recorded(name: str, packets: int = 0, rate: float = 0.0, *, up: bool = True) -> dict[str, Any]:
    return {"name": name, "packets": packets, "packets_per_s": rate, "link_up": up}


def words(shown: list[Jack]) -> dict[str, tuple[str, str]]:
    return {jack.name: (jack.kind, jack.words) for jack in shown}


def test_two_ports_with_traffic_are_all_that_is_needed() -> None:
    shown = jacks(
        [port("mgmt0"), port("port1"), port("port2")], [recorded("port1", 9, 4.0), recorded("port2", 7)]
    )
    assert words(shown) == {
        "mgmt0": ("good", "management"),
        "port1": ("good", "sees traffic"),
        "port2": ("good", "has seen traffic"),
    }
    assert seeing(shown) == "port1 and port2 see traffic."
    assert missing(shown) == []


def test_what_is_missing_is_said_of_each_port() -> None:
    shown = jacks(
        [port("mgmt0", up=False), port("port1"), port("port2", up=False)],
        [recorded("port1"), recorded("port2", 7, up=False)],
    )
    assert words(shown) == {
        "mgmt0": ("off", "no cable"),
        "port1": ("bad", "nothing seen"),
        "port2": ("bad", "no cable"),
    }
    assert seeing(shown) == ""
    assert missing(shown) == [
        "port1 has a link, but no packet has come in: use what is connected to it.",
        "port2 has no link: plug its cable in, and switch on what it leads to.",
    ]


def test_links_without_any_cable_need_none_but_the_first() -> None:
    four = [port(f"port{number}", up=number < 4) for number in (1, 2, 3, 4)]
    seen = [recorded(f"port{number}", 5, 5.0) for number in (1, 2, 3, 4)]
    assert missing(jacks(four, seen)) == [
        "port4 has no link: plug its cable in, and switch on what it leads to."
    ]
    assert missing(jacks([*four[:2], port("port3", up=False), four[3]], seen)) == []
    assert seeing(jacks(four, seen)) == "port1, port2 and port3 see traffic."
    assert len(missing(jacks([port("port1", up=False), port("port2", up=False)], []))) == 2


def test_ports_that_are_gone_or_not_recorded_are_told_as_that() -> None:
    shown = jacks([port("port1", present=False), port("port2")], [])
    assert words(shown) == {"port1": ("off", "not there"), "port2": ("bad", "not recorded")}
    assert missing(shown) == ["port2 is not being recorded (yet)."]
    assert missing(jacks([port("mgmt0")], [])) == [
        "This device has no measuring port: it needs one more network port at least."
    ]


def test_what_is_recorded_is_there_whatever_else_is_known() -> None:
    shown = jacks([], [recorded("port1", 9, 4.0)])
    assert words(shown) == {"port1": ("good", "sees traffic")}
    assert seeing(shown) == "port1 sees traffic."
