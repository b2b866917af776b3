"""What becomes of a file that the server has. That it was uploaded is told by where it lies alone."""

import itertools
from pathlib import Path

from allegro.atomic import rename_without_replacing
from allegro.storage.capture_files import numbered


def remove(file: Path) -> None:
    """Removes it; one that is gone is no matter. Raises OSError."""
    file.unlink(missing_ok=True)


def dispose(file: Path, kept: Path, rule: str) -> None:
    """Removes an uploaded file if `rule` is `delete`, else moves it in one step to the `kept` ones.

    One that is gone is no matter. Raises OSError.
    """
    if rule == "delete":
        remove(file)
    else:
        _keep(file, kept)


def _keep(file: Path, directory: Path) -> None:
    directory.mkdir(mode=0o750, exist_ok=True)
    for number in itertools.count(1):
        try:
            rename_without_replacing(file, directory / numbered(file.name, number))
        except FileExistsError:
            continue
        except FileNotFoundError:
            pass
        return
