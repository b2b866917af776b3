"""Runs live captures (`allegro.capture.extraction.live_process`), each a process whose output is passed on.

A process waits when its reader does, so that nothing piles up here; it is ended when its reader goes away.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Final

from allegro.capture.extraction.contract import Failure, parse_message
from allegro.capture.extraction.live_request import LiveRequest
from allegro.errors import AllegroError, InvalidInput, Unavailable
from allegro.system import boottime
from allegro.trigger.extraction import CONFINED
from allegro.trigger.service import ring_problem
from allegro.trigger.surroundings import Surroundings
from allegro.words import SECOND_NS

LIVE_COMMAND: Final = (*CONFINED, sys.executable, "-I", "-B", "-m", "allegro.capture.extraction.live_process")

MOST: Final = 4
"""At the same time: each reads the disk on which is recorded."""

_PART: Final = 1 << 16
_BEGIN_S: Final = 60.0  # a device that cuts captures gives it little of its processors
_END_S: Final = 5.0

log = logging.getLogger(__name__)


class TooManyLive(AllegroError):
    """The live captures before it have not ended."""

    status = 429


class LiveStream:
    """One that has begun. `parts` are read once."""

    def __init__(self, process: asyncio.subprocess.Process, first: bytes) -> None:
        self._process = process
        self._first = first

    async def parts(self) -> AsyncIterator[bytes]:
        """The stream as it comes. Raises Unavailable if it breaks off."""
        output = self._process.stdout
        assert output is not None  # noqa: S101 (a pipe)
        part = self._first
        while part:
            yield part
            part = await output.read(_PART)
        if code := await self._process.wait():
            log.error("A live capture broke off with code %d", code)
            raise Unavailable("The live capture broke off.", remedy="The system log says more.")


class LiveStreams:
    """Of one event loop, whose thread lasts: the kernel ends a process with the thread that started it."""

    def __init__(self, around: Surroundings, command: Sequence[str] = LIVE_COMMAND) -> None:
        self._around = around
        self._command = command
        self._running = 0

    def request(
        self,
        filter_text: str,
        seconds: float | None,
        most_bytes: int | None,
        past_s: float,
        window: tuple[int, int] | None = None,
    ) -> LiveRequest:
        """What a live capture is asked for. A `window` (ns since 1970, both included) goes before `seconds`
        and `past_s`. Raises InvalidInput for a mistake in the filter and for a window that begins before the
        start of the device, Unavailable without a recorder or a ring."""
        recorder = self._around.recorder()
        problem = "The recorder does not run." if recorder is None else ""
        if problem := problem or ring_problem(recorder, self._around.ring_now()):
            raise Unavailable(problem, remedy="The status of the device says what to do.")
        now = boottime.read_clocks()
        if window and window[0] < now.wall_ns - now.boot_ns:  # nothing is left out without a word
            raise InvalidInput(
                "This begins before the last start of the device.",
                place="start",
                remedy="Capture it as a file.",
            )
        ports = tuple(self._around.ports())
        text, program = "", b""
        if filter_text.strip():
            from allegro.filters.translate import translated  # with the first filter

            text, program = translated(filter_text, ports or None, self._around.groups())
        return LiveRequest(
            ring_directory=self._around.ring_now(),
            status_file=self._around.recorder_status,
            past_ns=round(past_s * SECOND_NS),
            length_ns=round((seconds or 0) * SECOND_NS),
            start_ns=window[0] if window else 0,
            end_ns=window[1] if window else 0,
            most_bytes=most_bytes or 0,
            comment=dict(self._around.facts()),
            ports=ports,
            filter=text,
            program=program,
        )

    def check_room(self) -> None:
        """Raises TooManyLive."""
        if self._running >= MOST:
            raise TooManyLive(
                f"{MOST} live captures are going on.", remedy="Wait until one of them has ended, or end one."
            )

    @contextlib.asynccontextmanager
    async def open(self, request: LiveRequest) -> AsyncIterator[LiveStream]:
        """A stream that has begun, ended when this is left. Raises TooManyLive, and Unavailable with the
        reason why there is none."""
        self.check_room()
        self._running += 1
        process: asyncio.subprocess.Process | None = None
        try:
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=_PART
            )
            stream = LiveStream(process, await _first(process, request))
            yield stream
        except OSError as error:
            raise Unavailable(f"The live capture cannot be started ({error.strerror}).") from error
        finally:
            self._running -= 1
            if process is not None:
                await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Ends the process, but does not wait for ever for one that hangs in a system call of its disk."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            await process.wait()


async def _first(process: asyncio.subprocess.Process, request: LiveRequest) -> bytes:
    assert process.stdin is not None  # noqa: S101 (both are pipes)
    assert process.stdout is not None  # noqa: S101
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its exit code will say why
        process.stdin.write(request.to_json())
        await process.stdin.drain()
    process.stdin.close()
    try:
        async with asyncio.timeout(_BEGIN_S):
            first = await process.stdout.read(_PART)
            if first.startswith(b"{"):
                first += await process.stdout.read()
    except TimeoutError:
        raise Unavailable("The live capture did not begin in time.", remedy="Try again.") from None
    if isinstance(told := parse_message(first), Failure):
        raise Unavailable(told.message, remedy=told.remedy)
    if not first:
        raise Unavailable("The live capture ended unexpectedly.", remedy="The system log says more.")
    return first
