from pydantic import BaseModel, Field

from allegro.settings.masks import MASK, hidden, is_secret, masked, without_masks
from allegro.settings.model import Export, Settings


def test_a_secret_that_is_set_is_masked_and_all_else_is_shown() -> None:
    shown = masked(Settings(export=Export(password="geheim", host="files.example")))
    assert shown["export"]["password"] == MASK
    assert shown["export"]["host"] == "files.example"
    assert "geheim" not in str(shown)


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert masked(Settings())["export"]["password"] == ""


def test_a_mask_that_comes_back_is_no_change() -> None:
    patch = {"export": {"password": MASK, "host": "b"}, "trigger": {"before_s": 1}}
    assert without_masks(patch) == {"export": {"host": "b"}, "trigger": {"before_s": 1}}


def test_a_new_secret_and_a_cleared_one_are_changes() -> None:
    assert without_masks({"export": {"password": "neu"}}) == {"export": {"password": "neu"}}
    assert without_masks({"export": {"password": ""}}) == {"export": {"password": ""}}


def test_a_mask_elsewhere_is_a_value() -> None:
    assert without_masks({"export": {"username": MASK}, "x": MASK}) == {
        "export": {"username": MASK},
        "x": MASK,
    }


def test_a_mask_need_not_be_what_its_field_asks_for() -> None:
    address = {"notifications": {"webhook": {"url": "https://hooks.example/T0/geheim", "form": "ntfy"}}}
    settings = Settings.model_validate({**address, "export": {"password": "geheim"}})
    assert hidden(settings).model_dump(mode="json") == masked(settings)
    assert hidden(settings).notifications.webhook.url == MASK
    assert settings.export.password == "geheim"


class Server(BaseModel):
    host: str
    pin: str = Field(json_schema_extra={"secret": True})


class Section(BaseModel):
    servers: tuple[Server, ...]
    spare: Server | None = None


class Whole(BaseModel):
    section: Section


def test_secrets_in_the_rows_of_a_table_are_masked_by_the_schema_whatever_they_are_called() -> None:
    rows = [Server(host="a", pin="1234"), Server(host="b", pin="")]
    shown = masked(Whole(section=Section(servers=tuple(rows))))
    assert shown["section"]["servers"] == [{"host": "a", "pin": MASK}, {"host": "b", "pin": ""}]
    assert hidden(Whole(section=Section(servers=tuple(rows)))).model_dump(mode="json") == shown
    shown = masked(Whole(section=Section(servers=(), spare=rows[0])))
    assert shown["section"]["spare"]["pin"] == MASK
    assert is_secret(("section", "servers", "pin"), Whole)
    assert is_secret(("section", "servers"), Whole), "a row may hold one"
    assert not is_secret(("section", "servers", "host"), Whole)
