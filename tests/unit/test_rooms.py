"""What holds for the payload's modules as a whole: names that say which, and no circles."""

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import allegro

PAYLOAD = Path(allegro.__file__).parent
ROOMS_OF_NOUNS = {"api", "cli", "web/pages"}
FILES = sorted(PAYLOAD.rglob("*.py"))


def module(file: Path) -> str:
    parts = file.relative_to(PAYLOAD.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(file): file for file in FILES}


def imported(file: Path) -> set[str]:
    """The modules of the payload that a module imports anywhere, also only for its types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            known = below & MODULES.keys()
            found |= known if known == below else {node.module, *known}
    return found & MODULES.keys()


def test_a_name_says_which_module_is_meant() -> None:
    rooms = ((str(file.parent.relative_to(PAYLOAD)), file.stem) for file in FILES)
    names = Counter(name for room, name in rooms if room not in ROOMS_OF_NOUNS and not name.startswith("__"))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_module_imports_one_that_imports_it() -> None:
    graph = {name: imported(file) - {name} for name, file in MODULES.items()}
    assert graph["allegro.web.menu"] == set()
    assert graph["allegro.web.app"] >= {"allegro.web.menu", "allegro.web.site", "allegro.errors"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
