import itertools

import pytest

from allegro.errors import InvalidInput
from allegro.firmware.versions import Version, compared

# The example of Semantic Versioning 2.0.0, section 11, and numbers of more than one digit.
ORDER = [
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11"),
    *("1.0.0-rc.1", "1.0.0", "1.0.9", "1.0.10", "1.2.0", "1.10.0", "10.0.0"),
]


def test_versions_are_ordered_as_the_standard_says() -> None:
    parsed = [Version.parse(text) for text in ORDER]
    assert sorted(set(parsed)) == parsed
    for lower, higher in itertools.pairwise(parsed):
        assert lower < higher
        assert lower != higher


def test_the_build_does_not_count() -> None:
    assert Version.parse("1.2.3+5") == Version.parse("1.2.3")
    assert len({Version.parse("1.2.3+5"), Version.parse("1.2.3+6")}) == 1


@pytest.mark.parametrize("text", ["", "1", "1.2", "1.2.3.4", "01.2.3", "v1.2.3", "1.2.3-", " 1.2.3"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        Version.parse(text)


def test_compared_with_the_running_one() -> None:
    assert compared("1.3.0", "1.2.0") == "newer"
    assert compared("1.2.0", "1.2.0+dirty") == "same"
    assert compared("1.2.0-rc.1", "1.2.0") == "older"
    assert compared("nonsense", "1.2.0") == "unknown"
