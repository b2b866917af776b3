from typing import Any

import pytest

from tests.unit.cli.playing_api import Api, run

pytestmark = pytest.mark.spec("X7")

WAY: dict[str, Any] = {
    "way": "mail",
    "enabled": True,
    "target": "anna@example.org by mail.example:587",
    "waiting": 3,
    "dropped": 0,
    "last_sent_time": "2026-11-21T14:30:05.000000000Z",
    "next_try_time": "2026-11-21T15:30:05.000000000Z",
    "trouble": "mail.example:587: The server does not answer.",
    "remedy": "Check that it is switched on.",
}


def test_each_way_is_shown_with_its_trouble(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    off = {"way": "syslog", "enabled": False, "target": "", "waiting": 0, "dropped": 2}
    never = {"last_sent_time": None, "next_try_time": None, "trouble": "", "remedy": ""}
    api.answer("GET /notifications", [WAY, {**off, **never}])
    assert run(api, "notifications") == 0
    assert capsys.readouterr().out == (
        "mail         on, to anna@example.org by mail.example:587\n"
        "  Waiting    3\n"
        "  Last sent  2026-11-21 14:30:05\n"
        "  Trouble    mail.example:587: The server does not answer. Check that it is switched on."
        " Next try 2026-11-21 15:30:05 UTC.\n"
        "\n"
        "syslog       off, not set up\n"
        "  Waiting    0\n"
        "  Last sent  -\n"
        "  Dropped    2 that were too many\n"
    )


def test_a_test_shows_what_the_server_says(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("POST /notifications/test", {"message": "The mail server has taken the message: 250 OK."})
    assert run(api, "notifications", "test", "mail") == 0
    assert api.asked == [("POST /notifications/test", {"way": "mail"})]
    assert capsys.readouterr().out == "The mail server has taken the message: 250 OK.\n"
