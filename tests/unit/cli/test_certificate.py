"""The certificate of the page: asked from the page's program, beside the supervisor's socket."""

import io
from pathlib import Path

import pytest

from tests.unit.cli.playing_api import Api
from tests.unit.cli.test_users import page, run

__all__ = ["page"]

pytestmark = pytest.mark.spec("W10")

ANSWER = {
    "uploaded": True,
    "fingerprint": "AB:CD",
    "issuer": "CN=authority",
    "names": ["page.example", "192.0.2.7"],
    "begins_time": "2026-11-21T14:30:05.000000000Z",
    "ends_time": "2027-11-21T14:30:05.000000000Z",
    "pem": "-----BEGIN CERTIFICATE-----",
}


def test_it_is_shown_uploaded_and_given_up(
    page: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page.answer("GET /certificate", ANSWER)
    page.answer("PUT /certificate", ANSWER)
    page.answer("DELETE /certificate", ANSWER | {"uploaded": False})
    page.answer("GET /certificate/request", {"pem": "-----BEGIN CERTIFICATE REQUEST-----\n"})
    assert run(tmp_path, "certificate") == 0
    shown = capsys.readouterr().out
    assert "CN=authority" in shown
    assert "2027-11-21 14:30:05 UTC" in shown
    (tmp_path / "chain.pem").write_text("chain")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"key")))
    assert run(tmp_path, "certificate", "upload", str(tmp_path / "chain.pem"), "-") == 0
    assert page.asked[-1] == ("PUT /certificate", {"pem": "chain\nkey"})
    capsys.readouterr()
    assert run(tmp_path, "certificate", "request") == 0
    assert capsys.readouterr().out == "-----BEGIN CERTIFICATE REQUEST-----\n"
    assert run(tmp_path, "certificate", "own") == 0
    assert "the device itself" in capsys.readouterr().out
    assert run(tmp_path, "certificate", "upload", str(tmp_path / "missing.pem")) == 1
    assert "cannot be read (No such file" in capsys.readouterr().err
