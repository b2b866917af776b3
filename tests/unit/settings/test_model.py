from typing import Any

import pytest
from pydantic import BaseModel

from allegro.errors import InvalidInput
from allegro.settings.model import Settings
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
    ({"schema_version": 2}, "schema_version", r"less than or equal to 1"),
    ({"trigger": 5}, "trigger", r"valid dictionary"),
]


@pytest.mark.parametrize(("patch", "place", "message"), BAD)
def test_a_mistake_is_named_with_its_place(patch: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        validated(merged(Settings().model_dump(mode="json"), patch))
    assert caught.value.place == place
    assert caught.value.message.endswith(".")


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


def test_every_field_has_a_sentence_for_the_user() -> None:
    assert [name for name, description in _fields(Settings) if not description] == []
