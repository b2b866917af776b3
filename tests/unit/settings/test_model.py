import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from allegro.errors import InvalidInput
from allegro.settings.model import Export, Settings
from allegro.settings.patches import merged
from allegro.settings.settings_file import validated


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
    {"links": {"mode": "sink", "pairs": [{"pair": 2, "mode": "bridge"}]}},
    {"trigger": {"presenters": []}},
    {"management": {"mode": "server", "address": "192.0.2.1/24"}},
    {
        "management": {
            "mode": "server",
            "address": "192.0.2.1/29",
            "lease_first": "192.0.2.1",
            "lease_last": "192.0.2.6",
            "host_name": "meter-7",
        }
    },
    # what is not in use does not have to fit
    {"management": {"address": "192.0.2.1/24", "second": {"mode": "static", "address": "192.0.2.2/24"}}},
    {
        "notifications": {
            "mail": {
                "enabled": True,
                "server": "mail.example.org",
                "sender": "meter@example.org",
                "recipients": ["anna.b+x@example.org"],
            }
        }
    },
    {
        "export": {
            "protocol": "webdav",
            "enabled": True,
            "url": "https://cloud.example.org/dav",
            "username": "a",
        }
    },
    {"export": {"protocol": "webdav", "enabled": True, "url": "http://nas/captures/"}},
    {
        "export": {
            "protocol": "s3",
            "enabled": True,
            "url": "http://minio.example:9000/captures",
            "username": "a",
            "password": "b",
        }
    },
    {"notifications": {"webhook": {"enabled": True, "form": "ntfy", "url": "https://ntfy.sh/topic"}}},
    {"notifications": {"webhook": {"url": "http://[2001:db8::7]:8080/hook?key=1"}}},
    {"notifications": {"syslog": {"enabled": True, "server": "192.0.2.7", "port": 601, "tls": False}}},
    {"time": {"servers": ["ntp.example.org", "192.0.2.1", "2001:db8::1"], "zone": "Europe/Berlin"}},
]


def test_leased_addresses_are_chosen_by_themselves() -> None:
    def leases(address: str) -> tuple[str, str]:
        settings = Settings.model_validate({"management": {"mode": "server", "address": address}})
        first, last = settings.management.leases()
        return str(first), str(last)

    assert leases("192.0.2.1/24") == ("192.0.2.100", "192.0.2.199")
    assert leases("10.1.2.3/16") == ("10.1.0.100", "10.1.0.199")
    assert leases("192.0.2.10/28") == ("192.0.2.1", "192.0.2.14")


@pytest.mark.parametrize("patch", GOOD)
def test_good_values_are_taken(patch: dict[str, Any]) -> None:
    settings = validated(merged(Settings().model_dump(mode="json"), patch))
    for section, fields in patch.items():
        taken = getattr(settings, section).model_dump(mode="json")
        assert merged(taken, fields) == taken


def _server(first: str, last: str) -> dict[str, Any]:
    leases = {"lease_first": first, "lease_last": last}
    return {"management": {"mode": "server", "address": "192.0.2.1/24", **leases}}


R400 = {"vendor": "046d", "product": "c52d", "name": "Logitech R400"}

TOLD = [
    ({"trigger": {"before_s": -1}}, "Must be at least 0 (got -1)."),
    ({"trigger": {"before_s": "\\..\\"}}, 'Must be a whole number (got "\\..\\").'),
    ({"trigger": {"before_s": ""}}, "Must be a whole number."),
    ({"trigger": {"before_s": "\N{RIGHT-TO-LEFT OVERRIDE}"}}, 'Must be a whole number (got "\ufffd").'),
    ({"export": {"host": "\ud800"}}, 'Must be text (got "\ufffd").'),
    ({"trigger": {"before_s": "a" * 5000}}, f'Must be a whole number (got "{"a" * 60}…").'),
    (
        {"trigger": {"filter": "-1"}},
        "Column 1: a condition such as ip == 192.0.2.1 is expected, not '-1'.",
    ),
    (
        {"groups": {"links": [{"name": "a", "vlans": "1E9"}]}},
        "1e9 is not a number from 0 to 4095, and not none.",
    ),
    (
        {"notifications": {"mail": {"recipients": ["a\\b"]}}},
        "'a\\b' is not an e-mail address such as anna@example.org.",
    ),
]


@pytest.mark.parametrize(("settings", "words"), TOLD)
@pytest.mark.spec("L4")
def test_what_was_typed_is_told_once_in_short_and_as_it_was_typed(
    settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        validated(settings)
    assert refused.value.message == words


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"trigger": {"before_s": -1}}, "trigger.before_s", r"at least 0 \(got -1\)"),
    ({"trigger": {"before_s": 86401}}, "trigger.before_s", r"at most 86400"),
    ({"trigger": {"after_s": 3601}}, "trigger.after_s", r"at most 3600"),
    ({"trigger": {"before_s": "soon"}}, "trigger.before_s", r"whole number \(got \"soon\"\)"),
    ({"trigger": {"before_s": "bald, näh?!"}}, "trigger.before_s", r"whole number \(got \"bald, näh\?!\"\)"),
    ({"trigger": {"before_s": None}}, "trigger.before_s", r"whole number"),
    ({"trigger": {"debounce_ms": 10001}}, "trigger.debounce_ms", r"10000"),
    ({"trigger": {"beep": "loud"}}, "trigger.beep", r"true or false"),
    ({"trigger": {"befor_s": 1}}, "trigger.befor_s", r"There is no such setting"),
    ({"triger": {"before_s": 1}}, "triger", r"There is no such setting"),
    ({"trigger": {"presenters": [{"vendor": "46d"}]}}, "trigger.presenters.0.vendor", r"four digits.*046d"),
    ({"trigger": {"presenters": [R400, R400]}}, "trigger.presenters.1.product", r"046d:c52d is in the table"),
    ({"recording": {"ring_size_mib": 15}}, "recording.ring_size_mib", r"16"),
    ({"export": {"host": "user@host"}}, "export.host", r"Is not a host name or an IP address"),
    ({"export": {"host": "sftp://host/path"}}, "export.host", r"leave out user name, port and path"),
    ({"export": {"port": 0}}, "export.port", r"at least 1"),
    ({"export": {"port": 65536}}, "export.port", r"65535"),
    ({"export": {"time": "24:00"}}, "export.time", r"Is not a time of day; write hh:mm"),
    ({"export": {"limit_ends": "24:00"}}, "export.limit_ends", r"Is not a time of day; write hh:mm"),
    ({"storage": {"limit_mib": -1}}, "storage.limit_mib", r"at least 0"),
    ({"storage": {"uploaded": "forget"}}, "storage.uploaded", r"make-room"),
    ({"export": {"limit_kbit_s": -1}}, "export.limit_kbit_s", r"at least 0"),
    ({"export": {"host_key_type": "SSH RSA"}}, "export.host_key_type", r"such as ssh-ed25519"),
    ({"export": {"time": "2 am"}}, "export.time", r"from 00:00 to 23:59"),
    ({"export": {"host_key": "SHA256:short"}}, "export.host_key", r"ssh-keygen -l"),
    ({"export": {"directory": "a\nb"}}, "export.directory", r"cannot be printed"),
    ({"export": {"username": "a\x00"}}, "export.username", r"cannot be printed"),
    ({"export": {"authentication": "magic"}}, "export.authentication", r"'password' or 'key'"),
    ({"export": {"enabled": True}}, "export.host", r"A server is needed before"),
    ({"export": {"enabled": True, "host": "a"}}, "export.username", r"A user name .* is needed before"),
    ({"export": {"protocol": "webdav", "enabled": True}}, "export.url", r"An address for WebDAV is needed"),
    (
        {"export": {"protocol": "webdav", "url": "http://nas/dav", "username": "a"}},
        "export.url",
        r"could be read on its way",
    ),
    (
        {"export": {"protocol": "https", "url": "http://nas/in", "username": "a"}},
        "export.url",
        r"could be read on its way",
    ),
    (
        {"export": {"protocol": "s3", "enabled": True, "url": "https://s3.example/a", "username": "b"}},
        "export.password",
        r"A secret key is needed",
    ),
    ({"export": {"region": "eu/1"}}, "export.region", r"name of a region"),
    ({"export": {"url": "https://nas/dav?x"}}, "export.url", r"question mark"),
    ({"export": {"url": "sftp://nas/"}}, "export.url", r"https://"),
    ({"notifications": {"mail": {"enabled": True}}}, "notifications.mail.server", r"A mail server is needed"),
    (
        {"notifications": {"mail": {"security": "none", "username": "meter"}}},
        "notifications.mail.security",
        r"could be read on its way",
    ),
    ({"notifications": {"mail": {"recipients": ["anna"]}}}, "notifications.mail.recipients", r"'anna'"),
    ({"notifications": {"mail": {"sender": "a@b\nCc: c@d"}}}, "notifications.mail.sender", r"e-mail address"),
    ({"notifications": {"webhook": {"url": "ftp://h/"}}}, "notifications.webhook.url", r"https://[^(]*$"),
    ({"notifications": {"webhook": {"url": "https://a:b@h/"}}}, "notifications.webhook.url", r"name[^(]*$"),
    ({"notifications": {"webhook": {"url": "https://h:0/"}}}, "notifications.webhook.url", r"names a server"),
    (
        {"export": {"url": "https://127.0.0.1/x"}},
        "export.url",
        r"127\.0\.0\.1 is not the address of one device in a network",
    ),
    ({"notifications": {"webhook": {"enabled": True}}}, "notifications.webhook.url", r"An address is needed"),
    (
        {"notifications": {"webhook": {"url": "http://h/t", "token": "geheim"}}},
        "notifications.webhook.url",
        r"could be read on its way[^(]*$",
    ),
    (
        {"notifications": {"webhook": {"url": "https://h/", "form": "ntfy"}}},
        "notifications.webhook.url",
        r"name the topic[^(]*$",
    ),
    ({"notifications": {"syslog": {"enabled": True}}}, "notifications.syslog.server", r"is needed"),
    ({"notifications": {"certificate": "x"}}, "notifications.certificate", r"PEM"),
    ({"links": {"mode": "router"}}, "links.mode", r"'bridge' or 'sink'"),
    ({"management": {"mode": "static"}}, "management.address", r"A static address is needed"),
    ({"management": {"address": "192.0.2.7.1/24"}}, "management.address", r"like 192\.168\.1\.20/24"),
    ({"management": {"address": "192.0.2.0/24"}}, "management.address", r"network or broadcast address"),
    ({"management": {"address": "192.0.2.255/24"}}, "management.address", r"network or broadcast address"),
    (
        {"management": {"mode": "static", "address": "192.0.2.7/24", "gateway": "198.51.100.1"}},
        "management.gateway",
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
        "management.gateway",
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
    (
        {"management": {"mode": "server", "address": "192.0.2.1/30"}},
        "management.address",
        r"192\.0\.2\.0/30 is too small for a DHCP server",
    ),
    (_server("192.0.3.9", "192.0.2.9"), "management.lease_first", r"192\.0\.3\.9 is not in the subnet 192"),
    (_server("192.0.2.9", "192.0.2.255"), "management.lease_last", r"network or broadcast address of 192"),
    (_server("192.0.2.9", ""), "management.lease_last", r"belong together"),
    (_server("", "192.0.2.9"), "management.lease_first", r"belong together"),
    (_server("192.0.2.9", "192.0.2.8"), "management.lease_last", r"below the first one \(192\.0\.2\.9\)"),
    (_server("192.0.2.1", "192.0.2.1"), "management.lease_first", r"only leased address is the one of this"),
    (_server("x", "192.0.2.9"), "management.lease_first", r"Is not an IPv4 address"),
    (
        {
            "management": {
                "mode": "static",
                "address": "192.0.2.1/24",
                "second": {"mode": "static", "address": "192.0.2.200/25"},
            }
        },
        "management.second.address",
        r"192\.0\.2\.128/25 overlaps with 192\.0\.2\.0/24 of management\.address",
    ),
    ({"management": {"second": {"mode": "static"}}}, "management.second.address", r"address is needed"),
    ({"management": {"host_name": "a_b"}}, "management.host_name", r"Is not a host name"),
    ({"management": {"host_name": "-a"}}, "management.host_name", r"no hyphen at either end"),
    ({"management": {"host_name": "a.b"}}, "management.host_name", r"Is not a host name"),
    ({"management": {"host_name": "42"}}, "management.host_name", r"not only digits"),
    ({"management": {"host_name": "a" * 64}}, "management.host_name", r"63"),
    ({"management": {"confirm_s": 1}}, "management.confirm_s", r"at least 5"),
    (
        {"links": {"pairs": [{"pair": 0, "mode": "sink"}]}},
        "links.pairs.0.pair",
        r"at least 1",
    ),
    (
        {"links": {"pairs": [{"pair": 2, "mode": "sink"}, {"pair": 2, "mode": "bridge"}]}},
        "links.pairs.1.pair",
        r"Pair 2 is in the table twice",
    ),
    (
        {"time": {"servers": ["ntp.example", "a b"]}},
        "time.servers.1",
        r"neither a host name nor an IP address",
    ),
    ({"time": {"servers": ["192.0.2.300"]}}, "time.servers.0", r"neither a host name nor an IP address"),
    ({"time": {"servers": ["ntp.example\n[Time]"]}}, "time.servers.0", r"neither a host name nor an IP"),
    ({"time": {"zone": "Berlin"}}, "time.zone", r"not a known time zone; do you mean Europe/Berlin\?"),
    ({"time": {"zone": "../../etc/passwd"}}, "time.zone", r"Is not a known time zone"),
    ({"time": {"zone": "Europe"}}, "time.zone", r"Is not a known time zone"),
    ({"schema_version": 3}, "schema_version", r"at most 2"),
    ({"trigger": 5}, "trigger", r"Must be an object, with a value for each name"),
    ({"trigger": {"rows": 5}}, "trigger.rows", r"Must be a list \(got 5\)"),
    ({"trigger": {"rows": ["x"]}}, "trigger.rows.0", r"Must be an object"),
    (
        {"trigger": {"rows": [{"name": str(n)} for n in range(201)]}},
        "trigger.rows",
        r"at most 200 entries, not 201",
    ),
]


@pytest.mark.parametrize(("patch", "place", "message"), BAD)
def test_a_mistake_is_named_with_its_place(patch: dict[str, Any], place: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        validated(merged(Settings().model_dump(mode="json"), patch))
    assert caught.value.place == place
    assert caught.value.message.endswith(".")


ODD: Sequence[Any] = (
    *(None, [], {}, "", "x", 1.5, -1, 10**30, True),
    *([None], ["x"], [{}], [{"x": 1}] * 300, "x" * 70000),
)
OF_A_PROGRAM = re.compile(
    r"\b(Input|String|[Tt]uple|List|dictionary|instance|validation|datetime|NoneType|pydantic|Value error)\b"
)
"""What pydantic says to programmers."""


@pytest.mark.spec("W1")
def test_nothing_odd_is_answered_in_the_words_of_a_program() -> None:
    answered = 0
    for section, fields in Settings().model_dump(mode="json").items():
        names = fields if isinstance(fields, dict) else ()
        for place in [(section,), *((section, name) for name in names)]:
            for value in ODD:
                patch: Any = value
                for name in reversed(place):
                    patch = {name: patch}
                with contextlib.suppress(NothingWrong):
                    told = re.sub(r"\(got .*", "", _mistake(patch), flags=re.DOTALL)
                    assert not OF_A_PROGRAM.search(told), (place, told)
                    answered += 1
    assert answered > 500


class NothingWrong(Exception):
    """The settings take it."""


def _mistake(patch: Mapping[str, Any]) -> str:
    try:
        validated(merged(Settings().model_dump(mode="json"), patch))
    except InvalidInput as error:
        return error.message
    raise NothingWrong


def test_addresses_are_kept_in_one_form() -> None:
    management = {"address": "192.0.2.7/024", "dns": ["2001:DB8:0::1"]}
    taken = validated({"management": management}).management
    assert (taken.address, taken.dns) == ("192.0.2.7/24", ("2001:db8::1",))


def test_no_text_that_is_taken_holds_a_control_character() -> None:
    texts = [
        path
        for path, value in _texts(Settings().model_dump(mode="json"))
        # they go nowhere but to their server, which decides
        if path not in ("export.password", "notifications.mail.password")
    ]
    assert {"management.gateway", "management.second.lease_first", "time.zone"} <= set(texts)
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


def test_the_ids_of_a_presenter_are_the_same_in_capital_letters() -> None:
    known = {**R400, "vendor": "046D"}
    settings = validated({"trigger": {"presenters": [known]}})
    assert settings.trigger.presenters[0].vendor == "046d"


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong: dict[str, Any] = {
        "trigger": {"before_s": -1, "after_s": "soon"},
        "export": {"enabled": True},
    }
    with pytest.raises(InvalidInput) as error:
        validated(wrong)
    places = [each.place for each in (error.value, *error.value.more)]
    assert places == ["trigger.before_s", "trigger.after_s", "export.host", "export.username"]
    assert "A user name on the server is needed" in str(error.value)
