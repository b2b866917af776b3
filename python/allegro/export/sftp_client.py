"""paramiko's SFTP client with what it forgets: status codes, the answer to CLOSE, what is announced."""

import errno
from functools import cached_property

import paramiko
from paramiko.file import BufferedFile
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_EXTENDED,
    CMD_EXTENDED_REPLY,
    CMD_HANDLE,
    CMD_INIT,
    CMD_OPEN,
    CMD_READ,
    CMD_READDIR,
    CMD_STATUS,
    CMD_VERSION,
    CMD_WRITE,
    SFTP_FLAG_WRITE,
    int64,
)

VERSION = 3
"""Of the protocol: draft-ietf-secsh-filexfer-02, the one that every server speaks."""

POSIX_RENAME = "posix-rename@openssh.com"
FSYNC = "fsync@openssh.com"
STATVFS = "statvfs@openssh.com"
LIMITS = "limits@openssh.com"

PIECE = 32 * 1024
"""Bytes that are handed to the channel at once: a packet of most servers has no more."""


class SftpStatusError(OSError):
    """The server answered with a status that says no, and that has no OSError of its own."""

    END_OF_FILE = 1
    FAILURE = 4
    UNSUPPORTED = 8
    NO_SPACE = 14
    QUOTA_EXCEEDED = 15

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class EndOfFile(EOFError):
    """The server's status, unlike the end of the connection."""


def is_refusal(error: OSError) -> bool:
    """Whether the server answered, and said no; everything else is the way to it."""
    return isinstance(error, FileNotFoundError | PermissionError | SftpStatusError)


class _Answer(paramiko.Message):
    """Version 3 has no encoding for names: one that is not UTF-8 is just none of the device's."""

    def get_text(self) -> str:
        return self.get_string().decode(errors="replace")


class SftpClient(paramiko.SFTPClient):
    """A session. `extensions`: the names of those that the server announces; only these are asked for.

    Codes: draft-ietf-secsh-filexfer-13, section 9.1 (1 to 8 are those of version 3).
    Extensions: file PROTOCOL of OpenSSH, section 4.
    """

    extensions: frozenset[str] = frozenset()

    def _send_version(self) -> int:
        """Replaces paramiko's, which drops what the server announces (filexfer-02, section 4)."""
        hello = paramiko.Message()
        hello.add_int(VERSION)
        self._send_packet(CMD_INIT, hello)  # type: ignore[attr-defined]
        kind, data = self._read_packet()  # type: ignore[attr-defined]
        if kind != CMD_VERSION:
            raise paramiko.SFTPError("Incompatible sftp protocol")
        answer = paramiko.Message(data)
        version = answer.get_int()
        names = set()
        while answer.get_remainder():
            names.add(answer.get_string().decode(errors="replace"))
            answer.get_string()  # its version
        self.extensions = frozenset(names)
        return version

    def _convert_status(self, message: paramiko.Message) -> None:
        """Replaces paramiko's, which forgets the code."""
        code = message.get_int()
        text = message.get_string().decode(errors="replace")
        match code:
            case 0:
                return
            case SftpStatusError.END_OF_FILE:
                raise EndOfFile(text)
            case 2 | 10:  # no such file, no such path
                raise FileNotFoundError(errno.ENOENT, text)
            case 3 | 12:  # permission denied, write protect
                raise PermissionError(errno.EACCES, text)
            case _:
                raise SftpStatusError(code, text)

    def _request(self, kind: int, *arguments: object) -> tuple[int, paramiko.Message]:
        """As paramiko's; "end of file" as the answer to what reads nothing is a refusal like any other."""
        try:
            answer: tuple[int, paramiko.Message] = super()._request(kind, *arguments)  # type: ignore[misc]
        except EndOfFile as error:
            if kind in (CMD_READ, CMD_READDIR):
                raise
            raise SftpStatusError(SftpStatusError.END_OF_FILE, str(error)) from error
        kind, message = answer
        return kind, _Answer(message.get_remainder())

    def open_to_go_on(self, path: str) -> paramiko.SFTPFile:
        """A file that is there, to be written on: without the right to read, which a drop box may refuse."""
        kind, answer = self._request(CMD_OPEN, path, SFTP_FLAG_WRITE, paramiko.SFTPAttributes())
        if kind != CMD_HANDLE:
            raise paramiko.SFTPError("Expected handle")
        return paramiko.SFTPFile(self, answer.get_binary(), "r+b")

    def sync(self, file: paramiko.SFTPFile) -> None:
        """fsync@openssh.com: returns when the file is on the server's disk. Raises what is answered."""
        self._request(CMD_EXTENDED, FSYNC, file.handle)

    def finish(self, file: paramiko.SFTPFile) -> None:
        """Closes a file so that the server's answer counts, which paramiko's own close swallows.

        A server may tell only here that what was written is not kept (close(2): a quota, a network file
        system behind it).
        """
        BufferedFile.close(file)  # from here on paramiko's own close does nothing
        self._request(CMD_CLOSE, file.handle)

    @cached_property
    def longest_write(self) -> int | None:
        """limits@openssh.com: most bytes of one write; None if the server does not say, or knows no limit."""
        if LIMITS not in self.extensions:
            return None
        try:
            kind, message = self._request(CMD_EXTENDED, LIMITS)
        except OSError as error:
            if not is_refusal(error):
                raise
            return None
        if kind != CMD_EXTENDED_REPLY:
            return None
        _packet, _read, write = (message.get_int64() for _ in range(3))
        return int(write) or None

    def _write_all(self, out: bytes) -> None:
        """Replaces paramiko's, which copies all that is left for each packet."""
        left = memoryview(out)
        while left:
            sent = self.sock.send(bytes(left[:PIECE]))
            if sent <= 0:
                raise EOFError
            left = left[sent:]

    def free_bytes(self, path: str) -> int | None:
        """statvfs@openssh.com: bytes that can still be written at `path`; None if the server does not say."""
        if STATVFS not in self.extensions:
            return None
        try:
            kind, message = self._request(CMD_EXTENDED, STATVFS, path)
        except OSError:
            return None
        if kind != CMD_EXTENDED_REPLY:
            return None
        _block_size, fragment_size, _blocks, _free, available = (message.get_int64() for _ in range(5))
        return int(fragment_size * available)


class Writes:
    """Writes on their way to one file: at most `window` bytes, each answer is looked at, in whatever order.

    `longest_taken`: bytes of the longest to which the server has said yes; 0: to none.
    """

    def __init__(self, client: SftpClient, file: paramiko.SFTPFile, window: int) -> None:
        self._client = client
        self.file = file
        self.longest_taken = 0
        self._window = window
        self._under_way: dict[int, tuple[int, int]] = {}  # offset and length, by the number of the request
        self._bytes = 0
        self._refused: OSError | None = None

    def put(self, offset: int, data: bytes) -> None:
        """Sends this, as soon as the window has room. Raises what the server answered to an earlier one."""
        while self._under_way and self._bytes + len(data) > self._window:
            self._hear()
        request = self._client._async_request  # type: ignore[attr-defined]
        number = request(self, CMD_WRITE, self.file.handle, int64(offset), data)
        self._under_way[number] = offset, len(data)
        self._bytes += len(data)

    def settle(self) -> None:
        """Returns when all are answered with yes. Raises what the server answered."""
        while self._under_way:
            self._hear()

    def safe_until(self, position: int) -> int:
        """How much of the file is on the server without a gap, of what was sent up to `position`."""
        return min((offset for offset, _ in self._under_way.values()), default=position)

    def _hear(self) -> None:
        self._client._read_response()  # type: ignore[attr-defined]
        if self._refused is not None:
            raise self._refused

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        """Called by paramiko with the answer to each request, also while the file is being closed."""
        length = self._under_way.pop(number)[1]
        self._bytes -= length
        try:
            if kind != CMD_STATUS:
                raise SftpStatusError(SftpStatusError.FAILURE, "no status in answer to a write")
            self._client._convert_status(message)
            self.longest_taken = max(length, self.longest_taken)
        except EndOfFile as error:
            self._refused = SftpStatusError(SftpStatusError.END_OF_FILE, str(error))
        except OSError as error:
            self._refused = error
