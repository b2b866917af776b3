"""When something that failed is tried again. Rules only: the time comes in, the decision goes out."""

from allegro.words import SECOND_NS

FIRST_PAUSE_S = 60
LONGEST_PAUSE_S = 3600


def pause_after(attempts: int) -> int:
    """Seconds until the next try after `attempts` (>= 1) failures in a row: 1 min, doubling, at most 1 h."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S << min(max(attempts, 1) - 1, 16))


def next_try(now_ns: int, attempts: int) -> int:
    """The moment (ns since 1970) of the next try, after so many failures in a row."""
    return now_ns + pause_after(attempts) * SECOND_NS


def is_due(now_ns: int, last_try_ns: int, next_try_ns: int) -> bool:
    """Whether it may be tried (again).

    A last try in the future means that the clock was set back since: then the pause is over as well.
    """
    return now_ns >= next_try_ns or now_ns < last_try_ns
