import errno
import socket

import paramiko
import pytest

from allegro.errors import Conflict
from allegro.export.failures import HostKeyChanged, Target, explain_connection, explain_file
from allegro.export.host_keys import HostKey

TARGET = Target("sftp.example", 2022, "meter")


@pytest.mark.spec("X3")
@pytest.mark.parametrize(
    ("error", "authentication", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "", "sftp.example could not be resolved"),
        (ConnectionRefusedError(), "", "refused the connection on port 2022"),
        (TimeoutError(), "", "does not answer"),
        (OSError(errno.EHOSTUNREACH, "x"), "", "does not answer"),
        (OSError(errno.ENETUNREACH, "x"), "", "no way into the server's network"),
        (paramiko.AuthenticationException("x"), "password", "user meter with this password"),
        (paramiko.AuthenticationException("x"), "key", "device's key for user meter"),
        (paramiko.BadAuthenticationType("x", ["publickey"]), "password", "offers: publickey"),
        (paramiko.ChannelException(1, "x"), "password", "does not offer SFTP"),
        (paramiko.SFTPError("Garbage packet received"), "", "something else than SFTP (Garbage packet"),
        (paramiko.SFTPError("Incompatible sftp protocol"), "", "something else than SFTP (Incompatible"),
        (paramiko.SFTPError("Expected handle"), "", "against the rules of SFTP (Expected handle)"),
        (paramiko.SSHException("Server connection dropped"), "", "broke off"),
        (EOFError(), "", "broke off"),
        (ConnectionResetError(), "", "broke off"),
        (OSError("Socket is closed"), "", "failed: Socket is closed."),
    ],
)
def test_every_failure_of_the_connection_is_told_in_plain_words(
    error: Exception, authentication: str, words: str
) -> None:
    told = explain_connection(error, TARGET, authentication)
    assert words in told.message
    assert told.place == "sftp.example:2022"
    assert told.status == 503
    assert told.remedy or "Socket" in words


@pytest.mark.parametrize(
    ("said", "by_a_text"),
    [("Garbage packet received", True), ("Incompatible sftp protocol", True), ("Expected attributes", False)],
)
def test_only_what_is_no_sftp_at_all_is_put_down_to_a_login_that_prints(said: str, by_a_text: bool) -> None:
    remedy = explain_connection(paramiko.SFTPError(said), TARGET).remedy
    assert (".bashrc" in remedy) == by_a_text


def test_what_is_plain_already_stays() -> None:
    error = Conflict("x")
    assert explain_connection(error, TARGET) is error


@pytest.mark.spec("X2")
def test_a_changed_key_shows_both_fingerprints() -> None:
    error = HostKeyChanged(HostKey("SHA256:old"), HostKey("SHA256:new", "ssh-rsa"), place="s")
    assert "SHA256:old" in error.message
    assert "SHA256:new" in error.message


def test_refusals_of_the_server_name_what_was_tried() -> None:
    assert (
        "refused to write the file: permission denied"
        in explain_file(PermissionError(errno.EACCES, "Permission denied"), "a", "write the file").message
    )
    assert "not there any more" in explain_file(FileNotFoundError(errno.ENOENT, "x"), "a", "b").message
    assert explain_file(OSError("Failure"), "a", "b").message == "The server refused to b: Failure."
