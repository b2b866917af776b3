"""Answers that no storage gives. What storage does, shows tests/host/test_s3.py."""

import httpx
import pytest

from allegro.errors import InvalidInput
from allegro.export.chosen_way import checked_target
from allegro.export.failures import FileTrouble, ServerTrouble
from allegro.export.s3_files import S3Files
from allegro.settings.model import Export

pytestmark = pytest.mark.spec("X6")

BUCKET = "https://storage.example.net/captures"


@pytest.mark.parametrize("encoding", ["gb2312", "Shift_JIS", "no-such-encoding"])
def test_a_page_in_letters_that_no_storage_uses_is_no_bucket(encoding: str) -> None:
    page = f'<?xml version="1.0" encoding="{encoding}"?><html/>'
    answering = httpx.MockTransport(lambda _request: httpx.Response(200, text=page))
    with (
        httpx.Client(transport=answering) as client,
        pytest.raises(ServerTrouble, match="This is no bucket of S3-compatible storage"),
    ):
        S3Files(client, BUCKET).look_for_nothing()


@pytest.mark.parametrize(("status", "remedy"), [(503, "tried again by itself"), (403, "Check the address")])
def test_trouble_of_the_storages_own_is_none_of_the_keys(status: int, remedy: str) -> None:
    error = "<Error><Code>SlowDown</Code></Error>"
    answering = httpx.MockTransport(lambda _request: httpx.Response(status, text=error))
    with (
        httpx.Client(transport=answering) as client,
        pytest.raises(FileTrouble, match=r"refused to begin an upload in parts \(SlowDown\)") as refused,
    ):
        S3Files(client, BUCKET).begin("a")
    assert remedy in refused.value.remedy


def test_an_access_key_that_cannot_be_sent_is_told() -> None:
    keys = {"username": "\N{CYRILLIC CAPITAL LETTER A}KIAPROBE", "password": "geheim"}
    export = Export.model_validate({"protocol": "s3", "url": BUCKET, **keys})
    with pytest.raises(InvalidInput, match="letter") as refused:
        checked_target(export)
    assert refused.value.place == "export.username"
