from allegro.settings.masks import MASK, masked, without_masks
from allegro.settings.model import Export, Settings


def test_a_secret_that_is_set_is_masked_and_all_else_is_shown() -> None:
    shown = masked(Settings(export=Export(password="geheim", host="files.example")))
    assert shown["export"]["password"] == MASK
    assert shown["export"]["host"] == "files.example"
    assert "geheim" not in str(shown)


def test_an_empty_secret_is_shown_as_empty() -> None:
    assert masked(Settings())["export"]["password"] == ""


def test_a_mask_that_comes_back_is_no_change() -> None:
    patch = {"export": {"password": MASK, "host": "b"}, "trigger": {"before_s": 1}}
    assert without_masks(patch) == {"export": {"host": "b"}, "trigger": {"before_s": 1}}


def test_a_new_secret_and_a_cleared_one_are_changes() -> None:
    assert without_masks({"export": {"password": "neu"}}) == {"export": {"password": "neu"}}
    assert without_masks({"export": {"password": ""}}) == {"export": {"password": ""}}


def test_a_mask_elsewhere_is_a_value() -> None:
    assert without_masks({"export": {"username": MASK}, "x": MASK}) == {
        "export": {"username": MASK},
        "x": MASK,
    }
