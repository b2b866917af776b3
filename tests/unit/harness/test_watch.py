"""When a start is given up."""

import os

import pytest

from tests.harness.watch import Limits, Silence, processor_s

LIMITS = Limits(silent_s=120, computed_s=100)


@pytest.mark.spec("I3")
def test_a_start_that_says_nothing_while_qemu_computes_is_given_up() -> None:
    silence = Silence(LIMITS)
    seen = [silence.too_long(500, now, computed=now) for now in (0, 60, 119, 120)]
    assert seen == [False, False, False, True]


@pytest.mark.spec("I3")
def test_a_busy_host_may_let_it_be_silent_for_as_long_as_it_likes() -> None:
    silence = Silence(LIMITS)
    assert not silence.too_long(500, 0, computed=30)
    assert not silence.too_long(500, 3600, computed=129)
    assert silence.too_long(500, 3601, computed=130)


@pytest.mark.spec("I3")
def test_two_processors_that_compute_do_not_make_it_sooner() -> None:
    silence = Silence(LIMITS)
    assert not silence.too_long(500, 0, computed=0)
    assert not silence.too_long(500, 100, computed=200)


@pytest.mark.spec("I3")
def test_any_word_begins_the_silence_anew() -> None:
    silence = Silence(LIMITS)
    silence.too_long(500, 0, computed=0)
    assert not silence.too_long(501, 200, computed=200)
    assert not silence.too_long(501, 319, computed=319)
    assert silence.too_long(501, 320, computed=320)


@pytest.mark.spec("I3")
def test_the_processor_time_of_a_process_is_what_the_kernel_counts() -> None:
    before = processor_s(os.getpid())
    while sum(os.times()[:2]) < before + 0.2:
        pass
    assert processor_s(os.getpid()) >= before + 0.1
