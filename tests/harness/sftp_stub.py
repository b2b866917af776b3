"""An SFTP server in this process that fails where a test says so, as no OpenSSH server can be made to."""

import os
import socket
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.sftp import (
    CMD_ATTRS,
    CMD_EXTENDED,
    CMD_EXTENDED_REPLY,
    CMD_FSTAT,
    CMD_INIT,
    CMD_VERSION,
    SFTP_EOF,
    SFTP_FAILURE,
    SFTP_OK,
    SFTP_OP_UNSUPPORTED,
    SFTP_PERMISSION_DENIED,
    int64,
)

from allegro.export.session import fingerprint

_MODES = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}


REFUSED_WRITE = 3 * 32 * 1024
"""The offset of the write that is refused as long as `odd` holds "a write refused"."""
ODD_ANSWERS = (
    "end of file for absent",
    "failure for absent",
    "fstat says empty",
    "fsync refused",
    "no list",
    "no mkdir",
    "no reading",
    "no removing",
    "no renaming",
    "no renaming over",
    "no sizes",
    "no stat",
    "no writing on",
    "renaming done and denied",
    "stat denied",
    "writing on begins anew",
)


def _nothing(path: Path) -> None:
    """What a sound server does beyond what it was asked for."""


def _no_session(number: int, connection: paramiko.Transport) -> None:
    """A sound server begins with it."""


class StubServer:
    """Serves `root` on a port of 127.0.0.1 to whoever knows the password, until `close`.

    `at_close` is called with the path when a file that may have been written is closed, `after_rename` with
    the new path. If `at_close` raises an exception, the answer to CLOSE is SSH_FX_FAILURE. `odd` holds names
    out of ODD_ANSWERS. `room`: what lies beyond so many bytes of a file is refused, as with a quota;
    `offsets`: those of all writes so far. `at_session` is called before SFTP begins, with the number of the
    session on its connection (from 1) and the connection. `longest_write`: what it answers to
    limits@openssh.com, which it then announces.
    """

    user = "upload"
    password = "stub"
    address = "127.0.0.1"

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.at_close: Callable[[Path], None] = _nothing
        self.after_rename: Callable[[Path], None] = _nothing
        self.odd: frozenset[str] = frozenset()
        self.at_session: Callable[[int, paramiko.Transport], None] = _no_session
        self.sessions: Counter[paramiko.Transport] = Counter()
        self.room: int | None = None
        self.offsets: list[int] = []
        self.longest_write: int | None = None
        self._key = paramiko.ECDSAKey.generate()
        self._transports: list[paramiko.Transport] = []
        self._listener = socket.create_server((self.address, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name="sftp-stub", daemon=True).start()

    @property
    def fingerprint(self) -> str:
        """SHA256:… of the host key."""
        return fingerprint(self._key)

    def files(self) -> list[str]:
        """Names of the files in the upload directory, sorted."""
        return sorted(path.name for path in self.root.iterdir())

    def close(self) -> None:
        """Ends all sessions and takes no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.end_sessions()

    def end_sessions(self) -> None:
        """As if it had been killed, and started again at once."""
        for transport in self._transports:
            transport.close()

    def __enter__(self) -> "StubServer":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", _Server, _Files, self)
            transport.start_server(event=threading.Event(), server=_Door(self.password))
            self._transports.append(transport)


class _Door(paramiko.ServerInterface):
    def __init__(self, password: str) -> None:
        self._password = password

    def check_auth_password(self, username: str, password: str) -> int:
        return AUTH_SUCCESSFUL if password == self._password else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED


class _Server(SFTPServer):
    """Announces fsync if asked to, and refuses all extensions but its limits."""

    @property
    def _odd(self) -> frozenset[str]:
        return cast(_Files, self.server)._stub.odd

    def _send_server_version(self) -> int:
        kind, data = self._read_packet()  # type: ignore[attr-defined]
        assert kind == CMD_INIT
        stub = cast(_Files, self.server)._stub
        connection = cast(paramiko.Channel, self.sock).get_transport()
        stub.sessions[connection] += 1
        stub.at_session(stub.sessions[connection], connection)
        answer = paramiko.Message()
        answer.add_int(3)
        limits = ("limits@openssh.com", "1") if stub.longest_write is not None else ()
        for word in (*(("fsync@openssh.com", "1") if "fsync refused" in self._odd else ()), *limits):
            answer.add_string(word)
        self._send_packet(CMD_VERSION, answer)  # type: ignore[attr-defined]
        return int(paramiko.Message(data).get_int())

    def _process(self, kind: int, number: int, message: paramiko.Message) -> None:
        if kind == CMD_EXTENDED:
            longest = cast(_Files, self.server)._stub.longest_write
            if longest is None or message.get_text() != "limits@openssh.com":
                self._send_status(number, SFTP_FAILURE)  # type: ignore[attr-defined]
                return
            limits = (int64(each) for each in (0, 0, longest, 0))
            self._response(number, CMD_EXTENDED_REPLY, *limits)  # type: ignore[attr-defined]
        elif kind == CMD_FSTAT and "no fstat" in self._odd:
            self._send_status(number, SFTP_OP_UNSUPPORTED)  # type: ignore[attr-defined]
        elif kind == CMD_FSTAT and "fstat says empty" in self._odd:
            empty = SFTPAttributes()
            empty.st_size = 0
            self._response(number, CMD_ATTRS, empty)  # type: ignore[attr-defined]
        else:
            super()._process(kind, number, message)  # type: ignore[misc]


class _Files(SFTPServerInterface):
    def __init__(self, door: paramiko.ServerInterface, stub: StubServer) -> None:
        super().__init__(door)
        self._stub = stub

    def _path(self, path: str) -> Path:
        return self._stub.root / self.canonicalize(path).lstrip("/")

    def _attributes(self, path: Path) -> SFTPAttributes:
        found = SFTPAttributes.from_stat(path.stat(), cast(str, os.fsencode(path.name)))  # any bytes
        if "no sizes" in self._stub.odd:
            found.st_size = None
        return found

    def stat(self, path: str) -> SFTPAttributes | int:
        odd = self._stub.odd
        if "no stat" in odd:
            return SFTP_OP_UNSUPPORTED
        if "stat denied" in odd:
            return SFTP_PERMISSION_DENIED
        try:
            return self._attributes(self._path(path))
        except OSError as error:
            if "failure for absent" in odd:
                return SFTP_FAILURE
            if "end of file for absent" in odd:
                return SFTP_EOF
            return SFTPServer.convert_errno(error.errno or 0)

    lstat = stat

    def list_folder(self, path: str) -> list[SFTPAttributes] | int:
        if "no list" in self._stub.odd:
            return SFTP_PERMISSION_DENIED
        try:
            return [self._attributes(each) for each in self._path(path).iterdir()]
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)

    def mkdir(self, path: str, attr: SFTPAttributes) -> int:
        if "no mkdir" in self._stub.odd:
            return SFTP_OP_UNSUPPORTED
        self._path(path).mkdir()
        return SFTP_OK

    def open(self, path: str, flags: int, attr: SFTPAttributes) -> SFTPHandle | int:
        odd = self._stub.odd
        reads = flags & os.O_ACCMODE == os.O_RDONLY
        if reads and "no reading" in odd:
            return SFTP_PERMISSION_DENIED
        if not reads and not flags & os.O_TRUNC:
            if "no writing on" in odd:
                return SFTP_OP_UNSUPPORTED
            if "writing on begins anew" in odd:
                flags |= os.O_TRUNC
        if "no mkdir" in odd:  # as in an object store, where a name is all there is
            self._path(path).parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(self._path(path), flags, 0o644)
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        return _Handle(descriptor, flags, self._path(path), self._stub)

    def remove(self, path: str) -> int:
        if "no removing" in self._stub.odd:
            return SFTP_PERMISSION_DENIED
        try:
            self._path(path).unlink()
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        return SFTP_OK

    def rename(self, oldpath: str, newpath: str) -> int:
        if "no renaming" in self._stub.odd:
            return SFTP_OP_UNSUPPORTED
        if "no renaming over" in self._stub.odd and self._path(newpath).exists():
            return SFTP_FAILURE
        try:
            self._path(oldpath).rename(self._path(newpath))
        except OSError as error:
            return SFTPServer.convert_errno(error.errno or 0)
        self._stub.after_rename(self._path(newpath))
        return SFTP_FAILURE if "renaming done and denied" in self._stub.odd else SFTP_OK


class _Handle(SFTPHandle):
    def __init__(self, descriptor: int, flags: int, path: Path, stub: StubServer) -> None:
        super().__init__(flags)
        access = flags & os.O_ACCMODE
        self.readfile = self.writefile = os.fdopen(descriptor, _MODES[access], buffering=0)
        self._path, self._stub = path, stub
        self._written = access != os.O_RDONLY

    def write(self, offset: int, data: Any) -> int:
        self._stub.offsets.append(offset)
        if self._stub.room is not None and offset + len(data) > self._stub.room:
            return SFTP_FAILURE
        if "long writes refused" in self._stub.odd and len(data) > 32 * 1024:
            return SFTP_FAILURE
        if "a write refused" in self._stub.odd and offset == REFUSED_WRITE:
            return SFTP_FAILURE
        return int(super().write(offset, data))

    def close(self) -> None:
        if self.readfile.closed:
            return
        super().close()
        if self._written:
            self._stub.at_close(self._path)
