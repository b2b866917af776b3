"""A real OpenSSH server for uploads, that leaves nothing behind on the host.

sshd checks passwords against /etc/shadow, so it runs in its own mount namespace: there, /etc holds only what
sshd asks for, with one more user, and /run is a fresh tmpfs. No single file is mounted over one of the host:
when the host replaces such a file (passwd, by useradd or a package), the kernel takes the mount away in all
namespaces (Linux 3.18 and later: "vfs: Lazily remove mounts on unlinked files and directories"). The upload
directory is bound into a chroot in it (sshd wants that to be writable by root only), so it may lie anywhere
on the host.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.harness.bench_errors import BenchError
from tests.harness.waiting import PATIENCE

USER = "upload"
_UID = 61184  # in the range that systemd keeps for dynamic users: no distribution gives it to a person
_FORMAT = f"{{name}}:x:{_UID}:{_UID}:bench:{{home}}:/usr/sbin/nologin\n"


class SftpServer:
    """One server with one user. Files land in `root`; the user sees it as /upload.

    From the next start on: `options` are those of internal-sftp (sftp-server(8)), `more` further lines of
    sshd_config, `more_host_keys` files of further host keys; `shows_its_key` False takes the first one away.
    """

    def __init__(self, directory: Path, *, address: str = "127.0.0.1", port: int = 0) -> None:
        """Prepare host key, password and directories in `directory`; nothing runs yet.

        `port` 0 takes a free one and keeps it over stop and start.
        """
        self.directory = directory.resolve()
        self.root = self.directory / "upload"
        self.address = address
        self.port = port or _free_port(address)
        self.user = USER
        self.password = secrets.token_urlsafe(12)
        self.start_directory = "/upload"
        self.options = ""
        self.more = ""
        self.more_host_keys: tuple[Path, ...] = ()
        self.shows_its_key = True
        self._process: subprocess.Popen[bytes] | None = None
        self.directory.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(exist_ok=True)
        os.chown(self.root, _UID, _UID)
        (self.directory / "authorized_keys").write_text("")
        self.new_host_key()

    @property
    def log(self) -> Path:
        """What sshd says."""
        return self.directory / "sshd.log"

    @property
    def _host_key(self) -> Path:
        return self.directory / "host_key"

    def new_host_key(self) -> str:
        """Make a new host key (used from the next start on) and return its fingerprint, SHA256:…"""
        for path in (self._host_key, self._host_key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(self._host_key))
        return self.fingerprint

    @property
    def fingerprint(self) -> str:
        """SHA256:… of the host key."""
        return _run("ssh-keygen", "-lf", str(self._host_key.with_suffix(".pub"))).split()[1]

    def authorize(self, public_key: str) -> None:
        """Let the user in with this public key (a line of OpenSSH's format), too."""
        with (self.directory / "authorized_keys").open("a") as file:
            file.write(public_key.strip() + "\n")

    def start(self) -> None:
        """Start; returns when it accepts connections. Raises BenchError with sshd's words."""
        if self._process is not None:
            raise BenchError("the SFTP server runs already")
        self._write_configuration()
        script = self.directory / "start.sh"
        script.write_text(self._script())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                # a PID namespace of its own: when its first process ends, so does every session
                [
                    *("setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--pid", "--fork"),
                    *("--kill-child=KILL", "sh", "-eu", str(script)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 10 * PATIENCE
        while not _answers(self.address, self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise BenchError(f"sshd did not start:\n{self.log.read_text(errors='replace')[-1500:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop, with every session. Does nothing when it is down."""
        if self._process is None:
            return
        # sshd is the first process of its PID namespace: with it the kernel ends all sessions.
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        deadline = time.monotonic() + 5
        while _answers(self.address, self.port) and time.monotonic() < deadline:
            time.sleep(0.02)

    def files(self) -> list[str]:
        """Names of the files in the upload directory, sorted."""
        return sorted(path.name for path in self.root.iterdir())

    def close(self) -> None:
        """Stop and forget keys and configuration; the uploaded files stay."""
        self.stop()
        for path in self.directory.iterdir():
            if path not in (self.root, self.log):
                path.unlink()

    def __enter__(self) -> "SftpServer":
        """Start; `close` follows at the end of the block."""
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _write_configuration(self) -> None:
        (self.directory / "sshd_config").write_text(
            f"""\
{self.more}
ListenAddress {self.address}
Port {self.port}
PidFile none
UsePAM no
UseDNS no
PermitRootLogin no
AllowUsers {self.user}
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AuthorizedKeysFile /run/bench/authorized_keys
StrictModes no
ChrootDirectory /run/bench/chroot
Subsystem sftp internal-sftp
ForceCommand internal-sftp {self.options}
DisableForwarding yes
LogLevel VERBOSE
"""
        )

    def _script(self) -> str:
        hashed = _run("openssl", "passwd", "-6", "-stdin", stdin=self.password).strip()
        etc = self.directory
        passwd = Path("/etc/passwd").read_text() + _FORMAT.format(name=self.user, home=self.start_directory)
        (etc / "passwd").write_text(passwd)
        (etc / "group").write_text(Path("/etc/group").read_text() + f"{self.user}:x:{_UID}:\n")
        (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        shadow = etc / "shadow"
        shadow.touch(0o600)
        shadow.write_text(f"root:*:19000::::::\nsshd:*:19000::::::\n{self.user}:{hashed}:19000::::::\n")
        q = {name: shlex.quote(str(etc / name)) for name in ("authorized_keys", "sshd_config")}
        q["root"] = shlex.quote(str(self.root))
        keys = [*([self._host_key] if self.shows_its_key else []), *self.more_host_keys]
        # All that is needed is brought together before /run is hidden: the checkout may lie there.
        return f"""\
mount --make-rprivate /
stage=$(mktemp -d)
mount -t tmpfs -o mode=755 tmpfs "$stage"
mkdir -p "$stage/sshd" "$stage/bench/chroot/upload" "$stage/bench/etc"
cp {q["authorized_keys"]} {q["sshd_config"]} "$stage/bench/"
chmod 644 "$stage/bench/authorized_keys"
for key in {shlex.join(map(str, keys))}; do
  cp "$key" "$stage/bench/"
  chmod 600 "$stage/bench/${{key##*/}}"
  echo "HostKey /run/bench/${{key##*/}}" >> "$stage/bench/sshd_config"
done
mount --bind {q["root"]} "$stage/bench/chroot/upload"
for name in passwd group shadow nsswitch.conf; do cp {shlex.quote(str(etc))}/$name "$stage/bench/etc/"; done
chmod 644 "$stage/bench/etc/"*
chmod 600 "$stage/bench/etc/shadow"
if [ -e /etc/ld.so.cache ]; then cp /etc/ld.so.cache "$stage/bench/etc/"; fi
mount --rbind "$stage" /run
umount -l "$stage"
rmdir "$stage"
mount --bind /run/bench/etc /etc
exec {shutil.which("sshd", path="/usr/sbin:/sbin:/usr/local/sbin")} -D -e -f /run/bench/sshd_config
"""


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, port)) == 0
