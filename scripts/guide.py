"""Print the installation guide: `make guide`, into build/allegro-installation.pdf, by chromium."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.web_assets import IMAGES, MANUAL, REPOSITORY, one_file, part
from tests.harness.bench_errors import BenchError
from tests.harness.browser import chromium_browser

OUTPUT = REPOSITORY / "build/allegro-installation.pdf"
NUMBERS = (
    '<div style="width: 100%; font-size: 8pt; text-align: center">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)


def main() -> int:
    """Print it; returns the exit code."""
    try:
        print_guide(OUTPUT)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    print(OUTPUT)
    return 0


def print_guide(target: Path) -> None:
    """The page Installation of the manual, on A4. Raises BenchError without chromium."""
    target.parent.mkdir(parents=True, exist_ok=True)
    guide = part(MANUAL / "installation.md")
    with chromium_browser() as browser:
        page = browser.new_page()
        page.set_content(one_file(guide, [], IMAGES))
        page.pdf(
            path=target,
            format="A4",
            margin={"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"},
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=NUMBERS,
        )


if __name__ == "__main__":
    sys.exit(main())
