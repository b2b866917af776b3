from allegro.web.attempts import FORGET_S, FREE_PER_USER, LONGEST_WAIT_S, REMEMBERED, Attempts


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


def test_a_user_is_guarded_against_many_addresses() -> None:
    attempts = Attempts()
    for number in range(FREE_PER_USER):
        attempts.failed(f"192.0.2.{number}", "admin", 0.0)
    assert attempts.wait_s("198.51.100.1", "admin", 0.0) == 5
    assert attempts.wait_s("198.51.100.1", "anna", 0.0) == 0
    attempts.succeeded("198.51.100.1", "admin")
    assert attempts.wait_s("198.51.100.1", "admin", 0.0) == 0


def test_an_ipv6_network_is_one_address_and_a_mapped_one_is_ipv4() -> None:
    attempts = Attempts()
    for number in range(5):
        attempts.failed(f"2001:db8::{number}", f"user{number}", 0.0)
        attempts.failed("::ffff:192.0.2.9", "a", 0.0)
    assert attempts.wait_s("2001:db8::ffff", "b", 0.0) == 5
    assert attempts.wait_s("2001:db8:0:1::1", "b", 0.0) == 0
    assert attempts.wait_s("192.0.2.9", "b", 0.0) == 5
    assert attempts.wait_s("192.0.2.10", "b", 0.0) == 0


def test_memory_is_bounded() -> None:
    attempts = Attempts()
    for number in range(REMEMBERED + 100):
        attempts.failed(f"10.0.{number // 256}.{number % 256}", f"user{number}", 0.0)
    assert len(attempts._failures) == REMEMBERED
