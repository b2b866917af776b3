"""Upload by SFTP to a real OpenSSH server: whole, once, and never lost."""

import datetime as dt
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Lab, Tell
from tests.harness.device import ApiRefusedError
from tests.harness.frames import series
from tests.harness.sftp_server import SftpServer
from tests.harness.waiting import wait_for


def capture_for_upload(lab: Lab) -> tuple[str, bytes]:
    """Make a capture of a few packets; returns its name and contents."""
    lab.ports[0].send_all(series(500, size=700))
    job = lab.device.wait_job(lab.device.trigger(before_s=30)["id"])
    assert job["directory"] == "upload"
    return job["file"], lab.machine.pull(f"/data/storage/upload/{job['file']}")


def wait_queue_empty(lab: Lab) -> None:
    wait_for(lambda: not lab.device.get("/export")["queue"], "an empty upload directory", 180, 0.2)


def wait_failed(lab: Lab, name: str) -> dict[str, Any]:
    """Wait until the last try of that file has failed; returns its line in the queue."""

    def failed() -> dict[str, Any] | None:
        queue: list[dict[str, Any]] = lab.device.get("/export")["queue"]
        return next((file for file in queue if file["name"] == name and file["error"]), None)

    return wait_for(failed, "a failed try", 90, 0.2)


@pytest.mark.spec("X1", "X3")
def test_upload_now_delivers_byte_for_byte(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None]
) -> None:
    """By password, then by the device's own key."""
    delivered: dict[str, bytes] = {}
    for authentication in ("password", "key"):
        if authentication == "key":
            sftp.stop()
            sftp.authorize(lab.device.get("/export")["public_key"])
            sftp.start()
        password = sftp.password if authentication == "password" else ""
        export_to_sftp(authentication=authentication, password=password)
        name, content = capture_for_upload(lab)
        assert lab.device.get("/export")["queue"][0]["name"] == name
        lab.device.post("/export/now")
        wait_queue_empty(lab)
        delivered[name] = content
        assert {name: (sftp.root / name).read_bytes() for name in sftp.files()} == delivered
        assert lab.machine.run("ls -A /data/storage/upload").stdout == ""


@pytest.mark.spec("X4", "X1")
def test_upload_at_once_after_the_trigger(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None]
) -> None:
    export_to_sftp(immediately=True)
    lab.device.plug_presenter()
    lab.machine.presenter.press("next")
    (job,) = lab.device.wait_jobs(1)
    wait_for(lambda: sftp.files() == [job["file"]], "the file on the server", 60, 0.2)
    wait_queue_empty(lab)


@pytest.mark.spec("X3")
def test_the_devices_own_retry_delivers_when_the_server_is_back(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None]
) -> None:
    """Until then the file is kept, and the reason is told."""
    export_to_sftp(immediately=True)
    sftp.stop()
    name, content = capture_for_upload(lab)
    line = wait_failed(lab, name)
    assert line["attempts"] >= 1
    assert "Traceback" not in line["error"]
    assert lab.machine.pull(f"/data/storage/upload/{name}") == content
    assert any(problem["id"] == "uploads-fail" for problem in lab.device.status()["problems"])
    shown = lab.machine.run("allegro export status").stdout
    assert name in shown
    assert line["error"].split(".")[0] in shown.replace("\n", " ")
    sftp.start()
    wait_for(lambda: sftp.files() == [name], "the retry a minute later", 300, 0.5)
    wait_queue_empty(lab)
    assert (sftp.root / name).read_bytes() == content
    assert lab.device.get("/export")["last_run"]["started_time"] >= line["next_try_time"]


@pytest.mark.spec("X1", "X4")
def test_the_daily_upload_begins_by_itself_at_its_time(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None]
) -> None:
    export_to_sftp()
    name, content = capture_for_upload(lab)
    # 30 to 90 s ahead on the device's own clock, so that the setting is in force before
    soon = lab.machine.run("date --date='90 seconds' +%H:%M").stdout.strip()
    lab.device.set({"export": {"time": soon}})
    before = lab.device.get("/export")
    assert [(line["name"], line["released"]) for line in before["queue"]] == [(name, False)]
    assert before["last_run"] is None
    wait_for(lambda: sftp.files() == [name], f"the upload at {soon}", 180, 0.5)
    wait_queue_empty(lab)
    assert (sftp.root / name).read_bytes() == content
    assert lab.device.get("/export")["last_run"]["started_time"] >= before["next_run_time"]


@pytest.mark.spec("X1", "X2", "X3")
def test_what_the_server_does_not_like_is_told_and_then_put_right(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None]
) -> None:
    """One machine for all: tests/host/test_sftp.py looks at each, with the libraries of this machine."""
    device = lab.device
    export_to_sftp(host_key="")
    first = device.post("/export/test")
    assert first["fingerprint"] == sftp.fingerprint
    assert not first["accepted"]
    assert sftp.files() == []
    device.post("/export/host-key", {"fingerprint": first["fingerprint"]})

    for changes, word in (({"password": "wrong"}, "password"), ({"directory": "/nowhere"}, "/nowhere")):
        export_to_sftp(**changes)
        with pytest.raises(ApiRefusedError) as caught:
            device.post("/export/test")
        assert word in f"{caught.value.message} {caught.value.remedy}".lower()

    export_to_sftp()
    assert device.post("/export/test")["accepted"]
    assert sftp.files() == ["allegro-upload-test.txt"]
    (sftp.root / "allegro-upload-test.txt").unlink()

    sftp.stop()
    changed = sftp.new_host_key()
    sftp.start()
    name, content = capture_for_upload(lab)
    device.post("/export/now")
    line = wait_failed(lab, name)
    assert changed in line["error"] + line["remedy"]
    assert sftp.files() == []
    device.post("/export/host-key", {"fingerprint": changed})
    device.post("/export/now")
    wait_queue_empty(lab)
    assert sftp.files() == [name]
    assert (sftp.root / name).read_bytes() == content


@pytest.mark.spec("X3", "X5")
@pytest.mark.parametrize("delay_ms", [0, 50])
def test_an_interrupted_upload_goes_on_and_arrives_once(
    lab: Lab, sftp: SftpServer, export_to_sftp: Callable[..., None], tell: Tell, delay_ms: int
) -> None:
    """Also over a long way, as netem of the device's kernel makes it for all that it sends."""
    lab.machine.run(f"tc qdisc replace dev mgmt0 root netem limit 20000 delay {delay_ms}ms")
    export_to_sftp()
    name, content = _queue_file(lab, "20261121T120000Z_presenter_next.pcapng")
    lab.device.post("/export/now")

    def half_is_there() -> bool:
        return any(path.stat().st_size > len(content) // 2 for path in sftp.root.iterdir())

    wait_for(half_is_there, "the first half", 60, 0.02)
    sftp.stop()
    assert sftp.files() != [name], "too fast to be interrupted"
    time.sleep(1)
    sftp.start()
    wait_failed(lab, name)
    lab.device.post("/export/now")
    wait_queue_empty(lab)
    assert sftp.files() == [name]
    assert (sftp.root / name).read_bytes() == content
    assert len(content) < _bytes_sent(lab) < len(content) * 1.4, "what had arrived was not sent again"

    another, content = _queue_file(lab, "20261121T130000Z_presenter_next.pcapng")
    lab.device.post("/export/now")
    wait_queue_empty(lab)
    assert sftp.files() == [name, another]
    assert (sftp.root / another).read_bytes() == content
    run = lab.device.get("/export")["last_run"]
    began, ended = (dt.datetime.fromisoformat(run[each]) for each in ("started_time", "ended_time"))
    rate = len(content) / (ended - began).total_seconds() / 1e6
    tell(f"{delay_ms} ms more to the server: {rate:.2f} MB/s, log-in included")


def _queue_file(lab: Lab, name: str) -> tuple[str, bytes]:
    """A file of 10 MiB, long enough to be hit, as if it had been captured; returns name and content."""
    half = "/data/storage/upload/.half"
    lab.machine.run(f"python3 -c \"open('{half}','wb').write(bytes(range(256))*(10<<12))\"")
    lab.machine.run(f"mv {half} /data/storage/upload/{name}")
    return name, bytes(range(256)) * (10 << 12)


def _bytes_sent(lab: Lab) -> int:
    """By the management port, since netem is there."""
    found = re.search(
        r"netem .* Sent (\d+) bytes", lab.machine.run("tc -s qdisc show dev mgmt0").stdout, re.S
    )
    assert found is not None
    return int(found[1])
