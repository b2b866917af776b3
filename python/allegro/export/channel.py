"""Opens SFTP on a logged-in connection, in time: paramiko itself would wait for an hour, or for ever."""

import contextlib
import threading

import paramiko

from allegro.export.sftp_client import SftpClient


def open_sftp(transport: paramiko.Transport, within_s: float) -> SftpClient:
    """Channel, subsystem and hello, each within so many seconds, which also hold for each later answer.

    Raises TimeoutError, EOFError, OSError, SSHException or SFTPError; nothing stays open then.
    """
    try:
        channel = transport.open_session(timeout=within_s)
    except paramiko.ChannelException:
        raise
    except paramiko.SSHException as error:
        if transport.is_active():
            raise TimeoutError("The server opens no channel.") from error
        raise
    channel.settimeout(within_s)
    late = threading.Event()

    def give_up() -> None:
        late.set()
        with contextlib.suppress(EOFError, OSError, paramiko.SSHException):  # the connection has ended by now
            channel.close()

    guard = threading.Timer(within_s, give_up)
    guard.daemon = True
    guard.start()
    try:
        channel.invoke_subsystem("sftp")
        return SftpClient(channel)
    except (EOFError, OSError, paramiko.SSHException, paramiko.SFTPError) as error:
        channel.close()
        if late.is_set():
            raise TimeoutError("The server does not begin with SFTP.") from error
        raise
    finally:
        guard.cancel()
