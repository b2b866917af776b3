from allegro.errors import Unavailable
from allegro.supervisor.parts import Parts


def test_a_part_that_fails_is_told_and_the_others_go_on_and_stop_in_reverse() -> None:
    parts = Parts()
    stopped: list[str] = []

    def fails() -> None:
        raise Unavailable("no receiver.")

    def stops_badly() -> None:
        stopped.append("bad")
        raise OSError("gone")

    parts.start("first", lambda: lambda: stopped.append("first"))
    parts.start("USB presenter", fails)
    parts.start("made once", lambda: None)
    parts.start("bad", lambda: stops_badly)
    parts.start("last", lambda: lambda: stopped.append("last"))
    assert parts.failed() == (("USB presenter", "no receiver."),)
    parts.stop()
    assert stopped == ["last", "bad", "first"]
    parts.stop()
    assert stopped == ["last", "bad", "first"]
