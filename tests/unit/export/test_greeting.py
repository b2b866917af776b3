import socket
import threading
from collections.abc import Iterator

import pytest

from allegro.export.failures import ServerTrouble, Target
from allegro.export.greeting import Greeting, connect, in_words
from allegro.export.session import server_host_key


@pytest.mark.spec("X5")
@pytest.mark.parametrize(
    ("words", "ended", "told"),
    [
        (b"", True, "closed the connection before it said anything"),
        (b"Exceeded MaxStartups\r\n", True, "before SSH began; it said: Exceeded MaxStartups"),
        (b"\r\nNot allowed at this time.\r\n", True, "it said: Not allowed at this time."),
        (b"220 ProFTPD Server ready\r\n", True, "is not an SSH server; it says: 220 ProFTPD Server ready"),
        (b"220 ready\r\n", False, "is not an SSH server"),
        (b"HTTP/1.1 400 Bad Request\r\n", True, "is not an SSH server"),
        (b"\x00\x01\xff\x1b[2J", False, "is not an SSH server"),
        (b"", False, "takes the connection on port 2022, but says nothing"),
    ],
)
def test_what_comes_instead_of_a_greeting_is_told_as_it_is(words: bytes, ended: bool, told: str) -> None:
    greeting = Greeting(words, ended)
    message, remedy = in_words(greeting, 2022)
    assert told in message
    assert message.isprintable()
    assert not message.endswith("..")
    assert ("FTP and FTPS" in remedy) == ("closed" not in message)
    assert not greeting.is_ssh


def test_lines_before_the_greeting_are_allowed() -> None:
    assert Greeting(b"Welcome\r\nSSH-2.0-x\r\n", False).is_ssh


@pytest.fixture
def talker() -> Iterator[tuple[socket.socket, list[bytes]]]:
    """A server that says the words and closes."""
    words: list[bytes] = [b""]

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.sendall(words[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener, words
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.spec("X5")
def test_a_connection_that_is_closed_at_once_is_not_taken_for_ftp(
    talker: tuple[socket.socket, list[bytes]],
) -> None:
    listener, words = talker
    target = Target("127.0.0.1", listener.getsockname()[1], "u")
    for words[0], told in (
        (b"", "closed the connection before it said anything"),
        (b"Exceeded MaxStartups\r\n", "it said: Exceeded MaxStartups"),
        (b"220 ready\r\n", "not an SSH server; it says: 220 ready"),
    ):
        with pytest.raises(ServerTrouble, match=told):
            server_host_key(target)


@pytest.mark.spec("X1")
def test_what_the_server_says_while_the_device_logs_in_is_acknowledged_at_once() -> None:
    """Linux holds acknowledgements back on a connection where each side answers the other (tcp(7))."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connect("127.0.0.1", listener.getsockname()[1], 5) as device,
        listener.accept()[0] as server,
    ):

        def heard(size: int) -> bool:
            for _ in range(5):
                server.sendall(bytes(size))
                assert len(device.recv(size)) == size
                at_once = device.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
                device.sendall(b"answer")
                server.recv(100)
            return bool(at_once)

        assert heard(1000)
        assert not heard(4000), "while files go, what is sent acknowledges"
