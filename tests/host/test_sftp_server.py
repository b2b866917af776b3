"""The bench's own OpenSSH server, which runs for days beside `make run`."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.build_vm import REPOSITORY


@pytest.mark.spec("X1")
@pytest.mark.timeout(120)
def test_logins_go_on_when_the_host_replaces_its_list_of_users(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.host.sftp_inside", str(tmp_path)]
    done = subprocess.run(
        ["unshare", "--mount", *command], cwd=REPOSITORY, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
