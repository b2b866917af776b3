"""Many connections at the door of the real program: its owner gets in, it stays small, and it recovers."""

import itertools
import re
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest

from allegro.web.known_browsers import COOKIE
from tests.harness.waiting import PATIENCE
from tests.harness.web_programs import PASSWORDS, UNCHECKED, Programs, web_programs

MIB = 1 << 20
ATTACKERS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
"""The owner is 127.0.0.1, too: behind the same router as one of them."""

OWNER_S = 10.0
MOST_MEMORY = 200 * MIB
REMAINS = 20 * MIB
"""What Python keeps for itself after its first load is not given back; a leak would be far more."""

GUESSERS = 16
TRIES_OF_ONE = 12
"""So many tries of one address are judged in the time that this takes; before the others it has to wait."""

COMES_EVERY_S = 0.01

Attack = Callable[[Programs, str], socket.socket]


def silent(programs: Programs, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", programs.https_port), 10, (source, 0))


def idle(programs: Programs, source: str) -> socket.socket:
    return UNCHECKED.wrap_socket(silent(programs, source))


def slow_header(programs: Programs, source: str) -> socket.socket:
    made = idle(programs, source)
    made.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\nX-A: ")
    return made


def slow_body(programs: Programs, source: str) -> socket.socket:
    made = idle(programs, source)
    made.sendall(b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\nname=a")
    return made


def asked_once(programs: Programs, source: str) -> socket.socket:
    """Its answer is there, and not read: so its end is a reset."""
    made = idle(programs, source)
    made.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
    return made


def slow_reader(programs: Programs, source: str) -> socket.socket:
    made = idle(programs, source)
    made.sendall(b"GET /static/vendor/htmx.min.js HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
    return made


def memory(programs: Programs) -> int:
    """Bytes of the page's program that are in memory."""
    assert programs.web is not None
    status = Path(f"/proc/{programs.web.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def try_password(
    programs: Programs, password: str, *, source: str = "127.0.0.1", note: str = ""
) -> tuple[int, Mapping[str, str]]:
    """One log-in as the owner: status and headers of the answer. `note`: of a browser that is known."""
    form = urlencode({"name": "admin", "password": password, "next": ""}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": note}
    status, answered, _ = programs.request("POST", "/login", headers, form, source=source)
    return status, answered


def log_in(programs: Programs, **browser: str) -> tuple[int, float]:
    """The owner's try: status, and seconds until the answer."""
    began = time.monotonic()
    status, _ = try_password(programs, PASSWORDS["admin"], **browser)
    return status, time.monotonic() - began


def guessing(programs: Programs, count: int, addresses: int) -> list[int]:
    """So many wrong log-ins as the owner from so many addresses: the answers' statuses."""

    def guess(number: int) -> int:
        return try_password(programs, f"guess {number}", source=f"127.0.1.{1 + number % addresses}")[0]

    with ThreadPoolExecutor(GUESSERS) as guessers:
        return list(guessers.map(guess, range(count)))


def holds_against_guesses(programs: Programs, count: int, addresses: int) -> None:
    """The owner's browser gets in, also from the address of those who guess; they do not, and wait."""
    status, answered = try_password(programs, PASSWORDS["admin"])
    known = re.search(rf"{COOKIE}=[^;,]+", answered["set-cookie"])
    assert status == 303
    assert known
    with ThreadPoolExecutor(1) as others:
        guesses = others.submit(guessing, programs, count, addresses)
        tries = 0
        while tries < 3 or not guesses.done():
            source = ("127.0.0.1", "127.0.1.1")[tries % 2]
            status, took_s = log_in(programs, note=known[0], source=source)
            assert status == 303
            assert took_s < OWNER_S * PATIENCE
            tries += 1
        statuses = Counter(guesses.result())
    assert memory(programs) < MOST_MEMORY
    assert set(statuses) <= {401, 429, 503}, statuses
    assert statuses[401] <= addresses * TRIES_OF_ONE, statuses


@contextmanager
def crowd(programs: Programs, attack: Attack, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that try to stay."""
    present: list[socket.socket] = []
    try:
        for number in range(count):
            with suppress(OSError):  # sent away at once: that is one answer
                present.append(attack(programs, ATTACKERS[number % len(ATTACKERS)]))
        assert attack is not silent or len(present) == count
        yield present
    finally:
        for each in present:
            each.close()


@contextmanager
def coming_again(programs: Programs, present: list[socket.socket]) -> Iterator[None]:
    """One after the other of the silent ones goes and comes anew."""
    over = threading.Event()

    def come() -> None:
        for number in itertools.cycle(range(len(present))):
            if over.wait(COMES_EVERY_S):
                return
            present[number].close()
            present[number] = silent(programs, ATTACKERS[number % len(ATTACKERS)])

    with ThreadPoolExecutor(1) as attackers:
        coming = attackers.submit(come)
        try:
            yield
        finally:
            over.set()
            coming.result()


def ended(connection: socket.socket, within_s: float) -> bool:
    """Whether the program has ended it."""
    connection.settimeout(within_s * PATIENCE)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with web_programs(tmp_path) as made:
            yield made
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def holds_against(programs: Programs, attack: Attack, count: int) -> None:
    """The owner gets in, the program stays small, and gets as small again as it was."""
    assert log_in(programs)[0] == 303
    before = memory(programs)
    with crowd(programs, attack, count) as present:
        with coming_again(programs, present) if attack is silent else nullcontext():
            for _ in range(3):
                status, took_s = log_in(programs)
                assert status == 303
                assert took_s < OWNER_S * PATIENCE
        assert memory(programs) < MOST_MEMORY
    deadline = time.monotonic() + 60 * PATIENCE
    while memory(programs) > before + REMAINS and time.monotonic() < deadline:
        time.sleep(0.5)
    assert memory(programs) <= before + REMAINS


@pytest.mark.spec("S3")
@pytest.mark.timeout(180)
def test_the_owner_gets_in_beside_many_who_only_stand_in_the_door(programs: Programs) -> None:
    attacks = (
        (silent, 600),
        (idle, 120),
        (slow_header, 80),
        (slow_body, 80),
        (asked_once, 120),
        (slow_reader, 80),
    )
    for attack, count in attacks:
        holds_against(programs, attack, count)
    assert programs.web is not None
    assert programs.web.poll() is None


@pytest.mark.spec("S3")
@pytest.mark.timeout(180)
def test_the_owners_browser_gets_in_while_others_guess(programs: Programs) -> None:
    for count, addresses in ((60, 1), (30, 15)):
        holds_against_guesses(programs, count, addresses)


@pytest.mark.spec("S3")
@pytest.mark.timeout(180)
def test_what_does_not_get_on_ends_by_itself(programs: Programs) -> None:
    stuck = [attack(programs, "127.0.0.2") for attack in (silent, idle, slow_header, slow_body)]
    plain = socket.create_connection(("127.0.0.1", programs.http_port), 10)
    try:
        assert [ended(each, 45) for each in (*stuck, plain)] == [True] * 5
    finally:
        for each in (*stuck, plain):
            each.close()


@pytest.mark.long
@pytest.mark.spec("S3")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("attack", "count"),
    [
        (silent, 4000),
        (idle, 500),
        (slow_header, 200),
        (slow_body, 200),
        (asked_once, 200),
        (slow_reader, 200),
    ],
)
def test_the_owner_gets_in_beside_a_crowd(programs: Programs, attack: Attack, count: int) -> None:
    holds_against(programs, attack, count)


@pytest.mark.long
@pytest.mark.spec("S3")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("addresses", [1, 250])
def test_the_owners_browser_gets_in_beside_a_thousand_guesses(programs: Programs, addresses: int) -> None:
    holds_against_guesses(programs, 1000, addresses)
