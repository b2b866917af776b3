from typing import Any

import pytest
from pydantic import BaseModel

from allegro.errors import InvalidInput
from allegro.settings.model import Export, Settings
from allegro.settings.store import merged, validated


def test_defaults_of_the_specification() -> None:
    settings = Settings()
    assert (settings.trigger.before_s, settings.trigger.after_s, settings.trigger.debounce_ms) == (
        60,
        0,
        1000,
    )
    assert settings.export.time == "02:00"
    assert settings.links.mode == "bridge"
    assert settings.management.mode == "dhcp"
    assert [(each.vendor, each.product) for each in settings.trigger.presenters] == [("046d", "c52d")]


GOOD: list[dict[str, Any]] = [
    {"trigger": {"before_s": 0, "after_s": 3600}},
    {"trigger": {"before_s": 86400, "debounce_ms": 0}},
    {"recording": {"ring_size_mib": 16}},
    {"export": {"host": "files.example.org", "username": "probe", "enabled": True}},
    {"export": {"host": "192.0.2.7"}},
    {"export": {"host": "2001:db8::7"}},
    {"export": {"host_key": "SHA256:" + "A" * 43, "time": "23:59", "port": 65535}},
    {
        "management": {
            "mode": "static",
            "address": "192.0.2.7/24",
            "gateway": "192.0.2.1",
            "dns": ["2001:db8::1"],
        }
    },
    {"management": {"address": "192.0.2.0/31"}},
    {"links": {"mode": "sink"}},
    {"trigger": {"presenters": []}},
]


@pytest.mark.parametrize("patch", GOOD)
def test_good_values_are_taken(patch: dict[str, Any]) -> None:
    settings = validated(merged(Settings().model_dump(mode="json"), patch))
    for section, fields in patch.items():
        taken = getattr(settings, section).model_dump(mode="json")
        assert {name: taken[name] for name in fields} == fields


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"trigger": {"before_s": -1}}, "trigger.before_s", r"greater than or equal to 0 \(got -1\)"),
    ({"trigger": {"before_s": 86401}}, "trigger.before_s", r"less than or equal to 86400"),
    ({"trigger": {"after_s": 3601}}, "trigger.after_s", r"less than or equal to 3600"),
    ({"trigger": {"before_s": "soon"}}, "trigger.before_s", r"valid integer.*\(got \"soon\"\)"),
    ({"trigger": {"before_s": None}}, "trigger.before_s", r"valid integer"),
    ({"trigger": {"debounce_ms": 10001}}, "trigger.debounce_ms", r"10000"),
    ({"trigger": {"beep": "loud"}}, "trigger.beep", r"boolean"),
    ({"trigger": {"befor_s": 1}}, "trigger.befor_s", r"There is no such setting"),
    ({"triger": {"before_s": 1}}, "triger", r"There is no such setting"),
    ({"trigger": {"presenters": [{"vendor": "046D"}]}}, "trigger.presenters.0.vendor", r"pattern"),
    ({"recording": {"ring_size_mib": 15}}, "recording.ring_size_mib", r"16"),
    ({"export": {"host": "user@host"}}, "export.host", r"Is not a host name or an IP address"),
    ({"export": {"host": "sftp://host/path"}}, "export.host", r"leave out user name, port and path"),
    ({"export": {"port": 0}}, "export.port", r"greater than or equal to 1"),
    ({"export": {"port": 65536}}, "export.port", r"65535"),
    ({"export": {"time": "24:00"}}, "export.time", r"Is not a time of day; write hh:mm"),
    ({"export": {"time": "2 am"}}, "export.time", r"from 00:00 to 23:59"),
    ({"export": {"host_key": "SHA256:short"}}, "export.host_key", r"ssh-keygen -l"),
    ({"export": {"directory": "a\nb"}}, "export.directory", r"cannot be printed"),
    ({"export": {"username": "a\x00"}}, "export.username", r"cannot be printed"),
    ({"export": {"authentication": "magic"}}, "export.authentication", r"'password' or 'key'"),
    ({"export": {"enabled": True}}, "export", r"Host and username are needed"),
    ({"links": {"mode": "router"}}, "links.mode", r"'bridge' or 'sink'"),
    ({"management": {"mode": "static"}}, "management", r"Mode static needs an address"),
    ({"management": {"address": "192.0.2.7.1/24"}}, "management.address", r"like 192\.168\.1\.20/24"),
    ({"management": {"address": "192.0.2.0/24"}}, "management.address", r"network or broadcast address"),
    ({"management": {"address": "192.0.2.255/24"}}, "management.address", r"network or broadcast address"),
    (
        {"management": {"mode": "static", "address": "192.0.2.7/24", "gateway": "198.51.100.1"}},
        "management",
        r"Gateway 198\.51\.100\.1 is not in the subnet 192\.0\.2\.0/24",
    ),
    ({"management": {"gateway": "home"}}, "management.gateway", r"Is not an IPv4 address"),
    ({"management": {"dns": ["home"]}}, "management.dns", r"Is not a list of IP addresses"),
    ({"management": {"address": "192.168.1.20/255.255.255.0"}}, "management.address", r"/1 to /32"),
    ({"management": {"address": "192.168.1.20"}}, "management.address", r"/1 to /32"),
    ({"management": {"address": "192.168.1.20/0"}}, "management.address", r"/1 to /32"),
    ({"management": {"address": "192.168.1.20/33"}}, "management.address", r"/1 to /32"),
    ({"management": {"address": "127.0.0.1/8"}}, "management.address", r"127\.0\.0\.1 is not the address of"),
    ({"management": {"address": "0.0.0.0/32"}}, "management.address", r"not the address of one device"),
    ({"management": {"address": "224.0.0.5/24"}}, "management.address", r"not the address of one device"),
    ({"management": {"address": "255.255.255.255/32"}}, "management.address", r"not the address of one"),
    ({"management": {"gateway": "127.0.0.1"}}, "management.gateway", r"not the address of one device"),
    (
        {"management": {"mode": "static", "address": "192.0.2.7/24", "gateway": "192.0.2.7"}},
        "management",
        r"Gateway 192\.0\.2\.7 is the address of this device",
    ),
    ({"management": {"dns": ["fe80::1%x\n[Match]\nName=port1"]}}, "management.dns", r"leave out the %"),
    ({"management": {"dns": ["192.0.2.1\n[Match]"]}}, "management.dns", r"Is not a list of IP addresses"),
    ({"management": {"dns": ["192.0.2.1", "::"]}}, "management.dns", r":: is not the address of one device"),
    ({"management": {"dns": ["::1"]}}, "management.dns", r"not the address of one device"),
    ({"management": {"dns": ["ff02::fb"]}}, "management.dns", r"not the address of one device"),
    (
        {"trigger": {"presenters": [{"vendor": "046d", "product": "c52d", "name": "R400\nkey: value"}]}},
        "trigger.presenters.0.name",
        r"cannot be printed",
    ),
    ({"schema_version": 2}, "schema_version", r"less than or equal to 1"),
    ({"trigger": 5}, "trigger", r"valid dictionary"),
]


@pytest.mark.parametrize(("patch", "place", "message"), BAD)
def test_a_mistake_is_named_with_its_place(patch: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        validated(merged(Settings().model_dump(mode="json"), patch))
    assert caught.value.place == place
    assert caught.value.message.endswith(".")


def test_addresses_are_kept_in_one_form() -> None:
    management = {"address": "192.0.2.7/024", "dns": ["2001:DB8:0::1"]}
    taken = validated({"management": management}).management
    assert (taken.address, taken.dns) == ("192.0.2.7/24", ("2001:db8::1",))


def test_no_text_that_is_taken_holds_a_control_character() -> None:
    texts = [
        path
        for path, value in _texts(Settings().model_dump(mode="json"))
        if path != "export.password"  # goes nowhere but to the server, which decides
    ]
    assert "management.gateway" in texts
    assert "trigger.presenters.0.name" in texts
    for path in texts:
        for hostile in ("\n", "\x1b", "a\nb", "02:00\n", "192.0.2.1\n", "192.0.2.1/24\n", "\u2028"):
            with pytest.raises(InvalidInput):
                validated(_with(Settings().model_dump(mode="json"), path.split("."), hostile))


def _texts(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, str):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for name, below in items for found in _texts(below, f"{path}.{name}".lstrip("."))]


def _with(value: Any, path: list[str], new: str) -> Any:
    if not path:
        return new
    if isinstance(value, list):
        return [_with(below, path[1:], new) if str(i) == path[0] else below for i, below in enumerate(value)]
    return {**value, path[0]: _with(value[path[0]], path[1:], new)}


def test_the_password_is_not_repeated_in_a_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        validated({"export": {"password": "geheim" * 100}})
    assert "geheim" not in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        validated({"export": {"password": "geheim", "enabled": True}})
    assert "geheim" not in str(caught.value)


def _fields(model: type[BaseModel], path: str = "") -> list[tuple[str, str | None]]:
    result: list[tuple[str, str | None]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            result += _fields(field.annotation, f"{path}{name}.")
        else:
            result.append((path + name, field.description))
    return result


def test_the_time_zone_of_the_daily_upload_is_told() -> None:
    assert "UTC" in (Export.model_fields["time"].description or "")


def test_every_field_has_a_sentence_for_the_user() -> None:
    assert [name for name, description in _fields(Settings) if not description] == []
