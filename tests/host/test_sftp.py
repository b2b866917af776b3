"""Uploads to a real OpenSSH server: whole, once, resumed after every kind of interruption."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from allegro.errors import Conflict
from allegro.export import sftp
from allegro.export.device_key import device_key
from allegro.export.export_status import Run
from allegro.export.failures import FileTrouble, HostKeyChanged, HostKeyUnknown, ServerTrouble, Target
from allegro.export.host_keys import HostKey
from allegro.export.queue import UploadQueue
from allegro.export.session import Login, server_host_key, session
from allegro.export.sftp_client import SftpClient
from allegro.export.upload_part import part_name
from allegro.export.upload_trial import try_out
from allegro.export.uploads import ExportService
from allegro.export.way import Sent, Step
from allegro.settings.model import Export
from allegro.storage.uploaded import dispose
from tests.harness.sftp_server import SftpServer
from tests.harness.sftp_stub import StubServer
from tests.harness.waiting import wait_for
from tests.host.sending import DEVICE, NAME, deliver, keep_a_part_and_refuse, put_file, quiet, target

MIB = 1024 * 1024

pytestmark = [pytest.mark.spec("X3"), pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SftpServer]:
    with SftpServer(tmp_path / "sshd") as running:
        yield running


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    directory = tmp_path / "upload"
    directory.mkdir()
    return directory


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.spec("X1")
@pytest.mark.parametrize("size", [0, 1, 32 * 1024, 5 * MIB + 17])
def test_a_file_arrives_whole_and_leaves_the_queue(server: SftpServer, upload: Path, size: int) -> None:
    file, content = put_file(upload, size)
    steps: list[str] = []
    hidden_while_sending: list[list[str]] = []

    def progress(step: Step, done: int, total: int) -> None:
        steps.append(step)
        assert 0 <= done <= total == size
        if step == "checking":
            hidden_while_sending.append(server.files())
            assert file.exists()

    sent = deliver(server, file, progress=progress)
    assert sent == Sent(NAME, size, already_there=False, resumed_at=0)
    assert (server.root / NAME).read_bytes() == content
    assert server.files() == [NAME]
    assert hidden_while_sending == [[part_name(NAME, DEVICE)]]
    assert not file.exists()
    assert list(dict.fromkeys(steps)) == [
        "looking",
        "sending",
        "checking",
        "renaming",
        "removing",
        "done",
    ]


@pytest.mark.spec("X1")
def test_a_wrong_password_is_told_in_plain_words(server: SftpServer, upload: Path) -> None:
    with (
        pytest.raises(ServerTrouble, match="did not accept user upload with this password"),
        session(target(server), Login(server.user, "wrong"), HostKey(server.fingerprint)),
    ):
        pytest.fail("logged in")


@pytest.mark.spec("X1")
def test_the_devices_own_key_logs_in_once_the_server_knows_it(
    server: SftpServer, tmp_path: Path, upload: Path
) -> None:
    key = device_key(tmp_path / "ssh", DEVICE)
    login = Login(server.user, key=key.private)
    with (
        pytest.raises(ServerTrouble, match="did not accept the device's key"),
        session(target(server), login, HostKey(server.fingerprint)),
    ):
        pytest.fail("logged in")
    server.stop()
    server.authorize(key.public_line)
    server.start()
    file, content = put_file(upload, 1000)
    with session(target(server), login, HostKey(server.fingerprint)) as client:
        sftp.send(client, file, ".", DEVICE, quiet)
    assert (server.root / NAME).read_bytes() == content


class KeysOnlyServer(SftpServer):
    """Takes no passwords."""

    def _write_configuration(self) -> None:
        super()._write_configuration()
        path = self.directory / "sshd_config"
        path.write_text("PasswordAuthentication no\n" + path.read_text())  # the first value wins


@pytest.mark.spec("X1")
def test_a_server_without_passwords_says_what_it_wants(tmp_path: Path) -> None:
    with (
        KeysOnlyServer(tmp_path / "sshd") as server,
        pytest.raises(ServerTrouble, match=r"does not let .* log in with a password; it offers: publickey"),
        session(target(server), Login(server.user, server.password), HostKey(server.fingerprint)),
    ):
        pytest.fail("logged in")


@pytest.mark.spec("X2")
def test_without_an_accepted_host_key_nothing_is_sent(server: SftpServer) -> None:
    with (
        pytest.raises(HostKeyUnknown, match="has not been accepted yet"),
        session(target(server), Login(server.user, server.password), HostKey("")),
    ):
        pytest.fail("logged in")
    assert "Accepted password" not in server.log.read_text()
    assert server_host_key(target(server)) == HostKey(server.fingerprint, "ssh-ed25519")


@pytest.mark.spec("X2")
def test_a_changed_host_key_stops_before_the_password_is_sent(server: SftpServer) -> None:
    pinned = server.fingerprint
    server.stop()
    server.new_host_key()
    server.start()
    with (
        pytest.raises(HostKeyChanged) as caught,
        session(target(server), Login(server.user, server.password), HostKey(pinned)),
    ):
        pytest.fail("logged in")
    assert pinned in str(caught.value)
    assert server.fingerprint in str(caught.value)
    assert "Failed password" not in server.log.read_text()
    assert "Accepted password" not in server.log.read_text()


def test_resumes_after_the_server_died_in_mid_transfer(server: SftpServer, upload: Path) -> None:
    file, content = put_file(upload, 12 * MIB)

    def die_in_the_middle(step: Step, done: int, size: int) -> None:
        if step == "sending" and done >= 6 * MIB:
            server.stop()

    with pytest.raises(Exception) as caught:
        deliver(server, file, progress=die_in_the_middle)
    assert not isinstance(caught.value, FileTrouble)
    assert file.exists()
    arrived = (server.root / part_name(NAME, DEVICE)).stat().st_size
    assert 6 * MIB <= arrived < 12 * MIB
    server.start()
    sent = deliver(server, file)
    assert sent is not None
    assert sent.resumed_at == arrived
    assert (server.root / NAME).read_bytes() == content
    assert server.files() == [NAME]
    assert not file.exists()


@pytest.mark.parametrize("damage", ["tail", "head", "longer"])
def test_a_part_that_does_not_agree_is_not_resumed(server: SftpServer, upload: Path, damage: str) -> None:
    file, content = put_file(upload, 4 * MIB)
    part = bytearray(content[: 3 * MIB])
    if damage == "tail":
        part[-MIB // 2 :] = bytes(MIB // 2)  # zeros, as after a power cut of the server
    elif damage == "head":
        part[0] ^= 0xFF
    else:
        part = bytearray(content + b"more")
    path = server.root / part_name(NAME, DEVICE)
    path.write_bytes(part)
    path.chmod(0o666)
    sent = deliver(server, file)
    assert sent is not None
    assert sent.resumed_at == 0
    assert (server.root / NAME).read_bytes() == content
    assert server.files() == [NAME]


def test_a_file_that_is_there_already_is_not_sent_twice(server: SftpServer, upload: Path) -> None:
    file, content = put_file(upload, 3 * MIB)
    (server.root / NAME).write_bytes(content)
    before = (server.root / NAME).stat()
    sent = deliver(server, file)
    assert sent == Sent(NAME, 3 * MIB, already_there=True, resumed_at=0)
    assert server.files() == [NAME]
    assert (server.root / NAME).stat().st_ino == before.st_ino
    assert not file.exists()


@pytest.mark.parametrize("same_size", [True, False])
def test_another_file_of_the_same_name_is_never_overwritten(
    server: SftpServer, upload: Path, same_size: bool
) -> None:
    file, content = put_file(upload, MIB)
    other = content[:-1] + bytes([content[-1] ^ 1]) if same_size else b"other"
    (server.root / NAME).write_bytes(other)
    sent = deliver(server, file)
    assert sent is not None
    assert sent.name == NAME.replace(".pcapng", "_2.pcapng")
    assert (server.root / NAME).read_bytes() == other
    assert (server.root / sent.name).read_bytes() == content


def test_a_missing_directory_is_made(server: SftpServer, upload: Path) -> None:
    file, content = put_file(upload, 100)
    deliver(server, file, "captures/2026/allegro")
    assert (server.root / "captures/2026/allegro" / NAME).read_bytes() == content


def test_a_directory_without_permission_is_told(server: SftpServer, upload: Path) -> None:
    file, _ = put_file(upload, 100)
    (server.root / "closed").mkdir(mode=0o755)  # belongs to root
    with pytest.raises(FileTrouble, match="permission denied") as caught:
        deliver(server, file, "closed")
    assert caught.value.remedy
    with pytest.raises(FileTrouble, match="make the directory closed/below: permission denied"):
        deliver(server, file, "closed/below")
    (server.root / "a file").write_text("")
    with pytest.raises(FileTrouble, match="is a file on the server"):
        deliver(server, file, "a file")
    assert file.exists()


def test_a_full_disk_of_the_server_keeps_the_file_and_goes_on_when_there_is_room(
    tmp_path: Path, upload: Path
) -> None:
    server = SftpServer(tmp_path / "sshd")
    root = str(server.root)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=777", "allegro-test", root], check=True)
    try:
        with server:
            file, content = put_file(upload, 5 * MIB)
            with pytest.raises(FileTrouble, match="disk of the server is full"):
                deliver(server, file)
            assert file.exists()
            subprocess.run(["mount", "-o", "remount,size=8m", root], check=True)
            assert deliver(server, file) is not None
            assert server.files() == [NAME]
            assert (server.root / NAME).read_bytes() == content
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def test_a_file_that_cannot_be_removed_here_is_no_trouble_of_the_connection(
    server: SftpServer, upload: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "allegro-test", str(upload)], check=True)
    try:
        file, content = put_file(upload, MIB)

        def write_protect(step: Step, done: int, size: int) -> None:
            if step == "removing":
                subprocess.run(["mount", "-o", "remount,ro", str(upload)], check=True)

        for _ in range(2):
            with pytest.raises(FileTrouble, match="cannot be removed from the storage device") as caught:
                deliver(server, file, progress=write_protect)
            assert caught.value.place == str(file)
            assert server.files() == [NAME]
        subprocess.run(["mount", "-o", "remount,rw", str(upload)], check=True)
        sent = deliver(server, file)
        assert sent is not None
        assert sent.already_there
        assert not file.exists()
        assert (server.root / NAME).read_bytes() == content
    finally:
        subprocess.run(["umount", "--lazy", str(upload)], check=True)


def test_a_file_deleted_here_in_the_meantime_leaves_nothing_on_the_server(
    server: SftpServer, upload: Path
) -> None:
    file, _ = put_file(upload, MIB)

    def delete(step: Step, done: int, size: int) -> None:
        if step == "checking":
            file.unlink()

    assert deliver(server, file, progress=delete) is None
    assert server.files() == []


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubServer]:
    with StubServer(tmp_path / "stub") as running:
        yield running


def _refuse(path: Path) -> None:
    raise OSError("disk quota exceeded")


@pytest.mark.spec("X5")
@pytest.mark.parametrize("size", [0, MIB])
@pytest.mark.parametrize("at_close", [_refuse, keep_a_part_and_refuse])
def test_a_close_that_is_refused_costs_no_file(
    stub: StubServer, upload: Path, at_close: Callable[[Path], None], size: int
) -> None:
    file, content = put_file(upload, size)
    stub.at_close = at_close
    for _ in range(2):
        with pytest.raises(FileTrouble, match="refused to write the file"):
            deliver(stub, file)
        assert file.read_bytes() == content
        assert stub.files() == [], "any stretch of what was refused may be missing"
    stub.at_close = lambda path: None
    assert deliver(stub, file) == Sent(NAME, size, already_there=False, resumed_at=0)
    assert (stub.root / NAME).read_bytes() == content
    assert not file.exists()


@pytest.mark.spec("X5")
def test_a_file_that_is_short_once_it_is_closed_stays_here(stub: StubServer, upload: Path) -> None:
    file, content = put_file(upload, MIB)
    stub.at_close = lambda path: os.truncate(path, 100_000)
    with pytest.raises(FileTrouble, match="not the whole file"):
        deliver(stub, file)
    assert file.read_bytes() == content
    assert NAME not in stub.files()
    stub.at_close = lambda path: None
    sent = deliver(stub, file)
    assert sent is not None
    assert sent.resumed_at == 100_000
    assert (stub.root / NAME).read_bytes() == content
    assert not file.exists()


@pytest.mark.spec("X5")
def test_a_file_that_is_short_once_it_is_renamed_stays_here(stub: StubServer, upload: Path) -> None:
    file, content = put_file(upload, MIB)
    stub.after_rename = lambda path: os.truncate(path, 100_000)
    with pytest.raises(FileTrouble, match="not the whole file"):
        deliver(stub, file)
    assert file.read_bytes() == content
    stub.after_rename = lambda path: None
    sent = deliver(stub, file)
    assert sent is not None
    assert (stub.root / sent.name).read_bytes() == content
    assert not file.exists()


@pytest.mark.spec("X5")
def test_a_file_that_is_gone_once_it_is_renamed_stays_here(stub: StubServer, upload: Path) -> None:
    file, content = put_file(upload, MIB)
    stub.after_rename = Path.unlink
    with pytest.raises(FileTrouble, match="show the file that was sent: it is not there any more"):
        deliver(stub, file)
    assert file.read_bytes() == content


@pytest.mark.spec("X1", "X5")
def test_the_test_upload_tells_of_a_close_that_is_refused(stub: StubServer) -> None:
    stub.at_close = _refuse
    with (
        session(target(stub), Login(stub.user, stub.password), HostKey(stub.fingerprint)) as client,
        pytest.raises(FileTrouble, match="refused to write the file"),
    ):
        try_out(client, ".", DEVICE, "test")


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from allegro.export import sftp
    from allegro.export.failures import Target
    from allegro.export.host_keys import HostKey
    from allegro.export.session import Login, session

    host, port, user, password, pinned, file, step, percent = sys.argv[1:]

    def progress(now, done, size):
        if now == step and (now != "sending" or done >= size * int(percent) // 100):
            os.kill(os.getpid(), signal.SIGKILL)

    with session(Target(host, int(port), user), Login(user, password), HostKey(pinned)) as client:
        sftp.send(client, Path(file), ".", "allegro-mm-1234", progress)
    """
)


PLACES = [
    *(("looking", 0), ("sending", 0), ("sending", 1), ("sending", 50), ("sending", 99), ("sending", 100)),
    *(("checking", 100), ("renaming", 100), ("removing", 100), ("done", 100)),
]
"""Steps, and percent of what is sent."""


@pytest.mark.parametrize(("step", "percent"), PLACES)
def test_killed_at_any_step_nothing_is_lost_or_sent_twice(
    server: SftpServer, upload: Path, step: str, percent: int
) -> None:
    file, content = put_file(upload, 8 * MIB)
    arguments = [
        server.address,
        str(server.port),
        server.user,
        server.password,
        server.fingerprint,
        str(file),
        step,
        str(percent),
    ]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    if step == "done":
        assert not file.exists()
    else:
        assert file.read_bytes() == content
        sent = deliver(server, file)
        assert sent is not None
        assert sent.already_there == (step == "removing")
        assert bool(sent.resumed_at) == (percent > 0 and step != "removing")
    assert server.files() == [NAME]
    assert (server.root / NAME).read_bytes() == content
    assert not file.exists()


@dataclass
class Device:
    """An export service with settings that a test may change."""

    service: ExportService
    queue: UploadQueue
    export: Export

    def change(self, **changes: object) -> None:
        self.export = Export.model_validate({**self.export.model_dump(), **changes})
        self.service.notify()


@pytest.fixture
def device(server: SftpServer, upload: Path, tmp_path: Path) -> Iterator[Device]:
    queue = UploadQueue(upload, tmp_path / "allegro.sqlite")
    export = Export(
        enabled=True,
        host=server.address,
        port=server.port,
        username=server.user,
        password=server.password,
        directory="from-device",
        host_key=server.fingerprint,
    )
    made: list[Device] = []
    service = ExportService(queue, lambda: made[0].export, tmp_path / "ssh", DEVICE)
    made.append(Device(service, queue, export))
    service.start()
    yield made[0]
    service.stop()


@pytest.mark.spec("W5", "X1")
def test_what_the_server_has_is_kept_where_that_is_told(
    server: SftpServer, device: Device, upload: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "sent"
    _, content = put_file(upload, 1000)
    service = ExportService(
        *(device.queue, lambda: device.export, tmp_path / "ssh", DEVICE),
        dispose=lambda file: dispose(file, kept, "make-room"),
    )
    device.service.stop()
    service.start()
    try:
        service.upload_now()
        wait_for(lambda: not device.queue.waiting(), "empty queue", 60)
    finally:
        service.stop()
    assert (server.root / "from-device" / NAME).read_bytes() == content
    assert (kept / NAME).read_bytes() == content
    assert not service.is_sending(NAME)


@pytest.mark.spec("X1", "X2")
def test_the_test_upload_first_shows_the_key_and_then_leaves_its_file(
    server: SftpServer, device: Device
) -> None:
    device.change(host_key="")
    first = device.service.test()
    assert (first.accepted, first.fingerprint, first.file) == (False, server.fingerprint, "")
    assert (first.pinned, first.host_key_type) == ("", "ssh-ed25519")
    assert device.service.type_of(first.fingerprint) == "ssh-ed25519"
    assert server.files() == []
    device.change(host_key=first.fingerprint)
    second = device.service.test()
    assert second.accepted
    assert second.file == "from-device/allegro-upload-test.txt"
    assert DEVICE in (server.root / second.file).read_text()
    assert second.message == "The test file was written: from-device/allegro-upload-test.txt."
    assert device.service.test().accepted  # again, in place of the old file
    assert _names(server.root / "from-device") == ["allegro-upload-test.txt"]


@pytest.mark.spec("X5")
def test_each_device_and_day_can_have_a_directory(server: SftpServer, device: Device, upload: Path) -> None:
    device.change(directory="~/in/{device}/{date}")
    _, one = put_file(upload, 10, "20261121T235959Z_a.pcapng")
    _, two = put_file(upload, 10, "20261122T000000Z_a.pcapng")
    device.service.upload_now()
    wait_for(lambda: not device.queue.waiting(), "empty queue", 20)
    below = server.root / "in" / DEVICE
    assert (below / "2026-11-21/20261121T235959Z_a.pcapng").read_bytes() == one
    assert (below / "2026-11-22/20261122T000000Z_a.pcapng").read_bytes() == two
    assert device.service.test().file.startswith(f"in/{DEVICE}/20")


@pytest.mark.spec("X1")
def test_upload_now_sends_the_queue_and_only_visible_files(
    server: SftpServer, device: Device, upload: Path
) -> None:
    _, one = put_file(upload, 2 * MIB, "1.pcapng")
    _, two = put_file(upload, 10, "2.pcapng")
    put_file(upload, 10, ".3.pcapng.partial")
    assert device.service.upload_now() == 2
    wait_for(lambda: not device.queue.waiting(), "empty queue", 20)
    assert _names(server.root / "from-device") == ["1.pcapng", "2.pcapng"]
    assert (server.root / "from-device/1.pcapng").read_bytes() == one
    assert (server.root / "from-device/2.pcapng").read_bytes() == two
    assert _names(upload) == [".3.pcapng.partial"]

    def ended() -> Run | None:
        run = device.service.status().last_run
        return run if run is not None and run.ended_ns else None

    run = wait_for(ended, "end of the run", 10)
    assert (run.sent, run.failed, run.error) == (2, 0, "")


def test_while_the_server_is_down_the_reason_is_shown_and_the_next_try_delivers(
    server: SftpServer, device: Device, upload: Path
) -> None:
    server.stop()
    _, content = put_file(upload, MIB)
    device.change(immediately=True)
    (waiting,) = wait_for(
        lambda: [one for one in device.service.status().queue if one.tries.attempts], "a failed try", 20
    )
    assert "refused the connection" in waiting.tries.error
    assert waiting.tries.remedy
    pause = waiting.tries.next_try_ns - time.time_ns()
    assert 0 < pause <= 60e9
    assert device.service.status().state == "idle"
    server.start()
    device.service.upload_now()
    wait_for(lambda: not device.queue.waiting(), "empty queue", 20)
    assert (server.root / "from-device" / NAME).read_bytes() == content


def test_one_bad_file_does_not_hold_up_the_others(server: SftpServer, device: Device, upload: Path) -> None:
    target = server.root / "from-device"
    target.mkdir(mode=0o777)
    target.chmod(0o777)
    put_file(upload, 10, "1.pcapng")
    _, two = put_file(upload, 10, "2.pcapng")
    (target / part_name("1.pcapng", DEVICE)).mkdir()  # nothing can be written there
    device.service.upload_now()
    (left,) = wait_for(
        lambda: [one for one in device.queue.waiting() if one.tries.error], "a failed file", 20
    )
    assert left.file.name == "1.pcapng"
    wait_for(lambda: (target / "2.pcapng").exists(), "the other file", 20)
    assert (target / "2.pcapng").read_bytes() == two


@pytest.mark.spec("X2")
@pytest.mark.parametrize("change", [{"enabled": False}, {"host_key": ""}])
def test_a_running_upload_ends_when_the_server_is_not_to_get_it_any_more(
    server: SftpServer, device: Device, upload: Path, change: dict[str, object]
) -> None:
    before = device.export.model_dump()
    _, content = put_file(upload, 128 * MIB)
    device.service.upload_now()

    def sending() -> bool:
        running = device.service.status().running
        return running is not None and running.done > 0

    wait_for(sending, "the upload's beginning", 20, interval=0.01)
    device.change(**change)
    wait_for(lambda: device.service.status().running is None, "the upload's end", 20)
    (left,) = device.queue.waiting()
    (part,) = _names(server.root / "from-device")
    assert part == part_name(NAME, DEVICE)
    assert 0 < (server.root / "from-device" / part).stat().st_size < left.file.size
    device.change(**before)
    device.service.upload_now()
    wait_for(lambda: not device.queue.waiting(), "empty queue", 60)
    assert (server.root / "from-device" / NAME).read_bytes() == content


@pytest.mark.spec("X2")
def test_a_changed_host_key_is_shown_for_every_file(server: SftpServer, device: Device, upload: Path) -> None:
    put_file(upload, 10, "1.pcapng")
    put_file(upload, 10, "2.pcapng")
    server.stop()
    server.new_host_key()
    server.start()
    device.service.upload_now()
    wait_for(lambda: all(one.tries.error for one in device.queue.waiting()), "failed tries", 20)
    assert all("host key has changed" in one.tries.error for one in device.queue.waiting())


@pytest.mark.spec("X2")
def test_the_key_that_the_last_test_showed_is_the_one_to_accept(server: SftpServer, device: Device) -> None:
    with pytest.raises(Conflict, match="No host key of this server has been shown") as caught:
        device.service.shown_host_key()
    assert "Run the test upload first" in caught.value.remedy
    pinned = server.fingerprint
    assert device.service.test().accepted
    assert device.service.shown_host_key().fingerprint == pinned
    server.stop()
    compared = server.new_host_key()
    server.start()
    changed = device.service.test()
    assert (changed.accepted, changed.fingerprint, changed.pinned) == (False, compared, pinned)
    assert changed.file == ""
    assert pinned in changed.message
    assert compared in changed.message
    assert "Failed password" not in server.log.read_text()
    assert server.log.read_text().count("Accepted password") == 1  # that of the first test
    server.stop()
    server.new_host_key()  # after the user has compared
    server.start()
    assert device.service.shown_host_key() == HostKey(compared, "ssh-ed25519")
    server.stop()
    with pytest.raises(ServerTrouble):
        device.service.test()
    with pytest.raises(Conflict):
        device.service.shown_host_key()
    server.start()
    device.change(host_key=device.service.test().fingerprint)
    assert device.service.test().accepted
    device.change(port=1)
    with pytest.raises(Conflict):
        device.service.shown_host_key()


def test_what_is_not_a_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerTrouble, match="could not be resolved"):
        server_host_key(Target("no-such-host.invalid", 22, "u"))
    with pytest.raises(ServerTrouble, match="refused the connection on port 1"):
        server_host_key(Target("127.0.0.1", 1, "u"))


def test_the_client_tells_free_space(server: SftpServer) -> None:
    with session(target(server), Login(server.user, server.password), HostKey(server.fingerprint)) as client:
        assert isinstance(client, SftpClient)
        free = client.free_bytes(".")
    there = os.statvfs(server.root)
    assert free is not None
    assert abs(free - there.f_bavail * there.f_frsize) < 1024 * MIB


def test_a_device_that_is_switched_off_in_mid_transfer_goes_on_at_the_next_start(
    server: SftpServer, device: Device, upload: Path, tmp_path: Path
) -> None:
    _, content = put_file(upload, 64 * MIB)
    device.service.upload_now()

    def under_way() -> bool:
        running = device.service.status().running
        return running is not None and running.step == "sending" and running.done > 0

    wait_for(under_way, "first bytes on the server", 20, interval=0.001)
    device.service.stop()
    assert _names(upload) == [NAME]
    assert _names(server.root / "from-device") == [part_name(NAME, DEVICE)]
    assert device.queue.waiting()[0].tries.attempts == 0
    again = ExportService(device.queue, lambda: device.export, tmp_path / "ssh", DEVICE)
    again.start()
    try:
        wait_for(lambda: not device.queue.waiting(), "empty queue", 60)
    finally:
        again.stop()
    assert (server.root / "from-device" / NAME).read_bytes() == content
    assert _names(server.root / "from-device") == [NAME]
