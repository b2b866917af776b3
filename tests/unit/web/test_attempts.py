import pytest

from allegro.web.attempts import FORGET_S, FREE, LONGEST_WAIT_S, REMEMBERED, Attempts

DAY_S = 24 * 3600


def test_each_failure_doubles_the_wait_up_to_five_minutes() -> None:
    attempts = Attempts()
    waits = []
    for _ in range(14):
        attempts.failed("192.0.2.1", "admin", 100.0)
        waits.append(attempts.wait_s("192.0.2.1", "admin", 100.0))
    assert waits == [0, 0, 0, 0, 5, 10, 20, 40, 80, 160, *[LONGEST_WAIT_S] * 4]
    assert attempts.wait_s("192.0.2.1", "admin", 100.0 + LONGEST_WAIT_S) == 0
    assert attempts.wait_s("192.0.2.1", "somebody", 100.0) == LONGEST_WAIT_S
    assert attempts.wait_s("192.0.2.2", "admin", 100.0) == 0
    attempts.failed("192.0.2.1", "admin", 100.0 + FORGET_S)
    assert attempts.wait_s("192.0.2.1", "admin", 100.0 + FORGET_S) == 0


@pytest.mark.spec("S3")
def test_strangers_of_a_whole_network_do_not_keep_the_owner_out() -> None:
    """A day of guesses, each second from an address that may."""
    attempts = Attempts()
    guesses = owner_waits = 0
    for second in range(DAY_S // 10):
        address = f"192.168.1.{second % 250}"
        if not attempts.wait_s(address, "admin", second):
            attempts.failed(address, "admin", second)
            guesses += 1
        owner_waits += attempts.wait_s("10.0.0.5", "admin", second) > 0
    assert guesses > 1000
    assert owner_waits == 0


@pytest.mark.spec("S3")
def test_a_known_browser_has_its_own_counter_behind_the_same_router() -> None:
    attempts = Attempts()
    for _ in range(20):
        attempts.failed("192.0.2.1", "admin", 0.0)
    assert attempts.wait_s("192.0.2.1", "admin", 0.0) > 0
    assert attempts.wait_s("192.0.2.1", "admin", 0.0, "browser") == 0
    for _ in range(FREE):
        attempts.failed("192.0.2.1", "admin", 0.0, "browser")
    assert attempts.wait_s("192.0.2.1", "admin", 0.0, "browser") == 5
    assert attempts.wait_s("198.51.100.1", "admin", 0.0, "browser") == 5, "wherever it goes"
    attempts.succeeded("192.0.2.1", "admin", "browser")
    assert attempts.wait_s("192.0.2.1", "admin", 0.0, "browser") == 0


@pytest.mark.spec("S3")
def test_an_own_account_is_no_way_to_go_on_guessing() -> None:
    attempts = Attempts()
    tried = 0
    for user in range(10):
        for _ in range(4):
            if not attempts.wait_s("10.0.0.9", f"user{user}", 1.0):
                attempts.failed("10.0.0.9", f"user{user}", 1.0)
                tried += 1
        attempts.succeeded("10.0.0.9", "viewer")
    assert tried == FREE


def test_who_mistyped_and_then_got_in_begins_anew() -> None:
    attempts = Attempts()
    for _ in range(3):
        for _ in range(FREE - 1):
            attempts.failed("10.0.0.9", "anna", 1.0)
        attempts.succeeded("10.0.0.9", "anna")
    assert attempts.wait_s("10.0.0.9", "anna", 1.0) == 0


def test_an_ipv6_network_is_one_address_and_a_mapped_one_is_ipv4() -> None:
    attempts = Attempts()
    for number in range(5):
        attempts.failed(f"2001:db8::{number}", f"user{number}", 0.0)
        attempts.failed("::ffff:192.0.2.9", "a", 0.0)
    assert attempts.wait_s("2001:db8::ffff", "b", 0.0) == 5
    assert attempts.wait_s("2001:db8:0:1::1", "b", 0.0) == 0
    assert attempts.wait_s("192.0.2.9", "b", 0.0) == 5
    assert attempts.wait_s("192.0.2.10", "b", 0.0) == 0


@pytest.mark.spec("S3")
def test_memory_is_bounded_in_number_and_in_length() -> None:
    attempts = Attempts()
    for number in range(REMEMBERED + 100):
        attempts.failed(f"10.0.{number // 256}.{number % 256}", "x" * 250_000 + str(number), 0.0)
    assert len(attempts._failures) == REMEMBERED
    assert max(len(user) for _, _, user in attempts._failures) <= 64
    assert attempts.wait_s("10.0.0.1", "\ud800" * 100, 0.0) == 0, "no text that UTF-8 can hold"
