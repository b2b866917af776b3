"""The text of a filter, made ready for the device."""

import pytest

from allegro.errors import InvalidInput
from allegro.filters.translate import checked, translated


@pytest.mark.spec("F5")
def test_what_is_accepted_can_be_read_again() -> None:
    """The one form is longer than what was typed: it is stored, and read when the capture is cut."""
    text = "||".join(["length==1000"] * 100)
    assert translated(checked(text)) == translated(text)
    with pytest.raises(InvalidInput, match="Written out, this filter is longer") as refused:
        checked("||".join(["length==1000"] * 240), place="trigger.filter")
    assert refused.value.place == "trigger.filter"
