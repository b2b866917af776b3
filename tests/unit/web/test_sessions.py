import pytest

from allegro.web.sessions import IDLE_S, LONGEST_S, MOST_OF_ONE, Sessions


def test_tokens_are_secrets_and_are_not_kept() -> None:
    sessions = Sessions()
    token, session = sessions.start("anna", 0.0)
    assert len(token) >= 43
    assert token not in repr(vars(sessions))
    assert sessions.get(token, 1.0) is session
    assert sessions.get(token + "x", 1.0) is None
    assert session.is_csrf(session.masked_csrf())
    for wrong in ("", "ä", "ab", session.csrf.hex(), sessions.start("anna", 0.0)[1].masked_csrf()):
        assert not session.is_csrf(wrong)


@pytest.mark.spec("S3")
def test_a_token_that_is_shown_again_is_another_text() -> None:
    """Of which nothing can be guessed by the length of compressed pages."""
    _, session = Sessions().start("anna", 0.0)
    shown = [session.masked_csrf() for _ in range(9)]
    assert len(set(shown)) == 9
    assert not any(session.csrf.hex() in each for each in shown)


def test_a_session_ends_when_idle_and_after_a_day_of_work() -> None:
    sessions = Sessions()
    token, _ = sessions.start("anna", 0.0)
    assert sessions.get(token, IDLE_S)
    assert sessions.get(token, 2 * IDLE_S)
    assert sessions.get(token, 3 * IDLE_S + 1) is None
    token, _ = sessions.start("anna", 0.0)
    for number in range(int(LONGEST_S / IDLE_S) + 1):
        assert sessions.get(token, number * IDLE_S)
    assert sessions.get(token, LONGEST_S + 1) is None


def test_ending() -> None:
    sessions = Sessions()
    (mine, session), (other, _), (hers, _) = (sessions.start(name, 0.0) for name in ("anna", "anna", "berta"))
    sessions.end_all_of("anna", but=session)
    assert [bool(sessions.get(token, 0.0)) for token in (mine, other, hers)] == [True, False, True]
    sessions.end(mine)
    assert sessions.get(mine, 0.0) is None


@pytest.mark.spec("S3")
def test_one_users_log_ins_are_bounded_and_end_nobody_elses() -> None:
    sessions = Sessions()
    others, _ = sessions.start("bert", 0.0)
    first, _ = sessions.start("anna", 0.0)
    for number in range(MOST_OF_ONE):
        sessions.start("anna", 1.0 + number * 1e-3)
    assert sessions.get(first, 2.0) is None
    assert sessions.get(others, 2.0) is not None
    assert len(sessions._sessions) == MOST_OF_ONE + 1
