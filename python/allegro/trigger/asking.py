"""What the extraction is asked for: from a job, or a row of it, to a request."""

import logging
from collections.abc import Sequence
from pathlib import Path

from allegro.capture.extraction.contract import Request
from allegro.capture.extraction.shape import Shape
from allegro.errors import AllegroError
from allegro.trigger.content import groups_of
from allegro.trigger.job import Job
from allegro.trigger.surroundings import Surroundings
from allegro.words import SECOND_NS

log = logging.getLogger(__name__)


def request_for(
    around: Surroundings,
    ring: Path,
    job: Job,
    output: Path,
    filter_text: str,
    shape: Shape,
    notes: Sequence[str],
    row: str = "",
) -> Request:
    """The request for the file `output` of a job, from the ring in this directory, which is the same for all
    its rows; `row` is the name of the row that it is of, if any."""
    device = f" ({job.device})" if job.device else ""
    text, program, unfiltered = _filter(job, filter_text)
    return Request(
        ring_directory=ring,
        start_ns=max(0, job.start_ns),
        end_ns=job.end_ns,
        output=output,
        comment={
            **around.facts(),
            "trigger": f"{job.source} {job.key}{device}",
            **({"row of the filter table": row} if row else {}),
            **({"note": job.note} if job.note else {}),
            "press_ns": str(job.press_ns),
            "before_s": f"{job.before_ns / SECOND_NS:g}",
            "after_s": f"{job.after_ns / SECOND_NS:g}",
            **{f"link group {name}": condition for name, condition in groups_of(job.groups)},
        },
        ports=tuple(around.ports()),
        notes=(*notes, *unfiltered),
        status_file=around.recorder_status,
        boot_id=job.boot_id,
        boot_offset_ns=0 if job.press_boot_ns is None else job.press_ns - job.press_boot_ns,
        filter=text,
        program=program,
        shape=shape,
    )


def _filter(job: Job, text: str) -> tuple[str, bytes, list[str]]:
    """Canonical text and program of a filter, and what is to be told if it cannot be used.

    It was checked when it was accepted; another release may see it differently, and then rather too much is
    saved than nothing.
    """
    if not text:
        return "", b"", []
    from allegro.filters.translate import translated  # with the first filter: a start does not need it

    try:
        return *translated(text, None, groups_of(job.groups)), []
    except AllegroError as error:
        log.error("Capture %d: its filter cannot be used: %s", job.id, error)
        return (
            "",
            b"",
            [f"The filter {text} could not be used ({error}): all packets are in this file."],
        )
