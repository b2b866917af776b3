from pathlib import Path

import pytest

from allegro.network.wifi_adapters import Adapter, Capabilities, adapters, channel_of, frequency, parse_phy

pytestmark = pytest.mark.spec("N2")

# As iw 6.9 prints it, shortened.
PHY = """\
Wiphy phy0
\twiphy index: 0
\tmax # scan SSIDs: 4
\tSupported Ciphers:
\t\t* WEP40 (00-0f-ac:1)
\t\t* CCMP-128 (00-0f-ac:4)
\t\t* CMAC (00-0f-ac:6)
\tAvailable Antennas: TX 0 RX 0
\tSupported interface modes:
\t\t * IBSS
\t\t * managed
\t\t * AP
\t\t * AP/VLAN
\tBand 1:
\t\tCapabilities: 0x107e
\t\t\tHT20/HT40
\t\tBitrates (non-HT):
\t\t\t* 1.0 Mbps
\t\tFrequencies:
\t\t\t* 2412.0 MHz [1] (20.0 dBm)
\t\t\t* 2437.0 MHz [6] (20.0 dBm)
\t\t\t* 2467.0 MHz [12] (20.0 dBm) (no IR)
\t\t\t* 2472.0 MHz [13] (disabled)
\tBand 2:
\t\tVHT Capabilities (0xf0000000):
\t\tFrequencies:
\t\t\t* 5180.0 MHz [36] (20.0 dBm)
\t\t\t* 5260.0 MHz [52] (20.0 dBm) (no IR, radar detection)
\t\t\t* 5745.0 MHz [149] (no IR)
\tSupported commands:
\t\t * new_interface
\tsoftware interface modes (can always be added):
\t\t * AP/VLAN
\t\t * monitor
\tDevice supports SAE with AUTHENTICATE command
\tDevice supports scan flush.
"""


def test_what_an_adapter_can_do() -> None:
    assert parse_phy(PHY) == Capabilities(
        access_point=True, wpa3=True, ac=True, channels={"2.4": (1, 6), "5": (36,)}
    )


def test_whole_megahertz_as_older_programs_print_them() -> None:
    assert parse_phy(PHY.replace(".0 MHz", " MHz")) == parse_phy(PHY)


def test_an_adapter_that_only_joins() -> None:
    text = PHY.replace("\t\t * AP\n", "").replace("\tDevice supports SAE with AUTHENTICATE command\n", "")
    can = parse_phy(text)
    assert (can.access_point, can.wpa3) == (False, False)
    assert not parse_phy(PHY.replace("CMAC", "SMS4")).wpa3


def test_an_adapter_that_has_gone() -> None:
    assert parse_phy("") == Capabilities(channels={"2.4": (), "5": ()})


@pytest.mark.parametrize(("band", "channel", "mhz"), [("2.4", 1, 2412), ("2.4", 13, 2472), ("5", 165, 5825)])
def test_channels_and_frequencies(band: str, channel: int, mhz: int) -> None:
    assert frequency(band, channel) == mhz  # type: ignore[arg-type]
    assert channel_of(mhz) == channel


def plug_in(sysfs: Path, name: str, bus: str, index: int, *, wireless: bool = True) -> None:
    device = sysfs / "devices" / bus
    interface = device / "net" / name
    interface.mkdir(parents=True)
    (interface / "device").symlink_to(device)
    values = {"type": "1", "address": f"02:00:00:00:00:{index:02x}", "ifindex": str(index)}
    for file, text in values.items():
        (interface / file).write_text(text + "\n")
    if wireless:
        (interface / "phy80211").mkdir()
        (interface / "phy80211/name").write_text(f"phy{index}\n")
    (sysfs / "class/net").mkdir(parents=True, exist_ok=True)
    (sysfs / "class/net" / name).symlink_to(interface)


def test_the_adapter_in_use_comes_first_then_the_first_on_the_bus(tmp_path: Path) -> None:
    (tmp_path / "class/net").mkdir(parents=True)
    assert adapters(tmp_path) == []
    plug_in(tmp_path, "eth0", "pci0/a", 2, wireless=False)
    plug_in(tmp_path, "wlan1", "pci0/usb1/1-3", 5)
    plug_in(tmp_path, "wlan10", "pci0/usb1/1-2", 4)
    assert [each.name for each in adapters(tmp_path)] == ["wlan10", "wlan1"]
    plug_in(tmp_path, "wifi0", "pci0/usb1/1-4", 6)
    assert adapters(tmp_path)[0] == Adapter("wifi0", 6, "phy6", "02:00:00:00:00:06", "")
    (tmp_path / "class/net/wifi0").unlink()
    plug_in(tmp_path, "wlan0", "pci0/usb1/1-2", 3)
    assert [each.name for each in adapters(tmp_path)] == ["wlan0", "wlan10", "wlan1"]
