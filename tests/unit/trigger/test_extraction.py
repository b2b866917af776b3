import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from allegro.capture.extraction.contract import Progress, Request, Result, message_line, parse_request
from allegro.trigger import extraction
from allegro.trigger.extraction import ExtractionFailed, Extractions, ExtractionStopped


def run(script: str, *, stop: str = "", silence_s: float = 60.0) -> tuple[Result, list[Progress]]:
    heard: list[Progress] = []
    command = [sys.executable, "-c", script]
    result = Extractions(command, silence_s=silence_s).run(REQUEST, heard.append, lambda: stop)
    return result, heard


REQUEST = Request(Path("/ring"), 1, 2, Path("/out.pcapng"))
ANSWER = Result(1, 2, 3, None, None, 4, ["a", "b"], [])
READ = "import sys, json; request = json.load(sys.stdin); "
RESULT = message_line(ANSWER).strip()


def test_result_and_progress(tmp_path: Path) -> None:
    seen = tmp_path / "request"
    progress = message_line(Progress(0.5, 1, 9)).strip()
    keep = f"import sys; open({str(seen)!r}, 'w').write(sys.stdin.read()); "
    script = keep + f"print('{progress}'); print('{RESULT}')"
    assert run(script) == (ANSWER, [Progress(0.5, 1, 9)])
    assert parse_request(seen.read_text()) == REQUEST


def test_lines_that_are_no_messages_are_left_out() -> None:
    assert run(READ + f"print('warning'); print('[1]'); print(''); print('{RESULT}')")[0].packets == 1


def test_a_line_in_two_pieces() -> None:
    head, tail = RESULT[:20], RESULT[20:]
    script = READ + f"import time; print('{head}', end='', flush=True); time.sleep(0.4); print('{tail}')"
    assert run(script)[0].packets == 1


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (READ + 'print(\'{"error": {"message": "No ring.", "remedy": "Wait."}}\'); sys.exit(1)', "No ring."),
        (READ, "with code 0"),
        ("raise SystemExit(3)", "with code 3"),
        (READ + f"print('{RESULT}'); sys.exit(2)", "with code 2"),
        ("import os; os.kill(os.getpid(), 15)", "by signal 15"),
    ],
)
def test_failures_in_words(script: str, words: str) -> None:
    with pytest.raises(ExtractionFailed, match=words):
        run(script)


def test_stopped(tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    script = (
        "import signal, sys, time; from pathlib import Path\n"
        f"signal.signal(signal.SIGTERM, lambda *a: (Path({str(mark)!r}).touch(), sys.exit(1)))\n"
        "time.sleep(50)"
    )
    calls = iter(["", "", "", "", "", "", "", ""])
    with pytest.raises(ExtractionStopped) as caught:
        Extractions([sys.executable, "-c", script]).run(
            REQUEST, lambda progress: None, lambda: next(calls, "enough")
        )
    assert caught.value.reason == "enough"
    assert mark.exists()


def test_one_that_the_stop_itself_has_ended_did_not_fail() -> None:
    """The kernel ends it with the thread that started it, maybe before `should_stop` is asked again."""
    reasons = iter([""])
    script = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(ExtractionStopped, match="the device stops"):
        Extractions([sys.executable, "-c", script]).run(
            REQUEST, lambda progress: None, lambda: next(reasons, "the device stops")
        )


def test_silence_is_not_waited_for_for_ever() -> None:
    with pytest.raises(ExtractionFailed, match="no sign of life"):
        run("import time; time.sleep(50)", silence_s=0.3)


@pytest.mark.spec("T10")
def test_one_that_cannot_be_killed_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As one in a system call of a disk that hangs: the next capture has its thread again."""
    monkeypatch.setattr(extraction, "_TERMINATE_S", 0.1)
    started: list[subprocess.Popen[bytes]] = []
    kill = subprocess.Popen.kill

    def hangs(process: subprocess.Popen[bytes]) -> None:
        started.append(process)

    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    script += "print(flush=True); time.sleep(50)"
    with monkeypatch.context() as broken:
        broken.setattr(subprocess.Popen, "kill", hangs)
        with pytest.raises(ExtractionFailed, match="no sign of life"):
            run(script, silence_s=1)
    (process,) = started
    assert process.poll() is None
    assert f"{process.pid} does not end" in caplog.text
    kill(process)
    process.wait()


@pytest.mark.spec("T10")
@pytest.mark.parametrize("hangs", ["before it reads", "on the way out"])
def test_one_that_hangs_ends_as_soon_as_it_is_cancelled(tmp_path: Path, hangs: str) -> None:
    """Wherever it hangs in its disk: before it has read its request, and when it has said all."""
    request = dataclasses.replace(REQUEST, program=bytes(500_000))  # more than a pipe takes
    script = (
        "" if hangs == "before it reads" else READ + f"import os; print('{RESULT}', flush=True); os.close(1)"
    )
    script += f"\nimport time; open({str(tmp_path / 'hangs')!r}, 'w').close(); time.sleep(3000)"
    asked = itertools.count()
    with pytest.raises(ExtractionStopped, match="enough"):
        Extractions([sys.executable, "-c", script], silence_s=600).run(
            request,
            lambda progress: None,
            lambda: "enough" if (tmp_path / "hangs").exists() and next(asked) > 2 else "",
        )


def test_a_long_request_arrives() -> None:
    request = dataclasses.replace(REQUEST, program=bytes(500_000))
    script = READ + f"print('{RESULT}'); sys.exit(len(request['program']) != 1_000_000)"
    assert Extractions([sys.executable, "-c", script]).run(request, lambda _: None, lambda: "") == ANSWER


PIDS = "import os; open({0!r}, 'a').write(str(os.getpid()) + ' '); "


class TestWaiting:
    """A process that has its imports done waits for the next request."""

    def extractions(self, pids: Path) -> Extractions:
        return Extractions([sys.executable, "-c", PIDS.format(str(pids)) + READ + f"print('{RESULT}')"])

    def run(self, extractions: Extractions) -> Result:
        return extractions.run(REQUEST, lambda progress: None, lambda: "")

    def test_the_one_that_waits_is_used_once(self, tmp_path: Path) -> None:
        pids = tmp_path / "pids"
        extractions = self.extractions(pids)
        for number in range(1, 3):
            extractions.prepare()
            extractions.prepare()
            waiting = extractions._waiting
            assert waiting is not None
            assert self.run(extractions) == ANSWER
            assert pids.read_text().split()[-1] == str(waiting.pid)
            assert len(pids.read_text().split()) == number
        assert self.run(extractions) == ANSWER
        assert len(set(pids.read_text().split())) == 3

    def test_one_that_died_meanwhile_is_replaced(self, tmp_path: Path) -> None:
        extractions = self.extractions(tmp_path / "pids")
        extractions.prepare()
        assert extractions._waiting is not None
        extractions._waiting.kill()
        extractions._waiting.wait()
        assert self.run(extractions) == ANSWER

    def test_closing_leaves_no_process(self, tmp_path: Path) -> None:
        extractions = self.extractions(tmp_path / "pids")
        extractions.prepare()
        waiting = extractions._waiting
        assert waiting is not None
        extractions.close()
        assert waiting.returncode is not None
