"""The whole API by its own description, with the real programs: schemathesis asks what may be and may not.

No answer is a failure of the programs (500), none has a status or a form that the description does not know.
In a namespace without network: what it sets must reach nobody.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from allegro.accounts.roles import ROLES
from allegro.accounts.tokens import TokenStore
from tests.harness.namespaces import Namespace
from tests.harness.web_programs import Programs, web_programs

NAME = "api-description"
ASKERS = (*ROLES, "nobody")

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LEFT_OUT = "^/api/(install|events/stream)$"
"""The one would write to a disk of this machine, the other has no end."""

# 503 says in words what this machine lacks: slots, network ports, a button to switch it off.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


class Bench:
    """The programs, and the tokens to ask them with."""

    def __init__(
        self, folder: Path, namespace: Namespace, programs: Programs, tokens: dict[str, str]
    ) -> None:
        self.programs = programs
        self._folder = folder
        self._namespace = namespace
        self._tokens = tokens
        (folder / "schemathesis.toml").write_text(CONFIG)
        self.url = f"https://127.0.0.1:{programs.https_port}"
        described = namespace.run(
            ["curl", "--silent", "--insecure", *self._headers("admin"), f"{self.url}/api/openapi.json"]
        )
        self._description = folder / "openapi.json"
        self._description.write_text(described.stdout)

    def ask(self, role: str, seconds: int, examples: int) -> str:
        """Asks every operation; answers with what schemathesis says at its end."""
        command = ["env", "--chdir", str(self._folder), str(Path(sys.executable).with_name("schemathesis"))]
        command += ["--config-file", str(self._folder / "schemathesis.toml"), "run", str(self._description)]
        command += ["--url", self.url, "--tls-verify=false", *self._headers(role), "--no-color"]
        command += ["--checks", CHECKS, "--exclude-path-regex", LEFT_OUT, "--warnings", "off"]
        command += ["--max-time", str(seconds), "--max-examples", str(examples), "--seed", "1"]
        done = self._namespace.run(command, timeout=seconds + 120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _headers(self, role: str) -> list[str]:
        token = self._tokens.get(role)
        return [] if token is None else ["-H", f"Authorization: Bearer {token}"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    namespace = Namespace(NAME)
    folder = Path(tempfile.mkdtemp(prefix="allegro-api-test-"))
    try:
        (folder / "data/web").mkdir(parents=True, mode=0o700)
        tokens = TokenStore(folder / "data/web/tokens.json")
        texts: dict[str, str] = {role: tokens.add(role, role, None)[1] for role in ROLES}
        with web_programs(folder, ("ip", "netns", "exec", NAME)) as programs:
            yield Bench(folder, namespace, programs, texts)
        assert "failed unexpectedly" not in programs.log.read_text()
    finally:
        namespace.close()
        shutil.rmtree(folder)


@pytest.mark.spec("W6", "S1")
@pytest.mark.timeout(300)
def test_every_answer_is_one_of_the_description(bench: Bench) -> None:
    for role in ASKERS:
        assert "generated" in bench.ask(role, seconds=10, examples=1)


@pytest.mark.long
@pytest.mark.spec("W6", "S1")
@pytest.mark.timeout(7200)
def test_every_answer_is_one_of_the_description_however_long_it_is_asked(bench: Bench) -> None:
    asked = 0
    for role in ASKERS:
        generated = re.search(r"(\d+) generated", bench.ask(role, seconds=1200, examples=300))
        assert generated
        asked += int(generated[1])
    assert asked >= 20_000
