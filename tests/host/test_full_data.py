"""Supervisor and page, as real programs, while the device's own file system takes no further file."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.storage.capture_files import RESERVED_FILES
from tests.harness.waiting import wait_for
from tests.harness.web_programs import PASSWORDS, Programs, basic, web_programs

SIZE = 256 << 20
FILE = "20261121T143005Z_presenter_next.pcapng"
ADMIN = basic("admin", PASSWORDS["admin"]) | {"Content-Type": "application/json"}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that can have few files."""
    image, place = tmp_path / "image", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-N", "1024", str(image)], check=True)
    place.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def leave(disk: Path, files: int) -> None:
    """Somebody makes so many files that only that many more are possible."""
    for number in range(os.statvfs(disk).f_favail - files):
        (disk / f"of-others-{files}-{number}").touch()


def asked(programs: Programs, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    content = None if body is None else json.dumps(body).encode()
    status, _, answer = programs.request(method, f"/api{path}", ADMIN, content)
    return status, json.loads(answer) if answer else {}


@pytest.mark.spec("W3", "W5", "T7")
@pytest.mark.timeout(180)
def test_no_further_file_is_told_and_nothing_is_half_done(disk: Path) -> None:
    with web_programs(disk) as programs:
        (programs.paths.storage / FILE).write_bytes(b"packets")

        def problems() -> dict[str, str]:
            status, answer = asked(programs, "GET", "/status")
            assert status == 200
            return {each["id"]: each["text"] for each in answer["problems"]}  # type: ignore[attr-defined]

        def refusal() -> str:
            status, answer = asked(programs, "POST", "/trigger", {})
            assert (status, answer["state"]) == (202, "refused")
            return str(answer["message"])

        assert "storage-full" not in problems()
        assert "further file" not in refusal(), "there is no recorder here"
        leave(disk, RESERVED_FILES - 1)
        assert "takes no further file, although it has space" in problems()["storage-full"]
        assert "takes no further file, although it has space" in refusal()
        assert asked(programs, "PATCH", "/settings", {"trigger": {"before_s": 42}})[0] == 200

        leave(disk, 0)
        assert "storage-full" in problems()
        before = programs.paths.settings.read_bytes()
        status, answer = asked(programs, "PATCH", "/settings", {"trigger": {"before_s": 43}})
        assert (status, programs.paths.settings.read_bytes()) == (503, before)
        assert "No space left" in str(answer)
        assert asked(programs, "GET", "/settings")[1]["trigger"]["before_s"] == 42  # type: ignore[index]
        assert asked(programs, "DELETE", f"/files/{FILE}")[0] == 204
        assert not asked(programs, "GET", "/files")[1]

        for path in disk.glob("of-others-*"):
            path.unlink()
        wait_for(lambda: "storage-full" not in problems(), "no word of it any more", 30)
        assert asked(programs, "PATCH", "/settings", {"trigger": {"before_s": 44}})[0] == 200
