import time
from pathlib import Path

import pytest

from allegro.errors import Unavailable
from allegro.settings.network import Time
from allegro.system import clock

pytestmark = pytest.mark.spec("N7")


def test_the_zone_is_a_link_that_is_replaced(tmp_path: Path) -> None:
    zone = tmp_path / "localtime"
    clock.set_zone("Europe/Berlin", zone)
    assert zone.readlink() == Path("/usr/share/zoneinfo/Europe/Berlin")
    clock.apply(Time(), zone)
    assert zone.readlink() == Path("/usr/share/zoneinfo/UTC")
    assert time.tzname  # it was set anew, and nothing broke
    assert [path.name for path in tmp_path.iterdir()] == ["localtime"]


def test_a_zone_that_cannot_be_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        clock.apply(Time(), tmp_path / "missing/localtime")


def test_the_state_as_timedatectl_tells_it() -> None:
    settings = Time(zone="Europe/Berlin", servers=("ntp.example", "192.0.2.1"))
    timesync = {
        "LinkNTPServers": "ntp.example 192.0.2.1 192.0.2.5",
        "FallbackNTPServers": "0.pool.example",
        "ServerName": "ntp.example",
        "ServerAddress": "192.0.2.9",
    }
    state = clock.read_state(settings, "+0100", {"NTPSynchronized": "yes"}, timesync)
    assert (state.utc_offset, state.synchronised, state.server) == ("+01:00", True, "ntp.example")
    assert state.servers == ("ntp.example", "192.0.2.1")
    assert state.servers_from_network == ("192.0.2.5",)
    silent = clock.read_state(Time(), "+0000", {}, {})
    assert (silent.synchronised, silent.server, silent.servers) == (False, "", ())
