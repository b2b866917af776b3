from typing import Literal

import pytest
from pydantic import BaseModel, Field

from allegro.errors import InvalidInput
from allegro.settings.masks import MASK
from allegro.settings.model import Export, Trigger
from allegro.settings.network import Links, Management
from allegro.settings.recording import Recording
from allegro.settings.wifi import Wifi
from allegro.web import forms


class Inner(BaseModel):
    ssid: str = Field(default="", max_length=32, description="Name")
    channel: int | None = Field(default=None, ge=1, le=13)


class Everything(BaseModel):
    text: str = "a"
    range_s: int = Field(default=3, ge=1, le=9)
    share: float = 0.5
    on: bool = True
    mode: Literal["dhcp", "no-one"] = "dhcp"
    key: str = Field(default="", json_schema_extra={"secret": True})
    servers: tuple[str, ...] = ()
    wifi: Inner = Inner()
    rows: tuple[Inner, ...] = ()


def by_name(form: forms.Form) -> dict[str, forms.Field]:
    return {field.name: field for field in form.fields}


def test_each_kind_of_setting_has_its_input() -> None:
    fields = by_name(forms.form(Everything, "x", Everything().model_dump()))
    assert [(field.name, field.kind) for field in fields.values()] == [
        *(("x.text", "text"), ("x.range_s", "number"), ("x.share", "number"), ("x.on", "checkbox")),
        *(
            ("x.mode", "select"),
            ("x.key", "secret"),
            ("x.servers", "lines"),
            ("x.wifi", "group"),
            ("x.rows", "table"),
        ),
    ]
    assert fields["x.range_s"].label == "Range (seconds)"
    assert (fields["x.range_s"].minimum, fields["x.range_s"].maximum) == (1, 9)
    assert fields["x.mode"].choices == (("dhcp", "DHCP"), ("no-one", "No one"))
    assert fields["x.wifi"].label == "WiFi"
    assert [field.name for field in fields["x.wifi"].fields] == ["x.wifi.ssid", "x.wifi.channel"]
    assert fields["x.wifi"].fields[0].label == "SSID"
    assert [[cell.name for cell in row] for row in fields["x.rows"].rows] == [
        ["x.rows.0.ssid", "x.rows.0.channel"]
    ]


def test_what_was_typed_becomes_a_patch() -> None:
    data = {
        "x.text": [" b "],
        "x.range_s": [" 7 "],
        "x.share": ["0.25"],
        "x.mode": ["no-one"],
        "x.key": [" blanks count "],
        "x.servers": ["192.0.2.1\r\n192.0.2.2, 192.0.2.3"],
        "x.wifi.ssid": ["net"],
        "x.wifi.channel": [""],
        "x.rows.0.ssid": [""],
        "x.rows.0.channel": [""],
        "x.rows.2.ssid": ["c"],
        "x.rows.2.channel": ["11"],
    }
    assert forms.patch(Everything, "x", data) == {
        "text": "b",
        "range_s": 7,
        "share": 0.25,
        "on": False,
        "mode": "no-one",
        "key": " blanks count ",
        "servers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "wifi": {"ssid": "net", "channel": None},
        "rows": [{"ssid": "c", "channel": 11}],
    }


@pytest.mark.parametrize("typed", ["", "many", "1.5", "9" * 40, "0x10"])
def test_what_is_no_number_is_left_to_the_api(typed: str) -> None:
    assert forms.patch(Recording, "recording", {"recording.ring_size_mib": [typed]}) == {
        "ring_size_mib": typed
    }


def test_a_secret_is_never_in_the_form() -> None:
    shown = {**Export().model_dump(), "password": MASK}
    assert by_name(forms.form(Export, "export", shown))["export.password"].value == MASK


@pytest.mark.parametrize(
    ("model", "name", "error", "wrong"),
    [
        (Trigger, "trigger", InvalidInput("Must be less.", place="trigger.before_s"), ["trigger.before_s"]),
        (
            Trigger,
            "trigger",
            InvalidInput("Bad.", place="trigger.presenters.0.vendor"),
            ["trigger.presenters.0.vendor"],
        ),
        (Trigger, "trigger", InvalidInput("Too many.", place="trigger.presenters"), ["trigger.presenters"]),
        (Management, "management", InvalidInput("Bad.", place="management.dns.1"), ["management.dns"]),
        (
            Management,
            "management",
            InvalidInput("The mode and the address do not go together.", place="management"),
            ["management.mode"],
        ),
        (
            Export,
            "export",
            InvalidInput("Bad.", place="export.host", more=[InvalidInput("Bad, too.", place="export.port")]),
            ["export.host", "export.port"],
        ),
    ],
)
def test_a_mistake_is_shown_at_its_field(
    model: type[BaseModel], name: str, error: InvalidInput, wrong: list[str]
) -> None:
    form = forms.with_error(forms.form(model, name, model().model_dump()), error)
    assert not [field for field in form.fields if field.error and field.rows and field.name not in wrong]
    cells = [cell for field in form.fields for row in field.rows for cell in row]
    assert [field.name for field in (*form.fields, *cells) if field.error] == wrong
    assert form.error == ""
    assert form.first_wrong


def test_a_mistake_without_a_field_stands_at_the_top() -> None:
    form = forms.with_error(
        forms.form(Trigger, "trigger", {}), InvalidInput("Disk full.", remedy="Free space.")
    )
    assert form.error == "Disk full. Free space."


def test_a_zero_in_a_row_is_typed_and_not_an_empty_row() -> None:
    typed = forms.patch(Links, "links", {"links.pairs.0.pair": ["0"], "links.pairs.0.mode": ["sink"]})
    assert typed["pairs"] == [{"pair": 0, "mode": "sink"}]
    typed = forms.patch(Links, "links", {"links.pairs.0.pair": [""], "links.pairs.0.mode": ["sink"]})
    assert typed["pairs"] == []


@pytest.mark.spec("R3")
def test_a_tick_makes_no_row_and_a_new_row_has_those_that_are_usual() -> None:
    (*_, table) = forms.form(Recording, "recording", {"ring_size_mib": 64, "rules": []}).fields
    (spare,) = table.rows
    assert [(cell.name.rpartition(".")[2], cell.kind, cell.value) for cell in spare] == [
        ("enabled", "checkbox", True),
        ("name", "text", ""),
        ("filter", "filter", ""),
        ("action", "select", "keep"),
        ("bytes", "number", ""),
    ]
    typed = {
        "recording.rules.0.enabled": ["on"],
        "recording.rules.0.name": ["web"],
        "recording.rules.0.filter": ["port == 80"],
        "recording.rules.0.action": ["discard"],
        "recording.rules.0.bytes": [""],
        "recording.rules.1.enabled": ["on"],
        "recording.rules.1.name": [""],
        "recording.rules.1.filter": [""],
        "recording.rules.1.action": ["keep"],
        "recording.rules.1.bytes": [""],
    }
    web = {"enabled": True, "name": "web", "filter": "port == 80", "action": "discard", "bytes": None}
    assert forms.patch(Recording, "recording", typed) == {"rules": [web]}
    emptied = {key: value for key, value in typed.items() if ".1." in key}
    assert forms.patch(Recording, "recording", emptied) == {"rules": []}


@pytest.mark.spec("W15")
def test_a_size_that_is_set_in_mib_is_told_as_the_pages_show_sizes() -> None:
    field = by_name(forms.form(Recording, "recording", {"ring_size_mib": 1024}))["recording.ring_size_mib"]
    assert field.label == "Size (MiB)"
    assert field.help.endswith("; 1024 MiB are 1.1 GB")


@pytest.mark.spec("N1")
def test_a_field_says_with_which_choices_it_means_something() -> None:
    fields = by_name(forms.form(Management, "management", Management().model_dump()))
    assert fields["management.address"].when == "management.mode=static|server"
    assert fields["management.dns"].when == ""
    assert fields["management.second"].label == "Second management port"
    second = {field.name: field for field in fields["management.second"].fields}
    assert second["management.second.lease_first"].when == "management.second.mode=server"
    key = by_name(forms.form(Export, "export", Export().model_dump()))["export.key_type"]
    assert key.when == "export.authentication=key export.protocol=sftp"
    wifi = by_name(forms.form(Wifi, "wifi", Wifi().model_dump()))
    assert (wifi["wifi.client"].when, wifi["wifi.client"].kind) == ("wifi.mode=client", "group")
    assert wifi["wifi.access_point"].label == "Access point"
