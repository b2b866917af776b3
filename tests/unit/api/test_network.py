"""The routes of the network, the BMC and the clock."""

from pathlib import Path

import pytest

from tests.unit.api.bench import LINKED_PORTS, MANAGEMENT_PORT, Bench, make_bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return make_bench(tmp_path)


@pytest.mark.spec("L2", "N1")
def test_ports_and_addresses_are_shown(bench: Bench) -> None:
    answer = bench.get("/network")
    assert answer["host_name"] == "allegro-mm-3456"
    assert [(port["name"], port["role"], port["present"]) for port in answer["ports"]] == [
        ("mgmt0", "management", True),
        ("port1", "measuring", False),
    ]
    assert answer["management"] == [
        {
            "name": "mgmt0",
            "addresses": [{"address": "192.0.2.7/24", "source": "DHCPv4"}],
            "gateways": ["192.0.2.1"],
            "dns": [],
        }
    ]
    assert answer["temporary_address"]["address"] == "192.168.77.1/24"
    assert answer["confirm_within_s"] is None


@pytest.mark.spec("N5")
def test_a_change_that_waits_is_told_where_it_was_made(bench: Bench) -> None:
    bench.remaining_s = 119.5
    answer = bench.call("PATCH", "/settings", {"management": {"ipv6": "off"}}).json()
    assert answer["confirm_within_s"] == 119.5
    assert bench.get("/network")["confirm_within_s"] == 119.5
    assert bench.call("POST", "/network/confirm").status_code == 200
    assert bench.call("POST", "/network/take-back").status_code == 200
    assert bench.asked == ["confirm", "take back"]


@pytest.mark.spec("L2")
def test_ports_get_other_names(bench: Bench) -> None:
    bench.ports = [MANAGEMENT_PORT, *LINKED_PORTS]
    names = {"mgmt0": "port1", "port1": "mgmt0"}
    assert bench.call("PUT", "/network/ports", {"names": names}).status_code == 200
    assert bench.asked == [names]
    assert bench.refused(422, "PUT", "/network/ports", {"names": {}})["place"] == "names"
    assert bench.refused(422, "PUT", "/network/ports", {"mgmt0": "port1"})


@pytest.mark.spec("W11")
def test_a_port_blinks_for_some_seconds(bench: Bench) -> None:
    assert bench.call("POST", "/network/ports/port1/blink").status_code == 204
    assert bench.call("POST", "/network/ports/port1/blink", {"seconds": 2}).status_code == 204
    assert bench.asked == [("port1", 5), ("port1", 2)]
    for seconds in (0, 11):
        bench.refused(422, "POST", "/network/ports/port1/blink", {"seconds": seconds})


@pytest.mark.spec("N3")
def test_a_temporary_address_is_asked_for_with_or_without_dhcp_server(bench: Bench) -> None:
    assert bench.call("POST", "/network/temporary-address").json()["dhcp_server"] is False
    answer = bench.call("POST", "/network/temporary-address", {"dhcp_server": True}).json()
    assert answer == {"address": "192.168.77.2/24", "dhcp_server": True, "probed": True}
    assert bench.call("DELETE", "/network/temporary-address").status_code == 200
    assert bench.asked == ["release"]


@pytest.mark.spec("N6")
def test_a_machine_without_bmc_says_so(bench: Bench) -> None:
    assert bench.get("/bmc")["present"] is False
    error = bench.refused(404, "PUT", "/bmc", {"source": "static", "address": "192.0.2.7/24"})
    assert "no BMC" in error["message"]
    error = bench.refused(422, "PUT", "/bmc", {"source": "static", "address": "192.0.2.0/24"})
    assert error["place"] == "address"


@pytest.mark.spec("N7")
def test_the_clock(bench: Bench) -> None:
    answer = bench.get("/time")
    assert (answer["zone"], answer["utc_offset"], answer["synchronised"]) == ("UTC", "+00:00", True)
    assert answer["server"] == "ntp.example"


@pytest.mark.spec("N7")
def test_the_clock_is_set_by_hand(bench: Bench) -> None:
    assert bench.call("PUT", "/time", {"time": "2026-11-29T23:30:05.25Z"}).status_code == 200
    assert bench.call("PUT", "/time", {"time": "2026-11-30T00:30:05+01:00"}).status_code == 200
    seconds = 1_795_995_005
    assert bench.clock_set == [seconds * 10**9 + 250_000_000, seconds * 10**9]
    error = bench.refused(422, "PUT", "/time", {"time": "2026-11-29T23:30:05"})
    assert error["place"] == "time"
    assert len(bench.clock_set) == 2
