import pytest

from tests.unit.cli.answers import COMPLETE, JOB
from tests.unit.cli.playing_api import Api, run


@pytest.mark.spec("T8")
def test_trigger_sends_what_was_given_and_waits(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("POST /trigger", JOB, status=202)
    api.answer("GET /jobs/7", {**JOB, "state": "cutting", "progress": 0.5}, COMPLETE)
    sent = {"source": "cli", "before_s": 90.0, "key": "next", "filter": "vlan == 7"}
    assert run(api, "trigger", "--before", "90", "--key", "next", "--filter", "vlan == 7", "--wait") == 0
    assert api.asked[0] == ("POST /trigger", sent)
    assert "4 321, 0 lost" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "code"), [("accepted", 0), ("refused", 1)])
def test_a_trigger_that_is_refused_is_a_failure(
    api: Api, capsys: pytest.CaptureFixture[str], state: str, code: int
) -> None:
    api.answer("POST /trigger", {**JOB, "state": state, "message": "No ring."}, status=202)
    assert run(api, "trigger") == code
    assert "No ring." in capsys.readouterr().out


def test_jobs(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.answer("GET /jobs?limit=20&offset=0", [COMPLETE])
    api.answer("GET /jobs/7", COMPLETE)
    api.answer("POST /jobs/7/cancel", {**JOB, "state": "cancelled"})
    assert run(api, "jobs") == 0
    assert "complete  4 321    1.2 MB  20261121T143005Z_cli_manual.pcapng" in capsys.readouterr().out
    assert run(api, "jobs", "7") == 0
    assert "20261121T143005Z_cli_manual.pcapng, 1.2 MB, in storage" in capsys.readouterr().out
    assert run(api, "jobs", "7", "--cancel") == 0
    assert "cancelled" in capsys.readouterr().out
    assert run(api, "jobs", "--cancel") == 1
    assert "number of the capture is missing" in capsys.readouterr().err


@pytest.mark.spec("T5")
def test_limits_and_format_are_asked_for_and_told(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    limited = {**COMPLETE, "limited": True, "message": "This file ends at its size limit of 1 MiB."}
    api.answer("POST /trigger", limited, status=202)
    assert run(api, "trigger", "--packet-length", "0", "--size-limit", "1", "--format", "pcap") == 0
    asked = {"packet_length": 0, "size_limit_mib": 1, "format": "pcap"}
    assert api.asked == [("POST /trigger", {"source": "cli", **asked})]
    told = capsys.readouterr().out
    assert "ends at limit" in told
    assert "complete" not in told


@pytest.mark.spec("T4")
def test_rows_are_shown_and_one_is_cancelled(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "number": 2,
        "name": "behind",
        "filter": "interface == port2",
        "state": "failed",
        "message": "Full.",
    }
    row |= {"file": "", "directory": "", "size": None, "packets": None, "bytes": None, "drops": None}
    row |= {"limited": False}
    job = {
        **COMPLETE,
        "file": "",
        "rows": [row | {"number": 1, "file": "a.pcapng", "state": "complete"}, row],
    }
    api.answer("GET /jobs/7", job)
    api.answer("GET /jobs?limit=20&offset=0", [job])
    api.answer("POST /jobs/7/rows/2/cancel", job)
    assert run(api, "jobs", "7") == 0
    told = capsys.readouterr().out
    assert "a.pcapng" in told
    assert "Full." in told
    assert run(api, "jobs") == 0
    assert "2 files" in capsys.readouterr().out
    assert run(api, "jobs", "7", "--row", "2", "--cancel") == 0
