"""What each program loads when it starts: on a small processor that is most of its start.

Counts and names, not seconds: they are the same on every machine. A package that comes in here should be a
decision; many are wanted by a first request only. Limits leave some room for modules of our own.
"""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.spec("I3")

# httpx takes pygments and rich along where they are, as beside the tools of the tests; not on the device.
_LOADED = """
import importlib, json, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
new = {name for name in set(sys.modules) - before if name.partition(".")[0] not in ("pygments", "rich")}
print(json.dumps([len(new), sorted({name.partition(".")[0] for name in new} - sys.stdlib_module_names)]))
"""

MODELS = {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
SERVER = {"anyio", "click", "h11", "starlette", "typing_extensions", "uvicorn"}
API = ("allegro.supervisor.assembly", "allegro.supervisor.api_server", "allegro.api.app")

PROGRAMS: dict[str, tuple[tuple[str, ...], int, set[str]]] = {
    "reset": (("allegro.supervisor.reset_at_start",), 100, set()),
    "recorder": (("allegro.capture.recorder",), 135, set()),
    "console": (("allegro.console.__main__",), 100, set()),
    "disk health": (("allegro.storage.health_look",), 80, set()),
    "started": (("allegro.firmware.started",), 60, set()),
    "confirm": (("allegro.supervisor.confirm",), 105, {"jeepney"}),
    "prepare": (("allegro.supervisor.prepare",), 250, MODELS),
    # up to here presses count; the API comes after that
    "supervisor": (("allegro.supervisor.__main__",), 420, MODELS | {"jeepney"}),
    "supervisor with API": (
        API,
        720,
        MODELS | SERVER | {"annotated_doc", "fastapi", "jeepney", "opentelemetry"},
    ),
    # without the models of the settings: a form loads them
    "web page": (
        ("allegro.web.__main__",),
        470,
        SERVER
        | {"_cffi_backend", "_openssl", "bcrypt", "cryptography", "httpx", "idna", "jinja2", "markupsafe"},
    ),
}

NO_PACKAGES = {"allegro", "__mp_main__"}
"""Our own; another name of the main module."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_with_no_more_than_it_needs(program: str) -> None:
    modules, most, packages = PROGRAMS[program]
    done = subprocess.run(
        [sys.executable, "-c", _LOADED, *modules], capture_output=True, text=True, check=True
    )
    number, loaded = json.loads(done.stdout)
    found = {name for name in loaded if not name.startswith("_sysconfigdata")} - NO_PACKAGES
    assert found == packages
    assert number <= most
