from dataclasses import replace

import pytest

from allegro.network.wifi_scan import (
    Connection,
    FoundNetwork,
    Station,
    by_name,
    parse_link,
    parse_scan,
    parse_stations,
    quietest_channel,
    unescaped,
)

pytestmark = pytest.mark.spec("N2")

# As iw 6.9 prints it, shortened.
SCAN = """\
BSS 02:00:00:00:01:00(on wifi0)
\tlast seen: 121.466s [boottime]
\tTSF: 1763776213405716 usec (20414d, 01:50:13)
\tfreq: 2462.0
\tbeacon interval: 100 TUs
\tcapability: ESS Privacy ShortSlotTime (0x0411)
\tsignal: -80.00 dBm
\tlast seen: 24 ms ago
\tSSID: B\\xc3\\xbcro  x
\tSupported rates: 1.0* 2.0* 5.5* 11.0* 6.0 9.0 12.0 18.0
\tDS Parameter set: channel 11
\tRSN:\t * Version: 1
\t\t * Group cipher: CCMP
\t\t * Pairwise ciphers: CCMP
\t\t * Authentication suites: PSK
\t\t * Capabilities: 16-PTKSA-RC 1-GTKSA-RC (0x000c)
\tSupported operating classes:
\t\t * current operating class: 81
BSS 02:00:00:00:01:01(on wifi0)
\tfreq: 5180
\tcapability: ESS Privacy SpectrumMgmt (0x0111)
\tsignal: -41.00 dBm
\tSSID: Home
\tRSN:\t * Version: 1
\t\t * Authentication suites: PSK SAE
BSS 02:00:00:00:01:02(on wifi0)
\tfreq: 2412.0
\tcapability: ESS (0x0401)
\tsignal: -60.00 dBm
\tSSID: Guests
BSS 02:00:00:00:01:03(on wifi0)
\tfreq: 2412.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -50.00 dBm
\tSSID: \\x00\\x00\\x00\\x00
BSS 02:00:00:00:01:04(on wifi0)
\tfreq: 2412.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -70.00 dBm
\tSSID:
BSS 02:00:00:00:01:05(on wifi0)
\tfreq: 2484.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -71.00 dBm
\tSSID: Company
\tRSN:\t * Version: 1
\t\t * Authentication suites: IEEE 802.1X
BSS 02:00:00:00:01:06(on wifi0)
\tfreq: 5955.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -72.00 dBm
\tSSID: New
\tRSN:\t * Version: 1
\t\t * Authentication suites: SAE
BSS 02:00:00:00:01:07(on wifi0)
\tfreq: 2437.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -73.00 dBm
\tSSID: Old
\tWPA:\t * Version: 1
\t\t * Authentication suites: PSK
BSS 02:00:00:00:01:08(on wifi0)
\tfreq: 2437.0
\tcapability: ESS Privacy (0x0411)
\tsignal: -74.00 dBm
\tSSID: Older
"""

STATIONS = """\
Station 02:00:00:00:02:00 (on wifi0)
\tinactive time:\t1064 ms
\trx bytes:\t4321
\trx packets:\t21
\ttx bytes:\t98765
\ttx packets:\t7
\ttx retries:\t0
\tsignal:  \t-30 [-30] dBm
\tsignal avg:\t-29 [-29] dBm
\ttx bitrate:\t1.0 MBit/s
\tauthorized:\tyes
\tauthenticated:\tyes
\tassociated:\tyes
\tconnected time:\t12 seconds
\tassociated at [boottime]:\t98.153s
Station 02:00:00:00:01:00 (on wifi0)
\trx bytes:\t0
\ttx bytes:\t0
\tauthorized:\tyes
\tconnected time:\t1 seconds
Station 02:00:00:00:03:00 (on wifi0)
\trx bytes:\t999
\tauthorized:\tno
\tconnected time:\t1 seconds
"""


def test_scan() -> None:
    found = parse_scan(SCAN)
    assert [(each.ssid, each.channel, each.security) for each in found] == [
        ("Home", 36, "wpa2-wpa3"),
        ("Guests", 1, "open"),
        ("Company", 14, "enterprise"),
        ("New", 0, "wpa3"),
        ("Old", 6, "wpa"),
        ("Older", 6, "wep"),
        ("Büro  x", 11, "wpa2"),
    ]
    assert found[-1] == FoundNetwork("Büro  x", "02:00:00:00:01:00", -80.0, 2462, 11, "wpa2")


def test_nothing_found() -> None:
    assert parse_scan("") == []


@pytest.mark.parametrize(
    ("written", "name"),
    [("Home", "Home"), ("\\x20a\\x5cb\\x20", " a\\b "), ("\\xe2\\x82\\xac", "€"), ("\\xff", "\ufffd")],
)
def test_names_as_iw_writes_them(written: str, name: str) -> None:
    assert unescaped(written) == name


def test_of_several_senders_the_strongest() -> None:
    near = FoundNetwork("Home", "02:00:00:00:01:00", -40.0, 2412, 1, "wpa2")
    far = replace(near, bssid="02:00:00:00:01:01", signal_dbm=-80.0)
    other = replace(far, ssid="Other")
    assert by_name([near, far, other]) == [near, other]


def at(channel: int, signal_dbm: float) -> FoundNetwork:
    return FoundNetwork("x", "02:00:00:00:01:00", signal_dbm, 2407 + 5 * channel, channel, "wpa2")


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ([], 1),
        ([at(1, -40)], 6),
        ([at(1, -40), at(6, -80)], 11),
        ([at(1, -40), at(6, -80), at(11, -50)], 6),
        ([at(3, -60), at(11, -70)], 11),  # 3 disturbs 1 and 6
        ([at(1, -90), at(1, -90), at(6, -40), at(11, -40)], 1),
        ([at(1, -99), at(6, -99), at(11, -99)], 1),
    ],
)
def test_the_channel_with_the_weakest_neighbours(networks: list[FoundNetwork], expected: int) -> None:
    assert quietest_channel(networks, "2.4", range(1, 12)) == expected


def test_channels_at_five_gigahertz_do_not_overlap() -> None:
    neighbour = FoundNetwork("x", "02:00:00:00:01:00", -40.0, 5180, 36, "wpa2")
    assert quietest_channel([neighbour], "5", (36, 40)) == 40
    assert quietest_channel([neighbour], "5", (36,)) == 36


def test_if_none_of_the_usual_channels_may_be_used() -> None:
    assert quietest_channel([], "2.4", (3, 4)) == 3


def test_stations_with_their_leases() -> None:
    leases = """\
1763780000 02:00:00:00:02:00 192.168.78.117 phone 01:02:00:00:00:02:00
0 02:00:00:00:01:00 192.168.78.118 * *
duid 00:01
"""
    assert parse_stations(STATIONS, leases, 1763770000.0) == [
        Station("02:00:00:00:01:00", None, 1, 0, 0, "", "192.168.78.118"),
        Station("02:00:00:00:02:00", -30.0, 12, 4321, 98765, "phone", "192.168.78.117"),
    ]
    expired = parse_stations(STATIONS, leases, 1763790000.0)
    assert [each.address for each in expired] == ["192.168.78.118", ""]
    assert parse_stations("", "", 0.0) == []


def test_link() -> None:
    text = """\
Connected to 02:00:00:00:01:00 (on wifi0)
\tSSID: B\\xc3\\xbcro
\tfreq: 2462.0
\tRX: 5134 bytes (46 packets)
\tTX: 1292 bytes (11 packets)
\tsignal: -30 dBm
\trx bitrate: 1.0 MBit/s
"""
    assert parse_link(text) == Connection("Büro", "02:00:00:00:01:00", -30.0, 2462)
    assert parse_link("Not connected.\n") is None
    assert parse_link("") is None
