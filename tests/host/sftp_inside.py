"""Runs in a mount namespace of its own, in the place of the host: see test_sftp_server.py.

Argument: a folder for the server. Its /etc is a copy, so that files in it can be replaced without harm.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from allegro.export.failures import Target
from allegro.export.host_keys import HostKey
from allegro.export.session import Login, session
from tests.harness.sftp_server import SftpServer


def own_etc(folder: Path) -> None:
    """Lets /etc be a copy."""
    shutil.copytree("/etc", folder, symlinks=True)
    subprocess.run(["mount", "--bind", folder, "/etc"], check=True)


def replace(file: Path) -> None:
    """As useradd and packages do: a new file gets the name of the old one."""
    new = file.with_name(f"{file.name}+")
    shutil.copy2(file, new)
    new.rename(file)


def log_in(server: SftpServer) -> list[str]:
    target = Target(server.address, server.port, server.user)
    with session(target, Login(server.user, server.password), HostKey(server.fingerprint)) as client:
        return client.listdir(".")


def main(folder: Path) -> None:
    own_etc(folder / "etc")
    with SftpServer(folder / "sshd") as server:
        (server.root / "file").touch()
        assert log_in(server) == ["file"]
        for name in ("passwd", "group", "shadow"):
            replace(Path("/etc", name))
            assert log_in(server) == ["file"], name


if __name__ == "__main__":
    main(Path(sys.argv[1]))
