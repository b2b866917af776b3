from allegro.firmware.confirmation import Judge, Look

WELL = Look((), 0)
ILL = Look(("the supervisor does not answer",), 0)


def test_works_when_all_was_well_for_a_while() -> None:
    judge = Judge(0, limit_s=100, stable_s=10)
    assert [judge.see(now, WELL) for now in (1, 5, 10, 11)] == ["waiting", "waiting", "waiting", "works"]


def test_a_bad_moment_begins_the_while_anew() -> None:
    judge = Judge(0, limit_s=100, stable_s=10)
    looks = [(1, WELL), (9, ILL), (10, WELL), (19, WELL), (20, WELL)]
    assert [judge.see(now, look) for now, look in looks] == ["waiting"] * 4 + ["works"]


def test_a_program_that_is_restarted_in_between_does_not_count_as_well() -> None:
    judge = Judge(0, limit_s=50, stable_s=10)
    said = [judge.see(now, Look((), now // 8)) for now in range(0, 51, 2)]
    assert set(said[:-1]) == {"waiting"}
    assert said[-1] == "fails"
    assert judge.reason == "one of its programs ends again and again"


def test_fails_at_the_limit_with_the_last_reason() -> None:
    judge = Judge(100, limit_s=50, stable_s=10)
    assert [judge.see(now, ILL) for now in (101, 149, 150)] == ["waiting", "waiting", "fails"]
    assert judge.reason == "the supervisor does not answer"
