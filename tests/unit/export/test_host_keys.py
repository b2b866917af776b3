import pytest

from allegro.export.host_keys import HostKey, asked_for

ORDER = (
    *("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


@pytest.mark.spec("X2")
def test_the_order_is_that_of_0_1_0_whatever_a_library_asks_for() -> None:
    assert asked_for("") == ORDER
    assert asked_for("a type of tomorrow") == ORDER


@pytest.mark.spec("X2")
def test_the_pinned_type_comes_first_and_all_others_after_it() -> None:
    assert asked_for("ssh-rsa")[:3] == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519")
    assert sorted(asked_for("ssh-rsa")) == sorted(ORDER)


@pytest.mark.spec("X2")
def test_a_type_that_was_seen_comes_last() -> None:
    seen = [HostKey("SHA256:a", "ssh-ed25519")]
    assert asked_for("ssh-ed25519", seen) == (*ORDER[1:], ORDER[0])
    seen.append(HostKey("SHA256:b", "ssh-rsa"))
    assert asked_for("ssh-rsa", seen)[:3] == ORDER[1:4]


def test_a_key_is_shown_with_its_type_as_far_as_it_is_known() -> None:
    assert str(HostKey("SHA256:a", "ssh-rsa")) == "SHA256:a (ssh-rsa)"
    assert str(HostKey("SHA256:a")) == "SHA256:a"
