"""The installation guide for who has no device to read it on."""

import re
from pathlib import Path

import pytest

from scripts import guide


@pytest.mark.spec("W7")
def test_the_installation_guide_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "guide.pdf"
    guide.print_guide(file)
    content = file.read_bytes()
    assert content.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 1
