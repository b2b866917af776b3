from board.allegro.image.notes import release_notes

CHANGELOG = """# Changelog

All of it.

## [Unreleased]

### Added
- Something new.

## [0.2.0] - 2026-11-01

- Older [link](x).

## [0.1.0] - 2026-10-01

- First.
"""


def test_the_section_of_a_version() -> None:
    assert release_notes(CHANGELOG, "0.2.0") == "- Older [link](x).\n"
    assert release_notes(CHANGELOG, "0.1.0") == "- First.\n"


def test_a_version_that_is_not_released_yet_and_no_changelog() -> None:
    assert release_notes(CHANGELOG, "0.3.0") == "### Added\n- Something new.\n"
    assert release_notes("", "0.3.0") == "\n"


def test_of_a_long_section_its_summary() -> None:
    long = "## [0.4.0] - 2026-12-01\n\nIn short.\n\n- This.\n\n### Added\n\n- Much.\n"
    assert release_notes(long, "0.4.0") == "In short.\n\n- This.\n"
